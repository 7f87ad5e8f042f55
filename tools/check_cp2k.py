"""Reproduce consecutive frames of the shipped CsPbI3 data with the cp2k engine, and say how well (make test-cp2k).

    python tools/check_cp2k.py [--frames 20] [--start 100] [--folder FOLDER]

About 25 s a frame on one core; the folder keeps what is finished, so that a killed run goes on.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

import hopcast as hc
from hopcast.abinitio import compute_plan, make_engine, read_plan, write_plan
from hopcast.abinitio.engine import fingerprint
from hopcast.abinitio.store import Store
from hopcast.core.units import HBAR

FIRST, LAST = 1, 13  # bands 62 to 73 of the window 61 to 76
APART = 0.03  # eV


def aligned(overlap, reference):
    """Return the overlap with the signs of the states of the reference, found along the largest elements.

    The diagonal ties each state to itself a step later; what is left is one sign a state, which the tree of largest
    elements off the diagonal fixes with one element fewer than states: all others are a test.
    """
    ours = overlap * np.sign(np.diag(overlap) * np.diag(reference))
    weight = ours * reference
    weight = weight + weight.T
    np.fill_diagonal(weight, 0.0)
    signs = np.zeros(len(ours))
    signs[0] = 1.0
    while not signs.all():
        seen = signs != 0
        size = np.where(seen[:, None] & ~seen, np.abs(weight), -1.0)
        known, new = np.unravel_index(np.argmax(size), size.shape)
        signs[new] = signs[known] * (1.0 if weight[known, new] >= 0 else -1.0)
    return signs[:, None] * ours * signs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--start", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    try:
        engine = make_engine("cp2k", weights=False)
        data = hc.load("cspbi3")
        engine.check(data.trajectory.numbers)
    except hc.ConfigError as error:
        print(f"skipped: {error}")
        return 0
    folder = options.folder or Path(tempfile.mkdtemp(prefix="hopcast-cp2k-"))
    if not (folder / "plan.json").exists():
        steps = range(options.start, options.start + options.frames - 1)
        write_plan(folder, data.trajectory, steps, strategy="consecutive")
    compute_plan(folder, engine, progress=lambda line: print(line, flush=True))
    plan, store = read_plan(folder), Store(folder, fingerprint(engine.settings()))
    ham = data.hamiltonian
    energy = max(np.abs(store.get_electrons(f).window - ham.energies[f]).max() for f in plan.frames)
    alone, together, turn, known = 0.0, 0.0, [], []
    for pair in plan.pairs:
        ours, theirs = store.get_overlap(pair), ham.overlaps[pair]
        ours = aligned(ours, theirs)
        near = np.diff(ham.energies[pair : pair + 2], axis=1).min(axis=0) < APART
        groups = np.split(np.arange(16), np.flatnonzero(~near) + 1)
        groups = [group for group in groups if group[0] >= FIRST and group[-1] < LAST]
        single = np.array([group[0] for group in groups if len(group) == 1])
        alone = max(alone, np.abs(ours - theirs)[np.ix_(single, single)].max())
        for left in groups:
            for right in groups:
                values = [np.linalg.svd(s[np.ix_(left, right)], compute_uv=False) for s in (ours, theirs)]
                together = max(together, np.abs(values[0] - values[1]).max())
        for s, kept in ((ours, turn), (theirs, known)):
            signs = np.sign(np.diag(s))
            kept.append(HBAR * ((s * signs)[7, 8] - (s * signs)[8, 7]) / 2 / ham.timestep)
    rms = np.sqrt(np.mean(np.square(known)))
    worst = np.abs(np.array(turn) - known).max() / rms
    print(f"{len(plan.frames)} frames from {plan.frames[0]}:")
    rows = (
        ("energies, bands 61-76, meV", energy * 1e3, 1.0),
        ("phase-aligned S, bands 62-73 apart by 30 meV", alone, 1e-3),
        ("singular values of S between groups of bands 62-73", together, 1e-3),
        ("hbar d of VBM-CBM, largest deviation over rms", worst, 0.02),
    )
    for name, value, limit in rows:
        print(f"  {name:<55} {value:.2e}  limit {limit:g}  {'ok' if value < limit else 'MISSED'}")
    print(f"  (rms of hbar d: {rms * 1e3:.4f} meV)")
    return int(any(value >= limit for _, value, limit in rows))


if __name__ == "__main__":
    sys.exit(main())
