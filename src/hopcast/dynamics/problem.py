"""Everything a method needs to know, checked once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.blocks import COHERENT, TOLERANCE, orientation
from hopcast.core.errors import ConfigError, InputError, QualityWarning, check_array, check_choice, check_number
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.dynamics.dephasing import CONVENTIONS, dephasing_matrix
from hopcast.dynamics.initial import Starts, make_starts, state_weights, time_weights
from hopcast.dynamics.observables import line_weights
from hopcast.dynamics.propagation import MAX_PHASE, SubstepGrid, balanced, choose_substeps, substep_grid

if TYPE_CHECKING:
    from hopcast.dynamics.methods.method import Method

RULES: Final = ("consistent", "hefei", "pyxaid")
WAITINGS: Final = ("exponential", "deterministic")
DECISIONS: Final = ("sub-step", "nuclear step")
N_GROUPS: Final = 20
"""Groups of trajectories whose scatter gives the Monte Carlo interval."""
DEFAULT_STARTS: Final = 100

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Problem:
    """A run of dynamics, ready for a method.

    Attributes
    ----------
    grid
        Sub-steps of one pass along the trajectory.
    tau
        Dephasing times [n_states, n_states], fs, infinite on the diagonal.
    temperature
        K, or None for no detailed balance.
    rule, waiting, decisions
        Of DISH.
    starts
        Frames, states and numbers of trajectories to start with.
    absorbing, loop
        As in `run_dynamics`.
    initial_steps
        Frames at which trajectories start [n_initial].
    output_steps
        Nuclear steps after the start [n_times].
    window
        Output times of the straight line [n_times].
    n_trajectories
        Per initial time, on average.
    random_state, workers, chunk_trajectories, progress
        Seed, threads, trajectories a unit of work, callback with (units done, units).
    checkpoint
        Folder of finished units of work, or None.
    multiplicities
        Numbers of partners of degenerate states, which count as one; empty without degeneracy.
    """

    grid: SubstepGrid
    tau: NDArray[np.float64]
    temperature: float | None
    rule: str
    waiting: str
    starts: Starts
    absorbing: bool
    loop: bool
    initial_steps: NDArray[np.int64]
    output_steps: NDArray[np.int64]
    window: NDArray[np.bool_]
    n_trajectories: int
    random_state: int
    workers: int | None
    chunk_trajectories: int
    progress: Progress | None
    checkpoint: Path | None = None
    multiplicities: tuple[int, ...] = ()
    decisions: str = "sub-step"

    @property
    def stride(self) -> int:
        """Sub-steps from one decision of DISH to the next."""
        return self.grid.n_substeps if self.decisions == "nuclear step" else 1

    @property
    def decisions_a_step(self) -> int:
        """Decisions of DISH in a nuclear step."""
        return self.grid.n_substeps // self.stride

    @property
    def n_states(self) -> int:
        """Number of states; degenerate ones count as one."""
        return len(self.multiplicities) or int(self.grid.left.shape[1])

    @property
    def is_degenerate(self) -> bool:
        """Whether states have partners."""
        return bool(self.multiplicities)

    @property
    def edges(self) -> NDArray[np.int64]:
        """First partner of each state in the grid, and the end [n_states + 1]."""
        return np.cumsum([0, *(self.multiplicities or (1,) * self.n_states)])

    @property
    def n_copies(self) -> int:
        """Copies of the amplitudes that methods carry whose trajectories collapse: as many as the largest block has partners."""
        return max(self.multiplicities, default=1)

    def state_energies(self, energies: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the energies of the states from those of all partners, which are the same [..., n_states]."""
        return energies[..., self.edges[:-1]] if self.is_degenerate else energies

    def block_sums(self, values: NDArray[np.float64], copies: int = 1) -> NDArray[np.float64]:
        """Return the sums over the partners (and copies) of each state [..., n_states]."""
        return np.asarray(np.add.reduceat(values, self.edges[:-1] * copies, axis=-1), dtype=np.float64)

    @property
    def initial_populations(self) -> NDArray[np.float64]:
        """Population of each state at the start [n_states]."""
        starts = self.starts
        return np.asarray(np.bincount(starts.state, starts.share, minlength=self.n_states), dtype=np.float64)

    @property
    def times(self) -> NDArray[np.float64]:
        """Output times [n_times], fs."""
        return np.asarray(self.output_steps * self.grid.timestep, dtype=np.float64)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weights of slope (1/ns) and intercept over output times [n_times, 2]."""
        return line_weights(self.times, self.window)


@dataclass(frozen=True, eq=False)
class Populations:
    """What a method returns.

    Attributes
    ----------
    mean
        Population of each state [n_times, n_states], averaged over initial times and trajectories.
    moments
        Slope (1/ns) and intercept of the excited population of each initial time [n_initial, 2].
    counts
        Trajectories in each state [n_groups, n_times, n_states], None without sampling.
    totals
        Trajectories of each group [n_groups], None without sampling.
    n_hops
        Number of changes of the active state, None without sampling.
    flows
        Hops between states, ``[from, to]``, where they were counted.
    recombined
        Share of trajectories that has come to state 0 until each time, by the state they first came from [n_times, n_states], where it was
        counted.
    """

    mean: NDArray[np.float64]
    moments: NDArray[np.float64]
    counts: NDArray[np.int64] | None = None
    totals: NDArray[np.int64] | None = None
    n_hops: int | None = None
    flows: NDArray[np.int64] | None = None
    recombined: NDArray[np.float64] | None = None


def check_choices(settings: Settings) -> None:
    """Check what only some methods understand.

    Raises
    ------
    ConfigError
        If a name is unknown, or the exact solver does not apply (and why).
    """
    check_choice("rule", settings.rule, RULES)
    check_choice("waiting", settings.waiting, WAITINGS)
    check_choice("decisions", settings.decisions, DECISIONS)
    if settings.method.check is not None:
        settings.method.check(settings.rule, settings.waiting, settings.decisions)


def check_states(ham: VibronicHamiltonian, method: Method) -> None:
    """Check that a Hamiltonian has two or more states (degenerate ones count as one), state 0 below the others everywhere.

    Raises
    ------
    InputError
        If there is one state, the gap closes, or states are out of energy order where the method needs it (with the frame).
    ConfigError
        If the method is for two states only.
    """
    if ham.n_blocks < 2:
        raise InputError(
            "Dynamics need at least two states, but the Hamiltonian has one."
            if ham.n_states < 2
            else f"Dynamics need at least two states, but all of {', '.join(ham.state_labels)} are one degenerate block."
        )
    check_pairs(ham)
    if ham.n_blocks > 2 and method.only_two_states:
        raise ConfigError(
            f"Method `{method.name}` needs two states, but the Hamiltonian has {ham.n_blocks}: events on one of many states leave "
            'superpositions, so no small linear equation of the ensemble exists. Use `method="dish"`, '
            "`master_equation`, or `ham.select([i, j])`."
        )
    place = "frame" if ham.energy_grid == "frame" else "mid-point"
    energies = ham.block_energies
    gap = (energies[:, 1:] - energies[:, :1]).min(axis=1)
    closed = np.flatnonzero(gap <= 0)
    if closed.size:
        raise InputError(
            f"The gap must stay open (states in energy order), but is {gap[closed[0]]:.4g} eV at {place} {closed[0]}."
        )
    if method.needs_order:
        disorder = np.flatnonzero((np.diff(energies, axis=1) < 0).any(axis=1))
        if disorder.size:
            raise InputError(
                f"Method `{method.name}` needs states in energy order, but they are not at {place} {disorder[0]}. Use tracking `energy`."
            )


def check_pairs(ham: VibronicHamiltonian) -> None:
    """Refuse Kramers data in which a state has lost its partner: a window that cuts a pair.

    Raises
    ------
    InputError
        Naming the state.
    """
    sizes = np.array(ham.multiplicities, dtype=np.int64)
    alone = np.flatnonzero(sizes % 2 == 1)
    # pairs throughout, and single states at the ends of the window only
    if ham.is_degenerate and alone.size and set(alone) <= {0, sizes.size - 1} and (sizes % 2 == 0).any():
        names = " and ".join(ham.block_labels[block] for block in alone)
        raise InputError(
            f"Kramers pairs must be whole, but the window of {ham.n_states} states cuts one: {names} has no partner. Leave that state out "
            "(`--states`, `select`) or read one more."
        )


def with_common_bases(ham: VibronicHamiltonian) -> VibronicHamiltonian:
    """Return a Hamiltonian whose degenerate states have bases that are consistent in time, or the one of their norms.

    Couplings that come without overlaps may have another basis at each step; then only the norms between blocks mean
    something, and the blocks become plain states (`VibronicHamiltonian.merged`).

    Warns
    -----
    QualityWarning
        If norms are used, or degenerate states split somewhere.
    """
    if not ham.is_degenerate:
        return ham
    spread = np.stack([np.ptp(ham.energies[:, block], axis=1) for block in ham.blocks], axis=1)
    if spread.max() > TOLERANCE:
        worst = int(spread.max(axis=0).argmax())
        warnings.warn(
            f"The states of {ham.block_labels[worst]} count as degenerate, but split by up to {1e3 * spread.max():.3g} meV (frame "
            f"{int(spread[:, worst].argmax())}): their mean energy is used. See `hopcast check`.",
            QualityWarning,
            stacklevel=3,
        )
    alike = None if ham.overlaps is not None else orientation(ham.nac, ham.multiplicities)
    if alike is None or alike >= COHERENT:
        return ham
    warnings.warn(
        "The couplings of degenerate states have another basis at every step and no overlaps to align them: their norms are used. "
        "Read raw overlaps for more.",
        QualityWarning,
        stacklevel=3,
    )
    return ham.merged()


def dephasing_times(
    ham: VibronicHamiltonian, dephasing_time: float | ArrayLike | None, convention: str
) -> NDArray[np.float64]:
    """Return the matrix of dephasing times [n_states, n_states], fs.

    Raises
    ------
    InputError
        If a time is zero, negative or NaN, or the matrix has a wrong shape or is not symmetric.
    """
    check_choice("tau_convention", convention, CONVENTIONS)
    if dephasing_time is None:
        return dephasing_matrix(ham, convention)
    n = ham.n_blocks
    given = check_array("dephasing_time", dephasing_time, "a number of fs or a matrix")
    if given.ndim == 0:
        given = np.full((n, n), given)
    if ham.is_degenerate and given.shape == (ham.n_states, ham.n_states):  # of all partners
        first = [block.start for block in ham.blocks]
        given = given[np.ix_(first, first)]
    if given.shape != (n, n):
        raise InputError(
            f"Argument `dephasing_time` must be a number of fs or a matrix [{n}, {n}], but has the shape {given.shape}."
        )
    tau = given.copy()
    np.fill_diagonal(tau, np.inf)
    wrong = np.argwhere(~(tau > 0))
    if wrong.size:
        i, j = wrong[0]
        raise InputError(f"Argument `dephasing_time` must be positive, but is {given[i, j]} fs for states {i} and {j}.")
    if not np.array_equal(tau, tau.T):
        i, j = np.argwhere(tau != tau.T)[0]
        raise InputError(
            f"Argument `dephasing_time` must be symmetric, but has {tau[i, j]:g} and {tau[j, i]:g} fs for states "
            f"{i} and {j}."
        )
    return tau


@dataclass(frozen=True, eq=False)
class Settings:
    """The arguments of `run_dynamics`, which documents them."""

    method: Method
    rule: str
    waiting: str
    duration: float
    temperature: float | None
    dephasing_time: float | ArrayLike | None
    initial_state: int | str | ArrayLike
    initial_times: ArrayLike | None
    absorbing: bool
    n_trajectories: int
    n_times: int
    random_state: int
    tau_convention: str
    coupling_interpolation: str
    substeps: int | None
    loop: bool
    workers: int | None
    fit_window: tuple[float, float] | None
    chunk_trajectories: int
    progress: Progress | None
    checkpoint: str | Path | None = None
    initial_weights: ArrayLike | None = None
    decisions: str = "sub-step"


def prepare(ham: VibronicHamiltonian, settings: Settings) -> Problem:
    """Check the settings of `run_dynamics` and return the problem they pose."""
    _check_settings(ham, settings)
    loop, temperature = settings.loop, settings.temperature
    grid = substep_grid(
        balanced(ham),
        substeps=settings.substeps,
        coupling_interpolation=settings.coupling_interpolation,
        loop=loop,
    )
    if grid.max_phase > MAX_PHASE * (1 + 1e-9):
        warnings.warn(
            f"The gap turns the phase by {grid.max_phase:.2g} rad in a sub-step (at most {MAX_PHASE} is advised): "
            f"use at least {choose_substeps(ham, coupling_interpolation=settings.coupling_interpolation)} sub-steps.",
            QualityWarning,
            stacklevel=3,
        )
    tau = dephasing_times(ham, settings.dephasing_time, settings.tau_convention)
    output = _output_steps(grid, settings.duration, settings.n_times, loop)
    window = _window(np.asarray(output * grid.timestep, dtype=np.float64), settings.fit_window)
    frames = _initial_steps(grid, settings.initial_times, int(output[-1]), loop, everything=settings.method.all_starts)
    states = state_weights(ham, settings.initial_state, frames, temperature, settings.absorbing)
    times = time_weights(settings.initial_weights, frames.size)
    return Problem(
        grid=grid,
        tau=tau,
        temperature=temperature,
        rule=settings.rule,
        waiting=settings.waiting,
        starts=make_starts(frames, times, states, int(settings.n_trajectories), grid.n_steps),
        absorbing=settings.absorbing,
        loop=loop,
        initial_steps=frames,
        output_steps=output,
        window=window,
        n_trajectories=int(settings.n_trajectories),
        random_state=int(settings.random_state),
        workers=settings.workers,
        chunk_trajectories=int(settings.chunk_trajectories),
        progress=settings.progress,
        checkpoint=None if settings.checkpoint is None else Path(settings.checkpoint),
        multiplicities=ham.multiplicities,
        decisions=settings.decisions,
    )


def _check_settings(ham: VibronicHamiltonian, settings: Settings) -> None:
    check_choices(settings)
    check_states(ham, settings.method)
    temperature = settings.temperature
    check_number("duration", settings.duration)
    if temperature is not None:
        check_number("temperature", temperature)
    for name, value in (("absorbing", settings.absorbing), ("loop", settings.loop)):
        if not isinstance(value, bool | np.bool_):
            raise ConfigError(f"Argument `{name}` must be True or False, but is {value!r}.")
    if temperature is not None and not (np.isfinite(temperature) and temperature > 0):
        raise InputError(f"Argument `temperature` must be positive (or None), but is {temperature} K.")
    for name, least in (("n_trajectories", 1), ("n_times", 2), ("random_state", 0), ("chunk_trajectories", 1)):
        # a study repeats runs with seeds beyond its own; the streams take 63 bits
        check_number(name, getattr(settings, name), whole=True, least=least, most=2**63 - 1)


def _output_steps(grid: SubstepGrid, duration: float, n_times: int, loop: bool) -> NDArray[np.int64]:
    if not (np.isfinite(duration) and duration > 0):
        raise InputError(f"Argument `duration` must be a positive number of fs, but is {duration}.")
    total = round(duration / grid.timestep)
    if total < 1:
        raise InputError(
            f"Argument `duration` must hold at least one step of the data, {grid.timestep:g} fs, but is {duration:g} fs."
        )
    if not loop and total > grid.n_steps:
        raise InputError(
            f"Argument `duration` must not exceed the {grid.n_steps * grid.timestep:g} fs of the trajectory without "
            f"`loop`, but is {duration:g} fs. Loop it or give a longer one."
        )
    return np.unique(np.round(np.linspace(0, total, min(n_times, total + 1))).astype(np.int64))


def _window(times: NDArray[np.float64], fit_window: tuple[float, float] | None) -> NDArray[np.bool_]:
    if fit_window is None:
        return np.ones(times.size, dtype=bool)
    given = check_array("fit_window", fit_window, "two times in fs")
    if given.shape != (2,):
        raise ConfigError(f"Argument `fit_window` must be two times in fs, but is {fit_window!r}.")
    start, stop = given
    inside = (times >= start - 1e-9) & (times <= stop + 1e-9)
    if inside.sum() < 2:
        raise InputError(
            f"Argument `fit_window` must hold at least two of the output times (0 to {times[-1]:g} fs), but "
            f"{start:g} to {stop:g} fs holds {inside.sum()}."
        )
    return inside


def _initial_steps(
    grid: SubstepGrid, initial_times: ArrayLike | None, total: int, loop: bool, *, everything: bool
) -> NDArray[np.int64]:
    last = grid.n_steps - 1 if loop else grid.n_steps - total
    if initial_times is None:
        number = last + 1 if everything else min(DEFAULT_STARTS, last + 1)
        return (np.arange(number, dtype=np.int64) * (last + 1)) // number
    try:
        given = np.asarray(initial_times)
    except ValueError:  # ragged
        given = np.zeros(0)
    numeric = given.size > 0 and given.dtype.kind in "iuf" and bool(np.isfinite(given).all())
    frames = given.astype(np.int64).ravel() if numeric else np.zeros(0, dtype=np.int64)
    if not (numeric and np.array_equal(frames, given.ravel()) and np.unique(frames).size == frames.size):
        raise InputError("Argument `initial_times` must hold frame indices (whole numbers), each once, at least one.")
    outside = frames[(frames < 0) | (frames > last)]
    if outside.size:
        why = "" if loop else f" (a run of {total} steps without `loop` must end inside the data)"
        raise InputError(f"Argument `initial_times` must lie between frames 0 and {last}{why}, but holds {outside[0]}.")
    return frames
