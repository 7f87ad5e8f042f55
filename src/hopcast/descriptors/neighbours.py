r"""Neighbours of one atom, found inside the kernels: every periodic image within a radius, or the shortest.

A frame is prepared once (fractional coordinates wrapped into the cell, atoms sorted into bins when the cell is
large), then `gather` fills the buffers of one atom. For each candidate only the images that can lie within the
radius are visited: along lattice vector a these are the integers n with :math:`|f_a + n| w_a \le R`, where f is
the fractional difference and :math:`w_a` the distance between opposite faces of the cell.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.core import InputError, Trajectory

# rows of the buffer `near` that `gather` fills for each neighbour
X, Y, Z, R, SHIFT_A, SHIFT_B, SHIFT_C = range(7)
N_ROWS = 7

# below this distance two atoms coincide, Å
COINCIDENT = 1e-6

# room for rounding in fractional coordinates
TINY = 1e-12

# bins are at least half a radius wide and a search looks two bins to either side: below six bins it would see all
MIN_BINS = 6
REACH_BINS = 2


def complete_cells(cell: NDArray[np.float64], pbc: tuple[bool, bool, bool]) -> NDArray[np.float64]:
    """Return cells that span space, [n, 3, 3]: lattice vectors that do not repeat become unit vectors across the others.

    Raises
    ------
    InputError
        If the vectors of the periodic directions are zero, linearly dependent or not finite.
    """
    cells = np.array(cell, dtype=np.float64).reshape(-1, 3, 3)
    periodic = [axis for axis in range(3) if pbc[axis]]
    others = [axis for axis in range(3) if not pbc[axis]]
    vectors = cells[:, periodic]
    singular = np.linalg.svd(vectors, compute_uv=False) if np.all(np.isfinite(vectors)) else np.zeros((1, 1))
    if periodic and not np.all(singular > 1e-6):
        raise InputError(
            "Argument `cell` must hold finite, linearly independent lattice vectors along the periodic directions "
            f"{', '.join('abc'[axis] for axis in periodic)}, but some are not. Give the cell, or set `pbc` to False there."
        )
    if len(others) == 3:
        cells[:] = np.eye(3)
    elif len(others) == 2:
        along = vectors[:, 0] / np.linalg.norm(vectors[:, 0], axis=1)[:, None]
        helper = np.eye(3)[np.argmin(np.abs(along), axis=1)]
        first = np.cross(along, helper)
        first /= np.linalg.norm(first, axis=1)[:, None]
        cells[:, others[0]], cells[:, others[1]] = first, np.cross(along, first)
    elif len(others) == 1:
        normal = np.cross(vectors[:, 0], vectors[:, 1])
        cells[:, others[0]] = normal / np.linalg.norm(normal, axis=1)[:, None]
    return cells


def widths(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distances between opposite faces of each cell [n, 3], Å."""
    return np.asarray(1.0 / np.linalg.norm(np.linalg.inv(cells), axis=1))


class Boxes(NamedTuple):
    """Cells of a chunk of frames and how one looks around in them, as the kernels take them.

    Attributes
    ----------
    cells, inverses : arrays [n, 3, 3]
        Complete cells (`complete_cells`), one or one a frame.
    widths : array [n, 3]
        Distances between opposite faces.
    periodic : array [3]
        Directions that repeat.
    radius
        How far one looks, Å.
    shortest
        Whether only the shortest image of each other atom counts.
    """

    cells: NDArray[np.float64]
    inverses: NDArray[np.float64]
    widths: NDArray[np.float64]
    periodic: NDArray[np.bool_]
    radius: float
    shortest: bool


class Box(NamedTuple):
    """What `Boxes` holds, of one frame."""

    cell: NDArray[np.float64]
    inverse: NDArray[np.float64]
    width: NDArray[np.float64]
    periodic: NDArray[np.bool_]
    radius: float
    shortest: bool


class Bins(NamedTuple):
    """The atoms of a frame, sorted by where they are.

    Attributes
    ----------
    wrapped : array [n_atoms, 3]
        Fractional coordinates, in [0, 1) along periodic directions.
    wraps : array [n_atoms, 3]
        Cells taken off.
    n_bins : array [3]
        Bins along each lattice vector.
    place : array [n_atoms, 3]
        Bin of each atom.
    start, order : arrays
        ``order[start[b]:start[b + 1]]`` are the atoms of bin b.
    candidates : array [n_atoms + 1]
        Room for `gather`.
    """

    wrapped: NDArray[np.float64]
    wraps: NDArray[np.int64]
    n_bins: NDArray[np.int64]
    place: NDArray[np.int64]
    start: NDArray[np.int64]
    order: NDArray[np.int64]
    candidates: NDArray[np.int64]


@njit(cache=True, nogil=True, error_model="numpy")
def frame_box(boxes: Any, frame: int) -> Any:  # pragma: no cover - compiled
    """Return the box of a frame of a chunk."""
    c = frame if boxes.cells.shape[0] > 1 else 0
    return Box(boxes.cells[c], boxes.inverses[c], boxes.widths[c], boxes.periodic, boxes.radius, boxes.shortest)


@njit(cache=True, nogil=True, error_model="numpy")
def make_bins(n_atoms: int) -> Any:  # pragma: no cover - compiled
    """Return bins to be filled.

    For kernels only: called from Python after a cached kernel was loaded, Numba cannot hand the arrays over.
    """
    return Bins(
        np.empty((n_atoms, 3)),
        np.empty((n_atoms, 3), np.int64),
        np.ones(3, np.int64),
        np.empty((n_atoms, 3), np.int64),
        np.zeros(32 * 32 * 32 + 2 if n_atoms > 64 else 3, np.int64),
        np.empty(n_atoms, np.int64),
        np.empty(n_atoms + 1, np.int64),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def fill_bins(positions: Any, box: Any, bins: Any) -> None:  # pragma: no cover - compiled
    """Wrap the atoms of a frame into its cell and sort them into bins (counting sort); few atoms or a small cell make one bin of all."""
    _wrap(positions, box, bins.wrapped, bins.wraps)
    _sort(box, bins)


@njit(cache=True, nogil=True, error_model="numpy")
def _wrap(positions: Any, box: Any, wrapped: Any, wraps: Any) -> None:  # pragma: no cover - compiled
    inverse, periodic = box.inverse, box.periodic
    for i in range(positions.shape[0]):
        for a in range(3):
            f = positions[i, 0] * inverse[0, a] + positions[i, 1] * inverse[1, a] + positions[i, 2] * inverse[2, a]
            n = math.floor(f) if periodic[a] else 0
            wraps[i, a] = n
            wrapped[i, a] = f - n


@njit(cache=True, nogil=True, error_model="numpy")
def _sort(box: Any, bins: Any) -> None:  # pragma: no cover - compiled
    wrapped, _, n_bins, place, start, order, _ = bins
    width, periodic, radius = box.width, box.periodic, box.radius
    n_atoms = wrapped.shape[0]
    low = np.zeros(3)
    span = np.ones(3)
    for a in range(3):
        if not periodic[a]:
            low[a] = high = wrapped[0, a]
            for i in range(n_atoms):
                low[a] = min(low[a], wrapped[i, a])
                high = max(high, wrapped[i, a])
            span[a] = high - low[a] + 1e-9
        bins = int(min(2.0 * span[a] * width[a] / radius, 32.0))
        n_bins[a] = bins if bins >= MIN_BINS and n_atoms > 64 else 1
    total = n_bins[0] * n_bins[1] * n_bins[2]
    start[: total + 1] = 0
    for i in range(n_atoms):
        for a in range(3):
            place[i, a] = min(int((wrapped[i, a] - low[a]) / span[a] * n_bins[a]), n_bins[a] - 1)
        start[(place[i, 0] * n_bins[1] + place[i, 1]) * n_bins[2] + place[i, 2] + 1] += 1
    for b in range(total):
        start[b + 1] += start[b]
    # filling backwards leaves `start` at the first atom of each bin and keeps atoms in their order
    for i in range(n_atoms - 1, -1, -1):
        b = (place[i, 0] * n_bins[1] + place[i, 1]) * n_bins[2] + place[i, 2]
        start[b + 1] -= 1
        order[start[b + 1]] = i
    for b in range(total):
        start[b] = start[b + 1]
    start[total] = n_atoms


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _gap(difference: float, periodic: bool) -> float:  # pragma: no cover - compiled
    """Return the smallest fractional distance of all images, for a difference between -1 and 1."""
    gap = abs(difference)
    return min(gap, 1.0 - gap) if periodic else gap


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _around(b: int, n: int) -> int:  # pragma: no cover - compiled
    """Return b modulo n for b from -n to 2 n - 1, without a division."""
    if b < 0:
        return b + n
    return b - n if b >= n else b


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _range(f: float, reach: float, periodic: bool) -> tuple[int, int]:  # pragma: no cover - compiled
    """Return the first and the last n with abs(f + n) <= reach; the nearest image where no other can be in reach."""
    if not periodic:
        return 0, 0
    if reach < 0.5:
        n = -math.floor(f + 0.5)
        return n, n
    return math.ceil(-f - reach), math.floor(-f + reach)


@njit(cache=True, nogil=True, error_model="numpy")
def gather(i: int, box: Any, bins: Any, index: Any, near: Any) -> int:  # pragma: no cover - compiled
    """Return the number of neighbours of atom `i` and write as many as fit: `index` [capacity], `near` [7, capacity].

    `near` holds the vector from `i` (rows X, Y, Z), its length (R), and the lattice translation that takes the
    given position of the neighbour to this image (SHIFT_A..SHIFT_C). With `box.shortest` only the shortest image
    of each other atom counts. A negative number -1 - j says that atom `j` coincides with `i`.
    """
    wrapped, _, n_bins, place, start, order, candidates = bins
    width, periodic, radius, shortest = box.width, box.periodic, box.radius, box.shortest
    # typed by hand: Numba would compile `_images` for the literal 0 as well
    count = np.int64(0)
    n_candidates = 0
    reach = (radius / width[0] + TINY, radius / width[1] + TINY, radius / width[2] + TINY)
    first = np.zeros(3, np.int64)
    last = np.zeros(3, np.int64)
    for a in range(3):
        if n_bins[a] > 1:
            first[a] = place[i, a] - REACH_BINS
            last[a] = place[i, a] + REACH_BINS
            if not periodic[a]:
                first[a] = max(first[a], 0)
                last[a] = min(last[a], n_bins[a] - 1)
    for b0 in range(first[0], last[0] + 1):
        for b1 in range(first[1], last[1] + 1):
            for b2 in range(first[2], last[2] + 1):
                b = (_around(b0, n_bins[0]) * n_bins[1] + _around(b1, n_bins[1])) * n_bins[2] + _around(b2, n_bins[2])
                for slot in range(start[b], start[b + 1]):
                    j = order[slot]
                    if shortest and j == i:
                        continue
                    candidates[n_candidates] = j
                    gap0 = _gap(wrapped[j, 0] - wrapped[i, 0], periodic[0])
                    gap1 = _gap(wrapped[j, 1] - wrapped[i, 1], periodic[1])
                    gap2 = _gap(wrapped[j, 2] - wrapped[i, 2], periodic[2])
                    near_enough = (gap0 <= reach[0]) & (gap1 <= reach[1]) & (gap2 <= reach[2])
                    n_candidates += 1 if near_enough else 0
    for slot in range(n_candidates):
        j = candidates[slot]
        found = _images(i, j, box, bins, reach, count, index, near)
        if found < 0:
            return -1 - j
        count += found
    return count  # type: ignore[return-value]


@njit(cache=True, nogil=True, error_model="numpy")
def make_room(capacity: int) -> Any:  # pragma: no cover - compiled
    """Return empty buffers `index` and `near` for `gather`."""
    return np.empty(capacity, np.int64), np.empty((N_ROWS, capacity))


@njit(cache=True, nogil=True, error_model="numpy")
def gather_all(i: int, box: Any, bins: Any, index: Any, near: Any) -> Any:  # pragma: no cover - compiled
    """Return what `gather` does, and its buffers: those given, or larger ones where the neighbours did not fit."""
    n = gather(i, box, bins, index, near)
    while n > index.shape[0]:
        index, near = make_room(2 * n)
        n = gather(i, box, bins, index, near)
    return n, index, near


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _images(
    i: int, j: int, box: Any, bins: Any, reach: Any, count: int, index: Any, near: Any
) -> int:  # pragma: no cover - compiled
    """Append the images of `j` around `i` to the buffers; return how many, or -1 where the two coincide."""
    cell, periodic, radius, shortest = box.cell, box.periodic, box.radius, box.shortest
    wrapped, wraps = bins.wrapped, bins.wraps
    reach0, reach1, reach2 = reach
    capacity = index.shape[0]
    f0 = wrapped[j, 0] - wrapped[i, 0]
    f1 = wrapped[j, 1] - wrapped[i, 1]
    f2 = wrapped[j, 2] - wrapped[i, 2]
    if shortest:
        # no image can be shorter than the shortest, so the one wrapped by rounding bounds the search
        g0 = f0 - round(f0) if periodic[0] else f0
        g1 = f1 - round(f1) if periodic[1] else f1
        g2 = f2 - round(f2) if periodic[2] else f2
        x = g0 * cell[0, 0] + g1 * cell[1, 0] + g2 * cell[2, 0]
        y = g0 * cell[0, 1] + g1 * cell[1, 1] + g2 * cell[2, 1]
        z = g0 * cell[0, 2] + g1 * cell[1, 2] + g2 * cell[2, 2]
        share = min(1.0, math.sqrt(x * x + y * y + z * z) / radius)
        reach0, reach1, reach2 = reach0 * share + TINY, reach1 * share + TINY, reach2 * share + TINY
    low0, high0 = _range(f0, reach0, periodic[0])
    low1, high1 = _range(f1, reach1, periodic[1])
    low2, high2 = _range(f2, reach2, periodic[2])
    best = radius * radius
    found = 0
    for n0 in range(low0, high0 + 1):
        x0 = (f0 + n0) * cell[0, 0]
        y0 = (f0 + n0) * cell[0, 1]
        z0 = (f0 + n0) * cell[0, 2]
        for n1 in range(low1, high1 + 1):
            x1 = x0 + (f1 + n1) * cell[1, 0]
            y1 = y0 + (f1 + n1) * cell[1, 1]
            z1 = z0 + (f1 + n1) * cell[1, 2]
            for n2 in range(low2, high2 + 1):
                x = x1 + (f2 + n2) * cell[2, 0]
                y = y1 + (f2 + n2) * cell[2, 1]
                z = z1 + (f2 + n2) * cell[2, 2]
                square = x * x + y * y + z * z
                own = i == j and n0 == 0 and n1 == 0 and n2 == 0
                if square < COINCIDENT * COINCIDENT and not own:
                    return -1
                inside = (square <= best) & (not own)
                if shortest:
                    if not inside:
                        continue
                    best = square
                    found = 0
                # written in any case, kept only where inside: a branch here would be a guess, wrong half of the time
                slot = count + found
                found += 1 if inside else 0
                if slot < capacity:
                    index[slot] = j
                    near[X, slot] = x
                    near[Y, slot] = y
                    near[Z, slot] = z
                    near[R, slot] = math.sqrt(square)
                    near[SHIFT_A, slot] = n0 - wraps[j, 0] + wraps[i, 0]
                    near[SHIFT_B, slot] = n1 - wraps[j, 1] + wraps[i, 1]
                    near[SHIFT_C, slot] = n2 - wraps[j, 2] + wraps[i, 2]
    return found


def boxes_of(
    cells: NDArray[np.float64], periodic: NDArray[np.bool_], radius: float, *, shortest: bool = False
) -> Boxes:
    """Return the boxes of complete cells [n, 3, 3]."""
    inverses = np.asarray(np.linalg.inv(cells), dtype=np.float64)
    return Boxes(cells, inverses, widths(cells), periodic, float(radius), shortest)


def part_of(boxes: Boxes, frames: slice) -> Boxes:
    """Return the boxes of some frames."""
    cut = boxes.cells[frames], boxes.inverses[frames], boxes.widths[frames]
    return Boxes(*cut, boxes.periodic, boxes.radius, boxes.shortest)


def coincident_message(trajectory: Trajectory, frame: int, i: int, j: int) -> str:
    """Return the sentence about two atoms at one place."""
    symbols = trajectory.symbols
    return (
        f"Atoms must be at least {COINCIDENT:g} Å apart, but in frame {frame} atom {i} ({symbols[i]}) coincides with "
        f"atom {j} ({symbols[j]}) or one of its periodic images. Check the cell, or remove the duplicate."
    )


def frame_neighbours(
    trajectory: Trajectory, frame: int, radius: float, *, images: str = "all"
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    r"""Return all neighbours within `radius` in one frame.

    Parameters
    ----------
    trajectory
        The atoms and their cell.
    frame
        Which frame.
    radius
        Largest distance, Å.
    images
        "all" for every periodic image, "mic" for the shortest image of each other atom.

    Returns
    -------
    centre, neighbour : arrays [n_pairs]
        Indices of the atoms, each pair once from either side.
    vector : array [n_pairs, 3]
        From centre to neighbour, Å.
    shift : array [n_pairs, 3]
        Lattice translation n of the neighbour: :math:`v = r_j + n A - r_i`.

    Raises
    ------
    InputError
        If two atoms coincide.
    """
    positions = np.array(trajectory.positions[frame], dtype=np.float64, order="C")
    cell = complete_cells(trajectory.cells()[frame], trajectory.pbc)
    centre, index, near = all_pairs(
        positions, boxes_of(cell, np.array(trajectory.pbc), radius, shortest=images == "mic")
    )
    if near.shape[1] == 0 and index.size:
        raise InputError(coincident_message(trajectory, frame, int(centre[0]), int(index[0])))
    return centre, index, near[:3].T.copy(), np.rint(near[4:]).astype(np.int64).T


@njit(cache=True, nogil=True, error_model="numpy")
def all_pairs(positions: Any, boxes: Any) -> Any:  # pragma: no cover - compiled
    """Return centre, neighbour and `near` of all pairs within the radius of a box; where two atoms coincide, these two and an empty `near`."""
    n_atoms = positions.shape[0]
    box, bins = frame_box(boxes, 0), make_bins(n_atoms)
    fill_bins(positions, box, bins)
    nothing = np.empty(0, np.int64)
    no_near = np.empty((N_ROWS, 0))
    total = np.zeros(n_atoms + 1, np.int64)
    capacity = 0
    for i in range(n_atoms):
        count = gather(i, box, bins, nothing, no_near)
        if count < 0:
            total[0] = i
            total[1] = -1 - count
            return total[:1], total[1:2], no_near
        total[i + 1] = total[i] + count
        capacity = max(capacity, count)
    centre = np.empty(total[-1], np.int64)
    index = np.empty(total[-1], np.int64)
    near = np.empty((N_ROWS, total[-1]))
    some = np.empty(capacity, np.int64)
    some_near = np.empty((N_ROWS, capacity))
    for i in range(n_atoms):
        count = gather(i, box, bins, some, some_near)
        for k in range(count):
            centre[total[i] + k] = i
            index[total[i] + k] = some[k]
            for row in range(N_ROWS):
                near[row, total[i] + k] = some_near[row, k]
    return centre, index, near
