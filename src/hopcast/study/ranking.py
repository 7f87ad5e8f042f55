"""Stage `information`: what each element's environment knows of the gap and the coupling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.descriptors import SymmetryFunctions
from hopcast.information import (
    ElementInformation,
    ElementRanking,
    InformationInterval,
    bootstrap_information,
    rank_elements,
    select_features,
)
from hopcast.report import number
from hopcast.study.config import InformationSection
from hopcast.study.inputs import StudyData
from hopcast.study.progress import Stage
from hopcast.study.stages import StageResult

TARGETS = ("gap", "nac")


InformationSeries = dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Features [n, n_atoms, n_functions] and values [n] of each target."""


def information_series(data: StudyData, G: NDArray[np.float64]) -> InformationSeries:
    """Return what is ranked, as the paper does: features of a frame against the gap there and |NAC| after it."""
    pair = data.hamiltonian
    return {
        "gap": (G if pair.energy_grid == "frame" else G[:-1], pair.gap()),
        "nac": (G[:-1], np.abs(pair.coupling())),
    }


def run_information(
    section: InformationSection,
    seed: int,
    symbols: tuple[str, ...],
    timestep: float,
    functions: SymmetryFunctions,
    series: InformationSeries,
    stage: Stage,
    workers: int | None,
) -> StageResult:
    """Rank elements and functions for both targets.

    Parameters
    ----------
    section, seed
        Settings.
    symbols
        Of the atoms.
    timestep
        Between values, fs.
    functions
        What the features are.
    series
        Features and values by target.
    stage, workers
        Progress and threads.

    Returns
    -------
    StageResult
        ``information`` and ``best_features``: records of `results.json`; ``best``: function by element and target;
        ``memory``: correlation times. Arrays ``{raw,null,corrected}/{target}/{element}`` [n_r_s, n_theta_s].
    """
    information: list[dict[str, Any]] = []
    best_features: list[dict[str, Any]] = []
    best: dict[str, dict[str, int]] = {}
    memory: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
    selections: list[dict[str, Any]] = []
    for target in TARGETS:
        stage.advance(target)
        features, values = series[target]
        if np.ptp(values) == 0:
            raise InputError(
                f"The {target} must vary along the trajectory, but is {values[0]:.4g} eV throughout."
            )
        window = None
        if section.theiler_window is not None:
            window = max(1, round(section.theiler_window / timestep))
        ranking = rank_elements(
            features, symbols, values, timestep, n_neighbors=section.n_neighbors,
            theiler_window=window, random_state=seed, workers=workers,
        )  # fmt: skip
        info = ranking.information
        memory[target] = {
            "correlation_time": info.correlation_time.value,
            "resolved": bool(info.correlation_time.resolved),
            "reason": info.reason,
            "length_needed": info.length_needed,
        }
        flat = features.reshape(len(values), -1)
        interval = _interval(flat, values, ranking, section, seed, workers)
        selections += _selection(flat, values, ranking, section, functions, symbols, target, seed, workers)
        for entry in ranking.elements:
            information.append(
                _information_record(entry, target, ranking) | _interval_record(entry, interval, info.reason)
            )
            atoms = arrays.setdefault(f"atoms/{target}", np.full(features.shape[1], np.nan))
            atoms[entry.atoms] = entry.per_feature_corrected.sum(axis=1)
            best_features.append(_best_record(entry, target, functions, info.reason))
            best.setdefault(entry.element, {})[target] = entry.best
            shape = (len(functions.r_s), len(functions.theta_s))
            for kind, values_map in (
                ("raw", entry.raw_map), ("null", entry.raw_null_map), ("corrected", entry.corrected_map),
            ):  # fmt: skip
                arrays[f"{kind}/{target}/{entry.element}"] = values_map.reshape(shape)
    numbers = {
        "information": information,
        "best_features": best_features,
        "best": best,
        "memory": memory,
        "selection": selections,
    }
    return StageResult(numbers, arrays)


def best_functions(information: StageResult) -> dict[tuple[str, str], int]:
    """Return the function of the largest information by (element, target)."""
    return {
        (element, target): function
        for element, targets in information.numbers["best"].items()
        for target, function in targets.items()
    }


def _interval(
    flat: NDArray[np.float64],
    values: NDArray[np.float64],
    ranking: ElementRanking,
    section: InformationSection,
    seed: int,
    workers: int | None,
) -> InformationInterval | None:
    """Return the bootstrap interval of every element's corrected information; None without corrected values."""
    if np.isnan(ranking.information.corrected).any():
        return None
    return bootstrap_information(
        flat, values, ranking.information, n_neighbors=section.n_neighbors, random_state=seed, workers=workers
    )


def _interval_record(
    entry: ElementInformation, interval: InformationInterval | None, reason: str
) -> dict[str, Any]:
    if interval is None:
        return number("corrected_low", None, reason) | number("corrected_high", None, reason)
    at, n_atoms = interval.groups.index(entry.element), len(entry.atoms)
    return {
        # of long series the interval comes from fewer offsets than the value: its width is taken
        **number(
            "corrected_low", entry.mean_corrected + float(interval.low[at] - interval.value[at]) / n_atoms
        ),
        **number(
            "corrected_high", entry.mean_corrected + float(interval.high[at] - interval.value[at]) / n_atoms
        ),
        "n_blocks": float(interval.n_blocks),
    }


def _selection(
    flat: NDArray[np.float64],
    values: NDArray[np.float64],
    ranking: ElementRanking,
    section: InformationSection,
    functions: SymmetryFunctions,
    symbols: tuple[str, ...],
    target: str,
    seed: int,
    workers: int | None,
) -> list[dict[str, Any]]:
    """Return the features chosen greedily for a target, in their order; none without corrected values."""
    info = ranking.information
    if np.isnan(info.corrected).any() or section.n_select == 0:
        return []
    found = select_features(
        flat, values, info, min(section.n_select, flat.shape[1]), method=section.selection,
        n_neighbors=section.n_neighbors, random_state=seed, workers=workers,
    )  # fmt: skip
    n_functions = len(functions.r_s) * len(functions.theta_s)
    records = []
    for order, column in enumerate(found.features):
        atom, function = divmod(int(column), n_functions)
        radial, angular = divmod(function, len(functions.theta_s))
        records.append({
            "target": target, "order": order + 1, "method": found.method, "atom": atom,
            "element": symbols[atom], "r_s": functions.r_s[radial], "theta_s": functions.theta_s[angular],
            "r_pair": functions.r_s_labels[radial], "theta_pair": functions.theta_s_labels[angular],
            "relevance": float(found.relevance[order]), "redundancy": float(found.redundancy[order]),
            "score": float(found.score[order]), "conditional": float(found.conditional[order]),
            **number("p_first", found.p_first if order == 0 else None, "a test of the first choice only"),
        })  # fmt: skip
    return records


def _information_record(entry: ElementInformation, target: str, ranking: ElementRanking) -> dict[str, Any]:
    info = ranking.information
    why = info.reason or "not possible on this trajectory"
    spread = (
        info.null[info.groups == entry.element].reshape(len(entry.atoms), -1, info.n_shifts).sum(axis=(0, 1))
    )
    spread = spread / len(entry.atoms)
    enough = spread.size > 1 and np.ptp(spread) > 0
    z = (entry.mean_corrected - spread.mean()) / spread.std(ddof=1) if enough else math.nan
    return {
        "element": entry.element,
        "target": target,
        **number("raw", entry.mean_mi),
        **number("null_mean", entry.mean_null, why),
        **number("corrected", entry.mean_corrected, why),
        **number("corrected_null_mean", entry.mean_corrected_null, why),
        **number("windowed", entry.mean_windowed, why),
        **number("windowed_null_mean", entry.mean_windowed_null, why),
        **number("z", z, why),
        **number("p", entry.p, why),
        **number("smallest_p", 1.0 / (1 + info.n_shifts), why),
        "n_shifts": int(info.n_shifts),
        "n_features": int(entry.per_feature.shape[1]),
        "theiler_window": {"fs": info.theiler_window * info.timestep, "frames": int(info.theiler_window)},
        "decimation": {"fs": info.decimation * info.timestep, "frames": int(info.decimation)},
        "note": info.reason,
    }


def _best_record(
    entry: ElementInformation, target: str, functions: SymmetryFunctions, reason: str
) -> dict[str, Any]:
    radial, angular = divmod(entry.best, len(functions.theta_s))
    record = {
        "element": entry.element,
        "target": target,
        "r_s": functions.r_s[radial],
        "theta_s": functions.theta_s[angular],
        **number("mi", float(entry.raw_map[entry.best])),
        **number("null_mean", float(entry.raw_null_map[entry.best]), reason),
        **number("corrected", float(entry.corrected_map[entry.best]), reason),
        "r_pair": functions.r_s_labels[radial],
        "theta_pair": functions.theta_s_labels[angular],
    }
    if entry.best_corrected is not None:
        r, theta = divmod(entry.best_corrected, len(functions.theta_s))
        record["best_by_corrected"] = {
            "r_s": functions.r_s[r], "theta_s": functions.theta_s[theta],
            "corrected": float(entry.corrected_map[entry.best_corrected]),
        }  # fmt: skip
    return record
