"""`hopcast harvest`: collect finished calculations of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hopcast.cli.convert import Bands, From, Kpoint, Loewdin, Occupied, Spin, parse_bands, parse_kpoint
from hopcast.cli.options import EngineSettings


def harvest(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="Folder of a plan.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write; PLAN/hamiltonian.h5 by default.", show_default=False),
    ] = None,
    form: From = None,
    occupied: Occupied = None,
    bands: Bands = None,
    spin: Spin = None,
    kpoint: Kpoint = None,
    loewdin: Loewdin = True,
    settings: EngineSettings = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace a file that holds something else than an earlier state of this plan."
        ),
    ] = False,
) -> None:
    """Collect runs of VASP, pw.x, CP2K or a NAC code into one file. What is missing is listed.

    Of VASP, pw.x and CP2K the folder holds frames/, of a NAC code pairs/; the file is a sparse Hamiltonian.
    """
    from hopcast.abinitio import plan_code, read_engine_options, read_plan
    from hopcast.abinitio.harvest import harvest_pairs, harvest_runs
    from hopcast.abinitio.harvest_waves import harvest_waves
    from hopcast.abinitio.plan_file import check_plan_file, write_plan_file
    from hopcast.core.errors import ConfigError, InputError
    from hopcast.core.outputs import check_file
    from hopcast.io import write_native
    from hopcast.io.native import SUFFIXES

    if output is not None:
        check_file(output, inputs=[plan, plan / "geometries.h5"], overwrite=overwrite, suffixes=SUFFIXES)
    chosen = read_plan(plan)
    if output is None:
        check_plan_file(chosen, overwrite=overwrite)
    texts = any(path.is_dir() for path in (plan / "pairs").glob("*"))
    if texts or form is not None:
        found = harvest_pairs(plan, format=form, n_occupied=occupied)
    elif (code := plan_code(chosen)) is None:
        raise InputError(
            f"Plan `{plan}` holds neither inputs of frames (POSCAR, frame.in, frame.inp in frames/) nor couplings of pairs (in pairs/): there "
            "is nothing to harvest. Run `hopcast compute`, or write inputs by `hopcast select --engine`."
        )
    elif code.waves is not None:
        from hopcast.io.wavefunctions import Selection

        if settings is not None:
            raise ConfigError(
                f"Option --settings belongs to harvests of CP2K: files of {code.name} say everything themselves. Leave it out."
            )
        found = harvest_waves(
            plan,
            selection=Selection(
                bands=parse_bands(bands), spin=spin, kpoint=parse_kpoint(kpoint), loewdin=loewdin, n_occupied=occupied
            ),
        )
    else:
        options = {} if settings is None else read_engine_options(settings, code.name)
        found = harvest_runs(plan, code.engine(**options))  # type: ignore[arg-type] # one without waves reads its runs
    for frame, reason in found.missing.items():
        typer.echo(f"Frame {frame} is unknown: {reason}", err=True)
    if output is None:
        output = write_plan_file(chosen, found.hamiltonian, overwrite=overwrite)
    else:
        write_native(output, hamiltonian=found.hamiltonian)
    for key in ("overlaps", "norm lost"):
        if key in found.hamiltonian.provenance:
            typer.echo(f"{key.capitalize()}: {found.hamiltonian.provenance[key]}.")
    typer.echo(
        f"Wrote {output}: {found.hamiltonian!r}; {len(found.missing)} of {len(chosen.pairs if texts else chosen.frames)} missing."
    )
