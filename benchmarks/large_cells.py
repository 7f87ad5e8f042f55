"""Cells of CsPbI3 up to 1,280 atoms: replicas against the folded cell, and whether shift-invert finds the window faster than dense solvers.

    python benchmarks/large_cells.py [--repeats 2 3 4] [--sparse-to 540]

Lanczos on (H - sigma S)^-1 S, sigma beside VBM and CBM, with a dense factorisation (LAPACK's LDL^T) and a sparse one (SuperLU). Sylvester's law of inertia
says which bands are found: H - sigma S = L D L^T has as many negative eigenvalues in D as there are levels below sigma. Atoms are shaken by
0.03 Angstrom where nothing is compared with the folded cell, since degenerate levels of replicas slow Lanczos down. Prints the table of
docs/tight-binding.md.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
from common import machine, table
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.sparse import coo_array, csc_array, eye_array
from scipy.sparse.linalg import LinearOperator, eigsh, splu

import hopcast as hc
from hopcast.tightbinding import BandModel, Form, TightBinding
from hopcast.tightbinding.geometry import FrameGeometry

Floats = NDArray[np.float64]

BESIDE = 0.03
"""eV from the folded cell's edges into the gap: where shift-invert looks."""

MARGIN = 4
"""Levels that are found beyond the window on either side, so that the window is whole."""

MOST_SHIFTS = 8
"""Factorisations after which the search gives up."""


def find_window(
    H: Floats | csc_array, S: Floats | csc_array | None, lowest: int, n_states: int, near: float
) -> tuple[Floats, Floats]:
    """Return some neighbouring levels and states of H c = E S c.

    Parameters
    ----------
    H, S
        Matrices [n, n], both dense or both sparse, eV; None for an orthogonal basis.
    lowest, n_states
        Which bands: ``lowest`` of all is the first.
    near
        Energy to start from, eV; the nearer to the window's middle the better.

    Returns
    -------
    tuple of arrays
        Levels [n_states] and states [n, n_states], normalised by S.

    Raises RuntimeError if the window is not found.
    """
    n = H.shape[0]
    wanted = min(n_states + 2 * MARGIN, n - 1)
    for _ in range(MOST_SHIFTS):
        levels, states, first = _nearest(H, S, near, wanted)
        missing_below, missing_above = first - lowest, lowest + n_states - first - wanted
        if max(missing_below, missing_above) <= 0:
            at = slice(lowest - first, lowest - first + n_states)
            return levels[at], states[:, at]
        if max(missing_below, missing_above) < wanted:
            # levels are denser on one side of a gap
            wanted = min(wanted + 2 * max(missing_below, missing_above) + MARGIN, n - 1)
        else:
            # the middle of the window, from the spacing of what was found
            spacing = (levels[-1] - levels[0]) / (wanted - 1)
            near = float(levels[0] + (lowest + 0.5 * n_states - first) * spacing)
    raise RuntimeError(
        f"Bands {lowest} to {lowest + n_states - 1} were not found by {MOST_SHIFTS} shifts: take all states."
    )


def _nearest(
    H: Floats | csc_array, S: Floats | csc_array | None, near: float, wanted: int
) -> tuple[Floats, Floats, int]:
    """Return levels and states nearest to an energy, in order, and which of all bands is the first of them."""
    n = H.shape[0]
    solve, below = _factorise(H, S, near)
    inverse = LinearOperator((n, n), matvec=solve, dtype=np.float64)
    # a start of our own: the same bits every time
    start = np.random.default_rng(0).normal(size=n)
    levels, states = eigsh(H, k=wanted, M=S, sigma=near, OPinv=inverse, v0=start, tol=0)
    order = np.argsort(levels)
    return levels[order], states[:, order], below - int(np.sum(levels < near))


def sparse_matrices(model: BandModel, theta: Floats, geometry: FrameGeometry) -> tuple[csc_array, csc_array | None]:
    """Return H, eV, and S at Gamma as sparse matrices; None where the basis is orthogonal."""
    H = _assembled(model, theta, geometry)
    if model.overlap is None:
        return H, None
    S = _assembled(model.overlap, theta[model.n_own :], geometry)
    return H, csc_array(S + eye_array(S.shape[0]))


def _assembled(model: BandModel, theta: Floats, geometry: FrameGeometry) -> csc_array:
    on_site, hops = model.blocks(theta, geometry)
    first, size = model.first_of(geometry), model.table.offsets[geometry.species]
    index = np.arange(model.most_orbitals)
    one, two = geometry.first, geometry.second
    atoms = np.arange(len(size))
    rows, columns, values = [], [], []
    for left, right, blocks in ((atoms, atoms, on_site), (one, two, hops)):
        real = (index[None, :, None] < size[left][:, None, None]) & (index[None, None, :] < size[right][:, None, None])
        row = np.broadcast_to(first[left][:, None, None] + index[None, :, None], blocks.shape)[real]
        column = np.broadcast_to(first[right][:, None, None] + index[None, None, :], blocks.shape)[real]
        rows.append(row)
        columns.append(column)
        values.append(blocks[real])
    n = int(first[-1])
    rows, columns, values = [*rows, columns[1]], [*columns, rows[1]], [*values, values[1]]
    return csc_array(coo_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n)))


def _factorise(
    H: Floats | csc_array, S: Floats | csc_array | None, near: float
) -> tuple[Callable[[Floats], Floats], int]:
    """Return what solves (H - near S) x = b, and how many levels lie below."""
    if isinstance(H, np.ndarray):
        shifted = H - near * (np.eye(len(H)) if S is None else np.asarray(S))
        factor, pivots, failed = lapack.dsytrf(np.asfortranarray(shifted), lower=1, lwork=64 * len(H), overwrite_a=1)
        if failed:
            raise RuntimeError(f"A level lies at {near} eV: shift elsewhere.")

        def solve(b: Floats) -> Floats:
            return np.asarray(lapack.dsytrs(factor, pivots, b, lower=1)[0]).reshape(-1)

        return solve, _negative(factor, pivots)
    shifted = csc_array(H - near * (eye_array(H.shape[0]) if S is None else S))
    found = splu(shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    if not np.array_equal(found.perm_r, found.perm_c):
        raise RuntimeError(
            "A sparse factorisation exchanged rows, so that levels cannot be counted: use dense matrices."
        )
    return found.solve, int(np.sum(found.U.diagonal() < 0.0))


def _negative(factor: Floats, pivots: NDArray[np.int32]) -> int:
    """Return how many eigenvalues of D are negative; blocks of two, whose pivots are negative, have one each."""
    single = pivots > 0
    return int(np.sum(np.diagonal(factor)[single] < 0.0)) + int(np.sum(~single)) // 2


def replicas(trajectory, repeats, shaken):
    counts = np.indices((repeats,) * 3).reshape(3, -1).T
    places = np.concatenate([trajectory.positions + shift @ trajectory.cell for shift in counts], axis=1)
    places = places + shaken * np.random.default_rng(0).normal(size=places.shape)
    return hc.Trajectory(
        places, repeats * trajectory.cell, np.tile(trajectory.numbers, len(counts)), trajectory.timestep
    )


def timed(function):
    start = time.process_time()
    value = function()
    return value, time.process_time() - start


def both_sides(H, S, lowest, bands, edges):
    n = bands.n_occupied
    below, _ = find_window(H, S, lowest, n, edges[0] + BESIDE)
    above, _ = find_window(H, S, lowest + n, bands.n_states - n, edges[1] - BESIDE)
    return np.concatenate([below, above])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, nargs="*", default=[2, 3, 4])
    parser.add_argument("--sparse-to", type=int, default=540, help="largest number of atoms of a sparse factorisation")
    options = parser.parse_args()
    warnings.simplefilter("ignore", hc.QualityWarning)
    print(machine())
    data = hc.load("cspbi3-long")
    bands = (
        TightBinding(form=Form(shift=3.0, scale=1.0), most_samples=20, workers=1)
        .fit(data.trajectory, data.hamiltonian)
        .bands_
    )
    frame = hc.load("cspbi3").trajectory[:1]
    lowest = bands.lowest_of(frame.numbers)
    folded, _ = bands.window_states(bands.model.geometry(frame, 0), lowest)
    edges = folded[[bands.n_occupied - 1, bands.n_occupied]]
    rows = []
    for repeats in options.repeats:
        exact = replicas(frame, repeats, 0.0)
        lowest = bands.lowest_of(exact.numbers)
        levels, _ = bands.window_states(bands.model.geometry(exact, 0), lowest)
        missed = np.abs(levels[[bands.n_occupied - 1, bands.n_occupied]] - edges).max()
        large = replicas(frame, repeats, 0.03)
        geometry, of_geometry = timed(lambda large=large: bands.model.geometry(large, 0))
        (H, S), of_matrices = timed(
            lambda g=geometry: (bands.model.hamiltonian(bands.theta, g), bands.model.metric(bands.theta, g))
        )
        (dense, _), of_dense = timed(lambda g=geometry, k=lowest: bands.window_states(g, k))
        inverted, of_inverted = timed(lambda H=H, S=S, k=lowest: both_sides(H, S, k, bands, edges))
        row = [
            str(large.n_atoms),
            str(len(H)),
            f"{missed:.1e}",
            f"{of_geometry + of_matrices:.2g}",
            f"{of_dense - of_matrices:.3g}",
            f"{of_inverted:.3g}",
        ]
        apart = np.abs(dense - inverted).max()
        if large.n_atoms <= options.sparse_to:
            sparse, of_sparse = timed(lambda g=geometry: sparse_matrices(bands.model, bands.theta, g))
            found, of_found = timed(lambda one=sparse, k=lowest: both_sides(*one, k, bands, edges))
            apart = max(apart, np.abs(dense - found).max())
            row += [f"{of_sparse + of_found:.3g}", f"{100 * sparse[0].nnz / len(H) ** 2:.0f} %"]
        rows.append([*row, *["", ""][: 8 - len(row)], f"{apart:.0e}"])
        header = [
            "atoms",
            "orbitals",
            "folded edges missed by, eV",
            "geometry, H and S",
            "dense window",
            "shift-invert, dense",
            "sparse",
            "H filled",
            "apart, eV",
        ]
        print(table("CPU seconds of a frame, 16 bands", header, rows), flush=True)


if __name__ == "__main__":
    main()
