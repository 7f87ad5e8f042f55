"""`hopcast predict`: a forecast along a trajectory of any length."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hopcast.cli.options import Cell, Scheduler, SchedulerOptions, Workers, parse_cell


def predict(
    model: Annotated[Path, typer.Argument(help="Forecaster, as `hopcast fit` writes it.", show_default=False)],
    trajectory: Annotated[
        str, typer.Argument(help="Trajectory, or the name of a shipped data set.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File of the forecast.")] = Path("forecast.h5"),
    plain: Annotated[
        bool, typer.Option("--plain", help="Write the forecast coupling without its posterior variance.")
    ] = False,
    timestep: Annotated[
        float | None, typer.Option("--timestep", help="fs, for files that do not say it.", show_default=False)
    ] = None,
    cell: Cell = None,
    chunk: Annotated[int, typer.Option("--chunk", min=2, help="Frames read and forecast at a time.")] = 2048,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was interrupted.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    workers: Workers = None,
    scheduler: Scheduler = None,
    scheduler_options: SchedulerOptions = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Exit with 4 if more than 5 % of the frames lie outside of the training set, or the model knows no more than the mean.",
        ),
    ] = False,
) -> None:
    """Forecast gap and coupling along a trajectory, chunk by chunk. A killed run goes on with --resume."""
    import warnings

    from rich.console import Console

    from hopcast.cli.present import scheduled
    from hopcast.core.errors import GateError, QualityWarning
    from hopcast.core.outputs import check_file
    from hopcast.datasets.shipped import find_shipped
    from hopcast.forecast import load_forecaster, predict_stream
    from hopcast.forecast.protocol import DEPHASING, doubt
    from hopcast.io.native import SUFFIXES
    from hopcast.study.progress import Reporter

    check_file(output, inputs=(model, trajectory), overwrite=overwrite or resume, suffixes=SUFFIXES)
    forecaster = load_forecaster(model)
    shipped = find_shipped(trajectory)
    source = trajectory if shipped is None else shipped.trajectory
    with (
        scheduled(scheduler, scheduler_options, workers) as executor,
        Reporter(Console(stderr=True)).counted("predict") as advance,
    ):
        found = predict_stream(
            forecaster,
            source,
            output,
            variance=not plain,
            resume=resume,
            overwrite=overwrite,
            timestep=timestep,
            cell=parse_cell(cell),
            chunk_frames=chunk,
            workers=workers,
            executor=executor,
            progress=advance,
        )
    earlier = f" ({found.n_found} of {found.n_chunks} chunks from the earlier run)" if found.n_found else ""
    typer.echo(f"Forecast {found.n_frames} frames{earlier}. {found.extrapolation.verdict}")
    duration = 0.5 * found.n_frames * forecaster.timestep
    typer.echo(
        f"Wrote {found.path}. Next: hopcast dynamics {found.path} --method exact --dephasing {forecaster.dephasing_time:.4g} "
        f"--duration {duration:.3g} --no-loop"
    )
    if DEPHASING in forecaster.provenance:
        typer.echo(f"The dephasing time is {forecaster.provenance[DEPHASING]}.")
    doubts = [one for one in (doubt(forecaster), found.size_doubt) if one]
    if found.extrapolation.extrapolates:
        doubts.append(found.extrapolation.verdict)
    if doubts and strict:
        raise GateError(" ".join(doubts))
    for one in doubts:
        warnings.warn(one, QualityWarning, stacklevel=2)
