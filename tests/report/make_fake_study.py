"""A study made up for tests: band-limited series, forecasts with errors of the usual size, every key filled."""

from __future__ import annotations

import itertools

import numpy as np
from ase.data import atomic_numbers
from scipy.interpolate import CubicSpline

from hopcast.abinitio import BandEdges, DensityOfStates
from hopcast.report.study_report import (
    Dephasing,
    ElectronHole,
    Forecast,
    InformationMap,
    Populations,
    Relaxation,
    Series,
    Structure,
    StudyReport,
)
from hopcast.results import estimate as estimate_record


def number(key, value, reason=""):
    """A number, or null and its reason beside it, as JSON holds them."""
    if value is not None and np.isfinite(value):
        return {key: value}
    return {key: None, f"{key}_reason": reason or f"the result was {value}"}


def estimate(*values, **more):
    """A number with its interval, as JSON holds it."""
    return estimate_record(*values, **more).model_dump()


PEROVSKITE = {"Cs": 4, "Pb": 4, "I": 12}


def band_limited(times, rng, lowest, highest, n_waves=40):
    """Sum of cosines between two frequencies (THz), unit variance."""
    frequencies = rng.uniform(lowest, highest, n_waves) * 1e-3
    phases = rng.uniform(0, 2 * np.pi, n_waves)
    return np.cos(2 * np.pi * np.outer(times, frequencies) + phases).sum(axis=1) / np.sqrt(n_waves / 2)


def r2(y, mu):
    return 1 - np.mean((y - mu) ** 2) / np.var(y)


def errors(y, mu):
    return {"r2": float(r2(y, mu)), "mae": float(np.abs(y - mu).mean()), "rmse": float(np.sqrt(np.mean((y - mu) ** 2)))}


def make_forecast(times, truth, stride, names, rng, noise):
    train = np.zeros(len(times), dtype=bool)
    train[::stride] = True
    spline = CubicSpline(times[train], truth[train])(times)
    models = {}
    for index, name in enumerate(names):
        bend = band_limited(times, rng, 2, 8) * np.sin(np.pi * np.arange(len(times)) / stride) ** 2
        models[name] = spline + noise * (1 + 0.4 * index) * np.std(truth) * bend
    return Forecast(times, truth, train, models)


def make_sampled_rates(names):
    """Mean rates as a sparse study has them: plain average, and three readings of each model."""

    def record(name, kind, value, half, **more):
        low, high = value - half, value + half
        return {
            "name": name,
            "kind": kind,
            "relative_width": half / 0.006,
            "ratio": value / 0.02,
            "rate": estimate(value, low, high, unit="1/ns"),
            "lifetime": estimate(1 / value, 1 / high, 1 / low, unit="ns"),
            **more,
        }

    rates = [record("computed pairs", "plain average", 0.02, 0.006)]
    for name in names:
        rates += [
            record(name, "forecast", 0.015, 0.001),
            record(name, "forecast with its variance", 0.023, 0.001),
            record(name, "prediction-powered", 0.0205, 0.005, weight=0.4),
        ]
    return rates


def make_scores(name, elements, n_features, target, series, rng, timestep, stride):
    test = ~series.train
    y, frames = series.ab_initio[test], np.flatnonzero(series.train)
    linear = np.interp(series.times[test], series.times[frames], series.ab_initio[frames])
    cubic = CubicSpline(series.times[frames], series.ab_initio[frames])(series.times[test])
    own = errors(y, series.models[name][test])
    shifted = own["r2"] - abs(rng.normal(0.0, 2e-3, 40))
    common = {
        "name": name,
        "elements": elements,
        "features": n_features,
        "target": target,
        "n_features": n_features * 20,
        "stride": {"fs": stride * timestep, "frames": stride},
        "n_train": int(series.train.sum()),
        "n_test": int(test.sum()),
    }
    yield {
        **common,
        "split": "interleaved",
        **own,
        "baselines": {
            "mean": errors(y, np.full_like(y, series.ab_initio[frames].mean())),
            "linear": errors(y, linear),
            "cubic": errors(y, cubic),
            "shifted": {
                **errors(y, series.models[name][test]),
                "r2": float(np.median(shifted)),
                "n": 40,
                "median": float(np.median(shifted)),
                "low": float(np.quantile(shifted, 0.025)),
                "high": float(np.quantile(shifted, 0.975)),
                "z": 1.1,
                "rank": 4,
            },
        },
    }
    bad = {"r2": float(-rng.uniform(0.1, 3)), "mae": 0.1, "rmse": 0.13}
    mean = {"r2": -0.2, "mae": 0.09, "rmse": 0.12}
    none = {"r2": None, "r2_reason": "a held-out stretch cannot be interpolated"}
    none |= {
        key: value
        for k in ("mae", "rmse")
        for key, value in number(k, None, "a held-out stretch cannot be interpolated").items()
    }
    yield {
        **common,
        "split": "blocked",
        **bad,
        "baselines": {
            "mean": mean,
            "linear": none,
            "cubic": none,
            "shifted": {
                **bad,
                "n": 40,
                "median": bad["r2"] - 0.1,
                "low": bad["r2"] - 0.5,
                "high": bad["r2"] + 0.4,
                "z": 0.3,
                "rank": 18,
            },
        },
    }


def make_hamiltonian(name, gradient, ratio, spread):
    parts = {"finite_trajectory": 0.26, "initial_time": 1e-4, "model": None if name == "ab initio" else 0.04}
    reasons = {"monte_carlo": "the exact solver draws no random numbers", "model": "no model"}
    settings = {"reasons": reasons, "note": "interval at least this wide: trajectory too short"}

    def scaled(value, unit):
        return estimate(
            value,
            value * (1 - spread),
            value * (1 + spread),
            unit=unit,
            **settings,
            parts={key: None if part is None else part * abs(value) for key, part in parts.items()},
        )

    return {
        "name": name,
        "gradient": scaled(gradient, "1/ns"),
        "intercept": scaled(0.0021, "1"),
        "lifetime": scaled(1 / gradient, "ns"),
        "ratio": estimate(1.0, 1.0, 1.0, unit="1", parts={}) if name == "ab initio" else scaled(ratio, "1"),
        "method": "dish",
        "rule": "consistent",
        "waiting": "exponential",
        "tau": 5.6,
        "tau_convention": "gaussian",
        "solver": "exact",
        "temperature": 300.0,
        "window": 10.0,
        "n_blocks": 4,
        "own_tau": 5.5,
        "dominant_part": "finite_trajectory",
    }


def make_calibration():
    levels = [0.1, 0.3, 0.5, 0.7, 0.9, 0.95]
    return {
        "levels": levels,
        "coverage": [0.5 * level for level in levels],
        "recalibrated": levels,
        "factors": [2.0] * 6,
        "variance_scale": 3.1,
        "n_test": 300,
        "n_effective": 40.0,
        "low": 0.77,
        "high": 0.96,
        "raw_low": 0.3,
        "raw_high": 0.6,
    }


def make_curves(name, timestep):
    points, left_out = [], []
    for axis, split, stride in itertools.product(("stride", "frames"), ("interleaved", "blocked"), (2, 4, 8, 16)):
        common = {
            "axis": axis,
            "split": split,
            "model": name,
            "stride": {"fs": stride * timestep, "frames": stride},
            "n_frames": 60 * stride,
        }
        if stride == 16:
            left_out.append({**common, "target": "gap", "reason": "12 training frames; 20 are needed"})
            continue
        for target in ("gap", "nac", "rate"):
            value = 1 - 1e-3 * stride if split == "interleaved" else -0.5
            point = {
                **common,
                "target": target,
                "value": value,
                "linear": value + 1e-4,
                "cubic": value + 5e-4,
                "n_train": 100,
                "n_shifts": 20,
            }
            point |= {"shifted": value, "shifted_low": value - 1e-3, "shifted_high": value + 1e-4, "note": ""}
            point |= {"plain": 1.0} if target == "rate" else {"mean": 0.0}
            points.append(point)
    return {"points": points, "left_out": left_out}


def make_relaxation():
    """A hole by two methods, one of which hardly decays: record and series."""
    states, t = ("68", "67", "66"), np.linspace(0, 1e4, 50)
    runs, energy, populations = [], {}, {}
    for method, tau in (("dish", 2e3), ("fssh", 5e5)):
        left = np.exp(-t / tau)
        populations[method] = np.stack([1 - left, 0.4 * left, 0.6 * left], 1)
        energy[method] = populations[method] @ [0, 0.1, 0.3]
        little = left[-1] > 0.9
        runs.append(
            {
                "name": "hole",
                "carrier": "hole",
                "states": list(states),
                "initial_state": "66",
                "method": method,
                "rule": "consistent",
                "waiting": "exponential",
                "decayed": float(1 - left[-1]),
                "final_populations": populations[method][-1],
                "lifetime": estimate(tau * 1e-6, tau * 7e-7, tau * 2e-6, unit="ns"),
                "rate": estimate(1e6 / tau, 5e5 / tau, 1.5e6 / tau, unit="1/ns"),
                "decay_model": "none" if little else "stretched",
                **number("decay_lifetime", None if little else 1.9e-3, "less than 10 % decays"),
                "decay_parameters": [] if little else [2e3, 0.9],
                "decay_note": "" if little else "the window is too short",
                "longest_stay": "66",
                "transitions": [] if little else [{"from": "67", "to": "68", "net_hops": 0.9}],
                "tau_low": 9.0,
                "tau_high": 28.0,
                "tau_convention": "gaussian",
                "temperature": 300.0,
                "duration": 1e4,
                "n_frames": 756,
                "n_trajectories": 200,
                "n_starts": 20,
                "substeps": 8,
                "random_state": 0,
            }
        )
    record = {
        "runs": runs,
        "left_out": [{"band": "61", "row_norm": 0.16}],
        "refused": [{"name": "electron", "method": "dish", "reason": "The gap must stay open."}],
    }
    errors = {method: 0.01 * np.ones(t.size) for method in energy}
    record["pair"], pair = make_pair(t)
    return record, (Relaxation("hole", "hole", states, t, populations, energy, errors),), pair


def make_pair(t):
    """Electron and hole together and alone, of which the electron alone stays hot: record and series."""
    times = {
        ("electron", "together"): 2e3,
        ("electron", "alone"): 5e4,
        ("hole", "together"): 8e2,
        ("hole", "alone"): 1e3,
    }
    energy = {key: 0.4 * np.exp(-t / tau) for key, tau in times.items()}
    carriers = []
    for (carrier, way), tau in times.items():
        reason, cools = "more than 1/e of the energy is left at the end", tau < t[-1]
        carriers.append(
            {
                "carrier": carrier,
                "way": way,
                "bands": ["69", "70"] if carrier == "electron" else ["68", "67"],
                "initial_state": "70" if carrier == "electron" else "67",
                **number("cooling_time", tau if cools else None, reason),
                **number("cooling_time_low", 0.8 * tau if cools else None, reason),
                **number("cooling_time_high", None, reason),
                "initial_energy": 0.4,
                "final_energy": float(energy[carrier, way][-1]),
                "at_the_edge": 0.7,
            }
        )
    record = {
        "method": "dish",
        "rule": "consistent",
        "waiting": "exponential",
        "n_determinants": 5,
        "carriers": carriers,
        "ground_population": 0.0,
        "ground_population_high": 0.019,
        "tau_low": 3.3,
        "tau_high": 28.0,
        "tau_convention": "gaussian",
        "temperature": 300.0,
        "duration": 1e4,
        "n_frames": 756,
        "n_trajectories": 200,
        "n_starts": 20,
        "substeps": 42,
        "random_state": 0,
    }
    hot = np.exp(-t / 1e3)
    shares = {
        "both hot": hot**2,
        "electron hot": hot * (1 - hot),
        "hole hot": 0 * hot,
        "both cool": 1 - hot,
        "ground state": 0 * hot,
    }
    return record, ElectronHole("dish", t, shares, energy, {key: 0.01 * np.ones(t.size) for key in energy})


def make_structure(counts, rng):
    cell = np.diag([8.74, 9.27, 12.56])
    if counts == PEROVSKITE:
        fractional = [(x, y, z) for z in (0.25, 0.75) for x, y in ((0.0, 0.02), (0.5, 0.52))]  # Cs
        fractional += [(x, y, z) for z in (0.0, 0.5) for x, y in ((0.5, 0.0), (0.0, 0.5))]  # Pb
        fractional += [(x, y, z) for z in (0.25, 0.75) for x, y in ((0.45, 0.0), (0.05, 0.5))]
        fractional += [(x, y, z) for z in (0.03, 0.47) for x, y in itertools.product((0.22, 0.72), (0.27, 0.77))]
    else:
        n = sum(counts.values())
        side = int(np.ceil(n ** (1 / 3)))
        fractional = list(itertools.product((np.arange(side) + 0.25) / side, repeat=3))[:n]
    numbers = np.repeat([atomic_numbers[e] for e in counts], list(counts.values()))
    positions = np.array(fractional) @ cell + rng.normal(0, 0.12, (len(fractional), 3))
    return Structure(positions, cell, numbers)


def make_electrons(counts, rng, n_frames=60):
    """Bands of each element as Gaussians below and above a gap of 1.8 eV, band edges on a few atoms."""
    energies = np.linspace(-6, 6, 601)
    by_element = {
        element: sum(
            8 * n * np.exp(-0.5 * ((energies - centre) / 0.5) ** 2)
            for centre in rng.uniform([-5, -2, 2.3], [-2, -0.9, 5])
        )
        for element, n in counts.items()
    }
    n_atoms = sum(counts.values())
    shares = rng.dirichlet(np.full(n_atoms, 0.3), size=(n_frames, 2))
    edges = BandEdges(rng.normal(1.8, 0.1, n_frames), shares.mean(axis=0), (shares**2).sum(axis=2))
    kinds = np.repeat(list(counts), list(counts.values()))
    record = {
        "engine": "made up",
        "n_frames": n_frames,
        "gap_mean": edges.gaps.mean(),
        "gap_std": edges.gaps.std(),
        "gap_min": edges.gaps.min(),
        "gap_max": edges.gaps.max(),
        "states": [
            {
                "state": name,
                "participation": edges.participation[:, row].mean(),
                "participation_std": edges.participation[:, row].std(),
                "elements": [{"element": e, "share": edges.weights[row, kinds == e].sum()} for e in counts],
                "atoms": edges.weights[row],
            }
            for row, name in enumerate(("VBM", "CBM"))
        ],
    }
    return record, DensityOfStates(energies, by_element), edges


def make_study(
    counts=None,
    n_frames=756,
    timestep=4.0,
    stride=6,
    seed=1,
    *,
    bare=False,
    name="CsPbI3, made up",
    correlation_time=750.0,
    rate=0.0371,
    prefix="",
):
    """Return a `StudyReport`; `bare` leaves out every series and optional record and sets some numbers to null."""
    counts = PEROVSKITE if counts is None else counts
    rng = np.random.default_rng(seed)
    elements = list(counts)
    times = np.arange(n_frames) * timestep
    midpoints = times[:-1] + timestep / 2
    gap = 1.82 + 0.12 * band_limited(times, rng, 0.3, 4)
    nac = np.abs(0.6e-3 * band_limited(midpoints, rng, 0.3, 5))
    groups = {"all": elements, **{element: [element] for element in elements}}
    names = {f"{prefix}{group}-{n}": (used, n) for group, used in groups.items() for n in (18, 1)}
    series = {
        "gap": make_forecast(times, gap, stride, names, rng, 0.01),
        "nac": make_forecast(midpoints, nac, stride, names, rng, 0.03),
    }
    models = [
        score
        for key, (used, n) in names.items()
        for target in ("gap", "nac")
        for score in make_scores(key, used, n, target, series[target], rng, timestep, stride)
    ]
    r_s, theta_s = np.array([5.9, 4.3, 3.2]), np.radians([92.0, 128.0, 171.0, 63.0, 88.0, 155.0])
    information, best, maps = [], [], []
    for element, target in itertools.product(elements, ("gap", "nac")):
        raw = 1.1 + 0.12 * rng.standard_normal((3, 6))
        null = 1.1 + 0.05 * rng.standard_normal((3, 6))
        corrected = 0.05 * rng.standard_normal((3, 6))
        maps.append(InformationMap(element, target, r_s, theta_s, raw, null, corrected, ("Cs-Pb", "Cs-I", "Pb-I")))
        information.append(
            {
                "element": element,
                "target": target,
                "raw": raw.sum(),
                "corrected": corrected.sum(),
                "windowed": -0.4 * raw.sum(),
                "null_mean": null.sum(),
                "p": 0.3 if target == "gap" else 0.04,
                "smallest_p": 0.02,
                "n_features": 18,
                "z": 0.6,
            }
        )
        i, j = np.unravel_index(np.argmax(raw), raw.shape)
        best.append(
            {
                "element": element,
                "target": target,
                "r_s": r_s[i],
                "theta_s": theta_s[j],
                "mi": raw[i, j],
                "null_mean": null[i, j],
                "corrected": corrected[i, j],
                "r_pair": "Pb-I",
                "theta_pair": "I-Pb",
            }
        )
    rates = {"ab initio": 1.0} | {key: float(np.exp(rng.normal(-0.12, 0.15))) for key in names}
    t = np.linspace(0, 10, 1001)
    base = rate
    values = {key: 1 - np.exp(-base * ratio * t) for key, ratio in rates.items()}
    width = 0.4
    results = {
        "schema_version": "1.0",
        "provenance": {
            "version": "0.1.0",
            "created": "2026-01-01T00:00:00+00:00",
            "command": "hopcast demo",
            "seed": seed,
            "config": {"data": name, "stride": stride * timestep},
            "packages": {"numpy": "2.0"},
            "machine": {"cpu": "made up", "cores": 2},
            "inputs": [{"name": name, "sha256": "0" * 64}],
        },
        "data": {
            "name": name,
            "formula": "".join(f"{e}{n if n > 1 else ''}" for e, n in counts.items()),
            "elements": elements,
            "n_atoms": sum(counts.values()),
            "n_frames": n_frames,
            "timestep": timestep,
            "duration": float(times[-1]),
            "states": ["68", "69"],
            "gap_mean": gap.mean(),
            "gap_std": gap.std(),
            "nac_rms": float(np.sqrt(np.mean(nac**2))),
            "correlation_time": correlation_time,
            "temperature": 280.0,
            "train_stride": {"fs": stride * timestep, "frames": stride},
        },
        "information": information,
        "best_features": best,
        "models": models,
        "hamiltonians": [make_hamiltonian(key, base * ratio, ratio, width) for key, ratio in rates.items()],
        "corrections": {
            "phase_flips": 2417,
            "n_overlaps": 12080,
            "swaps": [],
            "doubtful_steps": 0,
            "crossings": [{"step": s, "states": ["67", "68"], "overlap": 0.07} for s in (288, 425, 629)],
            "leaking_bands": [{"band": "61", "row_norm": 0.16}, {"band": "76", "row_norm": 0.69}],
            "nac_autocorrelation_raw": 0.44,
            "nac_autocorrelation": 0.997,
        },
        "methods": [
            make_hamiltonian("ab initio", base * 1.2, 1.2, width)
            | {"method": "fssh", "rule": "none", "waiting": "none"}
        ],
        "dephasing": {
            "tau": 5.6,
            "convention": "gaussian",
            "by_convention": {"gaussian": 5.6, "pyxaid": 7.9, "libra": 8.7},
        },
        "seam": {"gap_jump": 0.16, "usual_step": 0.006, "rate_coherent": 0.0371, "rate_reset": 0.0371},
        "checks": [
            {
                "name": "ab initio, 300 K",
                "quantity": "rate",
                "exact": 3.71,
                "monte_carlo": 3.70,
                "standard_error": 0.02,
                "unit": "1/ns",
                "n_seeds": 20,
                "within_two": 19,
                "pooled_z": -0.5,
                "temperature": 300.0,
                "substep": 0.1,
                "n_events": 1040,
                "coupling_scale": 10.0,
            },
            {
                "name": "ab initio, no detailed balance",
                "exact": 3.71,
                "monte_carlo": 3.70,
                "standard_error": 0.02,
                "unit": "1/ns",
                "n_seeds": 20,
                "within_two": 20,
                "pooled_z": -0.5,
                **number("temperature", None, "no detailed balance"),
                "substep": 0.05,
            },
        ],
        "timings": [{"stage": "features", "seconds": 1.2}, {"stage": "dynamics", "seconds": 3.4}],
    }
    for row in results["hamiltonians"][1:]:
        row["ratio_own_tau"] = estimate(row["ratio"]["value"] * 1.01, unit="1")
        row["own_tau"] = 5.9
        row["calibrated"] = {
            "ratio_variance": estimate(1.02, 0.9, 1.2, unit="1"),
            "ratio_samples": estimate(1.01, 0.9, 1.2, unit="1"),
            "lifetime_variance": estimate(25.0, 10.0, 60.0, unit="ns"),
            "lifetime_samples": estimate(None, unit="ns", reasons={"value": "too many frames"}),
            "n_samples": 20,
        }
        row["prediction_powered_ratio"] = estimate(1.0, 0.4, 1.6, unit="1")
        row["shifted"] = {
            "second_order_ratio": 0.97,
            "n": 3,
            "median": 0.97,
            "low": 0.96,
            "high": 0.98,
            "z": 0.3,
            "rank": 2,
        }
    results["rates"] = make_sampled_rates(names)
    results["rate_controls"] = [
        {"name": name, "ratio": estimate(value, 0.7, 1.3, unit="1", parts={"finite_trajectory": 0.3})}
        for name, value in (("plain average", 1.0), ("linear interpolation in time", 0.98))
    ]
    results["relaxation"], relaxation, pair = make_relaxation()
    results["learning_curves"] = make_curves(next(iter(names)), timestep)
    for model in results["models"]:
        if model["split"] == "blocked":
            model["calibration"] = make_calibration()
    results["selection"] = [
        {
            "target": target,
            "order": order,
            "method": "mrmr",
            "element": elements[0],
            "atom": 0,
            "r_s": 3.2,
            "theta_s": 1.6,
            "relevance": 0.4,
            "redundancy": 0.2,
            "score": 0.2,
            "conditional": 0.1,
            **number("p_first", 0.3 if order == 1 else None, "a test of the first choice only"),
        }
        for target, order in itertools.product(("gap", "nac"), (1, 2))
    ]
    results["electrons"], states, edges = make_electrons(counts, np.random.default_rng(seed + 1))
    if bare:
        del results["electrons"]
        del results["selection"]
        del results["learning_curves"]
        for model in results["models"]:
            model.pop("calibration", None)
        for key in (
            "corrections",
            "methods",
            "dephasing",
            "seam",
            "checks",
            "timings",
            "rate_controls",
            "relaxation",
            "rates",
        ):
            del results[key]
        for row in results["hamiltonians"]:
            for key in ("calibrated", "prediction_powered_ratio", "shifted"):
                row.pop(key, None)
        del results["data"]["correlation_time"]
        results["data"] |= number("correlation_time", None, "the autocorrelation never falls below 1/e")
        for row in results["hamiltonians"]:
            row["lifetime"] = estimate(None, unit="ns", reasons={"value": "less than 10 % decay"})
        for entry in results["information"]:
            for key in ("corrected", "p", "windowed"):
                entry |= number(key, np.nan, "fewer frames than decimation needs")
        for model in results["models"]:
            if model["split"] == "blocked":
                model |= number("r2", None, "no training frames are left after purging")
        return StudyReport(results)
    lag = np.arange(200) * timestep
    dephasing_times = np.arange(0, 60, 1.0)
    return StudyReport(
        results,
        Series(
            structure=make_structure(counts, rng),
            gap=series["gap"],
            nac=series["nac"],
            dephasing=Dephasing(
                dephasing_times,
                np.exp(-(dephasing_times**2) / (2 * 5.6**2)),
                5.6,
                lag,
                0.0144 * np.cos(lag / 100) * np.exp(-lag / 400),
            ),
            populations=Populations(
                t,
                values,
                {"ab initio": values["ab initio"] * (1 - width)},
                {"ab initio": values["ab initio"] * (1 + width)},
                values["ab initio"] + rng.normal(0, 0.1 * base, len(t)),
            ),
            maps=tuple(maps),
            atoms={target: rng.normal(0, 0.3, sum(counts.values())) for target in ("gap", "nac")},
            relaxation=relaxation,
            pair=pair,
            states=states,
            edges=edges,
        ),
    )
