"""`hopcast md`: ground-state molecular dynamics from a structure file, for those who have no trajectory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hopcast.cli.convert import From
from hopcast.cli.options import Cell, Overwrite, parse_cell

GROUPS = {
    "The run": ("temperature", "timestep", "equilibration", "duration", "store_every", "coupling_time", "seed"),
    "Forces": ("method", "calculator", "calculator_options"),
    "The structure": ("molecule", "form", "cell"),
    "Output": ("output", "overwrite", "quiet"),
}


def md(
    structure: Annotated[
        Path,
        typer.Argument(
            metavar="STRUCTURE", help="CIF, POSCAR, xyz, ...; of several frames the last.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write (our HDF5).")] = Path("md.h5"),
    temperature: Annotated[float, typer.Option("--temperature", help="K.")] = 300.0,
    timestep: Annotated[float, typer.Option("--timestep", help="fs.")] = 2.0,
    equilibration: Annotated[
        float, typer.Option("--equilibration", help="fs with the thermostat, not stored.")
    ] = 2000.0,
    duration: Annotated[float, typer.Option("--duration", help="fs without it, stored.")] = 3000.0,
    store_every: Annotated[int, typer.Option("--store-every", help="Steps between stored frames.")] = 1,
    coupling_time: Annotated[float, typer.Option("--coupling-time", help="Of the thermostat, fs.")] = 100.0,
    seed: Annotated[int, typer.Option("--seed", help="Of the first velocities and the thermostat.")] = 0,
    method: Annotated[str, typer.Option("--method", help="GFN1-xTB, IPEA1-xTB; GFN2-xTB for molecules.")] = "GFN1-xTB",
    calculator: Annotated[
        str | None,
        typer.Option(
            "--calculator",
            help="Any calculator of ASE instead of xTB, as module:Class, e.g. chgnet.model.dynamics:CHGNetCalculator.",
            show_default=False,
        ),
    ] = None,
    calculator_options: Annotated[
        Path | None,
        typer.Option("--calculator-options", help="TOML file with the keywords of --calculator.", show_default=False),
    ] = None,
    molecule: Annotated[
        bool, typer.Option("--molecule", help="In vacuum: the file needs no cell, and one it has is not repeated.")
    ] = False,
    form: From = None,
    cell: Cell = None,
    overwrite: Overwrite = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Run molecular dynamics with tblite or any calculator of ASE. NVT, then NVE, whose frames are stored with velocities; a killed run goes on with the same command."""
    from hopcast.abinitio import Geometry, make_engine, run_md
    from hopcast.abinitio.calculators import make_calculator
    from hopcast.core.chunks import single_threaded_blas
    from hopcast.core.errors import MAX_SEED, ConfigError, check_number
    from hopcast.core.outputs import check_file, held_part
    from hopcast.io import write_native
    from hopcast.io.native import SUFFIXES
    from hopcast.io.structures import read_structure

    check_number("--seed", seed, whole=True, least=0, most=MAX_SEED)
    check_file(output, inputs=[structure], overwrite=overwrite, suffixes=SUFFIXES)
    if calculator is None and calculator_options is not None:
        raise ConfigError("Option --calculator-options needs --calculator.")
    chosen = None if calculator is None else make_calculator(calculator, calculator_options)
    nuclei = read_structure(structure, cell=parse_cell(cell), format=form, pbc=False if molecule else None)
    geometry = Geometry.from_frame(nuclei, 0)
    if chosen is None:
        make_engine("tblite", method=method).check(geometry.numbers)

    from ase import Atoms

    atoms = Atoms(geometry.numbers, geometry.positions, cell=geometry.cell, pbc=geometry.periodic)
    if chosen is None:
        from tblite.ase import TBLite

        chosen = TBLite(method=method, verbosity=0)
    atoms.calc = chosen
    checkpoint = output.with_name(f"{output.stem}.unfinished{output.suffix}")
    lock = output.with_name(f"{output.stem}.unfinished.lock")
    sentence = f"Another run of hopcast computes `{output}`. Wait until it ends, or choose another name."
    with single_threaded_blas(), held_part(lock, 0, 0, sentence):
        found = run_md(
            atoms,
            temperature=temperature,
            timestep=timestep,
            equilibration=equilibration,
            duration=duration,
            store_every=store_every,
            coupling_time=coupling_time,
            random_state=seed,
            checkpoint=checkpoint,
            progress=None if quiet else typer.echo,
        )
    write_native(
        output,
        trajectory=found.trajectory,
        description=f"hopcast md: {calculator or method}, {temperature:g} K, NVT {equilibration:g} fs, NVE {duration:g} fs, time step {timestep:g} fs, seed {seed}",
    )
    checkpoint.unlink(missing_ok=True)
    typer.echo(
        f"Wrote {output}: {found.trajectory!r}; {found.temperatures.mean():.0f} K on average, the total energy drifts by "
        f"{found.drift * 1e3:.2g} meV an atom."
    )
    typer.echo(f"Next: hopcast select {output} --budget 20")
