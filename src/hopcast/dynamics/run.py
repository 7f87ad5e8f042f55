"""`run_dynamics`: one call from a Hamiltonian to populations and a lifetime with its interval."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.chunks import single_threaded_blas
from hopcast.core.errors import ConfigError
from hopcast.core.estimates import wilson
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import FS_PER_NS
from hopcast.dynamics.block_maps import block_ensemble, block_loop_mean, block_stationary
from hopcast.dynamics.carriers import carrier_dephasing, carrier_hamiltonian
from hopcast.dynamics.checkpoint import open_checkpoint
from hopcast.dynamics.dephasing import dephasing_excess
from hopcast.dynamics.maps import loop_mean, stationary, step_maps
from hopcast.dynamics.master import dephasing_in_slowest_mode, rate_matrices, slowest_mode
from hopcast.dynamics.methods import Dish, find_method
from hopcast.dynamics.problem import (
    Populations,
    Problem,
    Progress,
    Settings,
    prepare,
    with_common_bases,
)
from hopcast.dynamics.rates import dephasing_in_rate
from hopcast.dynamics.readings import Reference, read
from hopcast.dynamics.result import DynamicsResult, Seam


def run_dynamics(
    ham: VibronicHamiltonian,
    method: str | Dish = "dish",
    rule: str = "consistent",
    waiting: str = "exponential",
    duration: float = 10e6,
    temperature: float | None = 300.0,
    dephasing_time: float | ArrayLike | None = None,
    initial_state: int | str | ArrayLike = 1,
    initial_times: ArrayLike | None = None,
    absorbing: bool = True,
    n_trajectories: int = 1000,
    n_times: int = 1000,
    random_state: int = 0,
    *,
    tau_convention: str = "gaussian",
    coupling_interpolation: str = "linear",
    substeps: int | None = None,
    loop: bool = True,
    workers: int | None = None,
    fit_window: tuple[float, float] | None = None,
    chunk_trajectories: int = 1000,
    progress: Progress | None = None,
    carrier: str = "electron",
    checkpoint: str | Path | None = None,
    initial_weights: ArrayLike | None = None,
    decisions: str = "sub-step",
) -> DynamicsResult:
    r"""Run surface hopping along a trajectory under the classical path approximation.

    .. math:: i\hbar\,\dot c_i = \sum_j \bigl(E_i\,\delta_{ij} - i\,\hbar d_{ij}\bigr)\,c_j

    Parameters
    ----------
    ham
        Two or more states, complete; state 0 lies below the others everywhere (for a hole: the last one above them). Degenerate
        states (`VibronicHamiltonian.with_blocks`) count as one, here and in everything that numbers states.
    method
        Sampled: "dish" (decoherence-induced), "fssh" (fewest switches, no decoherence), "gfsh" (global flux), "mssh"
        (Markov state), "msdm" (fewest switches, decay of mixing), "ida" (collapse at attempted hops), "bl-lz"
        (Landau-Zener, no couplings). Without sampling: "ehrenfest" (mean field) and, for two states, "exact" (the
        ensemble of DISH with `rule` "consistent" and `waiting` "exponential"). Or `Dish(rule=, waiting=, decisions=)`, which
        holds what only DISH understands; the three arguments of these names are its shorthand.
    rule
        What an event of DISH does: "consistent", "hefei" or "pyxaid" (see `hopcast.dynamics`).
    waiting
        When an event of DISH happens: "exponential" or "deterministic" clocks.
    duration
        fs; rounded to whole nuclear steps.
    temperature
        K, for upward hops; None accepts them all.
    dephasing_time
        fs, a symmetric matrix [n_states, n_states] in the order of the states of `ham` (whatever the carrier), as `dephasing_matrix` of it
        and DEPHTIME have, or None to take it from the gap. Infinite: no decoherence.
    initial_state
        State in which trajectories start; or weights of all states, [n_states], or at each initial time, [n_initial, n_states]; or
        "thermal": :math:`e^{-E_i/kT}` at each initial time, of the states that do not absorb. Counted as the carrier counts, see `carrier`.
    initial_times
        Frames at which trajectories start. None: all frames ("exact") or up to 100 spread evenly; without `loop`
        those from which the run fits.
    absorbing
        Whether state 0 keeps what reaches it.
    n_trajectories
        Trajectories per initial time, on average where weights differ (not used by "exact").
    n_times
        Output times, spread evenly from 0 to the end, rounded to nuclear steps.
    random_state
        Seed. Same seed, same bits, whatever `workers` and `chunk_trajectories`.
    tau_convention
        "gaussian", "e-folding", "pyxaid" or "libra", where the time comes from the data.
    coupling_interpolation
        "linear" between mid-points or "constant" within a step.
    substeps
        Sub-steps a nuclear step; None takes the fewest with a gap phase of at most 0.5 rad.
    loop
        Whether frame 0 follows the last frame (the last frame then stands for frame 0: `T` frames, `T - 1` steps).
    workers
        Threads; None takes all cores.
    fit_window
        Times (start, stop) of the straight line, fs; None takes the whole run.
    chunk_trajectories
        Trajectories of a unit of work.
    progress
        Called with (units done, units of work).
    carrier
        "electron", or "hole": energies are mirrored and states counted from the highest one downwards
        (`hole_hamiltonian`), in `initial_state`, the populations and `result.states` alike.
    checkpoint
        Folder in which finished units of work are kept; a run killed at any point and repeated with the same settings
        reads them and ends with the same bits.
    initial_weights
        Weights of `initial_times` [n_initial], e.g. of frames drawn from another ensemble; None weighs them alike.
    decisions
        When DISH looks for events: each "sub-step", or each "nuclear step" as the engines of the field do, to reproduce
        their runs: clocks and hazards then miss what the gap's phase does within a step.

    Returns
    -------
    DynamicsResult
        With 95 % intervals. Their first part, ``finite_trajectory``, is the interval of the mean local rate
        of the exact solver, whatever the method; ``model`` is for the study to fill.

    Raises
    ------
    InputError
        If couplings or energies are unknown, the gap closes, a coupling turns too far in a sub-step, or a
        temperature, time, state or frame is out of range.
    ConfigError
        If a name is unknown, or "exact" does not apply.

    References
    ----------
    H. M. Jaeger, S. Fischer, O. V. Prezhdo, J. Chem. Phys. 2012, 137, 22A545, 10.1063/1.4757100; J. C. Tully, J. Chem.
    Phys. 1990, 93, 1061, 10.1063/1.459170.

    Notes
    -----
    Cost: "exact" takes one small matrix product a sub-step of *one* loop, then a form a frame and output time, for any
    duration. DISH jumps from event to event, or (exponential) from one possible hop to the next, so 10 ns cost
    little; with deterministic clocks every event is visited (duration / tau of them for each trajectory). FSSH
    propagates the amplitudes of each initial time through every sub-step of the run, shared by all its trajectories.
    """
    if isinstance(method, Dish):
        if (rule, waiting, decisions) != dataclasses.astuple(Dish()):
            raise ConfigError(
                "Arguments `rule`, `waiting` and `decisions` belong to the method here: give them to `Dish`, and leave them out."
            )
        rule, waiting, decisions = dataclasses.astuple(method)
        method = "dish"
    facts = find_method(method)
    labels = ham.block_labels[::-1] if carrier == "hole" else ham.block_labels
    ham = with_common_bases(carrier_hamiltonian(ham, carrier))
    settings = Settings(
        method=facts,
        rule=rule,
        waiting=waiting,
        duration=duration,
        temperature=temperature,
        dephasing_time=carrier_dephasing(dephasing_time, carrier),
        initial_state=initial_state,
        initial_times=initial_times,
        absorbing=absorbing,
        n_trajectories=n_trajectories,
        n_times=n_times,
        random_state=random_state,
        tau_convention=tau_convention,
        coupling_interpolation=coupling_interpolation,
        substeps=substeps,
        loop=loop,
        workers=workers,
        fit_window=fit_window,
        chunk_trajectories=chunk_trajectories,
        progress=progress,
        checkpoint=checkpoint,
        initial_weights=initial_weights,
        decisions=decisions,
    )
    problem = prepare(ham, settings)
    open_checkpoint(problem, method)
    reference, seam = _reference(problem) if problem.n_states == 2 else _many_state_reference(ham, problem)
    if dephasing_time is None:
        reference = dataclasses.replace(reference, dephasing=_own_dephasing(ham, problem))
    with single_threaded_blas():
        populations = facts.solver(problem)(problem)
    result = _result(ham, settings, problem, populations, reference)
    return dataclasses.replace(result, carrier=carrier, states=labels, seam=seam if loop else None)


def _result(
    ham: VibronicHamiltonian, settings: Settings, problem: Problem, populations: Populations, reference: Reference
) -> DynamicsResult:
    """Return the result of a run but for the carrier, the names of its states, and the seam."""
    readings = read(problem, populations, reference)
    low = high = None
    if populations.counts is not None and populations.totals is not None:
        low, high = wilson(populations.counts.sum(axis=0), int(populations.totals.sum()))
    inside = problem.times[problem.window]
    has_rule = settings.method.has_rule
    mean_energies = ham.block_energies.mean(axis=0)
    return DynamicsResult(
        times=problem.times,
        populations=populations.mean,
        populations_low=low,
        populations_high=high,
        lifetime=readings.lifetime,
        rate=readings.rate,
        gradient=readings.gradient,
        intercept=readings.intercept,
        asymptotic_rate=float(reference.local_rate.mean() * FS_PER_NS),
        local_rate=reference.local_rate,
        method=settings.method.name,
        rule=settings.rule if has_rule else None,
        waiting=settings.waiting if has_rule else None,
        decisions=settings.decisions if has_rule else None,
        tau=problem.tau,
        tau_convention=settings.tau_convention if settings.dephasing_time is None else "given",
        temperature=settings.temperature,
        substeps=problem.grid.n_substeps,
        substep=problem.grid.substep,
        max_phase=problem.grid.max_phase,
        coupling_interpolation=settings.coupling_interpolation,
        initial_populations=problem.initial_populations,
        initial_times=problem.initial_steps,
        absorbing=settings.absorbing,
        loop=settings.loop,
        n_trajectories=0 if populations.counts is None else problem.n_trajectories,
        n_hops=populations.n_hops,
        fit_window=(float(inside[0]), float(inside[-1])),
        random_state=settings.random_state,
        mean_energies=mean_energies - mean_energies[0],
        flows=populations.flows,
        recombined=_recombined(problem, populations),
        seam=None,
        tau_excess=_excess(ham) if settings.dephasing_time is None else 0.0,
    )


def _recombined(problem: Problem, populations: Populations) -> NDArray[np.float64] | None:
    """Return which share came to state 0 from each state until each time; of two states what an absorbing one has gained."""
    if populations.recombined is None and problem.n_states == 2 and problem.absorbing:
        gained = populations.mean[:, 0] - populations.mean[0, 0]
        return np.stack([np.zeros_like(gained), gained], axis=1)
    return populations.recombined


def _many_state_reference(ham: VibronicHamiltonian, problem: Problem) -> tuple[Reference, Seam]:
    """Return local rate and equilibrium of the second-order master equation, and the seam."""
    rates = rate_matrices(ham, problem.tau, problem.temperature)
    equilibrium = 0.0
    if not problem.absorbing:
        values, vectors = np.linalg.eig(rates.mean(axis=0))
        still = np.abs(vectors[:, int(np.argmin(np.abs(values)))].real)
        equilibrium = float(1.0 - still[0] / still.sum())
    left, right = (problem.state_energies(side) for side in (problem.grid.left, problem.grid.right))
    left, right = left - left[:, :1], right - right[:, :1]
    jumps = (left[0] - right[-1])[1:]
    worst = int(np.abs(jumps).argmax())
    first, last = left[:, worst + 1], right[:, worst + 1]
    steps = np.concatenate([last - first, first[1:] - last[:-1]])
    seam = Seam(
        float(jumps[worst]),
        _usual_step(first, steps, problem.grid.n_steps),
        problem.grid.closed,
        float("nan"),
        float("nan"),
    )
    return Reference(slowest_mode(rates), equilibrium), seam


def _excess(ham: VibronicHamiltonian) -> float:
    """Return by how much dephasing times of neighbouring states are likely too long, at most."""
    return max(dephasing_excess(ham.gap((i, i + 1))) for i in range(ham.n_blocks - 1))


def _own_dephasing(ham: VibronicHamiltonian, problem: Problem) -> NDArray[np.float64]:
    """Return what dephasing times that come from the trajectory itself add to the uncertainty of the rate, relatively [n_steps]."""
    if ham.n_states == 2:
        return dephasing_in_rate(ham, float(problem.tau[0, 1]))
    return dephasing_in_slowest_mode(ham, rate_matrices(ham, problem.tau, problem.temperature), problem.tau)


def _reference(problem: Problem) -> tuple[Reference, Seam]:
    """Return the exact solver's local rate and equilibrium, and the seam."""
    grid, tau = problem.grid, float(problem.tau[0, 1])
    if np.isfinite(tau):
        kept, losses, zeroed = _decay(problem)
    else:  # nothing is ever measured
        kept = zeroed = 1.0
        losses = np.zeros(grid.n_steps)
    equilibrium = _equilibrium(problem) if not problem.absorbing and np.isfinite(tau) else 0.0
    ends = (problem.state_energies(side) for side in (grid.left, grid.right))
    left, right = (side[:, 1] - side[:, 0] for side in ends)
    steps = np.concatenate([right - left, left[1:] - right[:-1]])
    loop_time = grid.n_steps * grid.timestep / FS_PER_NS
    seam = Seam(
        float(left[0] - right[-1]),
        _usual_step(left, steps, grid.n_steps),
        grid.closed,
        float(-np.log(kept) / loop_time),
        float(-np.log(zeroed) / loop_time),
    )
    return Reference(losses / grid.timestep, equilibrium), seam


def _decay(problem: Problem) -> tuple[float, NDArray[np.float64], float]:
    """Return what a loop leaves with coherences kept at the seam, the losses of its steps, and what it leaves with them zeroed."""
    grid, tau = problem.grid, float(problem.tau[0, 1])
    if problem.is_degenerate:
        blocks = block_ensemble(grid, problem.multiplicities, tau, workers=problem.workers)
        kept, losses, _ = block_stationary(blocks)
        return kept, losses, block_stationary(blocks, zero_seam=True)[0]
    maps = step_maps(grid, tau, workers=problem.workers)
    kept, losses, _ = stationary(maps)
    return kept, losses, stationary(maps, zero_seam=True)[0]


def _equilibrium(problem: Problem) -> float:
    """Return the population of the upper state that nothing absorbs, averaged over the loop."""
    grid, tau, temperature = problem.grid, float(problem.tau[0, 1]), problem.temperature
    if problem.is_degenerate:
        blocks = block_ensemble(
            grid, problem.multiplicities, tau, temperature=temperature, absorbing=False, workers=problem.workers
        )
        return block_loop_mean(blocks, block_stationary(blocks)[2])
    maps = step_maps(grid, tau, temperature=temperature, absorbing=False, workers=problem.workers)
    return loop_mean(maps, stationary(maps)[2])


def _usual_step(left: NDArray[np.float64], steps: NDArray[np.float64], n_steps: int) -> float:
    on_frames = bool(np.any(steps[:n_steps] != 0)) or n_steps == 1
    changes = steps[:n_steps] if on_frames else np.diff(left)
    return float(np.sqrt(np.mean(changes**2))) if changes.size else 0.0
