"""`hopcast evaluate`: how far a study's scores, error bars and rates can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hopcast.cli.options import Output, Overwrite, Resume, Scheduler, SchedulerOptions, Strict, Workers


def evaluate(
    study: Annotated[
        str, typer.Argument(help="Study file (TOML), or the name of a shipped data set.", show_default=False)
    ],
    output: Output = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    workers: Workers = None,
    strict: Strict = False,
    scheduler: Scheduler = None,
    scheduler_options: SchedulerOptions = None,
) -> None:
    """Evaluate a study in full: controls, learning, bars, claims. Its report is written as `run` does."""
    from hopcast.cli.present import conduct, scheduled
    from hopcast.core.inputs import refuse_pipe
    from hopcast.report.sections.claims import claim_table
    from hopcast.report.sections.learning import calibration_table
    from hopcast.report.sections.trust import trust_table
    from hopcast.study.config import parse_config, read_config

    name = refuse_pipe(study)
    is_file = name.suffix == ".toml" or name.exists()
    config = read_config(name) if is_file else parse_config({"data": {"dataset": study}})
    full = config.evaluation.model_copy(update={"enabled": True, "profile": "full"})
    config = config.model_copy(update={"evaluation": full})
    folder = output or (name.with_suffix("") if is_file else Path(f"hopcast-{study}"))
    with scheduled(scheduler, scheduler_options, workers):
        conduct(
            config,
            folder,
            resume=resume,
            overwrite=overwrite,
            workers=workers,
            strict=strict,
            tables=(trust_table, claim_table, calibration_table),
        )
