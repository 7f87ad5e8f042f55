"""`hopcast check`: a doctor for Hamiltonians."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hopcast.cli.convert import Couplings, From, Grid, Molecule, Occupied, Prefix, Scheme, Spin, Timestep, Unit
from hopcast.cli.options import Cell, Elements, Workers
from hopcast.cli.wording import in_options

if TYPE_CHECKING:
    from hopcast.core.hamiltonian import VibronicHamiltonian


GROUPS = {
    "What is read": (
        *("form", "timestep", "couplings", "unit", "energy_grid", "spin", "prefix", "scheme"),
        *("occupied", "cell", "molecule", "elements", "frames", "trajectory"),
    ),
    "What is judged": ("pair", "duration"),
    "Output": ("json", "html", "overwrite", "workers"),
}


def _parse_pair(text: str, hamiltonian: VibronicHamiltonian | None) -> tuple[int, int]:
    """Return two states by their numbers, or by VBM, CBM and their neighbours."""
    from hopcast.core.errors import ConfigError
    from hopcast.core.naming import edge_state

    found = []
    for part in text.split(","):
        edge = None if hamiltonian is None or part.strip().isdecimal() else edge_state(hamiltonian, part)
        found.append(int(part) if edge is None and part.strip().isdecimal() else edge)
    if len(found) != 2 or None in found:
        raise ConfigError(
            f"Argument `--pair` must be two numbers of states separated by a comma, or VBM,CBM, but is `{text}`."
        )
    return found[0], found[1]  # type: ignore[return-value]


def check(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            help="File or folder of a Hamiltonian or a trajectory, or a shipped data set.", show_default=False
        ),
    ],
    trajectory: Annotated[
        Path | None, typer.Option("--trajectory", help="The trajectory of the Hamiltonian.", show_default=False)
    ] = None,
    form: From = None,
    timestep: Timestep = None,
    couplings: Couplings = "overlaps",
    unit: Unit = None,
    energy_grid: Grid = None,
    spin: Spin = None,
    prefix: Prefix = None,
    scheme: Scheme = None,
    occupied: Occupied = None,
    cell: Cell = None,
    molecule: Molecule = False,
    elements: Elements = None,
    frames: Annotated[
        str | None,
        typer.Option("--frames", help="Judge these frames only, e.g. 500:800 (the last left out).", show_default=False),
    ] = None,
    pair: Annotated[
        str | None,
        typer.Option(
            "--pair",
            help="Two states, from 0, e.g. 3,4, or VBM,CBM; the band edges, or the largest mean gap, by default.",
            show_default=False,
        ),
    ] = None,
    duration: Annotated[
        float | None, typer.Option("--duration", help="Planned length of the dynamics, fs.", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page with figures.", show_default=False)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page of --html.")] = False,
    workers: Workers = None,
) -> None:
    """Look for what silently ruins lifetimes. The exit code is 4 when a verdict is bad."""
    import contextlib
    import io
    import json as json_module

    from hopcast.cli.convert import cut, read_beside, read_source
    from hopcast.core.errors import InputError
    from hopcast.core.hdf5 import examining
    from hopcast.core.outputs import check_file
    from hopcast.datasets import find_shipped
    from hopcast.doctor import check as examine
    from hopcast.doctor import unreadable, write_page

    if html is not None:
        check_file(html, inputs=(data, trajectory), overwrite=overwrite)
    said = io.StringIO()
    try:
        shipped = find_shipped(data)
        if shipped is not None:
            hamiltonian, path = shipped.hamiltonian, shipped.trajectory
        else:
            source = _existing(data)
            with contextlib.redirect_stdout(said), examining():
                hamiltonian, path = read_source(
                    source,
                    format=form,
                    timestep=timestep,
                    couplings=couplings,
                    unit=unit,
                    energy_grid=energy_grid,
                    spin=spin,
                    prefix=prefix,
                    scheme=scheme,
                    n_occupied=occupied,
                    cell=cell,
                    molecule=molecule,
                    elements=elements,
                    workers=workers,
                )
            if trajectory is not None:
                path = read_beside(trajectory, hamiltonian, timestep, cell, molecule, elements, workers)
        hamiltonian, path = cut(hamiltonian, path, frames, None)
        told = path if shipped is None else None
        diagnosis = examine(
            hamiltonian,
            path,
            pair=None if pair is None else _parse_pair(pair, hamiltonian),
            duration=duration,
            frame_numbers=getattr(told, "frame_numbers", None),
            potential_energies=getattr(told, "potential_energies", None),
            title=said.getvalue().strip() or data,
        )
    except InputError as error:
        if error.topic == "option":
            raise  # what is missing is an option, and not a fault of the data
        diagnosis = unreadable(data, InputError(in_options(str(error), context.command), topic=error.topic))
    typer.echo(json_module.dumps(diagnosis.to_dict(), indent=2) if json else diagnosis.to_text(), nl=json)
    if html is not None:
        write_page(diagnosis, html)
    if diagnosis.is_bad:
        raise typer.Exit(4)


def _existing(data: str) -> Path:
    from hopcast.core.errors import ConfigError
    from hopcast.core.inputs import refuse_pipe
    from hopcast.datasets.shipped import DATASETS

    source = Path(data)
    refuse_pipe(source)
    if not source.exists():
        raise ConfigError(f"`{data}` is neither a file or folder nor a shipped data set ({', '.join(DATASETS)}).")
    return source
