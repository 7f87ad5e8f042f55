"""Stage `information`: what each element's environment knows of the gap and the coupling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.descriptors import SymmetryFunctions
from hopcast.information import (
    ElementInformation,
    ElementRanking,
    InformationInterval,
    adjust,
    bootstrap_information,
    rank_elements,
    select_features,
)
from hopcast.results.forecasts import BestByCorrected, BestFeatureRecord, InformationRecord, SelectedFeature
from hopcast.results.record import Number, Record, Target
from hopcast.study.inputs import StudyData
from hopcast.study.scores import stride_record
from hopcast.study.stage import Arrays, Context, Stage, StageResult
from hopcast.study.stages import features

TARGETS: Final[tuple[Target, ...]] = ("gap", "nac")

Floats = NDArray[np.float64]


class MemoryRecord(Record):
    """Correlation time of features and target together."""

    correlation_time: Number
    resolved: bool
    reason: str
    length_needed: Number


class InformationNumbers(Record):
    """What the stage found."""

    information: list[InformationRecord]
    best_features: list[BestFeatureRecord]
    selection: list[SelectedFeature]
    best: dict[str, dict[str, int]]
    memory: dict[str, MemoryRecord]


@dataclass(frozen=True)
class _Estimators:
    """Keywords of the estimators of information."""

    n_neighbors: int
    random_state: int
    workers: int | None


@dataclass(frozen=True, eq=False)
class _Ranked:
    """A target with its features, and the ranking of the elements for it."""

    context: Context
    target: Target
    functions: SymmetryFunctions
    features: Floats
    values: Floats
    ranking: ElementRanking

    @property
    def flat(self) -> Floats:
        """Features of a frame in a row."""
        return self.features.reshape(len(self.values), -1)

    @property
    def estimators(self) -> _Estimators:
        """What estimators share."""
        config = self.context.config
        return _Estimators(config.information.n_neighbors, config.seed, self.context.workers)


def series_of(data: StudyData, G: Floats) -> dict[Target, tuple[Floats, Floats]]:
    """Return what is ranked, as the paper does: features of a frame against the gap there and |NAC| after it.

    Of separate pairs: features of the first frame of each against gap and |NAC| of the pair.
    """
    pair, samples = data.hamiltonian, data.samples
    if samples is not None:
        return {"gap": (G, samples.gap), "nac": (G, samples.coupling)}
    return {"gap": (G if pair.energy_grid == "frame" else G[:-1], pair.gap()), "nac": (G[:-1], np.abs(pair.coupling()))}


def run_information(context: Context) -> StageResult[InformationNumbers]:
    """Rank elements and functions for both targets.

    Returns
    -------
    StageResult
        Arrays ``{raw,null,corrected}/{target}/{element}`` [n_r_s, n_theta_s], ``atoms/{target}`` [n_atoms].
    """
    section, data = context.config.information, context.data
    found = context.of(features.STAGE)
    functions = found.numbers.functions
    timestep = data.trajectory.timestep if data.samples is None else data.samples.spacing
    window = None
    if section.theiler_window is not None:
        window = max(1, round(section.theiler_window / timestep))
    information: list[InformationRecord] = []
    best_features: list[BestFeatureRecord] = []
    selection: list[SelectedFeature] = []
    best: dict[str, dict[str, int]] = {}
    memory: dict[str, MemoryRecord] = {}
    arrays: Arrays = {}
    for target, (G, values) in series_of(data, found.arrays["G"]).items():
        context.progress.advance(target)
        if np.ptp(values) == 0:
            raise InputError(f"The {target} must vary along the trajectory, but is {values[0]:.4g} eV throughout.")
        ranking = rank_elements(
            G,
            data.sites.symbols,
            values,
            timestep,
            n_neighbors=section.n_neighbors,
            theiler_window=window,
            random_state=context.config.seed,
            workers=context.workers,
        )
        ranked = _Ranked(context, target, functions, G, values, ranking)
        info = ranking.information
        memory[target] = MemoryRecord(
            correlation_time=info.correlation_time.value,
            resolved=bool(info.correlation_time.resolved),
            reason=info.reason,
            length_needed=info.length_needed,
        )
        interval = _interval(ranked)
        selection += _selected(ranked)
        atoms = arrays.setdefault(f"atoms/{target}", np.full(G.shape[1], np.nan))
        for entry in ranking.elements:
            information.append(_information_record(ranked, entry, interval))
            best_features.append(_best_record(ranked, entry))
            best.setdefault(entry.element, {})[target] = entry.best
            atoms[entry.atoms] = entry.per_feature_corrected.sum(axis=1)
            arrays |= _maps(ranked, entry)
    adjusted = adjust([math.nan if one.p is None else one.p for one in information])
    information = [
        one.model_copy(update={"p_adjusted": None if math.isnan(p) else float(p)})
        for one, p in zip(information, adjusted, strict=True)
    ]
    numbers = InformationNumbers(
        information=information, best_features=best_features, selection=selection, best=best, memory=memory
    )
    return StageResult(numbers, arrays)


def _maps(ranked: _Ranked, entry: ElementInformation) -> Arrays:
    shape = (len(ranked.functions.r_s), len(ranked.functions.theta_s))
    maps = {"raw": entry.raw_map, "null": entry.raw_null_map, "corrected": entry.corrected_map}
    return {f"{kind}/{ranked.target}/{entry.element}": one.reshape(shape) for kind, one in maps.items()}


def _interval(ranked: _Ranked) -> InformationInterval | None:
    """Return the bootstrap interval of every element's corrected information; None without corrected values."""
    info = ranked.ranking.information
    if np.isnan(info.corrected).any():
        return None
    return bootstrap_information(ranked.flat, ranked.values, info, **vars(ranked.estimators))


def _selected(ranked: _Ranked) -> list[SelectedFeature]:
    """Return the features chosen greedily for a target, in their order; none without corrected values."""
    section, info, functions = ranked.context.config.information, ranked.ranking.information, ranked.functions
    if np.isnan(info.corrected).any() or section.n_select == 0:
        return []
    most = min(section.n_select, ranked.flat.shape[1])
    found = select_features(ranked.flat, ranked.values, info, most, method=section.selection, **vars(ranked.estimators))
    symbols = ranked.context.data.sites.symbols
    records = []
    for order, column in enumerate(found.features):
        atom, function = divmod(int(column), len(functions.r_s) * len(functions.theta_s))
        radial, angular = divmod(function, len(functions.theta_s))
        records.append(
            SelectedFeature(
                target=ranked.target,
                order=order + 1,
                method=found.method,
                atom=atom,
                element=symbols[atom],
                r_s=functions.r_s[radial],
                theta_s=functions.theta_s[angular],
                r_pair=functions.r_s_labels[radial],
                theta_pair=functions.theta_s_labels[angular],
                relevance=float(found.relevance[order]),
                redundancy=float(found.redundancy[order]),
                score=float(found.score[order]),
                conditional=float(found.conditional[order]),
                p_first=found.p_first if order == 0 else None,
                reasons={"p_first": "a test of the first choice only"},
            )
        )
    return records


def _information_record(
    ranked: _Ranked, entry: ElementInformation, interval: InformationInterval | None
) -> InformationRecord:
    info, n_atoms = ranked.ranking.information, len(entry.atoms)
    why = info.reason or "not possible on this trajectory"
    spread = info.null[info.groups == entry.element].reshape(n_atoms, -1, info.n_shifts).sum(axis=(0, 1))
    spread = spread / n_atoms
    enough = spread.size > 1 and np.ptp(spread) > 0
    z = (entry.mean_corrected - spread.mean()) / spread.std(ddof=1) if enough else math.nan
    ends: dict[str, float | None] = {"corrected_low": None, "corrected_high": None}
    if interval is not None:
        at = interval.groups.index(entry.element)
        # of long series the interval comes from fewer offsets than the value: its width is taken
        for name, end in (("low", interval.low), ("high", interval.high)):
            ends[f"corrected_{name}"] = entry.mean_corrected + float(end[at] - interval.value[at]) / n_atoms
        ends["n_blocks"] = float(interval.n_blocks)
    numbers = (
        "null_mean",
        "corrected",
        "corrected_null_mean",
        "windowed",
        "windowed_null_mean",
        "z",
        "p",
        "smallest_p",
    )
    return InformationRecord(
        element=entry.element,
        target=ranked.target,
        raw=entry.mean_mi,
        null_mean=entry.mean_null,
        corrected=entry.mean_corrected,
        corrected_null_mean=entry.mean_corrected_null,
        windowed=entry.mean_windowed,
        windowed_null_mean=entry.mean_windowed_null,
        z=z,
        p=entry.p,
        smallest_p=1.0 / (1 + info.n_shifts),
        n_shifts=int(info.n_shifts),
        n_features=int(entry.per_feature.shape[1]),
        theiler_window=stride_record(info.timestep, int(info.theiler_window)),
        decimation=stride_record(info.timestep, int(info.decimation)),
        note=info.reason,
        **ends,
        reasons=dict.fromkeys(numbers, why) | dict.fromkeys(("corrected_low", "corrected_high"), info.reason),
    )


def _best_record(ranked: _Ranked, entry: ElementInformation) -> BestFeatureRecord:
    functions, reason = ranked.functions, ranked.ranking.information.reason
    radial, angular = divmod(entry.best, len(functions.theta_s))
    corrected = None
    if entry.best_corrected is not None:
        r, theta = divmod(entry.best_corrected, len(functions.theta_s))
        corrected = BestByCorrected(
            r_s=functions.r_s[r],
            theta_s=functions.theta_s[theta],
            corrected=float(entry.corrected_map[entry.best_corrected]),
        )
    return BestFeatureRecord(
        element=entry.element,
        target=ranked.target,
        r_s=functions.r_s[radial],
        theta_s=functions.theta_s[angular],
        mi=float(entry.raw_map[entry.best]),
        null_mean=float(entry.raw_null_map[entry.best]),
        corrected=float(entry.corrected_map[entry.best]),
        r_pair=functions.r_s_labels[radial],
        theta_pair=functions.theta_s_labels[angular],
        best_by_corrected=corrected,
        reasons=dict.fromkeys(("null_mean", "corrected"), reason),
    )


STAGE = Stage(
    "information",
    20,
    InformationNumbers,
    ("information",),
    run_information,
    needs=lambda data: (features.STAGE,),
    total=lambda config, data: len(TARGETS),
)
