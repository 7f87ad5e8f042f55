"""`fit_forecaster`: the forecaster that does best on stretches of time it did not see."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import ConfigError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.evaluation import CalendarSplit
from hopcast.forecast.fit_pair import CHOSEN, PairForecaster
from hopcast.forecast.held_out import held_out_scores
from hopcast.forecast.pair import known_steps
from hopcast.forecast.protocol import MOST_ATOMS, FittedForecaster, ForecasterKind, list_kinds
from hopcast.information import correlation_time

N_FOLDS: Final = 5
"""Stretches of time in which kinds that forecast a whole Hamiltonian are scored."""


def fit_forecaster(
    trajectory: Trajectory,
    hamiltonian: VibronicHamiltonian,
    *,
    stride: float | None = None,
    model: str = CHOSEN,
    mode: str = "default",
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    states: tuple[int, int] | None = None,
) -> FittedForecaster:
    """Fit a forecaster of gap and coupling, or of the whole Hamiltonian.

    Kinds of forecasters (`list_kinds`) that can learn from these data are scored on stretches of time held out, and the one
    with the larger sum of the R2 of gap and coupling is fitted to all known steps. Kinds that learn a window of bands are tried in cells of
    at most 40 atoms, and in larger ones where `model` names them.

    Parameters
    ----------
    trajectory
        All frames; those of the samples train.
    hamiltonian
        Two states or a window around them, complete or known on pairs of frames only.
    stride
        Least time between training samples, fs; None takes every one.
    model
        ``"chosen"``, the name of a kind, or that of an option of the pair (`hopcast.forecast.options`).
    mode
        Of `SymmetryFunctions.from_trajectory`.
    workers
        Threads.
    progress
        Called with (parts done, parts).
    states
        The two states of the gap, lower first; None: those at the band edges.

    Raises
    ------
    InputError
        If trajectory and Hamiltonian do not belong together, too few pairs of frames are known, or the trajectory is too
        short to hold blocks out.
    ConfigError
        If the stride is not positive, or the model unknown or unable to learn from these data.
    """
    hamiltonian = hamiltonian.merged()  # degenerate states count as one: their gap and the norm of their coupling
    pair = hamiltonian.frontier() if states is None else hamiltonian.select(list(states))
    lower = hamiltonian.state_labels.index(pair.state_labels[0])
    steps = _thinned(known_steps(pair), stride, hamiltonian.timestep)
    windowed = [kind for kind in list_kinds() if kind.takes == "window"]
    asked = [kind for kind in windowed if kind.name == model]
    reasons = {kind.name: kind.unable(trajectory, hamiltonian, lower) for kind in windowed}
    if asked and reasons[model]:
        raise ConfigError(f"The model `{model}` cannot learn from these data: {reasons[model]}")
    affordable = model == CHOSEN and trajectory.n_atoms <= MOST_ATOMS
    able = asked or [kind for kind in windowed if affordable and not reasons[kind.name]]

    def advance(done: int, of: int) -> None:
        if progress is not None:
            progress(done, of + len(able))

    best: FittedForecaster | None = None
    if not asked:
        best = PairForecaster(model, mode, workers, advance).fit(trajectory, pair, steps)
    for number, kind in enumerate(able, start=1):
        whole = kind.make(workers).fit(trajectory, hamiltonian, steps)
        scores = _scores(kind, whole, trajectory, hamiltonian, pair, steps, workers)
        if best is None or sum(scores.values()) > sum(best.scores.values()):
            best = whole.scored(scores)
        advance(2 * (not asked) + number, 2 * (not asked))
    assert best is not None
    return best


def _scores(
    kind: ForecasterKind,
    whole: FittedForecaster,
    trajectory: Trajectory,
    window: VibronicHamiltonian,
    pair: VibronicHamiltonian,
    steps: NDArray[np.intp],
    workers: int | None,
) -> dict[str, float]:
    """Return R2 of gap and coupling of a kind on a fifth of the time held out in turn, with a purge."""
    times = (steps + 0.5) * trajectory.timestep
    spacing = float(np.median(np.diff(times)))
    memory = max(float(correlation_time(np.abs(pair.coupling()[steps]), spacing)), spacing)
    length = (times[-1] - times[0]) / N_FOLDS * (1 + 1e-9)
    split = CalendarSplit(times - times[0], length, min(2.0 * memory, 0.5 * length))
    return held_out_scores(kind, whole, trajectory, window, pair.state_labels, steps, split, workers)


def _thinned(steps: NDArray[np.intp], stride: float | None, timestep: float) -> NDArray[np.intp]:
    if stride is None:
        return steps
    if not 0 < stride < math.inf:
        raise ConfigError(f"Argument `stride` must be a positive time in fs, but is {stride}.")
    kept: list[int] = []
    for step in steps.tolist():
        if not kept or (step - kept[-1]) * timestep >= stride * (1 - 1e-9):
            kept.append(step)
    return np.array(kept, dtype=np.intp)
