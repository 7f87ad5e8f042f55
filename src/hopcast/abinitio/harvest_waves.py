"""`harvest` of wavefunctions (VASP, Quantum ESPRESSO): overlaps of the pairs of a plan from the wavefunctions in its folders."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.abinitio.code import Code, WaveFiles
from hopcast.abinitio.codes import plan_code
from hopcast.abinitio.engine import fingerprint
from hopcast.abinitio.harvest import Harvest
from hopcast.abinitio.plan import Plan, read_plan
from hopcast.abinitio.store import Store
from hopcast.core.chunks import single_threaded_blas
from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.couplings import derive_couplings
from hopcast.io.assemble import orthogonal_pair
from hopcast.io.wavefunctions.folders import PSEUDO, norm_lost
from hopcast.io.wavefunctions.frames import Loaded, load_frame, metric_of, norms_of, overlap_frames
from hopcast.io.wavefunctions.selection import Selection, Window, band_labels, choose_window


@dataclass(frozen=True, eq=False)
class Pair:
    r"""What is kept of a pair.

    Attributes
    ----------
    energies
        Of both frames [2, n_states], eV.
    overlap
        :math:`\\langle i(t)|j(t+\\Delta t)\\rangle`.
    norms
        :math:`C^\\dagger C` of both frames [2, n_states].
    first, n_occupied, n_bands
        Number of the first band from 0, occupied ones of the window, all that were computed.
    exact
        Whether the overlap has the augmentation of PAW in it (WSWQ), or needs none (norm-conserving).
    """

    energies: NDArray[np.float64]
    overlap: NDArray[Any]
    norms: NDArray[np.float64]
    first: int
    n_occupied: int
    n_bands: int
    exact: bool

    def same_bands(self, other: Pair) -> bool:
        """Whether two pairs are of the same window."""
        return (self.first, self.n_occupied, self.n_bands, len(self.overlap)) == (
            other.first,
            other.n_occupied,
            other.n_bands,
            len(other.overlap),
        )


def harvest_waves(folder: str | Path, *, selection: Selection | None = None) -> Harvest:
    """Collect the calculations of VASP (``WAVECAR``, ``WSWQ``) or pw.x (``out/*.save``) in the folders of a plan.

    Overlaps are kept beside the plan, each as soon as it is made, so that a killed harvest goes on, and wavefunctions whose
    pairs are harvested may be deleted. Pairs without ``WSWQ`` take the overlaps of the pseudo-wavefunctions.

    Parameters
    ----------
    folder
        Of the plan.
    selection
        Bands, spin, k-point; the default is eight bands below and eight above the gap.

    Raises
    ------
    InputError
        If no pair is finished, or pairs were harvested with another window.
    """
    plan = read_plan(folder)
    chosen = selection or Selection()
    code = plan_code(plan)
    if code is None or code.waves is None:
        raise InputError(
            f"Plan `{plan.folder}` must hold inputs of a code whose wavefunctions can be read, but holds "
            f"{'none' if code is None else f'those of {code.name}'}. Write them: hopcast select --engine."
        )
    source = _Source(plan, code.waves, chosen)
    store = Store(plan.folder, fingerprint({"wavefunctions": dataclasses.asdict(chosen)}))
    pairs: dict[int, Pair] = {}
    for number in plan.pairs:
        kept = _kept(store, number, source)
        if kept is None:
            kept = source.pair(number)
            if kept is not None:
                store.put_arrays(number, vars(kept))
        if kept is not None:
            pairs[number] = kept
    if not pairs:
        frame, reason = next(iter(source.missing.items()))
        raise InputError(f"Plan `{plan.folder}` holds no finished pair (frame {frame}: {reason}).")
    missing = {frame: source.missing[frame] for frame in plan.frames if frame in source.missing}
    return Harvest(_assemble(plan, pairs, code, chosen), missing)


def _kept(store: Store, number: int, source: _Source) -> Pair | None:
    """Return the pair of an earlier harvest, unless a frame was computed again since."""
    arrays = store.get_arrays(number)
    if arrays is None or not {field.name for field in dataclasses.fields(Pair)} <= set(arrays):
        return None
    written = store.pair_file(number).stat().st_mtime_ns
    if any(file.stat().st_mtime_ns > written for file in source.files(number)):
        return None
    return Pair(
        arrays["energies"],
        arrays["overlap"],
        arrays["norms"],
        int(arrays["first"]),
        int(arrays["n_occupied"]),
        int(arrays["n_bands"]),
        bool(arrays["exact"]),
    )


class _Source:
    """The folders of a plan, of which two frames at a time are in memory."""

    def __init__(self, plan: Plan, waves: WaveFiles, selection: Selection) -> None:
        self.plan, self.waves, self.selection = plan, waves, selection
        self.missing: dict[int, str] = {}
        self._window: Window | None = None
        self._last: tuple[int, Loaded] | None = None

    def files(self, pair: int) -> list[Path]:
        """Return what a pair is made of, as far as it is there."""
        exact = self._exact(pair)
        parts = [file for frame in (pair, pair + 1) for file in self.waves.parts(self.plan.place(frame))]
        return parts if exact is None else [exact, *parts]

    def _exact(self, pair: int) -> Path | None:
        """Return the code's own overlaps of a pair, if they are there."""
        file = self.plan.place(pair + 1) / self.waves.exact_file
        return file if self.waves.exact_file and file.is_file() else None

    def pair(self, number: int) -> Pair | None:
        """Return a pair, or None where a frame of it is missing (its reason is kept)."""
        left, right = self._frame(number), self._frame(number + 1)
        if left is None or right is None:
            return None
        sides, window = (left, right), self._window
        assert window is not None
        own = self._exact(number)
        try:
            with single_threaded_blas():
                norms = [norms_of(side) for side in sides]
                if own is not None and self.waves.read_exact is not None:
                    found = self.waves.read_exact((own, left.file.path, right.file.path), window)
                    exact = True
                else:
                    found, _ = overlap_frames(left, right, window)
                    exact = left.file.orthonormal
                    if not exact and self.selection.loewdin:
                        found = orthogonal_pair(metric_of(left), found, metric_of(right))
        except InputError as error:
            self.missing[number + 1] = str(error)
            return None
        bands = window.bands
        energies = np.array([side.levels.energies[bands.start : bands.stop] for side in sides])
        return Pair(energies, found, np.array(norms), bands.start, window.n_occupied, window.n_bands, exact)

    def _frame(self, frame: int) -> Loaded | None:
        if frame in self.missing:
            return None
        if self._last is not None and self._last[0] == frame:
            return self._last[1]
        try:
            path = self.waves.find(self.plan.place(frame))
            if self._window is None:
                self._window = self._choose(path)
            loaded = load_frame(self.waves.open(path), self._window)
        except InputError as error:
            self.missing[frame] = str(error)
            return None
        self._last = frame, loaded
        return loaded

    def _choose(self, path: Path) -> Window:
        file = self.waves.open(path)
        return choose_window(file, self.selection, file.basis)


def _assemble(plan: Plan, pairs: dict[int, Pair], code: Code, selection: Selection) -> VibronicHamiltonian:
    first_number, first = next(iter(pairs.items()))
    n = len(first.overlap)
    energies = np.full((plan.n_frames, n), np.nan)
    overlaps = np.full((plan.n_frames - 1, n, n), np.nan, np.result_type(*(pair.overlap for pair in pairs.values())))
    for number, pair in pairs.items():
        if not pair.same_bands(first):
            raise InputError(
                f"Plan `{plan.folder}` must hold pairs of the same bands, but pair {first_number} has {first.first}:{first.first + n} of "
                f"{first.n_bands} ({first.n_occupied} occupied) and pair {number} {pair.first}:{pair.first + len(pair.overlap)} of {pair.n_bands} "
                f"({pair.n_occupied} occupied). Name `bands` (--bands), or calculate them alike."
            )
        energies[number : number + 2] = pair.energies
        overlaps[number] = pair.overlap
    labels = band_labels(first.n_occupied, n, first.first)
    exact = sum(pair.exact for pair in pairs.values())
    own = "" if code.waves is None else code.waves.exact_file
    said = f"{exact} of {len(pairs)} pairs exact ({own or 'norm-conserving'})"
    if exact < len(pairs):
        how = "Löwdin-orthonormalised in the window" if selection.loewdin else "as they come"
        said += f"; the others of pseudo-wavefunctions, {how}: {PSEUDO}"
    lost = {}
    if own or exact < len(pairs):
        lost["norm lost"] = norm_lost(np.concatenate([pair.norms for pair in pairs.values()]), labels)
    hamiltonian = VibronicHamiltonian(
        energies,
        np.full(overlaps.shape, np.nan),
        plan.timestep,
        overlaps=overlaps,
        n_occupied=first.n_occupied,
        state_labels=labels,
        frame_numbers=plan.frame_numbers,
        provenance={
            "format": f"harvested by hopcast from {code.name}",
            "units": "eV",
            "sign": "raw overlaps <i(t)|j(t+dt)>",
            "overlaps": said,
            **lost,
            "bands": f"{first.first}:{first.first + n} from 0, {first.first + 1} to {first.first + n} of {first.n_bands} as the code counts",
            "channel": "spin {}, k-point {}".format(*selection.channel),
            "harvest": f"{len(pairs)} of {len(plan.pairs)} pairs; signs unrelated from pair to pair",
            "trajectory_sha256": plan.fingerprint,
            "selection": plan.strategy,
        },
    )
    return derive_couplings(hamiltonian)
