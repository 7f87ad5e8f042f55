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
    from ase import units
    from ase.constraints import FixCom
    from ase.md.bussi import Bussi
    from ase.md.verlet import VelocityVerlet

    for name, value in (
        ("temperature", temperature),
        ("timestep", timestep),
        ("duration", duration),
        ("coupling_time", coupling_time),
    ):
        if not value > 0:
            raise ConfigError(f"Argument `{name}` must be positive, but is {value}.")
    if store_every < 1 or equilibration < 0:
        raise ConfigError(
            f"Arguments `store_every` and `equilibration` must be at least 1 and 0, but are {store_every} and {equilibration}."
        )
    if atoms.calc is None:
        raise InputError("Molecular dynamics needs a calculator, but the atoms have none. Set `atoms.calc`.")
    if len(atoms) < 2:
        raise InputError("Molecular dynamics needs at least two atoms, but the structure has one. Repeat the cell.")
    moving = atoms.copy()
    moving.set_constraint(FixCom())  # at rest as a whole: 3N - 3 degrees of freedom share the temperature
    moving.calc = atoms.calc
    check_number("random_state", random_state, whole=True, least=0, most=MAX_SEED)
    rng = np.random.RandomState(random_state)
    frames = Frames()
    n_hot = round(equilibration / timestep)
    n_steps = n_hot + store_every * round(duration / timestep / store_every)
    file = None if checkpoint is None else Path(checkpoint)
    settings = {
        "structure": _structure_hash(atoms),
        "calculator": _calculator_text(atoms.calc),
        "temperature": temperature,
        "timestep": timestep,
        "equilibration": equilibration,
        "duration": duration,
        "store_every": store_every,
        "coupling_time": coupling_time,
        "random_state": random_state,
    }

    def store() -> None:
        frames.positions.append(moving.get_positions())
        frames.velocities.append(moving.get_velocities() * units.fs)
        frames.temperatures.append(moving.get_temperature())
        frames.energies.append(moving.get_total_energy())
        if not np.isfinite(frames.energies[-1]) or frames.temperatures[-1] > 20 * temperature + 1000:
            raise InputError(
                f"The molecular dynamics explodes: {frames.temperatures[-1]:.4g} K in frame {len(frames) - 1}. Relax the structure, "
                "or shorten the time step."
            )

    def state_at(step: int) -> MdState:
        random = cast(tuple[Any, ...], rng.get_state(legacy=True))
        return MdState(step, len(frames), moving.get_positions(), moving.get_momenta(), random)

    found = None if file is None else load_state(file, settings)
    if found is None:
        masses = moving.get_masses()[:, None]
        momenta = np.sqrt(masses * KB * temperature) * rng.normal(size=moving.positions.shape)
        moving.set_momenta(momenta)  # less the motion of the whole
        state = state_at(0)
    else:
        state, frames = found
        moving.set_positions(state.positions, apply_constraint=False)
        moving.set_momenta(state.momenta, apply_constraint=False)
        rng.set_state(state.random)
        if progress is not None:
            progress(f"goes on from step {state.step} of {n_steps}")
    hot = {"temperature_K": temperature, "taut": coupling_time * units.fs, "rng": rng}
    thermostat = Bussi(moving, timestep * units.fs, **hot)
    integrator = VelocityVerlet(moving, timestep * units.fs)
    saved = time.monotonic()
    try:
        if n_hot == 0 and not frames:
            store()
        while state.step < n_steps:
            kind, ahead = (thermostat, 1) if state.step < n_hot else (integrator, store_every)
            kind.run(ahead)
            step = state.step + ahead
            if step >= n_hot:
                store()
            state = state_at(step)
            if file is not None and time.monotonic() - saved > SAVE_EVERY:
                save_state(file, settings, state, frames)
                saved = time.monotonic()
            if progress is not None and step * N_LINES // n_steps > (step - ahead) * N_LINES // n_steps:
                progress(
                    f"{'NVT' if step <= n_hot else 'NVE'}, {step * timestep:g} of {n_steps * timestep:g} fs: "
                    f"{moving.get_temperature():.0f} K"
                )
    except RuntimeError as error:  # ASE's calculators fail with it
        words = " ".join(str(error).split()) or type(error).__name__
        raise ElectronsError(
            f"The calculator stopped in step {state.step + 1} of the molecular dynamics: {words}. Relax the structure, or shorten the "
            "time step."
        ) from error
    finally:
        if file is not None:
            save_state(file, settings, state, frames)
    return _result(atoms, frames, timestep * store_every, temperature)


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
