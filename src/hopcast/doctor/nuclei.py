"""Checks of a trajectory: jumps, order of atoms, repeated and missing frames, temperature, time step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.trajectory import Trajectory
from hopcast.core.units import AMU, KB
from hopcast.doctor.scales import drift_of
from hopcast.doctor.seams import long_steps, missing_of, repeated_places
from hopcast.doctor.verdict import Verdict, at

TEMPERATURES = (5.0, 5000.0)
MAX_DRIFT = 0.25


def _steps(trajectory: Trajectory) -> NDArray[np.float64]:
    result: NDArray[Any] = np.diff(np.asarray(trajectory.positions, dtype=np.float64), axis=0)
    return result


def _fractional(trajectory: Trajectory, steps: NDArray[np.float64]) -> NDArray[np.float64]:
    cells = np.broadcast_to(trajectory.cell, (trajectory.n_frames, 3, 3))[1:]
    result: NDArray[Any] = np.linalg.solve(cells.swapaxes(1, 2), steps.swapaxes(1, 2)).swapaxes(1, 2)
    return result


def wraps(trajectory: Trajectory) -> Verdict:
    """Atoms that jump by about a lattice vector."""
    if not any(trajectory.pbc) or abs(float(np.min(np.abs(np.linalg.det(trajectory.cell))))) < 1e-8:
        return Verdict("wrap jumps", "skipped", "The trajectory is not periodic.")
    fraction = np.abs(_fractional(trajectory, _steps(trajectory))).max(axis=2)
    jumps = np.argwhere(fraction > 0.6)
    evidence = {"jumps": float(len(jumps))}
    if len(jumps):
        return Verdict(
            "wrap jumps",
            "bad",
            f"Atoms jump across the cell {len(jumps)} times (first atom {int(jumps[0, 1])}).",
            "Coordinates were wrapped into the cell. Read the source anew: readers unwrap unless told otherwise.",
            evidence,
            at(np.unique(jumps[:, 0] + 1)),
        )
    return Verdict("wrap jumps", "good", "No atom jumps across the cell.", "", evidence)


def order(trajectory: Trajectory) -> Verdict:
    """Atoms of one element that exchange their places from one frame to the next."""
    steps = nearest_steps(trajectory)
    length = np.sqrt((steps**2).sum(axis=2))
    typical = float(np.median(length))
    far = length > max(8 * typical, 0.7)
    moved = map(int, np.flatnonzero(far.sum(axis=1) >= 2))
    suspects = [step for step in moved if _exchanged(trajectory, step, far[step], typical)]
    evidence = {"typical_step_A": typical, "frames": float(len(suspects))}
    if suspects:
        atoms = np.flatnonzero(far[suspects[0]])
        return Verdict(
            "order of atoms",
            "bad",
            f"Atoms {', '.join(str(a) for a in atoms[:6])} take each other's places at frame {suspects[0] + 1}: their order changes.",
            "Sort the atoms alike in all frames (restarts and supercell tools reorder them).",
            evidence,
            at(np.array(suspects) + 1),
        )
    return Verdict("order of atoms", "good", f"Every atom moves by about {typical:.2g} Å a frame.", "", evidence)


def _exchanged(trajectory: Trajectory, step: int, far: NDArray[np.bool_], typical: float) -> bool:
    """Return whether the atoms that go far in a step stand near to where others of them stood: a gap in time leaves them anywhere."""
    from scipy.optimize import linear_sum_assignment

    atoms = np.flatnonzero(far)
    before, after = trajectory.positions[step, atoms], trajectory.positions[step + 1, atoms]
    between = _nearest(trajectory, after[:, None] - before[None, :], step + 1)
    distance = np.sqrt((between**2).sum(axis=2))
    rows, columns = linear_sum_assignment(distance)
    return bool(np.median(distance[rows, columns]) < max(4 * typical, 0.3))


def _is_periodic(trajectory: Trajectory) -> bool:
    return any(trajectory.pbc) and float(np.abs(np.linalg.det(trajectory.cell)).min()) > 1e-8


def _nearest(trajectory: Trajectory, vectors: NDArray[Any], frame: int) -> NDArray[Any]:
    """Return the nearest images of vectors [..., 3]."""
    if not _is_periodic(trajectory):
        return vectors
    cell = trajectory.cells()[frame]
    fraction = vectors @ np.linalg.inv(cell)
    result: NDArray[Any] = (fraction - np.rint(fraction) * np.array(trajectory.pbc)) @ cell
    return result


def nearest_steps(trajectory: Trajectory) -> NDArray[np.float64]:
    """Return the steps of the atoms to the nearest image [n_frames - 1, n_atoms, 3], Å."""
    steps = _steps(trajectory)
    if _is_periodic(trajectory):
        fraction = _fractional(trajectory, steps)
        nearest = fraction - np.rint(fraction)
        steps = nearest @ np.broadcast_to(trajectory.cell, (trajectory.n_frames, 3, 3))[1:]
    return steps


def duplicates(trajectory: Trajectory) -> Verdict:
    """Frames with exactly the positions of an earlier frame: at a restart, or a file joined to itself."""
    places = np.asarray(trajectory.positions, dtype=np.float64)
    if _is_periodic(trajectory):  # images of one place are one place
        fraction = np.linalg.solve(trajectory.cells().swapaxes(1, 2), places.swapaxes(1, 2)).swapaxes(1, 2)
        places = np.mod(fraction + 1e-7, 1.0)
    same = repeated_places(places)
    if len(same) and np.any(places != places[0]):
        earlier = int(np.argmax(np.abs(places - places[same[0]]).reshape(len(places), -1).max(axis=1) < 1e-5))
        return Verdict(
            "duplicate geometries",
            "bad",
            f"{len(same)} frames have exactly the positions of an earlier frame ({same[0]} those of {earlier}).",
            "Remove repeated frames: restarts write the last frames twice.",
            {"repeated": float(len(same))},
            at(same),
        )
    return Verdict("duplicate geometries", "good", "No frame is repeated.")


def missing(trajectory: Trajectory) -> Verdict:
    """Find steps that go twice as far as those around them, or further than any motion."""
    name = "missing geometries"
    if trajectory.n_frames < 20:
        return Verdict(name, "skipped", "It needs twenty frames.")
    length = np.sqrt((nearest_steps(trajectory) ** 2).sum(axis=2).mean(axis=1))
    seams = long_steps(length)
    if len(seams):
        return Verdict(
            name,
            "bad",
            f"{len(seams)} steps go up to {length[seams].max() / np.median(length):.2g} times as far as the typical one, all atoms together (the "
            f"first from frame {seams[0]} to {seams[0] + 1}): frames are missing, or runs are joined that do not continue each other.",
            "Add the missing frames, or cut the data there.",
            {"typical_step_A": float(np.median(length))},
            at(seams),
        )
    found = missing_of(trajectory.positions, "positions")
    return Verdict(name, found.level, found.finding, found.fix, found.evidence, found.frames)


def masses(trajectory: Trajectory) -> NDArray[np.float64]:
    """Return the masses of the atoms, eV fs^2 / Å^2."""
    from ase.data import atomic_masses

    return np.asarray(atomic_masses)[trajectory.numbers] * AMU


def temperatures(trajectory: Trajectory) -> NDArray[np.float64]:
    """Return the kinetic temperature of each frame, K, from its velocities or from differences of positions."""
    velocities = trajectory.with_velocities().velocities
    assert velocities is not None
    kinetic = 0.5 * np.einsum("tax,tax,a->t", velocities, velocities, masses(trajectory))
    result: NDArray[np.float64] = 2 * kinetic / (freedom(trajectory) * KB)
    return result


def freedom(trajectory: Trajectory) -> int:
    """Return the degrees of freedom that share the temperature: without the motion of the whole, and of a molecule without its turning.

    What is at rest takes no part: the centre of mass where it hardly moves, and the rotation where the angular momentum is a
    small share of what it would be at this temperature.
    """
    velocities = trajectory.with_velocities().velocities
    assert velocities is not None
    m, n = masses(trajectory), trajectory.n_atoms
    free = 3 * n
    kinetic = 0.5 * float(np.einsum("tax,tax,a->t", velocities, velocities, m).mean())
    momentum = np.einsum("tax,a->tx", velocities, m)
    share = 3 / max(3 * n, 1)  # of the kinetic energy, if the whole took part
    if n > 1 and 0.5 * float((momentum**2).sum(axis=1).mean()) / m.sum() < 0.1 * share * kinetic:
        free -= 3
    if any(trajectory.pbc) or n < 2:
        return max(free, 1)
    middle = np.einsum("tax,a->tx", trajectory.positions, m) / m.sum()
    arms = trajectory.positions - middle[:, None]
    turning = np.einsum("tax,a->tx", np.cross(arms, velocities - (momentum / m.sum())[:, None]), m)
    inertia = np.einsum("a,tax,tax->t", m, arms, arms)[:, None, None] * np.eye(3) - np.einsum(
        "a,tax,tay->txy", m, arms, arms
    )
    axes = 3 if float(np.linalg.eigvalsh(inertia[0])[0]) > 1e-3 * float(np.linalg.eigvalsh(inertia[0])[-1]) else 2
    spin = 0.5 * np.einsum("tx,txy,ty->t", turning, np.linalg.pinv(inertia, rcond=1e-6, hermitian=True), turning)
    if float(spin.mean()) < 0.1 * axes / max(3 * n, 1) * kinetic:
        free -= axes
    return max(free, 1)


def temperature(trajectory: Trajectory) -> Verdict:
    """Whether the temperature is plausible and stays."""
    if trajectory.n_frames < 12:
        return Verdict("temperature", "skipped", "It needs twelve frames.")
    values = temperatures(trajectory)
    mean = float(values.mean())
    third = len(values) // 3
    shift = float(values[-third:].mean() - values[:third].mean())
    # neighbouring frames are not independent: errors from blocks of a third's fifths
    blocks = (
        np.concatenate(
            [part.reshape(5, -1).mean(axis=1) for part in (values[: third // 5 * 5], values[-(third // 5 * 5) :])]
        )
        if third >= 5
        else values
    )
    error = float(np.std(blocks[:5]) / np.sqrt(5) + np.std(blocks[-5:]) / np.sqrt(5))
    evidence = {"mean_K": mean, "shift_K": shift, "error_K": error}
    low, high = TEMPERATURES
    if not low <= mean <= high:
        return Verdict(
            "temperature",
            "bad",
            f"The mean temperature is {mean:.3g} K.",
            "Check the time step and the unit of the velocities (CP2K prints atomic units).",
            evidence,
        )
    if abs(shift) > MAX_DRIFT * mean and abs(shift) > 4 * error:
        return Verdict(
            "temperature",
            "bad",
            f"The temperature drifts by {shift:.3g} K around {mean:.3g} K.",
            "Use the equilibrated part, or a thermostat that holds.",
            evidence,
        )
    return Verdict("temperature", "good", f"{mean:.3g} K, shift {shift:.3g} K.", "", evidence)


def timestep(trajectory: Trajectory) -> Verdict:
    """Hold the time step against velocities: differences of positions must give the velocities of the file."""
    if trajectory.velocities is None:
        return Verdict("time step of velocities", "skipped", "There are no velocities.")
    if trajectory.n_frames < 5:
        return Verdict("time step of velocities", "skipped", "It needs five frames.")
    difference = (trajectory.positions[2:] - trajectory.positions[:-2]) / (2 * trajectory.timestep)
    given = trajectory.velocities[1:-1]
    power = float((given * given).sum())
    if power == 0:
        return Verdict("time step of velocities", "bad", "All velocities are zero.", "Leave them out, or print them.")
    slope = float((difference * given).sum()) / power
    noise = float(((difference - slope * given) ** 2).sum()) / max(float((difference**2).sum()), 1e-300)
    evidence = {"ratio": slope, "unexplained": noise, "implied_timestep_fs": trajectory.timestep * slope}
    if noise > 0.5:
        return Verdict(
            "time step of velocities",
            "bad",
            f"Velocities do not follow the positions ({noise:.0%} of the motion is not theirs).",
            "Check that velocities and positions are of the same frames and atoms.",
            evidence,
        )
    if abs(slope - 1) > 0.15:
        return Verdict(
            "time step of velocities",
            "bad",
            f"Positions move {slope:.3g} times as far a frame as the velocities say: the frames are {trajectory.timestep * slope:.3g} fs apart, not "
            f"{trajectory.timestep:g} fs, or the velocities have another unit.",
            "Give the time between the frames of the file (the MD step times the stride), and check the unit of the velocities.",
            evidence,
        )
    return Verdict(
        "time step of velocities", "good", f"Positions move {slope:.3g} times as far as velocities say.", "", evidence
    )


def potential_energy(energies: NDArray[np.float64] | None) -> Verdict:
    """Whether the potential energy (eV) that frames carry in their file drifts."""
    if energies is None or len(energies) < 40 or not np.isfinite(energies).all():
        return Verdict("potential energy", "skipped", "It needs forty frames that carry their energy.")
    return drift_of(energies, "potential energy", "The potential energy")


CHECKS: tuple[Callable[[Trajectory], Verdict], ...] = (wraps, order, duplicates, missing, temperature, timestep)
