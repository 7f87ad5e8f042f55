r"""Ground-state molecular dynamics with any ASE calculator: NVT, then NVE; velocities stored, drift checked.

The thermostat (Bussi, Donadio, Parrinello, *J. Chem. Phys.* 2007, 126, 014101, doi 10.1063/1.2408420) brings the cell to its
temperature; the frames that are kept come from velocity Verlet without it, because a thermostat's kicks are not in the
couplings' physics.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from hopcast.core.errors import ConfigError, InputError, QualityWarning
from hopcast.core.trajectory import Trajectory

DRIFT_LIMIT = 1e-3
"""eV an atom over the stored frames above which the energy is said to drift."""


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

    Raises
    ------
    ConfigError
        If a number is out of range.
    InputError
        If there is no calculator, or the dynamics explodes.
    """
    from ase import units
    from ase.md.bussi import Bussi
    from ase.md.verlet import VelocityVerlet

    for name, value in (("temperature", temperature), ("timestep", timestep), ("duration", duration)):
        if not value > 0:
            raise ConfigError(f"Argument `{name}` must be positive, but is {value}.")
    if store_every < 1 or equilibration < 0:
        raise ConfigError(
            f"Arguments `store_every` and `equilibration` must be at least 1 and 0, but are {store_every} and {equilibration}."
        )
    if atoms.calc is None:
        raise InputError("Molecular dynamics needs a calculator, but the atoms have none. Set `atoms.calc`.")
    moving = atoms.copy()
    moving.calc = atoms.calc
    rng = np.random.RandomState(random_state)
    masses = moving.get_masses()[:, None]
    momenta = np.sqrt(masses * units.kB * temperature) * rng.normal(size=moving.positions.shape)
    moving.set_momenta(momenta - masses * momenta.sum(axis=0) / masses.sum())  # at rest as a whole
    n_hot = round(equilibration / timestep)
    if n_hot:
        thermostat = Bussi(
            moving, timestep * units.fs, temperature_K=temperature, taut=coupling_time * units.fs, rng=rng
        )
        thermostat.run(n_hot)
    positions, velocities, temperatures, energies = [], [], [], []

    def store() -> None:
        positions.append(moving.get_positions())
        velocities.append(moving.get_velocities() * units.fs)
        temperatures.append(moving.get_temperature())
        energies.append(moving.get_total_energy())
        if not np.isfinite(energies[-1]) or temperatures[-1] > 20 * temperature + 1000:
            raise InputError(
                f"The molecular dynamics explodes: {temperatures[-1]:.4g} K in frame {len(energies) - 1}. Relax the structure, "
                "or shorten the time step."
            )

    integrator = VelocityVerlet(moving, timestep * units.fs)
    store()
    for _ in range(round(duration / timestep / store_every)):
        integrator.run(store_every)
        store()
    spacing = timestep * store_every
    times = np.arange(len(energies)) * spacing
    slope = np.polyfit(times, energies, 1)[0] if len(energies) > 2 else 0.0
    drift = float(slope * times[-1] / len(atoms))
    if abs(drift) > DRIFT_LIMIT:
        warnings.warn(
            f"The total energy drifts by {drift * 1e3:.3g} meV an atom over {times[-1]:g} fs: shorten the time step, or converge "
            "the forces further.",
            QualityWarning, stacklevel=2,
        )  # fmt: skip
    mean = float(np.mean(temperatures))
    # the temperature of a small cell fluctuates by sqrt(2/3N) of itself; its mean over a short run by nearly as much
    if abs(mean - temperature) > 3 * temperature * np.sqrt(2 / (3 * len(atoms))):
        warnings.warn(
            f"The mean temperature is {mean:.0f} K instead of {temperature:.0f} K: equilibrate longer.",
            QualityWarning, stacklevel=2,
        )  # fmt: skip
    trajectory = Trajectory(
        np.array(positions), atoms.cell.array, atoms.numbers, spacing, velocities=np.array(velocities),
        pbc=tuple(bool(p) for p in atoms.pbc),  # type: ignore[arg-type]
    )  # fmt: skip
    return MolecularDynamics(trajectory, np.array(temperatures), np.array(energies), drift)
