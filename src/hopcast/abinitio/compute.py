"""`compute_plan`: run an engine over the pairs of a plan, resumable at any point."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hopcast.abinitio.engine import Electrons, ElectronsError, Engine, fingerprint
from hopcast.abinitio.plan import Plan, read_plan
from hopcast.abinitio.plan_file import LOCK
from hopcast.abinitio.store import Store
from hopcast.core.errors import ConfigError, InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.hdf5 import write_text
from hopcast.core.outputs import held_part
from hopcast.core.plain import PlainMap
from hopcast.couplings import derive_couplings
from hopcast.io.trajectories import read_trajectory

MAX_FAILURES = 10
SETTINGS_FILE = "engine.json"
LINK = 0.5
"""Signs are carried from one sample to the next where the state keeps more than this |S_ii|."""


@dataclass(frozen=True)
class ComputeReport:
    """What a run over a plan did.

    Attributes
    ----------
    computed
        Frames computed by this run.
    finished
        Pairs that are finished, of `n_pairs`.
    failed
        Frames that failed, each with its reason.
    """

    computed: tuple[int, ...]
    finished: int
    n_pairs: int
    failed: dict[int, str] = field(default_factory=dict)


def compute_plan(
    folder: str | Path,
    engine: Engine,
    *,
    part: tuple[int, int] = (0, 1),
    retry: bool = False,
    max_failures: int = MAX_FAILURES,
    progress: Callable[[str], None] | None = None,
) -> ComputeReport:
    """Compute what is missing of a plan: the electrons of each frame, then the overlaps of each pair.

    A killed run is started again with the same call; a finished frame or pair is never computed twice.

    Parameters
    ----------
    folder
        Of the plan.
    engine
        See `make_engine`.
    part
        (k, n): the k-th (from 0) of n contiguous parts of the pairs, for arrays of jobs.
    retry
        Try frames again whose failure is recorded.
    max_failures
        So many failures in a row stop the run.
    progress
        Called with a line after each pair.

    Raises
    ------
    InputError
        If the trajectory changed since the plan was made, an element has no parameters, or results of other settings
        are there.
    ElectronsError
        If `max_failures` frames failed in a row.
    OutputError
        If another process computes some of these pairs.
    """
    plan = read_plan(folder)
    _check_source(plan)
    engine.check(plan.numbers)
    if not (part[1] >= 1 and 0 <= part[0] < part[1]):
        raise ConfigError(f"Argument `part` must be (k, n) with 0 <= k < n, but is {part}.")
    order = np.array_split(np.arange(len(plan.pairs)), part[1])[part[0]]
    if not order.size:
        return ComputeReport((), 0, 0)
    sentence = f"Another run of hopcast computes pairs of this part of `{plan.folder}`. Wait until it ends, or give each job a --part of its own."
    with held_part(plan.folder / LOCK, int(order[0]), int(order[-1]), sentence):
        work = _Work(engine, plan, open_store(plan, engine), retry, max_failures)
        for number, pair in enumerate(plan.pairs[place] for place in order):
            state = work.compute_pair(int(pair), len(order))
            if progress is not None and state:
                progress(f"pair {number + 1} of {len(order)} (frame {pair}): {state}")
    return ComputeReport(tuple(work.computed), work.finished, len(order), work.failed)


@dataclass
class _Work:
    """The pairs of a part, computed one after the other."""

    engine: Engine
    plan: Plan
    store: Store
    retry: bool
    max_failures: int
    computed: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    finished: int = 0
    in_a_row: int = 0
    recent: dict[int, Electrons] = field(default_factory=dict)

    def compute_pair(self, pair: int, n_pairs: int) -> str:
        """Compute what a pair lacks; return what became of it, nothing where it was finished before."""
        if self.store.get_overlap(pair) is not None and all(
            self.store.get_electrons(frame) is not None for frame in (pair, pair + 1)
        ):
            self.finished += 1
            return ""
        sides: list[Electrons] = []
        for frame in (pair, pair + 1):
            electrons = self.recent.get(frame) or self.store.get_electrons(frame) or self._compute_frame(frame, n_pairs)
            if electrons is None:
                return f"skipped: {self.failed[frame]}"
            sides.append(electrons)
        self.store.put_overlap(pair, self.engine.overlap(*sides))
        self.recent = {pair + 1: sides[1]}
        self.finished += 1
        return "done"

    def _compute_frame(self, frame: int, n_pairs: int) -> Electrons | None:
        """Compute the electrons of a frame; None, with the reason kept, where that fails or failed before."""
        reason = None if self.retry and frame not in self.failed else self.store.get_failure(frame)
        if reason is not None:
            self.failed[frame] = reason
            return None
        try:
            electrons = self.engine.electrons(self.plan.geometry(frame))
        except ElectronsError as error:
            self.failed[frame] = str(error)
            self.store.put_failure(frame, str(error))
            self.in_a_row += 1
            if self.in_a_row >= self.max_failures:
                raise ElectronsError(
                    f"{self.in_a_row} frames in a row failed, the last one ({frame}) because {error}. The run stops: "
                    f"correct the cause, then run again with --retry; {self.finished} of {n_pairs} pairs are finished."
                ) from error
            return None
        self.store.put_electrons(frame, electrons)
        self.computed.append(frame)
        self.in_a_row = 0
        return electrons


def open_store(plan: Plan, engine: Engine) -> Store:
    """Return the store of a plan for an engine; the first result fixes the engine's settings.

    Raises
    ------
    InputError
        If results of other settings are there.
    """
    settings = dict(engine.settings())
    file = plan.folder / SETTINGS_FILE
    before = read_settings(plan) if file.is_file() else {}
    if before != settings:
        if any((plan.folder / "frames").glob("*/electrons.npz")):
            changed = sorted(key for key in {*before, *settings} if before.get(key) != settings.get(key))
            raise InputError(
                f"Plan `{plan.folder}` holds results of other settings ({', '.join(changed)} differ), and overlaps need alike ones. "
                "Use the same settings, or a new plan."
            )
        write_text(file, json.dumps(settings, indent=1, sort_keys=True) + "\n")
    return Store(plan.folder, fingerprint(settings))


def read_settings(plan: Plan) -> PlainMap:
    """Return the settings of the engine that computed a plan.

    Raises
    ------
    InputError
        If none did, or the file is damaged.
    """
    file = plan.folder / SETTINGS_FILE
    if not file.is_file():
        raise InputError(f"Plan `{plan.folder}` holds no results of an engine. Run hopcast compute first.")
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(f"File `{file}` is damaged ({error}). Delete it, and compute again.") from error


def _check_source(plan: Plan) -> None:
    # the plan carries its geometries; where the trajectory is at hand too, it must still be the same one
    if plan.source is not None and Path(plan.source).exists():
        plan.check_trajectory(read_trajectory(plan.source, timestep=plan.timestep), f"`{plan.source}`")


def assemble_plan(folder: str | Path, engine: Engine) -> VibronicHamiltonian:
    r"""Return the sparse Hamiltonian of what is finished: energies of frames, raw overlaps and couplings of pairs.

    Signs are carried from each pair to the next by the overlap of their orbitals, for each state that keeps
    :math:`|S_{ii}| > 0.5` over the time between them; where it does not, a new chain begins and the relative sign is
    unknown. The provenance counts the links. The overlaps of the result hold these signs (their moduli are the raw ones).

    Parameters
    ----------
    folder
        Of the plan.
    engine
        The one that computed it.

    Raises
    ------
    InputError
        If nothing is finished.
    """
    plan = read_plan(folder)
    store = open_store(plan, engine)
    electrons = {frame: found for frame in plan.frames if (found := store.get_electrons(frame)) is not None}
    if not electrons:
        raise InputError(f"Plan `{plan.folder}` holds no finished frame. Run hopcast compute first.")
    some = next(iter(electrons.values()))
    n_states = some.orbitals.shape[1]
    energies = np.full((plan.n_frames, n_states), np.nan)
    overlaps = np.full((plan.n_frames - 1, n_states, n_states), np.nan)
    signs = np.ones(n_states)
    links = possible = 0
    last: int | None = None
    for frame, found in electrons.items():
        energies[frame] = found.window
    for pair in plan.pairs:
        raw = store.get_overlap(pair)
        if raw is None or pair not in electrons or pair + 1 not in electrons:
            continue
        if last is not None and last != pair:
            across = np.diag(engine.overlap(electrons[last], electrons[pair]))
            strong = np.abs(across) > LINK
            signs = np.where(strong & (across < 0), -signs, signs)
            links, possible = links + int(strong.sum()), possible + n_states
        after = np.where(np.diag(raw) < 0, -signs, signs)
        overlaps[pair] = signs[:, None] * raw * after
        signs, last = after, pair + 1
    below = some.n_occupied - some.first
    labels = [f"VBM-{below - 1 - i}" if i < below - 1 else "VBM" for i in range(below)]
    labels += ["CBM" if i == 0 else f"CBM+{i}" for i in range(n_states - below)]
    settings = engine.settings()
    hamiltonian = VibronicHamiltonian(
        energies,
        np.full(overlaps.shape, np.nan),
        plan.timestep,
        overlaps=overlaps,
        n_occupied=below,
        state_labels=tuple(labels),
        frame_numbers=plan.frame_numbers,
        provenance={
            "format": f"computed by hopcast with {engine.name}",
            "units": "eV",
            "settings": json.dumps(dict(settings), sort_keys=True),
            "trajectory_sha256": plan.fingerprint,
            "selection": plan.strategy,
            "signs between samples": f"{links} of {possible} links of a state to the next sample have |S_ii| > {LINK}",
        },
    )
    return derive_couplings(hamiltonian) if last is not None else hamiltonian
