"""The run record: written before the work starts, closed after it, so that even a killed run says what it was."""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from hopcast.core import hdf5
from hopcast.core.errors import ConfigError, OutputError
from hopcast.core.outputs import check_folder
from hopcast.core.plain import PlainMap
from hopcast.results.study import InputRecord, Provenance

NAME = "run.json"
PACKAGES = ("numpy", "scipy", "scikit-learn", "numba", "ase", "h5py", "matplotlib")


Status = Literal["running", "finished", "interrupted", "failed"]


class RunRecord(Provenance):
    """What `run.json` holds: how the numbers are made, and what became of the run."""

    status: Status
    seconds: float | None = None
    error: str | None = None


def provenance(config: PlainMap, inputs: list[InputRecord], seed: int) -> Provenance:
    """Return what is needed to run a study again: versions, machine, command, resolved settings, inputs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Provenance(
        version=version("hopcast"),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=" ".join([Path(sys.argv[0]).name or "python", *sys.argv[1:]]),
        seed=seed,
        config=dict(config),
        inputs=inputs,
        packages={name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        machine={
            "processor": platform.processor() or platform.machine(),
            "cores": cores,
            "system": f"{platform.system()} {platform.release()}",
        },
    )


def check_output(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse an output folder that holds something, before any work is done for it.

    Raises
    ------
    ConfigError
        If both `resume` and `overwrite` are asked for.
    OutputError
        If the folder holds files and neither is, or if it is no run of hopcast.
    """
    if resume and overwrite:
        raise ConfigError("Arguments `resume` and `overwrite` exclude each other. Give one.")
    check_folder(
        folder, overwrite=resume or overwrite, leave="continue its run (--resume), or replace it (--overwrite)"
    )
    if folder.exists() and any(folder.iterdir()) and not (folder / NAME).is_file():
        raise OutputError(
            f"Output folder `{folder}` holds no {NAME}, so it is no run of hopcast. Nothing was touched: "
            "choose another folder."
        )


def prepare_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Make the folder of the stages; without those of an earlier run where that is replaced.

    Raises
    ------
    ConfigError, OutputError
        As `check_output`, or if it cannot be made.
    """
    check_output(folder, resume=resume, overwrite=overwrite)
    if overwrite:
        for stage in (folder / "stages").glob("*.h5"):
            stage.unlink()
    try:
        (folder / "stages").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the output folder `{folder}`: {error.strerror or error}.") from error


def write_record(folder: Path, record: RunRecord) -> None:
    """Write the run record atomically."""
    hdf5.write_text(folder / NAME, json.dumps(record.model_dump(mode="json"), indent=2) + "\n")
