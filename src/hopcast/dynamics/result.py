"""`DynamicsResult`: populations, what is read from them, and how they were made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.estimates import Estimate
from hopcast.core.naming import counted
from hopcast.core.showing import Shown, make_dataset, make_table
from hopcast.dynamics.dephasing import SAID_EXCESS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Seam:
    """Where a loop joins its end to its beginning.

    Attributes
    ----------
    energy_jump
        Change of the gap at the seam (many states: the largest of any gap above state 0), eV.
    usual_step
        Root-mean-square change of the gap between neighbouring frames, eV.
    closed
        Whether the loop closes exactly.
    rate_kept, rate_zeroed
        Asymptotic rate with coherences kept and with coherences set to zero at the seam, 1/ns; NaN for more than two
        states.
    """

    energy_jump: float
    usual_step: float
    closed: bool
    rate_kept: float
    rate_zeroed: float

    def __str__(self) -> str:
        if self.closed:
            return "the loop closes without a jump"
        jump = f"the gap jumps by {self.energy_jump:+.3g} eV (usual step {self.usual_step:.2g} eV)"
        if not (np.isfinite(self.rate_kept) and np.isfinite(self.rate_zeroed)):
            return jump
        change = abs(self.rate_zeroed / self.rate_kept - 1.0) if self.rate_kept > 0 else 0.0
        return f"{jump}; zeroing coherences there changes the rate by {100 * change:.2g} %"


@dataclass(frozen=True, eq=False, repr=False)
class DynamicsResult(Shown):
    """Populations along a run and what is read from them.

    Attributes
    ----------
    times
        [n_times], fs.
    populations
        Fraction of trajectories with each active state [n_times, n_states], averaged over initial times.
    populations_low, populations_high
        95 % Wilson interval of the sampling [n_times, n_states]; None for the exact solver.
    lifetime
        Exponential fit of the excited population, ns.
    rate
        Its inverse, 1/ns: what to quote when little decays in the window.
    gradient, intercept
        Least-squares line through the ground-state population in `fit_window`: 1/ns, and without unit.
    asymptotic_rate
        Decay of the looped `consistent`/`exponential` ensemble with the lower state absorbing, 1/ns; for more than two
        states that of the averaged second-order master equation.
    local_rate
        The same along the loop, k(t) on mid-points [n_steps], 1/fs; source of the finite-trajectory interval.
    method, rule, waiting, decisions
        How; the last three are None for FSSH.
    tau
        Dephasing times used [n_states, n_states], fs.
    tau_convention
        "gaussian", "e-folding", "pyxaid", "libra", or "given".
    tau_excess
        By how much, relatively, dephasing times from the data are likely too long because the trajectory is short (`Dephasing.excess`, the
        most of neighbouring states).
    temperature
        K, or None.
    substeps, substep, max_phase
        Sub-steps a nuclear step, their length (fs), largest gap phase of one (rad).
    coupling_interpolation
        "linear" or "constant".
    initial_populations, initial_times, absorbing, loop
        Start (populations [n_states], frames [n_initial]) and boundary.
    n_trajectories
        Per initial time, on average; 0 for the exact solver.
    n_hops
        Changes of the active state that were sampled; None for the exact solver.
    seam
        None without a loop.
    fit_window
        fs.
    random_state
        Seed.
    carrier, states
        "electron" or "hole", and the names of the columns of `populations`: state 0 is where the carrier ends.
    mean_energies
        Energy of each state for the carrier, averaged over the trajectory, from state 0 [n_states], eV.
    flows
        Hops between states that were counted, ``[from, to]``; None for the exact solver, Ehrenfest, and two states.
    recombined
        From which state, when: share of trajectories that has come to state 0 until each time, by the state from which they first did
        [n_times, n_states], as a RECOMB of Hefei-NAMD holds it; None where hops between states are not counted.
    """

    times: NDArray[np.float64]
    populations: NDArray[np.float64]
    populations_low: NDArray[np.float64] | None
    populations_high: NDArray[np.float64] | None
    lifetime: Estimate
    rate: Estimate
    gradient: Estimate
    intercept: Estimate
    asymptotic_rate: float
    local_rate: NDArray[np.float64]
    method: str
    rule: str | None
    waiting: str | None
    tau: NDArray[np.float64]
    tau_convention: str
    temperature: float | None
    substeps: int
    substep: float
    max_phase: float
    coupling_interpolation: str
    initial_populations: NDArray[np.float64]
    initial_times: NDArray[np.int64]
    absorbing: bool
    loop: bool
    n_trajectories: int
    n_hops: int | None
    seam: Seam | None
    fit_window: tuple[float, float]
    random_state: int
    carrier: str = "electron"
    states: tuple[str, ...] = ()
    mean_energies: NDArray[np.float64] | None = None
    flows: NDArray[np.int64] | None = None
    recombined: NDArray[np.float64] | None = None
    decisions: str | None = None
    tau_excess: float = 0.0

    @property
    def initial_state(self) -> int:
        """State in which most trajectories start."""
        return int(self.initial_populations.argmax())

    @property
    def ground_population(self) -> NDArray[np.float64]:
        """Population of the lowest state [n_times]."""
        return self.populations[:, 0]

    @property
    def carrier_energy(self) -> NDArray[np.float64]:
        r"""Energy of the carrier above state 0, :math:`\sum_i p_i(t)\,(\bar E_i-\bar E_0)` with energies averaged over the trajectory [n_times], eV."""
        if self.mean_energies is None:
            raise ValueError("This result has no energies.")
        energy: NDArray[np.float64] = self.populations @ self.mean_energies
        return energy

    @property
    def carrier_energy_error(self) -> NDArray[np.float64]:
        r"""95 % half-width that the sampling leaves `carrier_energy`, :math:`1.96\,(\mathrm{Var}_p\bar E/n)^{1/2}` for `n` trajectories [n_times], eV."""
        energy = self.carrier_energy
        if not self.n_trajectories or self.mean_energies is None:
            return np.zeros_like(energy)
        variance = self.populations @ self.mean_energies**2 - energy**2
        n = self.n_trajectories * self.initial_times.size
        return np.asarray(1.96 * np.sqrt(np.maximum(variance, 0.0) / n))

    def headline(self) -> str:
        """Return method, length and lifetime."""
        return f"{self.method}, {self.populations.shape[1]} states, {self.times[-1] * 1e-6:.4g} ns, lifetime {self.lifetime}"

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the populations against time; returns the axes."""
        from hopcast.dynamics.plot import plot_populations

        return plot_populations(self, axes)

    def to_dataframe(self) -> Any:
        """Return the populations as a pandas table: a row a time (fs, the index), a column a state.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        names = self.states or tuple(str(state) for state in range(self.populations.shape[1]))
        return make_table({"time": self.times} | dict(zip(names, self.populations.T, strict=True)), "time")

    def to_xarray(self) -> Any:
        """Return the populations (time, state) with the ends of their intervals as an xarray dataset; fs.

        Raises
        ------
        InputError
            If xarray is not installed.
        """
        names = self.states or tuple(str(state) for state in range(self.populations.shape[1]))
        variables = {
            "populations": self.populations,
            "populations_low": self.populations_low,
            "populations_high": self.populations_high,
        }
        return make_dataset(
            {name: (("time", "state"), values, "1") for name, values in variables.items() if values is not None},
            {"time": ("time", self.times, "fs"), "state": ("state", np.array(names), "")},
        )

    def __str__(self) -> str:
        how = [self.method] + [word for word in (self.rule, self.waiting) if word is not None]
        if self.decisions == "nuclear step":
            how.append("decisions each nuclear step")
        balance = "no detailed balance" if self.temperature is None else f"{self.temperature:g} K"
        mixed = [
            f"{p:.2g} {s}" for p, s in zip(self.initial_populations, self.states, strict=True) if 1e-9 < p < 1 - 1e-9
        ]
        starts = f"{self.initial_times.size} initial time{'s' if self.initial_times.size != 1 else ''}"
        sampled = (
            f"{self.n_trajectories} trajectories each, {self.n_hops} hops" if self.n_trajectories else "no sampling"
        )
        if mixed:
            starts += f", starting in {' + '.join(mixed)}"
        tau = f"{self.tau[0, 1]:.4g}"
        if self.tau.shape[0] > 2:
            off = self.tau[~np.eye(self.tau.shape[0], dtype=bool)]
            tau = f"{off.min():.4g} to {off.max():.4g}"
            how.append(f"{self.carrier}, {self.tau.shape[0]} states")
        elif self.carrier == "hole":
            how.append("hole")
        long = (
            f"; the trajectory is short: likely {100 * self.tau_excess:.0f} % too long"
            if self.tau_excess > SAID_EXCESS
            else ""
        )
        lines = [
            f"Dynamics over {self.times[-1] * 1e-6:.4g} ns: {', '.join(how)}; {balance}"
            + ("; lower state absorbing" if self.absorbing else ""),
            f"  {starts}, {sampled}; {counted(self.substeps, 'sub-step')} of {self.substep:.3g} fs "
            f"(gap phase up to {self.max_phase:.2g} rad)",
            f"  dephasing time  {tau} fs ({self.tau_convention}{long})",
            f"  ground state    {self.populations[-1, 0]:.4g} at the end",
            f"  lifetime        {self.lifetime}",
            f"  rate            {self.rate}",
            f"  gradient        {self.gradient}",
            f"  intercept       {self.intercept}",
        ]
        dominant = self.lifetime.dominant_part
        if dominant is not None:
            lines.append(f"  widest part of the lifetime's interval: {dominant.replace('_', ' ')}")
        if self.seam is not None:
            lines.append(f"  seam: {self.seam}")
        return "\n".join(lines)
