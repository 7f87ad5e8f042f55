"""What a stage of a study is: computed once, kept in HDF5 under the hash of what it depends on, found again after a kill.

A stage is one file in `hopcast.study.stages` that names its `STAGE`. To add one, put a module there: what it needs, which keys of
the study file it reads, the record it leaves behind, and the work. Fields of that record that are fields of `StudyResults` go
into `results.json` by themselves.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from hopcast.core import hdf5
from hopcast.core.declared import list_declared
from hopcast.core.errors import InputError, QualityWarning
from hopcast.core.fingerprint import fingerprint
from hopcast.core.plain import Plain, PlainMap
from hopcast.results.record import Record
from hopcast.study.config import StudyConfig
from hopcast.study.inputs import StudyData
from hopcast.study.progress import Progress, Reporter

N = TypeVar("N", bound=Record)
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class StageResult(Generic[N]):
    """What a stage leaves behind.

    Attributes
    ----------
    numbers
        A record.
    arrays
        Arrays by name.
    notes
        Quality warnings of its work, so that a resumed run repeats them.
    """

    numbers: N
    arrays: Arrays = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Context:
    """What a stage works with.

    Attributes
    ----------
    config
        The keys of the study file that the stage reads, and no others.
    data
        Of the study.
    results
        What the stages it needs left behind, by name.
    progress
        Counts its units of work.
    workers
        Threads.
    """

    config: StudyConfig
    data: StudyData
    results: Mapping[str, StageResult[Any]]
    progress: Progress
    workers: int | None

    def of(self, stage: Stage[N]) -> StageResult[N]:
        """Return what an earlier stage left behind."""
        return cast(StageResult[N], self.results[stage.name])


def _nothing(data: StudyData) -> tuple[Stage[Any], ...]:
    return ()


def _always(config: StudyConfig, data: StudyData) -> bool:
    return True


def _one(config: StudyConfig, data: StudyData) -> int:
    return 1


@dataclass(frozen=True, eq=False)
class Stage(Generic[N]):
    """A stage of a study.

    Attributes
    ----------
    name
        Of its file and its line of progress.
    place
        Stages run in ascending order.
    numbers
        The record it leaves behind.
    reads
        Keys of the study file it depends on: ``"models"``, or ``"dynamics.temperature"``. Others cannot be read.
    work
        Does it.
    needs
        Earlier stages that it looks at.
    applies
        Whether a study has it.
    total
        Units of its progress bar.
    outside
        What else it depends on, of files that are not the study's data.
    """

    name: str
    place: int
    numbers: type[N]
    reads: tuple[str, ...]
    work: Callable[[Context], StageResult[N]]
    needs: Callable[[StudyData], tuple[Stage[Any], ...]] = _nothing
    applies: Callable[[StudyConfig, StudyData], bool] = _always
    total: Callable[[StudyConfig, StudyData], int] = _one
    outside: Callable[[StudyConfig], Any] = lambda config: None


@lru_cache(maxsize=1)
def list_stages() -> tuple[Stage[Any], ...]:
    """Return all stages in their order."""
    from hopcast.study import stages

    return tuple(sorted(list_declared(stages, "STAGE"), key=lambda stage: stage.place))


def settings_of(stage: Stage[Any], config: StudyConfig) -> PlainMap:
    """Return the keys of the study file that a stage reads, with their values."""
    values = config.model_dump(mode="json")
    found: dict[str, Plain] = {}
    for key in ("seed", *stage.reads):
        section, _, name = key.partition(".")
        found[key] = values[section][name] if name else values[section]
    return found


def view_of(stage: Stage[Any], config: StudyConfig) -> StudyConfig:
    """Return the study's configuration with nothing but the keys that a stage reads: it cannot depend on others unseen."""
    sections: dict[str, object] = {}
    for key in ("seed", *stage.reads):
        section, _, name = key.partition(".")
        whole = getattr(config, section)
        if name:
            part = sections.setdefault(section, SimpleNamespace())
            setattr(part, name, getattr(whole, name))
        else:
            sections[section] = whole
    return cast(StudyConfig, SimpleNamespace(**sections))


class StageRunner:
    """Runs the stages of a study in their order, each found in a folder where it was computed before.

    Parameters
    ----------
    config, data
        Of the study.
    folder
        Where results are kept; None keeps nothing.
    reporter
        Progress.
    workers
        Threads.

    Attributes
    ----------
    results
        By name of the stage.
    """

    def __init__(
        self, config: StudyConfig, data: StudyData, folder: Path | None, reporter: Reporter, workers: int | None
    ) -> None:
        self._config, self._data, self._folder = config, data, folder
        self._reporter, self._workers = reporter, workers
        self._keys: dict[str, str] = {}
        self.results: dict[str, StageResult[Any]] = {}

    def key(self, stage: Stage[Any]) -> str:
        """Return the hash of everything a stage depends on: hopcast, data, keys of the study file, earlier stages."""
        from importlib.metadata import version

        if stage.name not in self._keys:
            self._keys[stage.name] = fingerprint(
                stage.name,
                version("hopcast"),
                self._data.fingerprint,
                settings_of(stage, self._config),
                {need.name: self.key(need) for need in stage.needs(self._data)},
                stage.outside(self._config),
            )[:16]
        return self._keys[stage.name]

    def run(self, stage: Stage[N]) -> StageResult[N]:
        """Run a stage, or take it from the folder."""
        with self._reporter.stage(stage.name, stage.total(self._config, self._data)) as progress:
            path = self._folder and self._folder / f"{stage.name}-{self.key(stage)}.h5"
            result = None if path is None else load_stage(path, stage.numbers)
            progress.note = "" if result is None else "from the earlier run"
            if result is None:
                view = view_of(stage, self._config)
                known = {need.name: self.results[need.name] for need in stage.needs(self._data)}
                result = with_notes(stage, Context(view, self._data, known, progress, self._workers))
                if path is not None:
                    store_stage(path, stage.name, result)
        for note in result.notes:
            self._reporter.note(note)
        self.results[stage.name] = result
        return result

    def run_all(self) -> None:
        """Run all stages that the study has."""
        for stage in list_stages():
            if stage.applies(self._config, self._data):
                self.run(stage)


def with_notes(stage: Stage[N], context: Context) -> StageResult[N]:
    """Do the work of a stage and keep its quality warnings with its result."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", QualityWarning)
        result = stage.work(context)
    notes = [str(one.message) for one in caught if issubclass(one.category, QualityWarning)]
    for one in caught:
        if not issubclass(one.category, QualityWarning):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return StageResult(result.numbers, result.arrays, tuple(dict.fromkeys(notes)))


def store_stage(path: Path, name: str, result: StageResult[Any]) -> None:
    """Write what a stage left behind, atomically."""

    def fill(file: Any) -> None:
        # datasets, not attributes: those end at 64 kB
        file.create_dataset("numbers", data=result.numbers.model_dump_json(by_alias=True))
        file.create_dataset("notes", data=json.dumps(result.notes))
        file.attrs["stage"] = name
        arrays = file.create_group("arrays")
        for label, values in result.arrays.items():
            arrays.create_dataset(label.replace("/", "|"), data=values, track_times=False)

    hdf5.write_file(path, fill)


def load_stage(path: Path, numbers: type[N]) -> StageResult[N] | None:
    """Return what a stage left behind, or None where there is nothing whole: a cache is never worth a failure."""
    if not path.exists():
        return None
    try:
        with hdf5.open_file(path) as file:
            found = numbers.model_validate_json(file["numbers"].asstr()[()])
            notes = tuple(json.loads(file["notes"].asstr()[()]))
            arrays = {label.replace("|", "/"): np.asarray(values[()]) for label, values in file["arrays"].items()}
    except (InputError, KeyError, ValueError, OSError):
        path.unlink()
        return None
    return StageResult(found, arrays, notes)
