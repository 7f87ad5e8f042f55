"""`hopcast fit`: a forecaster from the frames that are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hopcast.cli.options import Cell, Scheduler, SchedulerOptions, Workers, parse_cell


def fit(
    trajectory: Annotated[
        str, typer.Argument(help="Trajectory, or the name of a shipped data set.", show_default=False)
    ],
    hamiltonian: Annotated[
        Path | None,
        typer.Argument(help="Hamiltonian, all frames or pairs of them (plan/hamiltonian.h5).", show_default=False),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="File of the forecaster.")] = Path("forecaster.h5"),
    states: Annotated[
        str | None,
        typer.Option(
            "--states", help="The two states, lower first, by name; the band edges by default.", show_default=False
        ),
    ] = None,
    timestep: Annotated[
        float | None, typer.Option("--timestep", help="fs, for files that do not say it.", show_default=False)
    ] = None,
    cell: Cell = None,
    stride: Annotated[
        float | None, typer.Option("--stride", help="fs between training samples; all by default.", show_default=False)
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model", help="A model by its name, or `chosen`: the best on blocks of time held out, for each target."
        ),
    ] = "chosen",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    workers: Workers = None,
    scheduler: Scheduler = None,
    scheduler_options: SchedulerOptions = None,
) -> None:
    """Fit a forecaster of gap and coupling. It is scored on samples left out in blocks."""
    import warnings

    from rich.console import Console

    from hopcast.cli.present import scheduled
    from hopcast.core.errors import ConfigError, QualityWarning
    from hopcast.core.outputs import check_file
    from hopcast.couplings import derive_couplings
    from hopcast.datasets.shipped import find_shipped
    from hopcast.evaluation.verdicts import shown_r2
    from hopcast.forecast import fit_forecaster, save_forecaster
    from hopcast.forecast.protocol import doubt
    from hopcast.io import read_hamiltonian, read_trajectory
    from hopcast.io.native import SUFFIXES
    from hopcast.study.inputs import chosen_states
    from hopcast.study.progress import Reporter

    check_file(output, inputs=(trajectory, hamiltonian), overwrite=overwrite, suffixes=SUFFIXES)
    shipped = find_shipped(trajectory)
    if shipped is not None and hamiltonian is None:
        nuclei, window = shipped.trajectory, shipped.hamiltonian
    elif hamiltonian is None:
        raise ConfigError(f"Give the Hamiltonian after the trajectory: `hopcast fit {trajectory} plan/hamiltonian.h5`.")
    else:
        window = read_hamiltonian(hamiltonian, timestep=timestep)
        window = (window if window.overlaps is None else derive_couplings(window)).merged()
        nuclei = (
            read_trajectory(trajectory, timestep=timestep, cell=parse_cell(cell))
            if shipped is None
            else shipped.trajectory
        )
    low, _, high = (states or "").partition(",")
    pair = window.frontier() if states is None else chosen_states(window, (low.strip(), high.strip()))
    lower, upper = (window.state_labels.index(one) for one in pair.state_labels)
    with scheduled(scheduler, scheduler_options, workers), Reporter(Console(stderr=True)).counted("fit") as advance:
        forecaster = fit_forecaster(
            nuclei, window, stride=stride, model=model, workers=workers, progress=advance, states=(lower, upper)
        )
    save_forecaster(forecaster, output)
    typer.echo(f"Learnt {' and '.join(pair.state_labels)} from {forecaster.provenance['training samples']}.")
    for name, model_name in forecaster.models.items():
        score = shown_r2(forecaster.scores[name])
        typer.echo(f"  {name}: {model_name}, R² {score} on samples left out in blocks (0 is the mean)")
    if said := doubt(forecaster):
        warnings.warn(said, QualityWarning, stacklevel=2)
    typer.echo(f"Wrote {output}. Next: hopcast predict {output} TRAJECTORY")
