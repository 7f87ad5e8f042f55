"""From a structure file to a lifetime, with pip packages only: MD, choice of frames, xTB, forecast, lifetime, report.

    pip install 'hopcast[tblite]'
    python examples/from-structure/run.py            # about ten minutes on one core

Every stage keeps its result in the output folder; started again, it goes on where it was. To judge the sparse forecast, all
frames are computed too (the "dense truth"): leave that out in earnest with --no-truth.
"""

import argparse
import html
import io
import json
import time
from pathlib import Path

import ase.io
import numpy as np

import hopcast as hc
from hopcast.abinitio import (
    assemble_plan,
    compute_plan,
    draw_electrons,
    make_engine,
    plan_electrons,
    run_md,
    write_plan,
)
from hopcast.evaluation.baselines import interpolate_in_time
from hopcast.information import circular_shifts
from hopcast.io import read_trajectory, write_native
from hopcast.selection import select_pairs, write_folders

HERE = Path(__file__).parent


def molecular_dynamics(options, folder):
    file = folder / "md.h5"
    if not file.exists():
        from tblite.ase import TBLite

        atoms = ase.io.read(options.structure)
        atoms.calc = TBLite(method="GFN1-xTB", verbosity=0)
        md = run_md(
            atoms, temperature=300.0, timestep=2.0, equilibration=2.0 * options.equilibration,
            duration=2.0 * (options.frames - 1), store_every=1, coupling_time=30.0,
        )  # fmt: skip
        write_native(file, trajectory=md.trajectory)
        print(
            f"MD: {md.trajectory!r}, {md.temperatures.mean():.0f} K, drift {md.drift * 1e3:.3f} meV an atom"
        )
    return read_trajectory(file)


def couplings(trajectory, folder, pairs, engine, strategy):
    plan = write_plan(folder, trajectory, pairs, strategy=strategy)
    write_folders(plan, "tblite")
    compute_plan(folder, engine)
    return assemble_plan(folder, engine)


def fill(sparse, gap, coupling):
    """Return the complete two-state Hamiltonian of a forecast: gap on frames, |nac| on mid-points."""
    nac = np.zeros((sparse.n_steps, 2, 2))
    nac[:, 0, 1], nac[:, 1, 0] = coupling, -coupling
    energies = np.stack([np.zeros(sparse.n_frames), gap], axis=1)
    return hc.VibronicHamiltonian(energies, nac, sparse.timestep, n_occupied=1)


def forecasts(trajectory, sparse, r_cut, n_shifts=5):
    """Return the forecasts of gap and |nac| by the model, its controls, and the mean, from the sparse samples alone."""
    functions = hc.SymmetryFunctions.from_trajectory(
        trajectory, **({} if r_cut is None else {"r_cut": r_cut})
    )
    X = functions.transform(trajectory).reshape(trajectory.n_frames, -1)
    dX = np.diff(X, axis=0)
    middle = np.concatenate([0.5 * (X[1:] + X[:-1]), np.abs(dX)], axis=1)
    frames, steps = np.flatnonzero(sparse.energy_known), np.flatnonzero(sparse.nac_known)
    gap, size = sparse.gap()[frames], np.abs(sparse.coupling()[steps])

    def model(features, between):
        first = hc.LaplacianRidge().fit(features[frames], gap).predict(features)
        second = hc.LaplacianRidge().fit(between[steps], size).predict(between)
        return first, np.abs(second)

    result = {"forecast": model(X, middle)}
    for name, kind in (("linear in time", "linear"), ("spline in time", "cubic")):
        result[name] = (
            interpolate_in_time(frames, gap, np.arange(sparse.n_frames), kind=kind),
            np.abs(interpolate_in_time(steps, size, np.arange(sparse.n_steps), kind=kind)),
        )
    result["mean"] = np.full(sparse.n_frames, gap.mean()), np.full(sparse.n_steps, np.sqrt((size**2).mean()))
    shifts = circular_shifts(trajectory.n_frames, n_shifts, max(2, trajectory.n_frames // 8), random_state=0)
    for number, shift in enumerate(shifts):
        result[f"features of another time ({number + 1})"] = model(
            np.roll(X, shift, 0), np.roll(middle, shift, 0)
        )
    return result


def r2(truth, guess):
    return float(1 - np.mean((truth - guess) ** 2) / np.var(truth))


def lifetime(ham, tau):
    return hc.run_dynamics(ham, method="exact", duration=1e6, dephasing_time=tau).lifetime.value


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structure", type=Path, default=HERE / "cspbi3.extxyz")
    parser.add_argument("--output", type=Path, default=Path("from-structure"))
    parser.add_argument("--equilibration", type=int, default=300, help="steps of 2 fs")
    parser.add_argument("--frames", type=int, default=120, help="of 2 fs")
    parser.add_argument("--budget", type=int, default=20, help="pairs")
    parser.add_argument("--strategy", default="stride")
    parser.add_argument("--r-cut", type=float, default=None)
    parser.add_argument("--bands", type=int, default=4)
    parser.add_argument("--no-truth", action="store_true")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    folder = options.output
    folder.mkdir(parents=True, exist_ok=True)
    trajectory = molecular_dynamics(options, folder)
    engine = make_engine("tblite", bands=(options.bands, options.bands))
    pairs = select_pairs(trajectory, options.budget, options.strategy)
    sparse = couplings(trajectory, folder / "sparse", pairs.tolist(), engine, options.strategy)
    write_native(folder / "sparse.h5", hamiltonian=sparse)
    print(f"sparse: {sparse!r}")
    pair = sparse.frontier()
    guesses = forecasts(trajectory, pair, options.r_cut)
    results = {"sparse_pairs": int(pair.nac_known.sum()), "n_frames": trajectory.n_frames, "rows": {}}
    dense = None
    if not options.no_truth:
        dense = couplings(
            trajectory, folder / "dense", range(trajectory.n_frames - 1), engine, "all"
        ).frontier()
        write_native(folder / "dense.h5", hamiltonian=dense)
    # the dephasing time comes from one series for all rows, so that rows differ by gap and coupling alone
    tau = float(hc.dephasing_time(dense if dense is not None else fill(pair, *guesses["forecast"])))
    if dense is not None:
        results["rows"]["ab initio, all frames"] = {
            "lifetime_ns": lifetime(dense, tau),
            "gap_r2": 1.0,
            "nac_r2": 1.0,
        }
    for name, (gap, coupling) in guesses.items():
        row = {"lifetime_ns": lifetime(fill(pair, gap, coupling), tau)}
        if dense is not None:
            new, steps = ~pair.energy_known, ~pair.nac_known  # judged where nothing was computed
            row["gap_r2"] = r2(dense.gap()[new], gap[new])
            row["nac_r2"] = r2(np.abs(dense.coupling())[steps], coupling[steps])
        results["rows"][name] = row
    results["tau_fs"] = tau
    results["seconds"] = time.perf_counter() - start
    print(f"{'':32}{'gap R2':>9}{'|NAC| R2':>10}{'lifetime, ns':>14}")
    for name, row in results["rows"].items():
        print(
            f"{name:32}{row.get('gap_r2', np.nan):9.3f}{row.get('nac_r2', np.nan):10.3f}{row['lifetime_ns']:14.4g}"
        )
    print(f"dephasing time {tau:.2f} fs; {results['seconds']:.0f} s")
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    write_report(folder / "report.html", trajectory, plan_electrons(folder / "sparse", engine), results)
    print(f"report: {folder / 'report.html'}")
    return results


def write_report(file, trajectory, electrons, results):
    picture = io.StringIO()
    draw_electrons(electrons).savefig(picture, format="svg")
    rows = "".join(
        f"<tr><td>{html.escape(name)}<td>{row.get('gap_r2', float('nan')):.3f}<td>{row.get('nac_r2', float('nan')):.3f}"
        f"<td>{row['lifetime_ns']:.4g}</tr>"
        for name, row in results["rows"].items()
    )
    svg = picture.getvalue()
    file.write_text(
        "<!doctype html><meta charset=utf-8><title>From a structure</title><style>body{font:16px sans-serif;max-width:60em;margin:2em auto}"
        "td,th{padding:.2em 1em;text-align:left}</style>"
        f"<h1>{trajectory.formula}: {results['sparse_pairs']} pairs of {results['n_frames']} frames</h1>"
        f"<table><tr><th><th>gap R²<th>|NAC| R²<th>lifetime, ns</tr>{rows}</table>"
        f"<p>Scores on the frames that were not computed; dephasing time {results['tau_fs']:.2f} fs. A forecast is useful only where it "
        f"beats interpolation in time and features of another time.</p>{svg[svg.index('<svg') :]}",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
