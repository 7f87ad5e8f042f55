"""Running a study for somebody at a terminal: progress, tables, and where the report lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from hopcast.study.config import StudyConfig


def conduct(config: StudyConfig, output: Path, *, resume: bool, overwrite: bool, workers: int | None) -> None:
    """Run a study with progress on standard error and its tables on standard output."""
    from rich.console import Console

    from hopcast.report import hamiltonian_table, trust_table
    from hopcast.study import run_study

    try:
        result = run_study(
            config, output, resume=resume, overwrite=overwrite, workers=workers, console=Console(stderr=True)
        )
    except KeyboardInterrupt:
        typer.echo(
            f"hopcast: interrupted. Finished stages are kept: continue with --resume --output {output}.",
            err=True,
        )
        raise typer.Exit(130) from None
    console = Console()
    for table in (trust_table(result.report), hamiltonian_table(result.report)):
        console.print(table.to_rich())
        console.print()
    console.print(f"Report: {result.folder / 'report.html'}", highlight=False, markup=False, soft_wrap=True)
