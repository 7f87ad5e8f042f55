"""Option types that several subcommands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Output = Annotated[Path | None, typer.Option("--output", "-o", help="Output folder.", show_default=False)]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in the output folder.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run in the output folder.")]
Workers = Annotated[
    int | None, typer.Option("--workers", "-j", help="Threads; the cores by default.", show_default=False)
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Exit with 4 unless every forecast beats the calendar and every verdict is reached."),
]
EngineSettings = Annotated[
    Path | None,
    typer.Option(
        "--settings", help="TOML file with settings of the engine (cp2k: basis, cutoff, ...).", show_default=False
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="Compute elsewhere: tcp://host:port of a Dask scheduler, slurm, or local.",
        show_default=False,
    ),
]
SchedulerOptions = Annotated[
    Path | None,
    typer.Option("--scheduler-options", help="TOML file with the options of the SLURM site.", show_default=False),
]
Cell = Annotated[
    str | None,
    typer.Option("--cell", help="Three lengths or nine numbers in Å, separated by commas.", show_default=False),
]

Elements = Annotated[
    str | None,
    typer.Option(
        "--elements", help="Elements of types 1, 2, ... of a LAMMPS dump, separated by commas.", show_default=False
    ),
]


def parse_elements(text: str | None) -> list[str] | None:
    """Return symbols that are separated by commas or blanks."""
    return None if text is None else text.replace(",", " ").split()


def parse_cell(text: str | None) -> Any:
    """Return a cell from numbers separated by commas.

    Raises
    ------
    ConfigError
        If they are not three, six or nine numbers.
    """
    if text is None:
        return None
    from hopcast.core.errors import ConfigError

    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (3, 6, 9):
        raise ConfigError(f"Argument `--cell` must be three, six or nine numbers separated by commas, but is `{text}`.")
    return [numbers[0:3], numbers[3:6], numbers[6:9]] if len(numbers) == 9 else numbers
