"""What a study forecasts, from which features, by which models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.descriptors import element_columns, flatten
from hopcast.evaluation.evaluate import Splitter
from hopcast.forecast.pair import PairPhysics, midpoint_gap
from hopcast.information import correlation_time
from hopcast.regression import LaplacianRidge
from hopcast.results.record import Target as TargetName
from hopcast.study.config import ModelsSection
from hopcast.study.inputs import StudyData

Array = NDArray[Any]

MOST_VARIANCE_WORK: Final = 2e11
"""Frames times training frames squared beyond which posterior variances are left out (about a minute a model)."""


@dataclass(frozen=True)
class ModelSpec:
    """Which features a model sees.

    Attributes
    ----------
    name
        "Pb-18": the environment of one element, 18 functions an atom.
    elements
        Elements whose atoms' features enter.
    features
        Functions an atom.
    functions
        The one function of each element, by target; empty where all functions enter.
    """

    name: str
    elements: tuple[str, ...]
    features: int
    functions: dict[str, tuple[int, ...]]

    def columns(self, symbols: tuple[str, ...], n_functions: int, target: str) -> NDArray[np.int64]:
        """Return the columns of the flattened features that the model sees for a target."""
        parts = []
        for index, element in enumerate(self.elements):
            function = self.functions[target][index] if self.functions else None
            parts.append(element_columns(symbols, element, n_functions, function=function))
        return np.sort(np.concatenate(parts))

    def select(self, symbols: tuple[str, ...], target: Target) -> Array:
        """Return the features of a target that the model sees, [n, n_features]."""
        return self.columns_of(symbols, target.name, target.features, target.n_columns)

    def columns_of(self, symbols: tuple[str, ...], target: str, features: Array, n_columns: int) -> Array:
        """Return what the model sees of features whose first `n_columns` columns are positions, [n, n_features]."""
        chosen = self.columns(symbols, n_columns // len(symbols), target)
        if features.shape[1] > n_columns:  # velocities follow positions
            chosen = np.concatenate([chosen, chosen + n_columns])
        return np.ascontiguousarray(features[:, chosen])


@dataclass(frozen=True, eq=False)
class Target:
    """What is forecast.

    Attributes
    ----------
    name
        "gap" or "nac".
    times
        Where it lives, fs.
    values
        What the models learn, eV.
    truth
        The ab initio series itself, eV.
    features
        Flattened features at those times [n, n_columns].
    memory
        Correlation time of the values (and, of separate pairs, of the slowest feature), fs.
    n_columns
        Columns of positions among the features; time derivatives follow them in `default` mode.
    """

    name: TargetName
    times: Array
    values: Array
    truth: Array
    features: Array
    memory: float
    n_columns: int


@dataclass(frozen=True, eq=False)
class Targets:
    """Gap and coupling where they are known, and the physics between what is learnt and what they are.

    Attributes
    ----------
    gap, nac
        The two.
    physics
        Of the known values: its grid is that of `gap`.
    spacing
        Between values, fs.
    """

    gap: Target
    nac: Target
    physics: PairPhysics
    spacing: float

    def __iter__(self) -> Any:
        return iter((self.gap, self.nac))

    @property
    def memory(self) -> float:
        """Longest correlation time, fs."""
        return max(self.gap.memory, self.nac.memory)


def model_specs(
    section: ModelsSection, elements: tuple[str, ...], n_functions: int, best: Mapping[str, Mapping[str, int]]
) -> list[ModelSpec]:
    """Return the models of the study: {all, each element} x {all functions, the best one}.

    Parameters
    ----------
    section
        Settings.
    elements
        Of the material.
    n_functions
        Functions an atom.
    best
        Function of each element, then target, with the largest mutual information.

    Raises
    ------
    InputError
        If an element asked for is not in the material.
    """
    single = elements if section.elements is None else tuple(section.elements)
    for element in single:
        if element not in elements:
            raise InputError(
                f"Key `models.elements` names {element}, but the elements of the trajectory are {', '.join(elements)}."
            )
    sets: list[tuple[str, tuple[str, ...]]] = [(element, (element,)) for element in single]
    if len(elements) > 1:
        sets.insert(0, ("all", elements))
    specs = [ModelSpec(f"{label}-{n_functions}", members, n_functions, {}) for label, members in sets]
    if n_functions > 1:
        for label, members in sets:
            functions = {target: tuple(best[element][target] for element in members) for target in ("gap", "nac")}
            specs.append(ModelSpec(f"{label}-1", members, 1, functions))
    return specs


def n_specs(section: ModelsSection, data: StudyData, n_functions: int = 2) -> int:
    """Return how many models the study has, before any is made."""
    elements = data.sites.elements
    single = len(elements) if section.elements is None else len(section.elements)
    return (single + (len(elements) > 1)) * (1 + (n_functions > 1))


def targets_of(section: ModelsSection, data: StudyData, features: Mapping[str, Array], memory: float = 0.0) -> Targets:
    """Return gap and coupling where they are known, with the features they are learnt from (`hopcast.forecast.pair`).

    Where every frame is known gaps live on the grid of the energies; of separate pairs one sample of both lives at each mid-point.

    Parameters
    ----------
    section
        Settings.
    data
        The data.
    features
        Symmetry functions ``G`` at every frame, or of separate pairs ``G`` and ``G_next`` at both frames of each.
    memory
        Correlation time of the slowest feature where only pairs show the targets, fs.
    """
    pair, timestep, samples = data.hamiltonian, data.trajectory.timestep, data.samples
    published = section.mode == "paper"
    flat = flatten(features["G"])
    if samples is not None:
        now, later, spacing = flat, flatten(features["G_next"]), samples.spacing
        times: Array = samples.times
        physics = PairPhysics(float(samples.gap.mean()), "midpoint", published)
        gap: Array = samples.gap
        middle, truth, at_gap = gap, samples.coupling, times
        seen = physics.columns("gap", now, later, timestep)
    else:
        now, later, spacing = flat[:-1], flat[1:], timestep
        times = (np.arange(pair.n_steps) + 0.5) * timestep
        physics = PairPhysics(float(midpoint_gap(pair).mean()), pair.energy_grid, published)
        gap, middle, truth = pair.gap(), midpoint_gap(pair), np.abs(pair.coupling())
        on_frames = pair.energy_grid == "frame"
        at_gap = np.arange(pair.n_frames) * timestep if on_frames else times
        seen = flat if on_frames else physics.columns("gap", now, later, timestep)
    learnt = physics.learnt(truth, middle)
    coupling = physics.columns("nac", now, later, timestep)
    n_columns = flat.shape[1]
    return Targets(
        Target("gap", at_gap, gap, gap, seen, max(_memory(gap, spacing), memory), n_columns),
        Target("nac", times, learnt, truth, coupling, max(_memory(learnt, spacing), memory), n_columns),
        physics,
        spacing,
    )


def _memory(values: Array, spacing: float) -> float:
    if np.ptp(values) == 0:
        raise InputError(
            f"The target must vary along the trajectory, but is {values[0]:.4g} eV at all {len(values)} times."
        )
    return max(float(correlation_time(values, spacing)), spacing)


def learner(section: ModelsSection, memory: float, stride: float, n_train: int, workers: int | None) -> LaplacianRidge:
    """Return the unfitted model of a mode.

    Blocks of the hyperparameter search are longer than the correlation time, but at least four fit into the smallest
    training set (`n_train` frames): a short trajectory chooses from blocks that know each other.
    """
    if section.mode == "paper":
        return LaplacianRidge.paper(workers=workers)
    return LaplacianRidge(block_length=max(1, min(math.ceil(memory / stride), n_train // 4)), workers=workers)


def smallest_training_set(splits: Iterable[Splitter | None], n: int) -> int:
    """Return the least number of training frames among the folds of some splits of `n` frames."""
    frames = np.empty((n, 1))
    return min(len(train) for split in splits if split is not None for train, _ in split.split(frames))


def affordable(n_frames: int, n_train: int) -> bool:
    """Whether posterior variances at all frames are worth their cost, n_frames times n_train squared."""
    return float(n_frames) * float(n_train) ** 2 <= MOST_VARIANCE_WORK
