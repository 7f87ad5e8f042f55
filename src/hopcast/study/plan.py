"""How the models of a study are trained and held out: a plan for data known at every frame, and one for separate pairs."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from hopcast.core.errors import InputError, QualityWarning
from hopcast.evaluation import Evaluation
from hopcast.regression import LaplacianRidge
from hopcast.results.forecasts import CandidateRecord, ModelRecord
from hopcast.results.record import Split, Stride
from hopcast.study.scores import Subject
from hopcast.study.stage import Arrays, Context
from hopcast.study.targets import ModelSpec, Target, Targets
from hopcast.study.whole import Held, Whole, wholes

Array = NDArray[Any]


class Plan(ABC):
    """What differs between a Hamiltonian known at every frame and one known on pairs.

    Attributes
    ----------
    targets
        Gap and coupling where they are known.
    stride
        Between training values.
    block, purge
        Stretches of time held out and what is left beside them, fs, where they are the same for all targets.
    """

    targets: Targets
    stride: Stride
    block: float | None = None
    purge: float | None = None

    @abstractmethod
    def held(self, target: Target) -> tuple[Held, ...]:
        """Return the splits that every model is scored on."""

    @abstractmethod
    def times(self, target: Target) -> Array | None:
        """Return the times of values that are not evenly spaced."""

    @abstractmethod
    def affords(self, X: Array, found: Evaluation) -> bool:
        """Whether posterior variances are worth their cost."""

    @abstractmethod
    def forecast(
        self, target: Target, spec: ModelSpec, X: Array, model: LaplacianRidge, found: Mapping[Split, Evaluation]
    ) -> float | None:
        """Keep the forecast of a model; return the scale of its posterior variance, None without one."""

    def elsewhere(self, target: Target, spec: ModelSpec, model: LaplacianRidge, subject: Subject) -> list[ModelRecord]:
        """Score a model on other trajectories."""
        return []

    def choose(self) -> tuple[list[ModelRecord], list[CandidateRecord] | None]:
        """Choose among further representations and learners."""
        return [], None

    def add_wholes(self, context: Context) -> list[ModelRecord]:
        """Score and keep every forecaster of whole Hamiltonians that can learn the window; one that fails says why and is left out."""
        records: list[ModelRecord] = []
        for whole in wholes(context, self.targets, self.stride):
            try:
                records += self.add_whole(whole)
            except InputError as error:
                warnings.warn(f"The {whole.name} is left out: {error}", QualityWarning, stacklevel=2)
        return records

    @abstractmethod
    def add_whole(self, whole: Whole) -> list[ModelRecord]:
        """Score a forecaster of whole Hamiltonians on every split, and keep it for its forecast."""

    @abstractmethod
    def forecasts(self) -> tuple[list[str], Arrays]:
        """Return the names of what forecasts a Hamiltonian, and the arrays of the forecasts."""
