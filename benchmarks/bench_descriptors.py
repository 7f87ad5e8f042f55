"""Symmetry functions against dscribe's ACSF and torchani's angular terms, their scaling, and their arithmetic floor.

    python benchmarks/bench_descriptors.py [--quick]

Equal work: the same frames, cell, cutoff, periodic images, triplets visited and 18 outputs an atom; one thread against
one thread; neighbour search included; compiled code warm, its compile time printed apart. Peers that are not installed
are named and left out.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
from common import Timing, machine, median_of, table
from numba import njit

import hopcast as hc
from hopcast.descriptors import SymmetryFunctions

# vector instructions that one pair of neighbours costs in the loop of `factored_sums`: cosine 3, cross product 6,
# its norm 3 and root 1, exponent 2, exponential 17 (reduction 4, polynomial 11, scaling 2), 5 for each of 3 R_s
INSTRUCTIONS = 3 + 6 + 3 + 1 + 2 + 17 + 5 * 3
COMPILE = """
import time, numpy as np, hopcast as hc
from numba import njit
njit(lambda x: x + 1)(1.0)
t = hc.Trajectory(positions=np.arange(27.0).reshape(3, 3, 3), cell=np.eye(3) * 30, numbers=[1, 1, 1], timestep=1.0)
s = time.perf_counter()
sf = hc.SymmetryFunctions(r_s=(1.0,), theta_s=(1.0,), r_cut=9.1)
sf.transform(t, workers=1)
print(time.perf_counter() - s)
s = time.perf_counter()
hc.SymmetryFunctions.from_trajectory(t, workers=1)
print(time.perf_counter() - s)
"""


def compile_seconds() -> list[float]:
    with tempfile.TemporaryDirectory() as empty:
        environment = os.environ | {"NUMBA_CACHE_DIR": empty}
        output = subprocess.run(
            [sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True, check=True
        )
    return [float(line) for line in output.stdout.split()]


@njit(fastmath={"contract"})
def _multiply_add(x: np.ndarray, repeats: int) -> None:
    # sixteen dependent multiply-adds on each of many independent elements: bound by the arithmetic units alone
    for _ in range(repeats):
        for i in range(512):
            p = x[i]
            q = p * 0.25
            p = p * q + 0.3
            p = p * q + 0.3
            p = p * q + 0.3
            p = p * q + 0.3
            p = p * q + 0.3
            p = p * q + 0.3
            p = p * q + 0.3
            p = p * q + 0.3
            p = p * q + 0.3
            p = p * q + 0.3
            p = p * q + 0.3
            p = p * q + 0.3
            p = p * q + 0.3
            p = p * q + 0.3
            p = p * q + 0.3
            p = p * q + 0.3
            x[i] = p


def multiply_adds_per_second() -> float:
    """What one core of this machine does on float64 with the vector width that Numba uses."""
    x = np.linspace(0.1, 0.9, 512)
    _multiply_add(x, 1)
    timing = median_of(lambda: _multiply_add(x, 4000))
    return 512 * 4000 * 17 / timing.low


def tiled(trajectory: hc.Trajectory, n_frames: int) -> hc.Trajectory:
    positions = trajectory.positions[np.arange(n_frames) % trajectory.n_frames]
    return hc.Trajectory(positions, trajectory.cell, trajectory.numbers, trajectory.timestep)


def supercell(trajectory: hc.Trajectory, repeats: tuple[int, int, int], n_frames: int) -> hc.Trajectory:
    shifts = np.array(list(np.ndindex(*repeats))) @ trajectory.cell
    positions = (trajectory.positions[:n_frames, None] + shifts[None, :, None]).reshape(n_frames, -1, 3)
    numbers = np.tile(trajectory.numbers, len(shifts))
    return hc.Trajectory(positions, trajectory.cell * np.array(repeats)[:, None], numbers, trajectory.timestep)


def dscribe_rows(trajectory: hc.Trajectory, sf: SymmetryFunctions) -> list[tuple[str, Timing]]:
    from ase import Atoms
    from dscribe.descriptors import ACSF

    def systems(symbols: tuple[str, ...]) -> list[Atoms]:
        return [Atoms(symbols, positions=p, cell=trajectory.cell, pbc=True) for p in trajectory.positions]

    one, all_species = systems(("H",) * trajectory.n_atoms), systems(trajectory.symbols)

    # the same triplets? its G5 without a Gaussian is our eta = 0 with theta_s = 0 and pi
    plain = ACSF(
        r_cut=sf.r_cut, g5_params=[[1e-14, 1, 1], [1e-14, 1, -1]], species=["H"], periodic=True, dtype="float64"
    ).create(one)[..., 1:]
    ours = SymmetryFunctions((1.0,), (0.0, math.pi), sf.r_cut, eta=0.0).transform(trajectory, workers=1)
    print(f"  dscribe G5 = ours at eta 0: largest relative difference {np.abs(plain / ours - 1).max():.1e}")

    eighteen = [[eta, zeta, lam] for eta in (0.05, 0.1, 0.15) for zeta in (1, 2, 4) for lam in (-1, 1)]
    variants = (
        ("dscribe ACSF G5, one species, 18 functions", one, ["H"], "g5_params", eighteen),
        (
            "dscribe ACSF G5, 6 pairs of species x 3 functions",
            all_species,
            list(trajectory.elements),
            "g5_params",
            eighteen[:3],
        ),
        ("dscribe ACSF G4 (skips R_jk > R_c: fewer triplets), 18", one, ["H"], "g4_params", eighteen),
        ("dscribe ACSF G4, 6 pairs of species x 3", all_species, list(trajectory.elements), "g4_params", eighteen[:3]),
    )
    rows = []
    for name, atoms, species, kind, parameters in variants:
        acsf = ACSF(r_cut=sf.r_cut, species=species, periodic=True, **{kind: parameters})
        acsf.create(atoms[:1])
        rows.append((name, median_of(lambda acsf=acsf, atoms=atoms: acsf.create(atoms))))
    return rows


def torchani_rows(trajectory: hc.Trajectory, sf: SymmetryFunctions, n_triplets: int) -> list[tuple[str, Timing]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from torchani.aev import ANIAngular
        from torchani.neighbors import AdaptiveList, AllPairs, neighbors_to_triples

    torch.set_num_threads(1)

    class Exact(ANIAngular):
        """The published formula: without the factor 0.95 of the cosine."""

        def compute_cos_angles(self, cos_angles: torch.Tensor) -> torch.Tensor:
            angles = torch.acos(torch.clamp(cos_angles, -1.0, 1.0))
            return 2 * ((1 + torch.cos(angles - self.sections.view(1, -1))) / 2) ** self.zeta

    def run(term: torch.nn.Module, search: torch.nn.Module, dtype: torch.dtype) -> tuple[torch.Tensor, int]:
        species = torch.zeros((1, trajectory.n_atoms), dtype=torch.long)
        cell = torch.tensor(trajectory.cell, dtype=dtype)
        pbc = torch.tensor([True, True, True])
        result, triplets = [], 0
        with torch.inference_mode():
            for positions in trajectory.positions:
                neighbours = search(sf.r_cut, species, torch.tensor(positions[None], dtype=dtype), cell, pbc)
                triples = neighbors_to_triples(neighbours)
                terms = term(triples.distances, triples.diff_vectors)
                sums = terms.new_zeros((trajectory.n_atoms, terms.shape[1]))
                result.append(sums.index_add_(0, triples.central_idxs, terms))
                triplets += len(triples.central_idxs)
        return torch.stack(result), triplets

    arguments = (sf.eta, sf.zeta, sf.r_s, sf.theta_s, sf.r_cut)
    exact, triplets = run(Exact(*arguments).double(), AllPairs(), torch.float64)
    ours = sf.transform(trajectory, workers=1)
    print(f"  torchani visits {triplets} triplets, we {n_triplets}; largest relative difference (float64, cosine not")
    print(f"  scaled) {np.abs(exact.numpy() / ours - 1).max():.1e}")
    rows = []
    for name, search in (("all pairs", AllPairs()), ("adaptive list", AdaptiveList())):
        term = ANIAngular(*arguments)
        run(term, search, torch.float32)
        rows.append(
            (
                f"torchani angular terms, float32, {name}",
                median_of(lambda term=term, search=search: run(term, search, torch.float32)),
            )
        )
    return rows


def versus_peers(trajectory: hc.Trajectory, sf: SymmetryFunctions, quick: bool) -> None:
    part = trajectory[: 4 if quick else 20]
    n = sf.count_neighbours(part)
    n_triplets = int(np.sum(n * (n - 1) // 2))
    print(
        f"\n{part.n_frames} frames, {n.mean():.1f} neighbours and {n_triplets / n.size:.0f} triplets an atom; checks:"
    )
    peers: list[tuple[str, Timing]] = []
    for function, arguments in ((dscribe_rows, ()), (torchani_rows, (n_triplets,))):
        try:
            peers += function(part, sf, *arguments)
        except ImportError as error:
            print(f"  {error.name} is not installed: left out")
    sf.transform(part, workers=1)
    ours = median_of(lambda: [sf.transform(part, workers=1) for _ in range(10)])
    ours = Timing(ours.median / 10, ours.low / 10, ours.high / 10)
    rows = [["hopcast, 18 functions", str(ours), f"{ours.median / part.n_frames * 1e6:.0f}", "1"]]
    rows += [
        [name, str(timing), f"{timing.median / part.n_frames * 1e6:.0f}", f"{timing.median / ours.median:.0f}"]
        for name, timing in peers
    ]
    print(table("one thread, same frames", ["", "median of 5", "µs/frame", "times hopcast"], rows))
    equal = [timing.median for name, timing in peers if "fewer" not in name and "G4" not in name]
    if equal:
        print(f"fastest peer on equal work / hopcast: {min(equal) / ours.median:.0f}")


def floor(trajectory: hc.Trajectory, sf: SymmetryFunctions, quick: bool) -> None:
    part = trajectory[: 200 if quick else 756]
    rate = multiply_adds_per_second()
    n = sf.count_neighbours(part, workers=1)
    pairs = float(np.sum(n * (n - 1) // 2))
    search = median_of(lambda: sf.count_neighbours(part, workers=1))
    rows = []
    variants = (("transform, zeta 1", sf.transform), ("transform_derivative, zeta 1", sf.transform_derivative))
    for name, method in variants:
        method(part[:3], workers=1)
        timing = median_of(lambda method=method: method(part, workers=1))
        # the fastest of 5, as the rate of the floor is: other work on the machine is no property of the kernel
        rows.append([name, f"{timing.low / part.n_frames * 1e6:.0f}", f"{timing.low / pairs * 1e9:.2f}"])
    lowest = INSTRUCTIONS / rate
    print(
        f"\nfloor: {pairs / n.size:.0f} pairs an atom x {INSTRUCTIONS} vector instructions an element at {rate / 1e9:.1f} G/s "
        f"(measured) = {lowest * 1e9:.2f} ns a pair"
    )
    print(table("one thread, neighbour search included", ["fastest of 5", "µs/frame", "ns/pair"], rows))
    print(f"neighbour search alone: {search.low / part.n_frames * 1e6:.0f} µs/frame")
    print(f"distance to the floor (transform): {float(rows[0][2]) / (lowest * 1e9):.2f}")


def other_uses(trajectory: hc.Trajectory, sf: SymmetryFunctions, quick: bool) -> None:
    rows = []
    general = SymmetryFunctions(sf.r_s, sf.theta_s, sf.r_cut, eta=sf.eta, zeta=2.0)
    nearest = SymmetryFunctions(sf.r_s, sf.theta_s, sf.r_cut, eta=sf.eta, images="mic")
    few = trajectory[: 5 if quick else 20]
    cases = [
        ("20 atoms, zeta 2", general.transform, few),
        ("20 atoms, minimum image", nearest.transform, trajectory[:200]),
        ("1,000 atoms, zeta 1", sf.transform, supercell(trajectory, (5, 5, 2), 3)),
        ("8,000 atoms, zeta 1", sf.transform, supercell(trajectory, (10, 10, 4), 1)),
        ("finding R_s and theta_s", lambda t, workers: SymmetryFunctions.from_trajectory(t, workers=workers), trajectory[:200]),
    ]  # fmt: skip
    for name, method, part in cases[: 4 if quick else None]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", hc.QualityWarning)
            method(part, workers=1)
            timing = median_of(lambda method=method, part=part: method(part, workers=1), 3 if quick else 5)
        per_frame = timing.median / part.n_frames
        rows.append([name, f"{per_frame * 1e6:.0f}", f"{per_frame / part.n_atoms * 1e6:.2f}"])
    print("\n" + table("other uses, one thread", ["", "µs/frame", "µs/atom"], rows))


def scaling(trajectory: hc.Trajectory, sf: SymmetryFunctions, quick: bool) -> None:
    rows = []
    for n_frames in (100, 1000, 10_000) if quick else (1000, 10_000, 100_000):
        part = tiled(trajectory, n_frames)
        start = time.perf_counter()
        G = sf.transform(part, workers=1)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append(
            [
                f"{n_frames}",
                f"{seconds:.3g}",
                f"{seconds / n_frames * 1e6:.0f}",
                f"{G.nbytes / 2**20:.0f}",
                f"{peak:.0f}",
            ]
        )
    print("\n" + table("scaling in frames, one thread", ["frames", "s", "µs/frame", "result MiB", "peak MiB"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer frames")
    quick = parser.parse_args().quick
    print(machine())
    trajectory = hc.load("cspbi3").trajectory
    sf = SymmetryFunctions.from_trajectory(trajectory)
    compiled = compile_seconds()
    print(
        f"compile (once a machine): functions and their rates {compiled[0]:.1f} s, finding R_s, theta_s {compiled[1]:.1f} s"
    )
    print(f"{trajectory!r}\nR_c {sf.r_cut:.3f} Å, {sf.n_functions} functions an atom, images {sf.images}")
    sf.transform(trajectory[:3], workers=1)
    scaling(trajectory, sf, quick)
    floor(trajectory, sf, quick)
    other_uses(trajectory, sf, quick)
    versus_peers(trajectory, sf, quick)


if __name__ == "__main__":
    main()
