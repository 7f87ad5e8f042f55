"""`StageRunner`: stages in their order, each found on disk where it was computed before."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hopcast.core.errors import QualityWarning
from hopcast.study.progress import Reporter, Stage
from hopcast.study.stages import StageResult, cached, stage_key


class StageRunner:
    """Runs the stages of a study and keeps their results and the hashes of their inputs.

    Parameters
    ----------
    folder
        Where results are kept.
    reporter
        Progress.
    seed
        Part of every stage's inputs.
    fingerprint
        Hash of the data: the stage all others need.

    Attributes
    ----------
    results
        By name of the stage.
    """

    def __init__(self, folder: Path, reporter: Reporter, seed: int, fingerprint: str) -> None:
        self._folder, self._reporter, self._seed = folder, reporter, seed
        self._keys = {"data": stage_key("data", {"fingerprint": fingerprint})}
        self.results: dict[str, StageResult] = {}

    def run(
        self,
        name: str,
        needs: tuple[str, ...],
        settings: Any,
        total: int,
        work: Callable[[Stage], StageResult],
    ) -> StageResult:
        """Run a stage, or take it from the folder where its settings and what it needs are the same as before."""
        inputs = {"settings": settings, "seed": self._seed} | {need: self._keys[need] for need in needs}
        self._keys[name] = stage_key(name, inputs)
        with self._reporter.stage(name, total) as stage:
            self.results[name], found = cached(
                self._folder, name, self._keys[name], lambda: with_notes(work, stage)
            )
            stage.note = "from the earlier run" if found else ""
        for note in self.results[name].numbers["notes"]:
            self._reporter.note(note)
        return self.results[name]


def with_notes(work: Callable[[Stage], StageResult], stage: Stage) -> StageResult:
    """Run a stage and keep its quality warnings with its result, so that a resumed run repeats them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", QualityWarning)
        result = work(stage)
    notes = [str(one.message) for one in caught if issubclass(one.category, QualityWarning)]
    for one in caught:
        if not issubclass(one.category, QualityWarning):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return StageResult({**result.numbers, "notes": list(dict.fromkeys(notes))}, result.arrays)
