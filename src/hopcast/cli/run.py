"""`hopcast run`: a whole study from one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hopcast.cli.options import Output, Overwrite, Resume, Scheduler, SchedulerOptions, Strict, Workers


def run(
    study: Annotated[Path, typer.Argument(help="Study file (TOML).", show_default=False)],
    output: Output = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    workers: Workers = None,
    strict: Strict = False,
    scheduler: Scheduler = None,
    scheduler_options: SchedulerOptions = None,
) -> None:
    """Run a study: features, information, forecasts, dynamics, report."""
    from hopcast.cli.present import conduct, scheduled
    from hopcast.study.config import read_config

    config = read_config(study)
    folder = output or study.with_suffix("")
    with scheduled(scheduler, scheduler_options, workers):
        conduct(config, folder, resume=resume, overwrite=overwrite, workers=workers, strict=strict)
