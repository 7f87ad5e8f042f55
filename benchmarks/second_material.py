"""A material whose band edges need d orbitals: a tight binding of rutile TiO2 or monolayer MoS2, learnt from pairs of frames of GFN1-xTB.

    python benchmarks/second_material.py FOLDER [--material TiO2] [--pairs 120] [--folds 4] [--ranges 6 7] [--start 1 1]

The cell is relaxed, its Hessian differenced, and pairs of frames 2 fs apart are drawn from the classical harmonic crystal at 300 K, each by itself: no two
pairs share a stretch of time, so nothing but the geometry can forecast one from others. Every pair and every fold is kept in FOLDER; a killed run goes on
with the same command. Prints the table of docs/tight-binding.md.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import mx2
from ase.optimize import BFGS
from ase.spacegroup import crystal
from common import machine, table
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tblite.ase import TBLite
from tight_binding import HEADER, Steps, judge, known_steps, r2

import hopcast as hc
from hopcast.abinitio.engine import Geometry
from hopcast.abinitio.tblite_engine import TbliteEngine
from hopcast.couplings import derive_couplings
from hopcast.descriptors import flatten, take_frames
from hopcast.regression import LaplacianRidge
from hopcast.tightbinding import Form, TightBinding

METHOD = "GFN1-xTB"
TEMPERATURE = 300.0  # K
TIMESTEP = 2.0  # fs, of a pair
SOFTEST = 60.0  # 1/cm: modes softer than this, or unstable, are drawn as if they had this frequency
STEP = 0.01  # Angstrom, of the Hessian
BANDS = (8, 8)


def tio2():
    """Rutile, two cells along c."""
    cell = crystal(
        ["Ti", "O"], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90]
    )
    return cell.repeat((1, 1, 2))


def mos2():
    """2H monolayer, two by two cells."""
    cell = mx2("MoS2", kind="2H", a=3.16, thickness=3.13, size=(2, 2, 1), vacuum=7.5)
    cell.pbc = True
    return cell


MATERIALS = {"TiO2": tio2, "MoS2": mos2}


def written(path, make):
    """Return the arrays of a file, made and written if it is not there."""
    if not path.exists():
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, **make())
        os.replace(partial, path)
    with np.load(path) as file:
        return dict(file)


def relaxed(material):
    atoms = Atoms(MATERIALS[material]())
    atoms.rattle(0.05, seed=0)  # a crystal that is unstable as drawn finds what it prefers
    atoms.calc = TBLite(method=METHOD, verbosity=0)
    BFGS(atoms, logfile=None).run(fmax=0.01, steps=200)
    return {
        "positions": atoms.positions,
        "cell": atoms.cell.array,
        "numbers": atoms.numbers,
        "force": np.abs(atoms.get_forces()).max(),
    }


def hessian(base):
    """Second derivatives by central differences of forces [3 n, 3 n], eV/Angstrom^2."""
    atoms = Atoms(base["numbers"], base["positions"], cell=base["cell"], pbc=True)
    atoms.calc = TBLite(method=METHOD, verbosity=0)
    rows = []
    for at in range(3 * len(atoms)):
        forces = []
        for sign in (1, -1):
            moved = base["positions"].copy().ravel()
            moved[at] += sign * STEP
            atoms.positions = moved.reshape(-1, 3)
            forces.append(atoms.get_forces().ravel())
        rows.append((forces[1] - forces[0]) / (2 * STEP))
    matrix = np.array(rows)
    return {"hessian": 0.5 * (matrix + matrix.T)}


def drawn_pairs(base, matrix, n_pairs):
    """Positions of pairs [n_pairs, 2, n_atoms, 3]: classical harmonic motion at `TEMPERATURE`, and how many modes were stiffened."""
    mass = np.repeat(Atoms(base["numbers"]).get_masses(), 3)
    square, modes = np.linalg.eigh(matrix / np.sqrt(np.outer(mass, mass)))
    order = np.argsort(np.abs(square))
    vibrations = np.sort(order[3:])
    softest = SOFTEST * units.invcm / units._hbar * units._e  # rad/s
    softest *= np.sqrt(units._amu / units._e) * 1e-10  # to sqrt(eV / amu) / Angstrom
    omega = np.sqrt(np.maximum(square[vibrations], 0.0))
    n_soft = int(np.sum(omega < softest))
    omega = np.maximum(omega, softest)
    rng = np.random.default_rng(0)
    thermal = np.sqrt(units.kB * TEMPERATURE)
    q, p = (thermal * rng.normal(size=(n_pairs, len(omega))) for _ in range(2))
    turn = omega * TIMESTEP * 1e-15 / (np.sqrt(units._amu / units._e) * 1e-10)
    both = np.stack([q / omega, (q * np.cos(turn) + p * np.sin(turn)) / omega], axis=1)
    moved = both @ modes[:, vibrations].T / np.sqrt(mass)
    return base["positions"] + moved.reshape(n_pairs, 2, -1, 3), n_soft


def electrons_of(base, positions):
    """Energies of both frames and overlaps of the window between them."""
    engine = TbliteEngine(method=METHOD, bands=BANDS)
    found = [engine.electrons(Geometry(base["numbers"], one, base["cell"])) for one in positions]
    return {"energies": np.stack([one.window for one in found]), "overlaps": engine.overlap(*found)}


def material_data(folder, material, n_pairs):
    """Trajectory and Hamiltonian: pairs at frames 3 p and 3 p + 1, a frame between pairs of which nothing is known."""
    start = time.process_time()
    base = written(folder / "relaxed.npz", lambda: relaxed(material))
    matrix = written(folder / "hessian.npz", lambda: hessian(base))["hessian"]
    positions, n_soft = drawn_pairs(base, matrix, n_pairs)
    known = [
        written(folder / f"pair-{k:04d}.npz", lambda one=one: electrons_of(base, one))
        for k, one in enumerate(positions)
    ]
    frames = np.concatenate([positions, positions[:, 1:]], axis=1).reshape(3 * n_pairs, -1, 3)
    energies = np.full((3 * n_pairs, sum(BANDS)), np.nan)
    overlaps = np.tile(np.eye(sum(BANDS)), (3 * n_pairs - 1, 1, 1))
    for pair, one in enumerate(known):
        energies[3 * pair : 3 * pair + 2] = one["energies"]
        overlaps[3 * pair] = one["overlaps"]
    filled = np.where(np.isfinite(energies), energies, np.roll(energies, 1, axis=0))
    full = derive_couplings(
        hc.VibronicHamiltonian(filled, np.zeros_like(overlaps), TIMESTEP, overlaps=overlaps, n_occupied=BANDS[0])
    )
    nac = full.nac.copy()
    nac[1::3] = nac[2::3] = np.nan
    print(
        f"{material}, {len(base['numbers'])} atoms, {METHOD}, relaxed to {base['force']:.3f} eV/Å, {n_soft} modes stiffened to {SOFTEST:g}/cm, "
        f"{n_pairs} pairs at {TEMPERATURE:g} K; {time.process_time() - start:.0f} s of CPU time now",
        flush=True,
    )
    return (
        hc.Trajectory(frames, base["cell"], base["numbers"], TIMESTEP),
        hc.VibronicHamiltonian(energies, nac, TIMESTEP, n_occupied=BANDS[0]),
        base,
    )


@dataclass(frozen=True)
class Fold:
    """What a fit says of the steps it left out."""

    found: Steps
    spent: float
    form: str


def fitted_fold(path, trajectory, hamiltonian, train, test, form):
    def make():
        start = time.process_time()
        model = TightBinding(form=form, workers=1).fit(trajectory, hamiltonian, train)
        spent = time.process_time() - start
        found = Steps.of(model, trajectory, test)
        print(
            f"{path.stem}: {spent:.0f} s of CPU time, {model.bands_.model.n_parameters} parameters, {model.scores_}",
            flush=True,
        )
        return {one.name: getattr(found, one.name) for one in fields(Steps)} | {
            "spent": spent,
            "form": str(model.bands_.form),
        }

    kept = written(path, make)
    return Fold(Steps(*(kept[one.name] for one in fields(Steps))), float(kept["spent"]), str(kept["form"]))


def controls(trajectory, hamiltonian, base, steps, fold, n_folds):
    """R2 of gap and |hbar d| for models of features, in the same folds."""
    known = take_frames(trajectory, steps)
    G = flatten(hc.SymmetryFunctions.from_trajectory(known).transform(known))
    moved = (known.positions - base["positions"]).reshape(len(steps), -1)
    edges = hamiltonian.frontier()
    targets = (edges.gap()[steps], np.abs(edges.coupling()[steps]))
    i, j = np.triu_indices(moved.shape[1])
    products = np.concatenate([moved, moved[:, i] * moved[:, j]], axis=1)

    def line():
        return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 7, 19)))

    learners = {
        "line in the displacements": (moved, line),
        "displacements and their products": (products, line),
        "symmetry functions, Laplacian kernel": (G, lambda: LaplacianRidge(workers=1)),
    }
    rows = []
    for name, (X, make) in learners.items():
        scores = []
        for y in targets:
            said = np.empty(len(y))
            for k in range(n_folds):
                said[fold == k] = make().fit(X[fold != k], y[fold != k]).predict(X[fold == k])
            scores.append(f"{r2(y, said):.3f}")
        rows.append([name, *scores])
    print(table("models of features, the same folds", ["", "gap R2", "|hbar d| R2"], rows), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--material", choices=MATERIALS, default="TiO2")
    parser.add_argument("--pairs", type=int, default=120)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument(
        "--ranges",
        type=float,
        nargs=2,
        help="of hoppings and crystal fields, Å, with couplings of VBM and CBM alone: quick; the default form and its choices else",
    )
    parser.add_argument(
        "--start", type=float, nargs=2, help="shift (eV) and scale of the one start; the best of eight else"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore", hc.QualityWarning)
    options.folder.mkdir(parents=True, exist_ok=True)
    print(machine())
    trajectory, hamiltonian, base = material_data(options.folder, options.material, options.pairs)
    edges, steps = hamiltonian.frontier(), known_steps(hamiltonian)
    print(
        f"gap {edges.gap()[steps].mean():.2f} ± {edges.gap()[steps].std():.2f} eV, rms hbar |d| {1e3 * np.sqrt(np.mean(edges.coupling()[steps] ** 2)):.1f} meV",
        flush=True,
    )
    fold = np.arange(len(steps)) % options.folds
    form, kind = None, "default"
    if options.ranges:
        form = Form(r_hopping=options.ranges[0], r_field=options.ranges[1], n_edges=1, coupling_weight=1.5)
        kind = "{:g}-{:g}".format(*options.ranges)
    if options.start:
        form = (form or Form()).replace(shift=options.start[0], scale=options.start[1])
        kind += "-{:g}-{:g}".format(*options.start)
    controls(trajectory, hamiltonian, base, steps, fold, options.folds)
    rows, parts = [], []
    for k in range(options.folds):
        path = options.folder / f"fold-{k}-of-{options.folds}-{len(steps)}-{kind}.npz"
        parts.append(fitted_fold(path, trajectory, hamiltonian, steps[fold != k], steps[fold == k], form))
        rows.append([f"fold {k}", *judge(hamiltonian, steps[fold == k], parts[-1].found), f"{parts[-1].spent:.0f}"])
    whole = Steps.join([np.flatnonzero(fold == k) for k in range(options.folds)], [one.found for one in parts])
    rows.append(["all folds", *judge(hamiltonian, steps, whole), f"{np.mean([one.spent for one in parts]):.0f}"])
    print("chosen:", *[one.form for one in parts], sep="\n  ")
    print(table(f"pairs left out, {options.folds} folds", ["", *HEADER, "CPU a fold, s"], rows), flush=True)


if __name__ == "__main__":
    main()
