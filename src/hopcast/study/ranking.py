"""Stage `information`: what each element's environment knows of the gap and the coupling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.descriptors import SymmetryFunctions
from hopcast.information import ElementInformation, ElementRanking, rank_elements
from hopcast.report import number
from hopcast.study.config import InformationSection
from hopcast.study.inputs import StudyData
from hopcast.study.progress import Stage
from hopcast.study.stages import StageResult

TARGETS = ("gap", "nac")


def run_information(
    section: InformationSection,
    seed: int,
    data: StudyData,
    functions: SymmetryFunctions,
    G: NDArray[np.float64],
    stage: Stage,
    workers: int | None,
) -> StageResult:
    """Rank elements and functions for both targets, as the paper does: features of a frame against |NAC| after it.

    Returns
    -------
    StageResult
        ``information`` and ``best_features``: records of `results.json`; ``best``: function by element and target;
        ``memory``: correlation times. Arrays ``{raw,null,corrected}/{target}/{element}`` [n_r_s, n_theta_s].
    """
    pair, timestep = data.hamiltonian, data.trajectory.timestep
    gap = pair.gap()
    series = {
        "gap": (G if pair.energy_grid == "frame" else G[:-1], gap),
        "nac": (G[:-1], np.abs(pair.coupling())),
    }
    information: list[dict[str, Any]] = []
    best_features: list[dict[str, Any]] = []
    best: dict[str, dict[str, int]] = {}
    memory: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
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
            features, data.trajectory.symbols, values, timestep, n_neighbors=section.n_neighbors,
            theiler_window=window, random_state=seed, workers=workers,
        )  # fmt: skip
        info = ranking.information
        memory[target] = {
            "correlation_time": info.correlation_time.value,
            "resolved": bool(info.correlation_time.resolved),
            "reason": info.reason,
            "length_needed": info.length_needed,
        }
        for entry in ranking.elements:
            information.append(_information_record(entry, target, ranking))
            best_features.append(_best_record(entry, target, functions, info.reason))
            best.setdefault(entry.element, {})[target] = entry.best
            shape = (len(functions.r_s), len(functions.theta_s))
            for kind, values_map in (
                ("raw", entry.raw_map), ("null", entry.raw_null_map), ("corrected", entry.corrected_map),
            ):  # fmt: skip
                arrays[f"{kind}/{target}/{entry.element}"] = values_map.reshape(shape)
    numbers = {"information": information, "best_features": best_features, "best": best, "memory": memory}
    return StageResult(numbers, arrays)


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
