"""`hopcast select`: which frames to compute, as a folder ready for an engine or a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hopcast.cli.convert import From, Timestep
from hopcast.cli.options import Cell, EngineSettings, parse_cell


def select(
    trajectory: Annotated[
        Path, typer.Argument(metavar="TRAJ", help="Trajectory, or the name of a shipped data set.", show_default=False)
    ],
    budget: Annotated[int, typer.Option("--budget", "-n", help="Pairs of frames to compute.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the plan.")] = Path("plan"),
    strategy: Annotated[str, typer.Option("--strategy", help="stride, farthest, blocks or sequential.")] = "stride",
    engine: Annotated[str, typer.Option("--engine", help="tblite, cp2k, vasp or qe.")] = "tblite",
    known: Annotated[
        Path | None,
        typer.Option("--known", help="What is computed already, for `sequential` (our HDF5).", show_default=False),
    ] = None,
    settings: EngineSettings = None,
    form: From = None,
    timestep: Timestep = None,
    cell: Cell = None,
) -> None:
    """Choose the pairs of frames (t, t + dt) to compute. Written is a plan: geometries, input files, a script for SLURM."""
    from hopcast.abinitio import check_settings, find_code, read_engine_options, write_folders, write_plan
    from hopcast.core.errors import ConfigError
    from hopcast.datasets import find_shipped
    from hopcast.io import read_hamiltonian, read_trajectory
    from hopcast.selection import select_pairs
    from hopcast.selection.strategies import FEWEST_PAIRS, learns_bands

    code = find_code(engine)
    if settings is not None and code.inputs is None:
        raise ConfigError(
            f"Option --settings belongs to inputs that are written, but {engine} needs none. Give it to `hopcast compute`."
        )
    options = {} if settings is None else read_engine_options(settings, engine)
    shipped = find_shipped(trajectory)
    nuclei = (
        read_trajectory(trajectory, timestep=timestep, cell=parse_cell(cell), format=form)
        if shipped is None
        else shipped.trajectory
    )
    check_settings(engine, list(nuclei.symbols), options.get("settings"))
    before = None if known is None else read_hamiltonian(known)
    pairs = select_pairs(nuclei, budget, strategy, known=before)
    if strategy == "sequential" and before is not None:
        typer.echo(
            f"By {'a tight binding' if learns_bands(nuclei, before) else 'symmetry functions'} learnt from what is computed."
        )
    plan = write_plan(
        output,
        nuclei,
        pairs.tolist(),
        strategy=strategy,
        source=str(trajectory.resolve() if shipped is None else trajectory),
    )
    write_folders(plan, engine, settings=options.get("settings"))
    typer.echo(
        f"Wrote {output}: {len(plan.pairs)} pairs, {len(plan.frames)} frames of {nuclei.n_frames} ({strategy}), for {engine}."
    )
    known_pairs = 0 if before is None else int(before.nac_known.sum())
    if len(plan.pairs) + known_pairs < FEWEST_PAIRS:
        typer.echo(
            f"hopcast: note: {len(plan.pairs) + known_pairs} pairs are fewer than the {FEWEST_PAIRS} that `hopcast run` needs.",
            err=True,
        )
    typer.echo(f"Next: {code.next_step.format(plan=output)}")
