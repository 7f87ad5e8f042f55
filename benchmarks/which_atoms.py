"""Which parts of the Hamiltonian of CsPbI3 matter: ablations, the smallest Hamiltonian, and which atoms move gap and coupling.

    python benchmarks/which_atoms.py [--parts ablations elimination atoms] [--folds 2] [--figure docs/images/which-atoms]

Fits learn from blocks of 5 ps and are judged on the others. Prints the tables of docs/tight-binding.md.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from common import machine, table
from matplotlib.figure import Figure

import hopcast as hc
from hopcast.report.style import ELEMENT_COLOURS, MUTED, save_figure, style
from hopcast.tightbinding import (
    CrystalField,
    Form,
    Hopping,
    Momentum,
    TightBinding,
    Variant,
    atom_slopes,
    eliminate_terms,
    score_variants,
)

BLOCK = 5000.0  # fs
FORM = Form(shift=3.0, scale=1.0, n_edges=1, coupling_weight=1.5)
"""One start, and couplings of VBM and CBM alone: half the time of the default form."""
PARTS = ("ablations", "elimination", "atoms")


def is_hopping(*pair):
    return lambda term: isinstance(term, Hopping) and sorted(term.elements) == sorted(pair)


def near(element):
    return lambda term: isinstance(term, CrystalField) and term.neighbour == element


def without(name, drop, **more):
    return Variant(name, lambda term: not drop(term), **more)


LEFT_OUT = frozenset(
    [
        "Pb spσ near Pb",
        "I ssσ near Pb",
        "I spσ near Pb",
        "Pb ssσ near Pb",
        "I spσ near I",
        "I ssσ near Cs",
        "I ssσ near I",
        "I sp momentum",
        "Pb spσ near Cs",
        "Pb ppσ near Pb",
        "Pb ppπ near Pb",
        "Pb ssσ near Cs",
        "Pb spσ near I",
        "I spσ near Cs",
        "I ppσ near Pb",
        "Pb ppσ near I",
        "Pb-Pb ppπ",
    ]
)
"""What `eliminate_terms` took out in two folds before the coupling suffered."""

VARIANTS = (
    without("no fields of Cs", near("Cs")),
    without("Cs nowhere: no fields of it, no densities", near("Cs"), density=False),
    without("no fields of Cs, no hoppings Pb-Pb", lambda term: near("Cs")(term) or is_hopping("Pb", "Pb")(term)),
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
    without("without the 17 terms that elimination took out", lambda term: term.label in LEFT_OUT),
    Variant("no densities", density=False),
    Variant("no overlap", overlap=False),
    without("orbitals at rest (no momenta)", lambda term: isinstance(term, Momentum)),
    without(
        "Pb-I hoppings and levels alone",
        lambda term: not is_hopping("Pb", "I")(term),
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


def ablations(data, bands, n_folds):
    start = time.process_time()
    found = score_variants(
        bands, data.trajectory, data.hamiltonian, folds_of(data.hamiltonian, n_folds), VARIANTS, workers=1
    )
    rows = [row(one) for one in found]
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


def bridges(trajectory, frame):
    """Unit vectors from one Pb to the other of each I [n_atoms, 3]; NaN for other atoms."""
    cell, places, numbers = trajectory.cells()[frame], trajectory.positions[frame].astype(float), trajectory.numbers
    lead, found = places[numbers == 82], np.full_like(places, np.nan)
    shifts = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ cell
    for atom in np.flatnonzero(numbers == 53):
        apart = (lead - places[atom]) @ np.linalg.inv(cell)
        near = ((apart - np.round(apart)) @ cell)[:, None] + shifts
        near = near.reshape(-1, 3)
        one, other = near[np.argsort(np.linalg.norm(near, axis=1))[:2]]
        found[atom] = (one - other) / np.linalg.norm(one - other)
    return found


def atoms(data, bands, stem):
    start = time.process_time()
    trajectory = data.trajectory
    frames = np.flatnonzero(data.hamiltonian.nac_known)
    slopes = atom_slopes(bands, trajectory, frames, workers=1)
    spent = 1e3 * (time.process_time() - start) / len(frames)
    axes = np.array([bridges(trajectory, int(frame)) for frame in frames])
    of_coupling = slopes.of_coupling / slopes.gap[:, None, None]
    shares = [slopes.gap_shares(), slopes.coupling_shares()]
    rows = []
    for symbol, number in (("Pb", 82), ("I", 53), ("Cs", 55)):
        mine = trajectory.numbers == number
        lengths = [np.sqrt(np.mean(np.sum(g[:, mine] ** 2, axis=2))) for g in (slopes.of_gap, of_coupling)]
        rows.append(
            [
                symbol,
                str(mine.sum()),
                f"{lengths[0]:.2f}",
                f"{lengths[1]:.2f}",
                *(f"{100 * one[mine].sum():.1f}" for one in shares),
            ]
        )
    print(
        table(
            f"{len(frames)} frames, {spent:.0f} ms of CPU time each",
            [
                "",
                "atoms",
                "dgap/dx, eV/Å",
                "coupling vector, 1/Å",
                "share of the gap's motion, %",
                "of the coupling, %",
            ],
            rows,
        )
    )
    iodine = trajectory.numbers == 53
    for name, g in (("gap", slopes.of_gap), ("coupling", of_coupling)):
        along = np.sum(g[:, iodine] * axes[:, iodine], axis=2) ** 2
        whole = np.sum(g[:, iodine] ** 2, axis=2)
        print(
            f"I, {name}: {100 * along.sum() / whole.sum():.0f} % of the squared slope lies along Pb-I-Pb (a third would be no direction)",
            flush=True,
        )
    if stem:
        draw_atoms(trajectory, frames, shares, stem)


def draw_atoms(trajectory, frames, shares, stem):
    """Two views along the shortest axis of the mean structure, the area of an atom its share."""
    cell = trajectory.cells().mean(axis=0)
    mean = trajectory.positions[frames].astype(float).mean(axis=0)
    across = np.argsort(np.linalg.norm(cell, axis=1))[1:]
    x, y = np.sort(across)
    places = mean @ np.linalg.inv(cell) % 1.0 @ cell
    look = {"Pb": (82, ELEMENT_COLOURS[0]), "I": (53, ELEMENT_COLOURS[1]), "Cs": (55, ELEMENT_COLOURS[2])}
    with style():
        figure = Figure(figsize=(5.2, 3.6))
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        figure.subplots_adjust(left=0.03, right=0.97, top=0.82, bottom=0.03, wspace=0.08)
        for ax, share, words in zip(panels, shares, ("Gap", "Coupling of VBM and CBM"), strict=True):
            lines = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) @ cell[[x, y]][:, [x, y]]
            ax.plot(*lines.T, color=MUTED, lw=0.6, zorder=0)
            for symbol, (number, colour) in look.items():
                mine = np.flatnonzero(trajectory.numbers == number)
                ax.scatter(
                    *places[mine][:, [x, y]].T,
                    s=3000 * share[mine],
                    color=colour,
                    alpha=0.75,
                    lw=0.4,
                    ec="white",
                    zorder=1 + (symbol == "Cs"),
                    clip_on=False,
                )
                ax.scatter(*places[mine][:, [x, y]].T, s=3, color=colour, ec="black", lw=0.4, zorder=4, clip_on=False)
                ax.scatter([], [], s=30, color=colour, label=f"{symbol} {100 * share[mine].sum():.0f} %")
            ax.set(aspect="equal")
            ax.axis("off")
            handles, labels = ax.get_legend_handles_labels()
            figure.legend(
                handles,
                labels,
                loc="upper center",
                bbox_to_anchor=(ax.get_position().x0 + 0.5 * ax.get_position().width, 0.93),
                ncols=3,
                handletextpad=0.1,
                columnspacing=0.8,
            )
            figure.text(ax.get_position().x0 + 0.5 * ax.get_position().width, 0.96, words, ha="center", weight="bold")
        save_figure(figure, stem)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--figure", help="of the atoms, a file without its extension")
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
    if "atoms" in options.parts:
        atoms(data, bands, options.figure)


if __name__ == "__main__":
    main()
