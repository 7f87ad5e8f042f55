"""How many pairs of frames a tight binding of CsPbI3 needs: fits to 12 to 130 random pairs, judged on blocks of 5 ps that they saw nothing of.

    python benchmarks/learning_curve.py [--sizes 12 25 50 75 100 130] [--draws 3] [--figure docs/images/tight-binding-curve] [--two-states]

A draw takes for each of five folds (every fifth block of 5 ps left out; every tenth where more than 110 pairs train) so many of the pairs outside; all 145 pairs are judged once a draw. Ranges and
sizes are the default form's, found on all pairs, the start is one; no fit is warmed by another. `--two-states` shows the fits VBM and CBM alone. Prints the
table of docs/tight-binding.md.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import replace

import numpy as np
from common import machine, table
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

import hopcast as hc
from hopcast.report.style import ALL, ELEMENT_COLOURS, MUTED, save_figure, style
from hopcast.tightbinding import Form, TightBinding, score_variants

BLOCK = 5000.0  # fs
FORM = Form(shift=3.0, scale=1.0, n_edges=1, coupling_weight=1.5)
"""One start, and couplings of VBM and CBM alone: half the time of the default form."""
SIZES = (12, 25, 50, 75, 100, 130)


def folds_of(hamiltonian, size, seed):
    """So many random steps to learn from outside of each fold, and the fold's own."""
    steps = np.flatnonzero(hamiltonian.nac_known)
    block = (steps * hamiltonian.timestep // BLOCK).astype(int)
    n_folds = next(n for n in (5, 10) if n == 10 or min(np.sum(block % n != k) for k in range(n)) >= size)
    fold = block % n_folds
    rng = np.random.default_rng([seed, size])
    return [
        (np.sort(rng.choice(steps[fold != k], min(size, int(np.sum(fold != k))), replace=False)), steps[fold == k])
        for k in range(n_folds)
    ]


def curve(data, bands, sizes, draws):
    """Scores [sizes][draws]."""
    found, rows = [], []
    for size in sizes:
        start, scores, n_fits = time.process_time(), [], 0
        for draw in range(draws):
            folds = folds_of(data.hamiltonian, size, draw)
            (one,) = score_variants(bands, data.trajectory, data.hamiltonian, folds, (), workers=1)
            scores.append(one.scores)
            n_fits += len(folds)
            print(size, draw, one.scores, flush=True)
        spent = (time.process_time() - start) / n_fits
        found.append(scores)
        rows.append([str(size), *(spread(scores, name, unit) for name, unit in COLUMNS), f"{spent:.0f}"])
    print(table(f"{draws} draws", ["pairs", *(HEADER), "CPU a fit, s"], rows), flush=True)
    return found


COLUMNS = (("gap_r2", 1.0), ("coupling_r2", 1.0), ("band_error", 1e3), ("rate_correlation", 1.0), ("rate_ratio", 1.0))
HEADER = ("gap R2", "|hbar d| R2", "bands, meV", "rate, correlation", "mean rate / true")


def spread(scores, name, unit):
    values = unit * np.array([getattr(one, name) for one in scores])
    digits = 0 if unit > 1 else 2
    return f"{values.mean():.{digits}f} [{values.min():.{digits}f}, {values.max():.{digits}f}]"


def draw_curve(sizes, found, stem):
    with style():
        figure = Figure(figsize=(3.6, 2.4))
        ax = figure.subplots()
        figure.subplots_adjust(left=0.16, right=0.97, top=0.96, bottom=0.17)
        for name, words, colour, marker in (
            ("gap_r2", "gap", ALL, "o"),
            ("coupling_r2", "ħ|d| of VBM and CBM", ELEMENT_COLOURS[1], "s"),
        ):
            values = np.array([[getattr(one, name) for one in scores] for scores in found])
            ax.fill_between(sizes, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.18, lw=0)
            ax.plot(sizes, values.mean(axis=1), color=colour, marker=marker, ms=3.5, mec="white", mew=0.4, label=words)
        ax.axhline(0.22, color=MUTED, lw=0.8, ls=(0, (1, 1.2)))
        ax.text(sizes[-1], 0.235, "best model of features, gap", fontsize=6.5, color=MUTED, ha="right", va="bottom")
        ax.set(xscale="log", xlabel="Pairs of frames learnt from", ylabel="R² on blocks left out", ylim=(-0.1, 1))
        ax.xaxis.set_major_locator(FixedLocator(sizes))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 0.0))
        save_figure(figure, stem)


def edges_alone(hamiltonian):
    """The Hamiltonian of VBM and CBM, all that a text file of gaps and couplings would hold."""
    low = hamiltonian.n_occupied - 1
    two = slice(low, low + 2)
    return hc.VibronicHamiltonian(
        hamiltonian.energies[:, two], hamiltonian.nac[:, two, two], hamiltonian.timestep, n_occupied=1
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--figure", help="file without its extension")
    parser.add_argument("--two-states", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore", hc.QualityWarning)
    print(machine())
    data = hc.load("cspbi3-long")
    if options.two_states:
        data = replace(data, hamiltonian=edges_alone(data.hamiltonian))
    # gives radial functions; its parameters are not used
    bands = TightBinding(form=FORM, most_samples=20, workers=1).fit(data.trajectory, data.hamiltonian).bands_
    found = curve(data, bands, options.sizes, options.draws)
    if options.figure:
        draw_curve(options.sizes, found, options.figure)


if __name__ == "__main__":
    main()
