"""`hopcast harvest`: collect finished calculations of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hopcast.cli.convert import From, Occupied
from hopcast.cli.options import EngineSettings


def harvest(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="Folder of a plan.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File to write; PLAN/hamiltonian.h5 by default.", show_default=False
        ),
    ] = None,
    form: From = None,
    occupied: Occupied = None,
    settings: EngineSettings = None,
) -> None:
    """Collect CP2K outputs (frames/), or couplings of a NAC code (pairs/), into a sparse Hamiltonian; list what is missing."""
    from hopcast.abinitio import make_engine, read_engine_options, read_plan
    from hopcast.abinitio.harvest import harvest_cp2k, harvest_pairs
    from hopcast.io import write_native

    chosen = read_plan(plan)
    texts = any(path.is_dir() for path in (plan / "pairs").glob("*"))
    if texts or form is not None:
        found = harvest_pairs(plan, format=form, n_occupied=occupied)
    else:
        options = {} if settings is None else read_engine_options(settings, "cp2k")
        found = harvest_cp2k(plan, make_engine("cp2k", **options))  # type: ignore[arg-type] # the name says which
    for frame, reason in found.missing.items():
        typer.echo(f"Frame {frame} is unknown: {reason}", err=True)
    target = output or plan / "hamiltonian.h5"
    write_native(target, hamiltonian=found.hamiltonian)
    typer.echo(
        f"Wrote {target}: {found.hamiltonian!r}; {len(found.missing)} of {len(chosen.pairs if texts else chosen.frames)} missing."
    )
