"""`PairForecaster`: learn gap and coupling from the steps that are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from hopcast.core.errors import ConfigError, InputError, nearest
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.matching import check_same_frames
from hopcast.core.spreading import spread
from hopcast.core.trajectory import Trajectory
from hopcast.core.units import HBAR
from hopcast.descriptors import SymmetryFunctions
from hopcast.dynamics import dephasing_time
from hopcast.evaluation import (
    CalendarSplit,
    Candidate,
    TrainingDomain,
    nested_selection,
    stretches_of_time,
    time_blocks,
    training_domain,
)
from hopcast.evaluation.calibration import leave_one_out_scale
from hopcast.forecast.fitted_pair import FittedPair, TargetModel, mean_cell
from hopcast.forecast.options import Option, options
from hopcast.forecast.pair import PairPhysics, known_steps, midpoint_gap, target_columns
from hopcast.forecast.protocol import DEPHASING, list_kinds
from hopcast.forecast.representation import columns_of_pairs
from hopcast.information import correlation_time
from hopcast.regression import LowRankRidge
from hopcast.regression.frame_model import FrameModel
from hopcast.regression.learner import abilities_of
from hopcast.regression.ridge import FrameRidge

Array = NDArray[np.float64]

FEWEST: Final = 20
"""Samples below which nothing is learnt."""

MOST: Final = 20_000
"""Samples beyond which even landmarks take long."""

EXACT: Final = 4000
"""Samples up to which the full kernel matrix is factorised; beyond, `N_LANDMARKS` of them stand for all."""

N_LANDMARKS: Final = 2000

MOST_PAIRS_OF_ATOMS: Final = 1000
"""Samples up to which kernels of all pairs of atoms are an option."""

SEARCHED: Final = 1000
"""Samples, evenly spread, on which alpha and gamma are chosen where landmarks stand for all."""

COMPARED: Final = 250
"""Samples, evenly spread, on which models are compared."""

CHOSEN: Final = "chosen"
"""Name of the choice by nested validation."""


@dataclass(frozen=True)
class PairForecaster:
    """Learns gap and coupling of two states, each by the best of many options: a `Forecaster`.

    Every option (`hopcast.forecast.options`: representations of the geometry, each with a learner) is scored on blocks of
    time held out, and the best on the training blocks is taken, for each target its own.

    Parameters
    ----------
    model
        ``"chosen"``, or the name of an option.
    mode
        Of `SymmetryFunctions.from_trajectory`.
    workers
        Threads.
    progress
        Called with (targets done, targets).

    Notes
    -----
    Up to 4000 samples the learners are exact; beyond, kernels of atoms in fixed order and of averages go through 2000
    landmarks (`LowRankRidge`; alpha and gamma are those of 1000 evenly spread samples), lines through 4000 evenly spread
    samples. Exchangeable atoms (a kernel of all pairs of atoms) are an option up to 1000 samples. Models are compared on 250
    samples at most, and the one chosen of more is scored with all of them. Samples closer than a correlation time are no
    independent proof: the score is that of whole blocks.
    """

    model: str = CHOSEN
    mode: str = "default"
    workers: int | None = None
    progress: Callable[[int, int], None] | None = None

    def fit(
        self, trajectory: Trajectory, known: VibronicHamiltonian, steps: NDArray[np.intp] | None = None
    ) -> FittedPair:
        """Learn from some of the known steps; all frames say where the centres of the symmetry functions lie.

        Raises
        ------
        InputError
            If trajectory and Hamiltonian do not belong together, there are not two states, fewer than `FEWEST` steps are known,
            or they are too near each other to hold blocks out.
        ConfigError
            If the model is unknown.
        """
        if known.n_states != 2:
            raise InputError(
                f"A forecaster of a pair needs the two states of a gap, but the Hamiltonian has {known.n_states}: use `frontier()` or `select`."
            )
        check_same_frames(trajectory, known)
        steps = known_steps(known) if steps is None else steps
        if not FEWEST <= len(steps) <= MOST:
            raise InputError(
                f"A forecaster learns from {FEWEST} to {MOST} pairs of neighbouring frames with both energies and the coupling between "
                f"them, but {len(steps)} are known. {'Compute more.' if len(steps) < FEWEST else 'Give a stride.'}"
            )
        workers, symbols = self.workers, trajectory.symbols
        functions = SymmetryFunctions.from_trajectory(trajectory, mode=self.mode, workers=workers)  # type: ignore[arg-type]
        wanted = _wanted(self.model, options(trajectory, functions, workers), len(steps))
        ends = columns_of_pairs((one.representation for one in wanted), trajectory, steps, workers)
        gap = midpoint_gap(known)[steps]
        physics = PairPhysics.of(known, steps)
        times = np.asarray((steps + 0.5) * trajectory.timestep, dtype=np.float64)
        models: dict[str, TargetModel] = {}
        stretches: dict[str, _Stretches] = {}
        for target, values in (("gap", gap), ("nac", physics.learnt(np.abs(known.coupling()[steps]), gap))):
            X = {one.name: target_columns(target, *ends[one.representation], trajectory.timestep) for one in wanted}
            stretches[target] = _stretches(values, times)
            models[target] = _learn(wanted, X, values, times, stretches[target], workers)
            if self.progress is not None:
                self.progress(len(models), 2)
        tau, source = _dephasing(known, gap)
        seen = target_columns("gap", *ends[models["gap"].representation], trajectory.timestep)
        spacing = float(np.median(np.diff(times)))
        return FittedPair(
            gap=models["gap"],
            coupling=models["nac"],
            mean_gap=physics.mean_gap,
            domain=_domain(models["gap"], seen, stretches["gap"].labels, symbols, workers),
            symbols=symbols,
            cell=mean_cell(trajectory),
            timestep=trajectory.timestep,
            n_samples=len(steps),
            state_labels=known.state_labels,
            dephasing_time=tau,
            provenance={
                "training samples": f"{len(steps)} pairs of frames, typically {spacing:g} fs apart",
                "coupling": "modulus, learnt as |hbar d| times gap over mean gap",
                "model of the gap": models["gap"].name,
                "model of the coupling": models["nac"].name,
                DEPHASING: source,
            },
        )


def _dephasing(known: VibronicHamiltonian, samples: Array) -> tuple[float, str]:
    """Return the dephasing time of the training gaps, fs, and where it comes from: a correlation needs every frame."""
    if np.isfinite(known.gap()).all():
        return dephasing_time(known), f"from the gap of all {known.n_frames} frames"
    static = HBAR / float(samples.std())
    return static, "hbar / sigma of the computed gaps, too short where the gap turns faster"


def _wanted(model: str, known: Sequence[Option], n_samples: int) -> list[Option]:
    """Return the options to compare: all that so many samples allow, or the one that was asked for."""
    names = [one.name for one in known]
    if model != CHOSEN and model not in names:
        # those of whole windows of bands are taken care of before (`fit_forecaster`)
        names += [kind.name for kind in list_kinds() if kind.takes == "window"]
        raise ConfigError(
            f"Argument `model` must be `{CHOSEN}` or one of {', '.join(f'`{name}`' for name in names)}, but is "
            f"`{model}`.{nearest(model, names)}"
        )
    able = [one for one in known if n_samples <= MOST_PAIRS_OF_ATOMS or abilities_of(one.learner).learns_many]
    found = [one for one in able if model in (CHOSEN, one.name)]
    if not found:
        raise ConfigError(
            f"The model `{model}` learns from at most {MOST_PAIRS_OF_ATOMS} samples, but there are {n_samples}. Give a stride, or another model."
        )
    return found


class _Stretches(NamedTuple):
    """Blocks of time held out: label of every sample, their length and the purge beside them, fs."""

    labels: NDArray[np.intp]
    length: float
    purge: float


def _stretches(values: Array, times: Array) -> _Stretches:
    spacing = float(np.median(np.diff(times)))
    memory = max(float(correlation_time(values, spacing)), spacing)
    span = float(times[-1] - times[0])
    length, purge = stretches_of_time(span, memory)
    return _Stretches(time_blocks(times, length), length, purge)


def _learn(
    wanted: Sequence[Option],
    X: dict[str, Array],
    values: Array,
    times: Array,
    stretches: _Stretches,
    workers: int | None,
) -> TargetModel:
    """Choose by nested blocks on some samples, and fit the choice to all of them."""
    some = spread(len(values), COMPARED)
    groups, length, purge = stretches
    elsewhere = len(some) - int(np.sort(np.bincount(groups[some]))[-2:].sum())
    if elsewhere < FEWEST // 4:
        raise InputError(
            f"A forecaster is scored on stretches of time held out ({length:g} fs): {FEWEST // 4} computed pairs must lie outside of any "
            f"two of them, but {elsewhere} do. Compute pairs elsewhere on the trajectory."
        )
    found = nested_selection(
        [Candidate(one.name, X[one.name][some], one.learner) for one in wanted],
        values[some],
        times[some],
        groups[some],
        n_shifts=0,
        purge=purge,
        workers=workers,
    )
    option = next(one for one in wanted if one.name == found.final)
    learner, scale = _fitted(option.learner, X[option.name], values, groups)
    r2 = found.selected.r2
    if len(some) < len(values):
        # what was compared saw fewer samples than what is used; the choice itself was made on few of them
        r2 = _held_out_r2(learner, X[option.name], values, times, purge)
    return TargetModel(option.name, option.representation, learner, scale, r2)


def _held_out_r2(learner: FrameModel, X: Array, values: Array, times: Array, purge: float) -> float:
    """Return R2 of refits with the same hyperparameters, a fifth of the time held out in turn, with a purge."""
    fixed = clone(learner).set_params(alpha=learner.alpha_)
    if "gamma" in fixed.get_params():
        fixed.set_params(gamma=learner.gamma_)
    elapsed = times - times[0]
    missed = np.empty(len(values))
    for train, test in CalendarSplit(elapsed, elapsed[-1] / 5 * (1 + 1e-9), purge).split(X):
        some = train[spread(len(train), EXACT)] if learner.abilities.is_exact else train
        missed[test] = values[test] - fixed.fit(X[some], values[some]).predict(X[test])
    return float(1.0 - missed @ missed / np.sum((values - values.mean()) ** 2))


def _fitted(learner: FrameRidge, X: Array, values: Array, groups: NDArray[np.intp]) -> tuple[FrameModel, float]:
    """Return the learner fitted to all samples, in the way that so many allow, and the scale of its variance."""
    if len(values) <= EXACT or learner.abilities.is_a_line:
        some = spread(len(values), EXACT)  # more of them do not move a line
        exact = clone(learner).fit(X[some], values[some], groups[some])
        return exact, leave_one_out_scale(exact)
    some = spread(len(values), SEARCHED)
    found = clone(learner).fit(X[some], values[some], groups[some])
    many = LowRankRidge(N_LANDMARKS, found.alpha_, found.gamma_, kernel=learner.kernel, workers=learner.workers)
    return many.fit(X, values), _refitted_scale(many, X, values)


def _refitted_scale(learner: LowRankRidge, X: Array, values: Array) -> float:
    """Return <r^2 / sigma^2> of every second sample, forecast by the others with the same hyperparameters."""
    held = clone(learner).fit(X[::2], values[::2])
    mean, latent = held.predict(X[1::2], return_std=True)
    variance = latent**2 + held.alpha_ * held.signal_variance_
    return float(np.mean((values[1::2] - mean) ** 2 / np.maximum(variance, 1e-300)))


def _domain(
    model: TargetModel, columns: Array, groups: NDArray[np.intp], symbols: tuple[str, ...], workers: int | None
) -> TrainingDomain:
    seen = model.domain_columns(columns, symbols)
    some = spread(len(seen), EXACT)
    return training_domain(seen[some], groups[some], model=model.learner, workers=workers)
