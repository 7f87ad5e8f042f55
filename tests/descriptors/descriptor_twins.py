"""Plain NumPy twins of the compiled kernels, and the systems they are compared on."""

import itertools

import numpy as np

import hopcast as hc


def make_trajectory(symbols, positions, cell, *, pbc=True, timestep=1.0, velocities=None):
    from ase.data import atomic_numbers

    positions = np.asarray(positions)
    return hc.Trajectory(
        positions=positions if positions.ndim == 3 else positions[None],
        cell=cell,
        numbers=np.array([atomic_numbers[s] for s in symbols]),
        timestep=timestep,
        velocities=velocities,
        pbc=np.broadcast_to(pbc, (3,)),
    )


def random_trajectory(seed=0, n_frames=3, n_atoms=6, *, cell=None, pbc=True, elements=("Cs", "Pb", "I"), spacing=1.2):
    """Atoms at random in a (triclinic) cell, none closer than `spacing`, moving a little from frame to frame."""
    rng = np.random.default_rng(seed)
    cell = np.array([[5.1, 0.2, 0.0], [0.9, 5.8, -0.3], [-0.7, 0.8, 6.4]]) if cell is None else np.asarray(cell)
    periodic = np.broadcast_to(pbc, (3,))
    shifts = np.array(list(itertools.product(*[(-1, 0, 1) if p else (0,) for p in periodic])))
    box = cell if cell.ndim == 2 else cell[0]
    chosen = []
    while len(chosen) < n_atoms:
        trial = rng.random(3) @ box
        images = np.array(chosen).reshape(-1, 1, 3) + (shifts @ box)[None]
        if not chosen or np.linalg.norm(images - trial, axis=2).min() > spacing:
            chosen.append(trial)
    velocities = rng.normal(scale=0.01, size=(n_atoms, 3))
    times = np.arange(n_frames)[:, None, None]
    positions = np.array(chosen) + velocities * times
    symbols = [elements[i % len(elements)] for i in range(n_atoms)]
    return make_trajectory(
        symbols, positions, cell, pbc=pbc, velocities=np.broadcast_to(velocities, positions.shape).copy()
    )


def brute_neighbours(trajectory, frame, radius, images="all", span=5):
    """Vectors to the neighbours of each atom, by trying every image within `span` cells."""
    positions = np.asarray(trajectory.positions[frame], dtype=float)
    cell = trajectory.cells()[frame]
    shifts = np.array(list(itertools.product(*[range(-span, span + 1) if p else (0,) for p in trajectory.pbc])))
    translations = shifts @ np.where(np.array(trajectory.pbc)[:, None], cell, 0.0)
    result = []
    for i in range(trajectory.n_atoms):
        vectors = []
        for j in range(trajectory.n_atoms):
            candidates = positions[j] - positions[i] + translations
            lengths = np.linalg.norm(candidates, axis=1)
            if images == "mic":
                if j != i and lengths.min() <= radius:
                    vectors.append(candidates[np.argmin(lengths)])
            else:
                inside = lengths <= radius
                if j == i:
                    inside &= np.any(shifts != 0, axis=1)
                vectors.extend(candidates[inside])
        result.append(np.array(vectors).reshape(-1, 3))
    return result


def cutoff(r, r_cut):
    return np.where(r <= r_cut, 0.5 * np.cos(np.pi * r / r_cut) + 0.5, 0.0)


def functions_of(vectors, sf):
    """The definition, for the neighbours of one atom."""
    r = np.linalg.norm(vectors, axis=1)
    result = []
    j, k = np.triu_indices(len(vectors), 1)
    theta = np.arctan2(
        np.linalg.norm(np.cross(vectors[j], vectors[k]), axis=1), np.sum(vectors[j] * vectors[k], axis=1)
    )
    envelope = cutoff(r[j], sf.r_cut) * cutoff(r[k], sf.r_cut)
    for r_s in sf.r_s:
        radial = np.exp(-sf.eta * ((r[j] + r[k]) / 2 - r_s) ** 2) * envelope
        for theta_s in sf.theta_s:
            result.append(2 ** (1 - sf.zeta) * np.sum((1 + np.cos(theta - theta_s)) ** sf.zeta * radial))
    return np.array(result)


def brute_transform(trajectory, sf):
    return np.array(
        [
            [functions_of(vectors, sf) for vectors in brute_neighbours(trajectory, frame, sf.r_cut, sf.images)]
            for frame in range(trajectory.n_frames)
        ]
    )


def perovskite(a=6.3, elements=("Cs", "Pb", "I")):
    """The ideal cubic cell, A at the corner, B in the middle, X on the faces."""
    from ase import Atoms

    A, B, X_ = elements
    scaled = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    return Atoms([A, B, X_, X_, X_], scaled_positions=scaled, cell=[a, a, a], pbc=True)


def from_ase(atoms, n_frames=1, **kwargs):
    positions = np.repeat(atoms.positions[None], n_frames, axis=0)
    return make_trajectory(atoms.get_chemical_symbols(), positions, atoms.cell.array, pbc=atoms.pbc, **kwargs)
