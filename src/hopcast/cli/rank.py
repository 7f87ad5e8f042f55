"""`hopcast rank`: what controls the gap and the coupling."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hopcast.cli.options import Scheduler, SchedulerOptions, Workers


def rank(
    study: Annotated[
        str, typer.Argument(help="Study file (TOML), or the name of a shipped data set.", show_default=False)
    ],
    json: Annotated[
        Path | None, typer.Option("--json", help="Write the numbers to this file as well.", show_default=False)
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    scheduler_options: SchedulerOptions = None,
) -> None:
    """Rank what controls gap and coupling by mutual information. Ranked are elements and symmetry functions."""
    from rich.console import Console

    from hopcast.cli.present import output_console, scheduled
    from hopcast.core.inputs import refuse_pipe
    from hopcast.core.outputs import check_file
    from hopcast.report.sections.information import best_feature_table, information_table
    from hopcast.results import to_json
    from hopcast.study import rank_study
    from hopcast.study.config import parse_config, read_config

    if json is not None:
        check_file(json, inputs=[study], leave="remove it")
    name = refuse_pipe(study)
    is_file = name.suffix == ".toml" or name.exists()
    config = read_config(name) if is_file else parse_config({"data": {"dataset": study}})
    with scheduled(scheduler, scheduler_options, workers):
        report = rank_study(config, workers=workers, console=Console(stderr=True))
    console = output_console()
    for table in (information_table(report), best_feature_table(report)):
        console.print(table.to_rich())
        console.print()
    if json is not None:
        to_json(report.results, json)
