"""Which parts of the Hamiltonian of CsPbI3 matter: ablations, the smallest Hamiltonian, and which atoms move gap and coupling.

    python benchmarks/which_atoms.py [--parts ablations elimination atoms] [--folds 2] [--figure docs/images/which-atoms.svg]

Fits learn from blocks of 5 ps and are judged on the others. Prints the tables of docs/tight-binding.md.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import replace

import numpy as np
from common import machine, table

import hopcast as hc
from hopcast.tightbinding import CrystalField, Form, Hopping, TightBinding, Variant, eliminate_terms, score_variants

BLOCK = 5000.0  # fs
FORM = Form(shift=3.0, scale=1.0)
PARTS = ("ablations", "elimination", "atoms")


def is_hopping(*pair):
    return lambda term: isinstance(term, Hopping) and sorted(term.elements) == sorted(pair)


def near(element):
    return lambda term: isinstance(term, CrystalField) and term.neighbour == element


def without(name, drop, **more):
    return Variant(name, lambda term: not drop(term), **more)


VARIANTS = (
    without("no fields of Cs", near("Cs")),
    without("no fields of Pb", near("Pb")),
    without("no fields of I", near("I")),
    without("no fields at all", lambda term: isinstance(term, CrystalField)),
    without("no hoppings Pb-Pb", is_hopping("Pb", "Pb")),
    without("no hoppings I-I", is_hopping("I", "I")),
    without("hoppings Pb-I only", lambda term: isinstance(term, Hopping) and not is_hopping("Pb", "I")(term)),
    without("no hoppings Pb-I", is_hopping("Pb", "I")),
    without("no hoppings at all", lambda term: isinstance(term, Hopping)),
    without(
        "no s orbitals in hoppings",
        lambda term: isinstance(term, Hopping) and "s" in (term.shell, term.neighbour_shell),
    ),
    Variant("no densities", density=False),
    Variant("no overlap", overlap=False),
    without(
        "Pb-I hoppings and levels alone",
        lambda term: isinstance(term, CrystalField) or not is_hopping("Pb", "I")(term),
        density=False,
        overlap=False,
    ),
)


def folds_of(hamiltonian, n_folds):
    """Steps to learn from and steps left out, whole blocks of 5 ps."""
    steps = np.flatnonzero(hamiltonian.nac_known)
    fold = (steps * hamiltonian.timestep // BLOCK).astype(int) % n_folds
    return [(steps[fold != k], steps[fold == k]) for k in range(n_folds)]


HEADER = ["", "terms", "parameters", "determined", "gap R2", "|hbar d| R2", "bands, meV", "rate, correlation"]


def row(found):
    scores = found.scores
    return [
        found.name,
        str(len(found.terms)),
        str(found.n_parameters),
        f"{found.n_determined:.0f}",
        f"{scores.gap_r2:.3f}",
        f"{scores.coupling_r2:.3f}",
        f"{1e3 * scores.band_error:.0f}",
        f"{scores.rate_correlation:.2f}",
    ]


def without_caesium(data, n_folds):
    """The same material with its Cs atoms taken out of every frame, their electrons given to Pb."""
    whole = data.trajectory
    kept = whole.numbers != 55
    trajectory = replace(whole, positions=whole.positions[:, kept], numbers=whole.numbers[kept], velocities=None)
    bands = TightBinding(form=FORM, valence={"Pb": 5}, workers=1).fit(trajectory, data.hamiltonian).bands_
    (found,) = score_variants(bands, trajectory, data.hamiltonian, folds_of(data.hamiltonian, n_folds), (), workers=1)
    return ["no Cs atoms at all", *row(found)[1:]]


def ablations(data, bands, n_folds):
    start = time.process_time()
    found = score_variants(
        bands, data.trajectory, data.hamiltonian, folds_of(data.hamiltonian, n_folds), VARIANTS, workers=1
    )
    rows = [*(row(one) for one in found), without_caesium(data, n_folds)]
    print(
        table(f"ablations, {n_folds} folds, {time.process_time() - start:.0f} s of CPU time", HEADER, rows), flush=True
    )


def elimination(data, bands, n_folds):
    start = time.process_time()
    found = eliminate_terms(bands, data.trajectory, data.hamiltonian, folds_of(data.hamiltonian, n_folds), workers=1)
    print(
        table(
            f"elimination, {n_folds} folds, {time.process_time() - start:.0f} s of CPU time",
            HEADER,
            [row(one) for one in found.path],
        )
    )
    print("smallest:", ", ".join(term.label for term in found.smallest.terms), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--figure")
    options = parser.parse_args()
    warnings.simplefilter("ignore", hc.QualityWarning)
    print(machine())
    data = hc.load("cspbi3-long")
    bands = TightBinding(form=FORM, workers=1).fit(data.trajectory, data.hamiltonian).bands_
    print("fit:", bands.scores, flush=True)
    if "ablations" in options.parts:
        ablations(data, bands, options.folds)
    if "elimination" in options.parts:
        elimination(data, bands, options.folds)


if __name__ == "__main__":
    main()
