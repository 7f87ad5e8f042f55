"""Running a study for somebody at a terminal: progress, tables, and where the report lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hopcast.study.config import StudyConfig


def conduct(config: StudyConfig, output: Path, *, resume: bool, overwrite: bool, workers: int | None) -> None:
    """Run a study with progress on standard error and its tables on standard output."""
    from rich.console import Console

    from hopcast.report import terminal_tables
    from hopcast.study import run_study

    result = run_study(
        config,
        output,
        resume=resume,
        overwrite=overwrite,
        workers=workers,
        console=Console(stderr=True),
        hint=f"Finished stages are kept: continue with --resume and the output folder {output}.",
    )
    console = Console()
    for table in terminal_tables(result.report):
        console.print(table)
        console.print()
    console.print(f"Report: {result.folder / 'report.html'}", highlight=False, markup=False, soft_wrap=True)
