"""Reproduce frames of the shipped CsPbI3 data with the cp2k engine, and say how well (make test-cp2k).

    python tools/check_cp2k.py [--pairs 100-118] [--folder FOLDER]
    python tools/check_cp2k.py --pairs 100-118 0-7 284-291 500-507 740-746 --kills 8

About 25 s a frame on one core; the folder keeps what is finished, so that a killed run goes on. `--kills` shows that: `hopcast compute` is
killed (-9) that often at random times, together with its CP2K, and started again; nothing finished may be computed twice.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import hopcast as hc
from hopcast.abinitio import compute_plan, make_engine, read_plan, write_plan
from hopcast.abinitio.compute import open_store
from hopcast.abinitio.cp2k_files import data_folder, find_program
from hopcast.core.units import HBAR

FIRST, LAST = 1, 13  # bands 62 to 73 of the window 61 to 76
APART = 0.03  # eV
COMMAND = [sys.executable, "-c", "from hopcast.cli.app import main; main()"]


def span(text):
    """Return the pairs of ``100-118``."""
    first, last = (int(number) for number in text.split("-"))
    return range(first, last + 1)


def finished(folder):
    """Return the files of what is finished, each with what would change if it were written again."""
    files = [*folder.glob("frames/*/electrons.npz"), *folder.glob("pairs/*.npz")]
    return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files}


def compute_with_kills(folder, n_frames, kills, wait, seed):
    """Run ``hopcast compute`` to the end, killed on the way; return a sentence on what was computed, and whether once each."""
    draw = random.Random(seed)
    shim = folder.resolve() / "bin" / "cp2k.psmp"  # writes down each start of CP2K
    shim.parent.mkdir(exist_ok=True)
    starts = shim.parent / "starts"
    shim.write_text(f'#!/bin/sh\necho start >> "{starts}"\nexec "{find_program()}" "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    environment = {
        **os.environ,
        "CP2K_DATA_DIR": str(data_folder()),
        "PATH": f"{shim.parent}{os.pathsep}{os.environ['PATH']}",
    }
    seen, rewritten, done = finished(folder), 0, 0
    while True:
        process = subprocess.Popen(
            [*COMMAND, "compute", str(folder), "--engine", "cp2k"], env=environment, start_new_session=True
        )
        try:
            code = process.wait(draw.uniform(*wait) if done < kills else None)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code, done = None, done + 1
        now = finished(folder)
        rewritten += sum(now.get(file) != mark for file, mark in seen.items())
        frames = sum(file.name == "electrons.npz" for file in now)
        state = "killed" if code is None else f"ended with {code}"
        print(f"{time.strftime('%H:%M:%S')} {state}: {frames} frames, {len(now) - frames} pairs finished", flush=True)
        seen = now
        if code is not None:
            break
    runs = len(starts.read_text(encoding="utf-8").split())
    once = rewritten == 0 and runs <= n_frames + done
    return (
        f"killed {done} times: {runs} starts of CP2K for {n_frames} frames, {rewritten} finished files written again",
        once and code == 0,
    )


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


def compare(pairs, store, ham):
    """Print how far the pairs are from the shipped ones; return whether all is within the limits."""
    energy = max(
        np.abs(store.get_electrons(frame).window - ham.energies[frame]).max()
        for pair in pairs
        for frame in (pair, pair + 1)
    )
    alone, together, turn, known = 0.0, 0.0, [], []
    for pair in pairs:
        theirs = ham.overlaps[pair]
        ours = aligned(store.get_overlap(pair), theirs)
        near = np.diff(ham.energies[pair : pair + 2], axis=1).min(axis=0) < APART
        groups = np.split(np.arange(16), np.flatnonzero(~near) + 1)
        groups = [group for group in groups if group[0] >= FIRST and group[-1] < LAST]
        single = np.array([group[0] for group in groups if len(group) == 1])
        if single.size:
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
    print(f"{len(pairs)} pairs from {pairs[0]} to {pairs[-1]}:")
    rows = (
        ("energies, bands 61-76, meV", energy * 1e3, 1.0),
        ("phase-aligned S, bands 62-73 apart by 30 meV", alone, 1e-3),
        ("singular values of S between groups of bands 62-73", together, 1e-3),
        ("hbar d of VBM-CBM, largest deviation over rms", worst, 0.02),
    )
    for name, value, limit in rows:
        print(f"  {name:<55} {value:.2e}  limit {limit:g}  {'ok' if value < limit else 'MISSED'}")
    print(f"  (rms of hbar d: {rms * 1e3:.4f} meV)", flush=True)
    return all(value < limit for _, value, limit in rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=span, nargs="+", default=[range(100, 119)])
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--wait", type=float, nargs=2, default=(30.0, 300.0), help="seconds between kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    try:
        engine = make_engine("cp2k")
        data = hc.load("cspbi3")
        engine.check(data.trajectory.numbers)
    except hc.ConfigError as error:
        print(f"skipped: {error}")
        return 0
    folder = options.folder or Path(tempfile.mkdtemp(prefix="hopcast-cp2k-"))
    if not (folder / "plan.json").exists():
        chosen = [pair for part in options.pairs for pair in part]
        write_plan(folder, data.trajectory, chosen, strategy="consecutive")
    plan, fine = read_plan(folder), True
    if options.kills:
        sentence, fine = compute_with_kills(folder, len(plan.frames), options.kills, options.wait, options.seed)
        print(sentence, flush=True)
    else:
        compute_plan(folder, engine, progress=lambda line: print(line, flush=True))
    store = open_store(plan, engine)
    for part in options.pairs:
        fine &= compare(list(part), store, data.hamiltonian)
    if options.folder is None:
        shutil.rmtree(folder)
    return int(not fine)


if __name__ == "__main__":
    sys.exit(main())
