"""Time and a tight binding together: CsPbI3 sampled every 12 to 200 fs, forecast between the samples.

    python benchmarks/time_and_bands.py [--strides 12 16 ...] [--offsets 2]

*Spline* and *clock* know the time alone, *bands* the geometry alone (a tight binding fitted to the sampled pairs), *both* adds to the bands what a process
in time says of their errors at the samples. Test are all frames between the first and the last sample but those
of the pairs; the protocol, and the 90 % intervals of 2000
resamples of 20 blocks, are those of time_and_geometry.py. Prints the table of docs/beyond-time.md.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass

import numpy as np
from common import machine, table

import hopcast as hc
from hopcast.core.chunks import single_threaded_blas
from hopcast.evaluation import interpolate_in_time
from hopcast.regression import TimeGeometryProcess, correct_in_time
from hopcast.tightbinding import Form, TightBinding, fit_folds, forecast_bands

STRIDES = (12, 16, 24, 32, 48, 64, 80, 100, 136, 200)  # fs; at 400 fs fewer than 10 samples are left
N_BLOCKS, N_DRAWS = 20, 2000
METHODS = ("spline", "clock", "bands", "both")
FORM = Form(shift=3.0, scale=1.0, n_edges=1, coupling_weight=1.5)
"""One start, and couplings of VBM and CBM alone: half the time of the default form."""


@dataclass(frozen=True, eq=False)
class Series:
    """Times [n] fs and values [n] eV."""

    name: str
    times: np.ndarray
    values: np.ndarray


def series_of(pair):
    """Gap at every frame but the last, |V| times gap over the mean gap at every step."""
    gap = pair.gap()
    middle = 0.5 * (gap[1:] + gap[:-1])
    steps = np.arange(pair.n_steps) * pair.timestep
    coupling = np.abs(pair.coupling()) * middle / middle.mean()
    return (Series("gap", steps, gap[:-1]), Series("|NAC|", steps + 0.5 * pair.timestep, coupling))


def between(times, values, train, test):
    """What the time alone says: a spline, and a process."""
    clock = TimeGeometryProcess(workers=1).fit(times[train, None], values[train])
    return {
        "spline": interpolate_in_time(times[train], values[train], times[test], "cubic", max_gap=np.inf),
        "clock": clock.predict(times[test, None]),
    }


def forecasts(truth, said, train, test):
    """Each method on the frames between the samples."""
    both = correct_in_time(truth.times, said.values, train, truth.values[train], workers=1)
    return between(truth.times, truth.values, train, test) | {
        "bands": said.values[test],
        "both": both.mean[test],
    }


def summary(squares, spread):
    """Unexplained variance of each method, and that of both over the better of spline and bands with its interval."""
    draws = np.random.default_rng(0).multinomial(N_BLOCKS, np.full(N_BLOCKS, 1 / N_BLOCKS), size=N_DRAWS)
    value = {method: one.sum() / spread.sum() for method, one in squares.items()}
    better = min(("spline", "bands"), key=value.__getitem__)
    low, high = np.quantile((draws @ squares["both"]) / (draws @ squares[better]), [0.05, 0.95])
    ratio = f"{value['both'] / value[better]:.3f} [{low:.3f}, {high:.3f}] ({better})"
    return [*(f"{value[method]:.2g}" for method in METHODS), f"{1 - value['both']:.6f}", ratio]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strides", type=int, nargs="*", default=list(STRIDES))
    parser.add_argument("--offsets", type=int, default=2, help="of the grid of samples, at most")
    options = parser.parse_args()
    warnings.simplefilter("ignore", hc.QualityWarning)
    print(machine())
    data = hc.load("cspbi3")
    # gives radial functions; its parameters are not used
    whole = TightBinding(form=FORM, most_samples=20, workers=1).fit(data.trajectory, data.hamiltonian).bands_
    known = series_of(data.hamiltonian.frontier())
    n = len(known[0].values)
    block = np.minimum(N_BLOCKS * np.arange(n) // n, N_BLOCKS - 1)
    rows = {one.name: [] for one in known}
    for stride in options.strides:
        frames, start = round(stride / data.hamiltonian.timestep), time.process_time()
        squares = {one.name: {method: np.zeros(N_BLOCKS) for method in METHODS} for one in known}
        spreads = {one.name: np.zeros(N_BLOCKS) for one in known}
        for offset in np.unique(np.linspace(0, frames, min(frames, options.offsets), endpoint=False).astype(int)):
            train = np.arange(offset, n, frames)
            # the bands learn from both frames of a pair
            test = np.setdiff1d(np.arange(train[0], train[-1] + 1), np.union1d(train, train + 1))
            (bands,) = fit_folds(whole, data.trajectory, data.hamiltonian, [train], workers=1)
            said = series_of(forecast_bands(bands, data.trajectory, workers=1).hamiltonian.frontier())
            with single_threaded_blas():
                for truth, one in zip(known, said, strict=True):
                    for method, found in forecasts(truth, one, train, test).items():
                        np.add.at(squares[truth.name][method], block[test], (truth.values[test] - found) ** 2)
                    np.add.at(spreads[truth.name], block[test], (truth.values[test] - truth.values.mean()) ** 2)
        for one in known:
            rows[one.name].append([str(stride), str(len(train)), *summary(squares[one.name], spreads[one.name])])
            print(one.name, *rows[one.name][-1], f"{time.process_time() - start:.0f} s of CPU time", flush=True)
    header = ["stride, fs", "samples", *METHODS, "R2 of both", "both / the better"]
    for name, lines in rows.items():
        print(table(f"unexplained variance, {name}", header, lines), flush=True)


if __name__ == "__main__":
    main()
