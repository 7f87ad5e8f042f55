"""`hopcast compute`: run an engine over a plan."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from hopcast.cli.options import EngineSettings


def compute(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="Folder of a plan.", show_default=False)],
    engine: Annotated[str, typer.Option("--engine", help="tblite, cp2k, qe or vasp.")] = "tblite",
    bands: Annotated[str, typer.Option("--bands", help="Bands to keep below and above the gap.")] = "8,8",
    settings: EngineSettings = None,
    part: Annotated[str, typer.Option("--part", help="k/n: the k-th (from 0) of n parts, for arrays of jobs.")] = "0/1",
    retry: Annotated[bool, typer.Option("--retry", help="Try again the frames that failed.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a hamiltonian.h5 that holds something else.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No line for each pair.")] = False,
) -> None:
    """Compute the pairs of a plan that are missing. They go to hamiltonian.h5; start it again after a kill."""
    from hopcast.abinitio import assemble_plan, compute_plan, make_engine, read_engine_options, read_plan
    from hopcast.abinitio.plan_file import check_plan_file, held_assembly, write_plan_file
    from hopcast.core.errors import ConfigError

    if not re.fullmatch(r"\d+/\d+", part) or not re.fullmatch(r"\d+,\d+", bands):
        raise ConfigError(f"Options must be like --part 0/4 and --bands 8,8, but are `{part}` and `{bands}`.")
    low, high = (int(number) for number in bands.split(","))
    options = {} if settings is None else read_engine_options(settings, engine)
    chosen = make_engine(engine, bands=(low, high), **options)
    planned = read_plan(plan)
    check_plan_file(planned, overwrite=overwrite)
    index, parts = (int(number) for number in part.split("/"))
    report = compute_plan(
        plan, chosen, part=(index, parts), retry=retry, progress=None if quiet else lambda line: typer.echo(line)
    )
    for frame, reason in report.failed.items():
        typer.echo(f"Frame {frame} is unknown: {reason}", err=True)
    typer.echo(f"Computed {len(report.computed)} frames; {report.finished} of {report.n_pairs} pairs are finished.")
    if report.finished:
        with held_assembly(planned):
            hamiltonian = assemble_plan(plan, chosen)
            written = write_plan_file(planned, hamiltonian, overwrite=overwrite)
        typer.echo(f"Wrote {written}: {hamiltonian!r}; {hamiltonian.provenance['signs between samples']}.")
