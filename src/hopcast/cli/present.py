"""Running a study for somebody at a terminal: progress, tables, and where the report lies."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from hopcast.core.scheduler import Scheduler
    from hopcast.report import StudyReport, Table
    from hopcast.study.config import StudyConfig


def output_console() -> Console:
    """Return the console for tables: as wide as the terminal, or wide enough for any table in a log."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=130)


@contextmanager
def scheduled(scheduler: str | None, options_file: Path | None, workers: int | None) -> Iterator[Scheduler | None]:
    """Open what --scheduler names and compute on it what can travel; without it, nothing changes.

    Raises
    ------
    ConfigError
        If there are options without a scheduler, or the scheduler is unknown or cannot be reached.
    """
    from hopcast.core.chunks import computing_on
    from hopcast.core.errors import ConfigError
    from hopcast.core.scheduler import open_scheduler

    if scheduler is None:
        if options_file is not None:
            raise ConfigError("Option --scheduler-options needs --scheduler slurm.")
        yield None
        return
    with open_scheduler(scheduler, options_file=options_file, workers=workers) as executor, computing_on(executor):
        yield executor


def conduct(
    config: StudyConfig,
    output: Path,
    *,
    resume: bool,
    overwrite: bool,
    workers: int | None,
    strict: bool = False,
    tables: Sequence[Callable[[StudyReport], Table]] | None = None,
) -> None:
    """Run a study with progress on standard error and its tables on standard output.

    Raises
    ------
    GateError
        With `strict`, after everything is written, if a forecast does not beat the calendar or a verdict is not reached.
    """
    from rich.console import Console

    from hopcast.core.errors import GateError
    from hopcast.report.sections.dynamics import hamiltonian_table
    from hopcast.report.sections.trust import trust_table
    from hopcast.results import gate
    from hopcast.study import run_study

    try:
        result = run_study(
            config, output, resume=resume, overwrite=overwrite, workers=workers, console=Console(stderr=True)
        )
    except KeyboardInterrupt:
        typer.echo(
            f"hopcast: interrupted. Finished stages are kept: continue with --resume --output {output}.", err=True
        )
        raise typer.Exit(130) from None
    console = output_console()
    for make in tables or (trust_table, hamiltonian_table):
        console.print(make(result.report).to_rich())
        console.print()
    console.print(f"Report: {result.folder / 'report.html'}", highlight=False, markup=False, soft_wrap=True)
    reasons = gate(result.report.results) if strict else []
    if reasons:
        raise GateError(f"The study does not pass --strict: {'; '.join(reasons)}.")
