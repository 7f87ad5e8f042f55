r"""Ground-state molecular dynamics with any ASE calculator: NVT, then NVE; velocities stored, drift checked.

The thermostat (Bussi, Donadio, Parrinello, *J. Chem. Phys.* 2007, 126, 014101, doi 10.1063/1.2408420) brings the cell to its
temperature; the frames that are kept come from velocity Verlet without it, because a thermostat's kicks are not in the
couplings' physics.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from hopcast.abinitio.engine import ElectronsError
from hopcast.abinitio.md_state import Frames, MdState, load_state, save_state
from hopcast.core.errors import MAX_SEED, ConfigError, InputError, QualityWarning, check_number
from hopcast.core.plain import PlainMap, to_plain
from hopcast.core.trajectory import Trajectory
from hopcast.core.units import KB

DRIFT_LIMIT = 1e-3
"""eV an atom over the stored frames above which the energy is said to drift."""
SAVE_EVERY = 30.0
"""Seconds between two states written to the checkpoint."""
N_LINES = 20
"""Lines of progress in a run."""


@dataclass(frozen=True, eq=False)
class MolecularDynamics:
    """A trajectory and what tells whether it can be used.

    Attributes
    ----------
    trajectory
        NVE frames with the integrator's velocities.
    temperatures
        Instantaneous [n_frames], K.
    energies
        Total energy [n_frames], eV.
    drift
        Slope of the total energy times the duration, eV an atom.
    """

    trajectory: Trajectory
    temperatures: Any
    energies: Any
    drift: float


def run_md(
    atoms: Any,
    *,
    temperature: float = 300.0,
    timestep: float = 2.0,
    equilibration: float = 1000.0,
    duration: float = 1000.0,
    store_every: int = 1,
    coupling_time: float = 100.0,
    random_state: int = 0,
    checkpoint: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> MolecularDynamics:
    """Run NVT, then NVE, and store every `store_every`-th NVE frame with its velocities.

    Parameters
    ----------
    atoms
        ASE's `Atoms` with a calculator (`tblite.ase.TBLite`, CP2K, CHGNet, ...); not changed.
    temperature
        K.
    timestep
        Of the integrator, fs.
    equilibration, duration
        Length of NVT and of NVE, fs.
    store_every
        Steps between stored frames.
    coupling_time
        Of the thermostat, fs.
    random_state
        Of the first velocities and the thermostat.
    checkpoint
        File that keeps the state every half minute and at any end; where it is there, the run goes on from it (from the same
        positions, momenta and random numbers; forces are computed anew). The caller deletes it.
    progress
        Called with a line now and then.

    Raises
    ------
    ConfigError
        If a number is out of range, or the checkpoint is of a run with other settings.
    InputError
        If there is no calculator, or the dynamics explodes.
    ElectronsError
        If the calculator stops.
    """
    schedule = _Schedule(
        temperature=temperature,
        timestep=timestep,
        equilibration=equilibration,
        duration=duration,
        store_every=store_every,
        coupling_time=coupling_time,
        random_state=random_state,
    )
    if atoms.calc is None:
        raise InputError("Molecular dynamics needs a calculator, but the atoms have none. Set `atoms.calc`.")
    if len(atoms) < 2:
        raise InputError("Molecular dynamics needs at least two atoms, but the structure has one. Repeat the cell.")
    run = _Run(atoms, schedule, None if checkpoint is None else Path(checkpoint), progress)
    run.go()
    return _result(atoms, run.frames, timestep * store_every, temperature)


@dataclass(frozen=True)
class _Schedule:
    """The numbers of a run, as of `run_md`."""

    temperature: float
    timestep: float
    equilibration: float
    duration: float
    store_every: int
    coupling_time: float
    random_state: int

    def __post_init__(self) -> None:
        for name in ("temperature", "timestep", "duration", "coupling_time"):
            value = getattr(self, name)
            if not value > 0:
                raise ConfigError(f"Argument `{name}` must be positive, but is {value}.")
        if self.store_every < 1 or self.equilibration < 0:
            raise ConfigError(
                f"Arguments `store_every` and `equilibration` must be at least 1 and 0, but are {self.store_every} and "
                f"{self.equilibration}."
            )
        check_number("random_state", self.random_state, whole=True, least=0, most=MAX_SEED)

    @property
    def n_hot(self) -> int:
        """Steps with the thermostat."""
        return round(self.equilibration / self.timestep)

    @property
    def n_steps(self) -> int:
        """All steps."""
        return self.n_hot + self.store_every * round(self.duration / self.timestep / self.store_every)


class _Run:
    """Atoms under way: what is stored of them, and the state that a killed run goes on from."""

    def __init__(
        self, atoms: Any, schedule: _Schedule, checkpoint: Path | None, progress: Callable[[str], None] | None
    ) -> None:
        from ase.constraints import FixCom

        self._moving = atoms.copy()
        self._moving.set_constraint(FixCom())  # at rest as a whole: 3N - 3 degrees of freedom share the temperature
        self._moving.calc = atoms.calc
        self._schedule, self._checkpoint, self._progress = schedule, checkpoint, progress
        self._settings: PlainMap = {
            "structure": _structure_hash(atoms),
            "calculator": _calculator_text(atoms.calc),
            **to_plain(schedule),
        }
        self._rng = np.random.RandomState(schedule.random_state)
        self.frames = Frames()

    def go(self) -> None:
        """Run from the checkpoint, or from the start, to the end."""
        from ase import units
        from ase.md.bussi import Bussi
        from ase.md.verlet import VelocityVerlet

        plan, moving = self._schedule, self._moving
        state = self._first_state()
        hot = {"temperature_K": plan.temperature, "taut": plan.coupling_time * units.fs, "rng": self._rng}
        thermostat = Bussi(moving, plan.timestep * units.fs, **hot)
        integrator = VelocityVerlet(moving, plan.timestep * units.fs)
        saved = time.monotonic()
        try:
            if plan.n_hot == 0 and not self.frames:
                self._store()
            while state.step < plan.n_steps:
                kind, ahead = (thermostat, 1) if state.step < plan.n_hot else (integrator, plan.store_every)
                kind.run(ahead)
                step = state.step + ahead
                if step >= plan.n_hot:
                    self._store()
                state = self._state_at(step)
                if time.monotonic() - saved > SAVE_EVERY:
                    self._save(state)
                    saved = time.monotonic()
                self._say(step, ahead)
        except RuntimeError as error:  # ASE's calculators fail with it
            words = " ".join(str(error).split()) or type(error).__name__
            raise ElectronsError(
                f"The calculator stopped in step {state.step + 1} of the molecular dynamics: {words}. Relax the structure, or shorten the "
                "time step."
            ) from error
        finally:
            self._save(state)

    def _first_state(self) -> MdState:
        moving, plan = self._moving, self._schedule
        found = None if self._checkpoint is None else load_state(self._checkpoint, self._settings)
        if found is None:
            masses = moving.get_masses()[:, None]
            momenta = np.sqrt(masses * KB * plan.temperature) * self._rng.normal(size=moving.positions.shape)
            moving.set_momenta(momenta)  # less the motion of the whole
            return self._state_at(0)
        state, self.frames = found
        moving.set_positions(state.positions, apply_constraint=False)
        moving.set_momenta(state.momenta, apply_constraint=False)
        self._rng.set_state(state.random)
        if self._progress is not None:
            self._progress(f"goes on from step {state.step} of {plan.n_steps}")
        return state

    def _store(self) -> None:
        from ase import units

        frames, moving = self.frames, self._moving
        frames.positions.append(moving.get_positions())
        frames.velocities.append(moving.get_velocities() * units.fs)
        frames.temperatures.append(moving.get_temperature())
        frames.energies.append(moving.get_total_energy())
        if not np.isfinite(frames.energies[-1]) or frames.temperatures[-1] > 20 * self._schedule.temperature + 1000:
            raise InputError(
                f"The molecular dynamics explodes: {frames.temperatures[-1]:.4g} K in frame {len(frames) - 1}. Relax the structure, "
                "or shorten the time step."
            )

    def _state_at(self, step: int) -> MdState:
        random = cast(tuple[Any, ...], self._rng.get_state(legacy=True))
        return MdState(step, len(self.frames), self._moving.get_positions(), self._moving.get_momenta(), random)

    def _save(self, state: MdState) -> None:
        if self._checkpoint is not None:
            save_state(self._checkpoint, self._settings, state, self.frames)

    def _say(self, step: int, ahead: int) -> None:
        plan = self._schedule
        if self._progress is not None and step * N_LINES // plan.n_steps > (step - ahead) * N_LINES // plan.n_steps:
            self._progress(
                f"{'NVT' if step <= plan.n_hot else 'NVE'}, {step * plan.timestep:g} of {plan.n_steps * plan.timestep:g} fs: "
                f"{self._moving.get_temperature():.0f} K"
            )


def _result(atoms: Any, frames: Frames, spacing: float, temperature: float) -> MolecularDynamics:
    arrays = frames.arrays(len(frames))
    temperatures, energies = arrays["temperatures"], arrays["energies"]
    times = np.arange(len(energies)) * spacing
    slope = np.polyfit(times, energies, 1)[0] if len(energies) > 2 else 0.0
    drift = float(slope * times[-1] / len(atoms))
    if abs(drift) > DRIFT_LIMIT:
        warnings.warn(
            f"The total energy drifts by {drift * 1e3:.3g} meV an atom over {times[-1]:g} fs: shorten the time step, or converge "
            "the forces further.",
            QualityWarning,
            stacklevel=3,
        )
    mean = float(np.mean(temperatures))
    # NVE keeps the energy that NVT ended with, which fluctuates by kT sqrt(3N): its temperature does by T / sqrt(3N)
    if abs(mean - temperature) > 2.5 * temperature / np.sqrt(3 * len(atoms)):
        warnings.warn(
            f"The mean temperature is {mean:.0f} K instead of {temperature:.0f} K: equilibrate longer.",
            QualityWarning,
            stacklevel=3,
        )
    trajectory = Trajectory(
        arrays["positions"],
        atoms.cell.array,
        atoms.numbers,
        spacing,
        velocities=arrays["velocities"],
        pbc=tuple(bool(p) for p in atoms.pbc),  # type: ignore[arg-type]
    )
    return MolecularDynamics(trajectory, temperatures, energies, drift)


def _structure_hash(atoms: Any) -> str:
    digest = hashlib.sha256()
    for array in (atoms.positions, atoms.cell.array, atoms.numbers, atoms.pbc):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _calculator_text(calculator: Any) -> str:
    """Return the kind of an ASE calculator with its parameters: forces of another one must not continue a run."""
    return f"{type(calculator).__name__} {sorted(dict(getattr(calculator, 'parameters', {})).items())}"
