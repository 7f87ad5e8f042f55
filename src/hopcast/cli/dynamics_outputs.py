"""The folder of `hopcast dynamics`: when it may be written, and what is written into it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hopcast.cli.dynamics_figures import draw_populations
from hopcast.core.errors import ConfigError, OutputError
from hopcast.core.hdf5 import write_text
from hopcast.core.outputs import check_folder, check_outside
from hopcast.core.plain import PlainMap
from hopcast.dynamics import write_result

if TYPE_CHECKING:
    from hopcast.dynamics import DynamicsResult

RESULT = "dynamics.h5"
CHECKPOINT = "checkpoint"


def check_run(folder: Path, *, resume: bool, overwrite: bool, inputs: Iterable[str | Path | None]) -> None:
    """Refuse a folder that must not be written: of something else, without leave, or with what is read in it.

    Raises
    ------
    ConfigError
        If `resume` and `overwrite` are both asked for.
    OutputError
        As said.
    """
    if resume and overwrite:
        raise ConfigError("Options --resume and --overwrite exclude each other: choose one.")
    check_folder(folder, overwrite=resume or overwrite, leave="continue with --resume, or replace with --overwrite")
    check_outside(folder, inputs)
    is_ours = (folder / RESULT).is_file() or (folder / CHECKPOINT).is_dir()
    if folder.exists() and any(folder.iterdir()) and not is_ours:
        raise OutputError(f"Folder `{folder}` holds no dynamics of ours. Name another, or remove it yourself.")


def clear_run(folder: Path) -> None:
    """Remove what an earlier run left, so that a killed one does not pass for it."""
    shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
    for name in ("results.json", RESULT):
        (folder / name).unlink(missing_ok=True)


def states_csv(result: DynamicsResult, shares: NDArray[np.float64]) -> str:
    """Return shares [n_times, n_states] as CSV: a row a time (fs), a column a state."""
    names = result.states or tuple(str(state) for state in range(shares.shape[1]))
    lines = [",".join(["time [fs]", *(f'"{name}"' if "," in name else name for name in names)])]
    for time, row in zip(result.times.tolist(), shares.tolist(), strict=True):
        lines.append(",".join([f"{time:g}", *(repr(value) for value in row)]))
    return "\n".join(lines) + "\n"


def write_run(result: DynamicsResult, folder: Path, text: str, record: PlainMap) -> None:
    """Write everything, the record last, and remove the checkpoint.

    Raises
    ------
    OutputError
        If something cannot be written; the checkpoint stays.
    """
    write_result(result, folder / RESULT)
    draw_populations(result, folder / "populations")
    write_text(folder / "populations.csv", states_csv(result, result.populations))
    if result.recombined is not None:
        write_text(folder / "recombined.csv", states_csv(result, result.recombined))
    write_text(folder / "summary.txt", text + "\n")
    write_text(folder / "results.json", json.dumps(record, indent=1, allow_nan=False) + "\n")
    shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
