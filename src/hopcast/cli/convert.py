"""`hopcast convert`: from one code's files to another's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from hopcast.cli.options import Cell, Elements, Overwrite, Workers, parse_cell, parse_elements
from hopcast.cli.overlaps import Derivative, Tracking, derived

From = Annotated[
    str | None, typer.Option("--from", help="Format of the source; recognised by default.", show_default=False)
]
Timestep = Annotated[
    float | None,
    typer.Option("--timestep", help="Time between frames, fs, where the files do not say it.", show_default=False),
]
Couplings = Annotated[
    str,
    typer.Option(
        "--couplings", help="`overlaps`: derive them from raw overlaps where there are any; `source`: trust the source."
    ),
]
Unit = Annotated[
    str | None, typer.Option("--unit", help="Unit of energy of the source (eV, Ry, Ha).", show_default=False)
]
Grid = Annotated[
    str | None, typer.Option("--energy-grid", help="frame or midpoint, for Libra's text.", show_default=False)
]
Spin = Annotated[int | None, typer.Option("--spin", help="Spin channel, 0 or 1.", show_default=False)]
Prefix = Annotated[
    str | None,
    typer.Option(
        "--prefix",
        help="How the files' names begin, where a folder holds several Hamiltonians (Hvib_ci_).",
        show_default=False,
    ),
]
Scheme = Annotated[
    str | None, typer.Option("--scheme", help="3points or levine, for nano-qmflows.", show_default=False)
]
Occupied = Annotated[int | None, typer.Option("--occupied", help="Number of occupied states.", show_default=False)]

Bands = Annotated[
    str | None,
    typer.Option(
        "--bands",
        help="First:last + 1 of files of wavefunctions, from 0 (60:76 are VASP's bands 61 to 76); eight below and above the gap by default.",
        show_default=False,
    ),
]
Kpoint = Annotated[
    str | None,
    typer.Option(
        "--kpoint",
        help="K-point of files of wavefunctions, from 0; all: a file for each (OUT-k0.h5, ...).",
        show_default=False,
    ),
]
Loewdin = Annotated[
    bool,
    typer.Option("--loewdin/--no-loewdin", help="Orthonormalise pseudo-wavefunctions (PAW, ultrasoft) in the window."),
]
VariableCell = Annotated[
    bool,
    typer.Option(
        "--variable-cell", help="Frames of wavefunctions may have different cells: plane waves are matched by index."
    ),
]

Molecule = Annotated[bool, typer.Option("--molecule", help="In vacuum: a trajectory needs no cell.")]


def parse_bands(text: str | None) -> tuple[int, int] | None:
    """Return the first band and the last + 1 of ``60:76``.

    Raises
    ------
    ConfigError
        If it is written otherwise.
    """
    from hopcast.core.errors import ConfigError

    if text is None:
        return None
    hit = re.fullmatch(r"(\d{1,6}):(\d{1,6})", text)
    if hit is None or int(hit.group(2)) <= int(hit.group(1)):
        raise ConfigError(f"Argument `--bands` must be like 60:76 (first:last + 1, from 0), but is `{text}`.")
    return int(hit.group(1)), int(hit.group(2))


def parse_kpoint(text: str | None) -> int | None:
    """Return the number of a k-point.

    Raises
    ------
    ConfigError
        If it is none.
    """
    from hopcast.core.errors import ConfigError

    if text is not None and not re.fullmatch(r"\d{1,6}", text):
        raise ConfigError(f"Argument `--kpoint` must be a number from 0, but is `{text}`.")
    return None if text is None else int(text)


RULES = ("format", "sign", "units", "alignment", "bands", "channel", "k-point weight", "overlaps", "norm lost", "cell")
"""What of the provenance is said of what was read."""


def read_source(path: Path, **options: Any) -> tuple[Any, Any]:
    """Return the Hamiltonian and the trajectory of a path or a shipped data set, None where it has none, and say what it is."""
    from hopcast.core.errors import InputError
    from hopcast.core.inputs import refuse_pipe
    from hopcast.datasets import find_shipped
    from hopcast.datasets.shipped import DATASETS
    from hopcast.io import list_formats, read_hamiltonian, read_trajectory
    from hopcast.io.native import SUFFIXES, parts_of
    from hopcast.io.registry import find_format, recognise
    from hopcast.io.trajectories import recognise_trajectory

    form = options.pop("format", None)
    cell, molecule = options.pop("cell", None), options.pop("molecule", False)
    elements = parse_elements(options.pop("elements", None))
    names = {name for each in list_formats("hamiltonian") for name in (each.name, each.code)}
    refuse_pipe(path)
    shipped = find_shipped(path)
    if shipped is not None:
        typer.echo(f"Read the shipped data set {path}: {shipped.hamiltonian!r}.")
        return shipped.hamiltonian, shipped.trajectory
    if not path.exists():
        raise InputError(
            f"File `{path}` does not exist, and no shipped data set is called so ({', '.join(DATASETS)}). Check the path."
        )
    held = parts_of(path) if form in (None, "hopcast") and path.suffix.lower() in SUFFIXES else ()
    ours = bool(held)
    wants_hamiltonian = "hamiltonian" in held if ours else (form in names if form else _any(path, "hamiltonian"))
    wants_trajectory = "trajectory" in held if ours else (not wants_hamiltonian)
    hamiltonian = trajectory = None
    if wants_hamiltonian:
        hamiltonian = read_hamiltonian(path, format=form, **options)
        rules = [f"{key} {value}" for key, value in hamiltonian.provenance.items() if key in RULES]
        own = " (hopcast)" if ours else ""
        typer.echo(f"Read {path}{own}: {hamiltonian!r}; {'; '.join(rules) or 'our own form'}.")
        if not ours:
            kind = recognise(path, "hamiltonian") if form is None else find_format(form, "hamiltonian", path)
            wants_trajectory = _holds_geometries(path, kind, hamiltonian)
    if wants_trajectory:
        trajectory = read_trajectory(
            path,
            format=None if wants_hamiltonian and not ours else form,
            timestep=options.get("timestep"),
            cell=parse_cell(cell),
            pbc=False if molecule else None,
            elements=elements,
        )
        known = "hopcast" if ours else (not wants_hamiltonian and form) or recognise_trajectory(path).name
        typer.echo(f"Read {path} ({known}): {trajectory!r}.")
    return hamiltonian, trajectory


def read_beside(
    trajectory: Path,
    hamiltonian: Any,
    timestep: float | None,
    cell: str | None,
    molecule: bool,
    elements: str | None,
    workers: int | None,
) -> Any:
    """Return the trajectory of a Hamiltonian, whose time step it has where none is given."""
    from hopcast.io import read_trajectory

    step = timestep if timestep is not None else (None if hamiltonian is None else hamiltonian.timestep)
    return read_trajectory(
        trajectory,
        timestep=step,
        cell=parse_cell(cell),
        pbc=False if molecule else None,
        elements=parse_elements(elements),
        workers=workers,
    )


def _holds_geometries(path: Path, form: Any, hamiltonian: Any) -> bool:
    """Whether numbered folders of wavefunctions hold the atoms of exactly the frames of their Hamiltonian; say why not."""
    if form.geometries is None:
        return False
    wanted = hamiltonian.frame_numbers.tolist()
    there = set(form.geometries(path))
    if there == set(wanted):
        return True
    missing = [number for number in wanted if number not in there]
    reason = (
        "they hold no atoms"
        if not there
        else (
            f"there are no atoms of frame {missing[0]} ({len(missing)} frames in all)"
            if missing
            else "there are more frames with atoms than with wavefunctions"
        )
    )
    typer.echo(f"The trajectory of {path} is left out: {reason}. Give the whole one with --trajectory.")
    return False


def _placed(hamiltonian: Any, trajectory: Any, source: Path, name: str | None) -> Any:
    """Return the Hamiltonian of numbered folders, spread over the trajectory that its frames were taken from; any other as it is."""
    if hamiltonian is None or hamiltonian.frame_numbers is None or hamiltonian.n_frames == trajectory.n_frames:
        return hamiltonian
    from hopcast.io.placing import place_in_trajectory
    from hopcast.io.registry import find_format, recognise

    if not source.is_dir():
        return hamiltonian
    form = recognise(source, "hamiltonian") if name is None else find_format(name, "hamiltonian", source)
    if form.geometries is None:
        return hamiltonian
    placed, told = place_in_trajectory(hamiltonian, trajectory, form.geometries(source))
    typer.echo(told)
    return placed


def _any(path: Path, kind: str) -> bool:
    from hopcast.io import list_formats

    if any(each.sniff(path) for each in list_formats(kind)):  # type: ignore[arg-type]
        return True
    # nobody recognises it: the message about Hamiltonians is the more useful one for folders
    return path.is_dir() and not any(each.sniff(path) for each in list_formats("trajectory"))


def cut(hamiltonian: Any, trajectory: Any, frames: str | None, first_number: int | None) -> tuple[Any, Any]:
    """Return what was read, with some of its frames only, or with numbers of its frames from another first one on.

    Raises
    ------
    ConfigError
        If `frames` is no stretch of frames.
    InputError
        If it leaves none.
    """
    import dataclasses

    import numpy as np

    from hopcast.core.naming import frame_range

    parts = [hamiltonian, trajectory]
    if frames is not None:
        parts = [part and part[frame_range(frames, part.n_frames, "Option --frames")] for part in parts]
    if first_number is not None:
        parts = [
            part and dataclasses.replace(part, frame_numbers=first_number + np.arange(part.n_frames)) for part in parts
        ]
    return parts[0], parts[1]


GROUPS = {
    "What is read": (
        *("form", "timestep", "couplings", "unit", "energy_grid", "spin", "prefix", "scheme", "cell", "molecule"),
        *("elements", "trajectory", "first_number"),
    ),
    "Which states and frames": ("occupied", "bands", "kpoint", "frames", "variable_cell"),
    "How couplings are made": ("tracking", "derivative", "orthonormalise", "degenerate", "log", "loewdin"),
    "What is written": ("to", "flavour", "out_unit", "overwrite", "workers"),
    "Dynamics in what is written": ("initial_state", "samples", "duration", "temperature", "trajectories", "dephasing"),
}


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN", help="File or folder to read, or the name of a shipped data set.", show_default=False
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File or folder to write.", show_default=False)],
    to: Annotated[
        str | None,
        typer.Option(
            "--to", help="Format to write, see `hopcast formats`; by the name of OUT, else hopcast.", show_default=False
        ),
    ] = None,
    form: From = None,
    timestep: Timestep = None,
    couplings: Couplings = "overlaps",
    tracking: Tracking = None,
    derivative: Derivative = None,
    orthonormalise: Annotated[
        bool, typer.Option("--orthonormalise", help="Orthonormalise overlaps before a difference (a log always does).")
    ] = False,
    degenerate: Annotated[
        list[str] | None,
        typer.Option(
            "--degenerate", help="States degenerate throughout, e.g. 0,1 (again for more).", show_default=False
        ),
    ] = None,
    log: Annotated[
        Path | None, typer.Option("--log", help="Write what was done at each step (CSV).", show_default=False)
    ] = None,
    unit: Unit = None,
    energy_grid: Grid = None,
    spin: Spin = None,
    prefix: Prefix = None,
    scheme: Scheme = None,
    occupied: Occupied = None,
    bands: Bands = None,
    kpoint: Kpoint = None,
    loewdin: Loewdin = True,
    variable_cell: VariableCell = False,
    cell: Cell = None,
    molecule: Molecule = False,
    frames: Annotated[
        str | None,
        typer.Option(
            "--frames", help="Take these frames of IN only, from 0, e.g. 500:800 (without 800).", show_default=False
        ),
    ] = None,
    first_number: Annotated[
        int | None,
        typer.Option(
            "--first-number",
            help="Number the frames of IN one by one from this on, whatever its files say.",
            show_default=False,
        ),
    ] = None,
    elements: Elements = None,
    trajectory: Annotated[
        Path | None,
        typer.Option("--trajectory", help="A trajectory to store beside the Hamiltonian (ours).", show_default=False),
    ] = None,
    flavour: Annotated[
        str, typer.Option("--flavour", help="Hefei-NAMD: original, dev or dish (its src/dish).")
    ] = "original",
    out_unit: Annotated[str, typer.Option("--out-unit", help="PYXAID: Ry, eV or Ha.")] = "Ry",
    initial_state: Annotated[
        int | None, typer.Option("--initial-state", help="State at the start, from 0.", show_default=False)
    ] = None,
    samples: Annotated[int, typer.Option("--samples", help="Number of initial times.")] = 10,
    duration: Annotated[
        float | None, typer.Option("--duration", help="Length of the dynamics, fs.", show_default=False)
    ] = None,
    temperature: Annotated[float, typer.Option("--temperature", help="K.")] = 300.0,
    trajectories: Annotated[int, typer.Option("--trajectories", help="Trajectories of each initial time.")] = 1000,
    dephasing: Annotated[
        bool, typer.Option("--dephasing/--no-dephasing", help="Write dephasing times too (DEPHTIME).")
    ] = True,
    overwrite: Overwrite = False,
    workers: Workers = None,
) -> None:
    """Convert a Hamiltonian or a trajectory to another format. What that format cannot hold is listed."""
    asked = dict(locals())
    if kpoint == "all":
        from hopcast.io.wavefunctions.places import count_kpoints

        for number in range(count_kpoints(source)):
            one = target.with_name(f"{target.stem}-k{number}{target.suffix}")
            convert(**{**asked, "kpoint": str(number), "target": one})
        return
    from hopcast.core.matching import check_same_frames
    from hopcast.io import list_formats, losses, write_hamiltonian, write_native
    from hopcast.io.hamiltonians import require_complete
    from hopcast.io.registry import writable

    to = to or _named(target)
    motion = to in {each.name for each in list_formats("trajectory") if each.write is not None} - {"hopcast"}
    goal = writable(to, "trajectory" if motion else "hamiltonian", argument="--to")
    _check_outputs(target, log, goal.name, (source, trajectory), overwrite)
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
        bands=parse_bands(bands),
        kpoint=parse_kpoint(kpoint),
        loewdin=loewdin,
        variable_cell=variable_cell,
        cell=cell,
        molecule=molecule,
        elements=elements,
        workers=workers,
    )
    hamiltonian, path = cut(hamiltonian, path, frames, first_number)
    if trajectory is not None:
        path = read_beside(trajectory, hamiltonian, timestep, cell, molecule, elements, workers)
        hamiltonian = _placed(hamiltonian, path, source, form)
    if hamiltonian is None or motion:
        _write_motion(path, hamiltonian, target, to, overwrite)
        return
    if path is not None:
        check_same_frames(path, hamiltonian, f"`{trajectory or source}`")
    said = (log, tracking, derivative, orthonormalise, degenerate)
    hamiltonian = _with_couplings(hamiltonian, source, couplings == "source", *said)
    require_complete(hamiltonian, goal)
    lost = losses(hamiltonian, goal)
    if to == "hopcast":
        write_native(target, hamiltonian=hamiltonian, trajectory=path)
    else:
        inputs = {"initial_state": initial_state, "n_samples": samples, "duration": duration}
        inputs |= {"temperature": temperature, "n_trajectories": trajectories}
        times = _dephasing_times(hamiltonian) if dephasing and goal.name == "hefei" else None
        write_hamiltonian(hamiltonian, target, format=to, flavour=flavour, unit=out_unit, dephasing=times, **inputs)
        if path is not None:
            lost.append("The trajectory is left out.")
        if goal.name == "pyxaid" and out_unit != "Ry":
            lost.append(f"The unit is not stored: give unit {out_unit} when reading.")
    _say_written(target, to, lost)


def _named(target: Path) -> str:
    """Return the format that the name of OUT stands for; ours where it stands for none."""
    from hopcast.core.errors import ConfigError
    from hopcast.io.trajectories import trajectory_format

    try:
        return trajectory_format(target).name
    except ConfigError:
        return "hopcast"


def _write_motion(trajectory: Any, hamiltonian: Any, target: Path, to: str, overwrite: bool) -> None:
    """Write a trajectory, and say what its format does not hold."""
    from hopcast.core.errors import ConfigError, InputError
    from hopcast.io import list_formats, write_trajectory
    from hopcast.io.registry import find_format
    from hopcast.io.trajectories import trajectory_losses

    if trajectory is None:
        raise InputError(
            f"IN must hold a trajectory to be written as `{to}`, but holds a Hamiltonian only. Give one with --trajectory."
        )
    able = [each.name for each in list_formats("trajectory") if each.write is not None]
    if to not in able:
        raise ConfigError(f"Option --to must be one of {', '.join(able)} for a trajectory, but is `{to}`.")
    write_trajectory(trajectory, target, format=to, overwrite=overwrite)
    lost = trajectory_losses(trajectory, find_format(to, "trajectory"))
    _say_written(target, to, lost if hamiltonian is None else [*lost, "The Hamiltonian is left out."])


def _say_written(target: Path, to: str, lost: list[str]) -> None:
    typer.echo(f"Wrote {target} ({to}).")
    typer.echo("Nothing is lost." if not lost else "What this format does not hold:")
    for sentence in lost:
        typer.echo(f"  - {sentence}")


def _check_outputs(target: Path, log: Path | None, form: str, read: tuple[Path | None, ...], overwrite: bool) -> None:
    """Refuse to write over what is read, or over anything unasked."""
    from hopcast.core.errors import OutputError
    from hopcast.core.outputs import check_file, check_folder
    from hopcast.io.native import SUFFIXES

    if form == "hopcast":
        check_file(target, inputs=read, overwrite=overwrite, suffixes=SUFFIXES)
    elif form in ("extxyz", "xdatcar") or (form == "poscars" and not target.is_dir()):
        check_file(target, inputs=read, overwrite=overwrite)
    else:
        check_folder(target, inputs=read, overwrite=overwrite)
    if log is not None:
        check_file(log, inputs=read, overwrite=overwrite)
        if log.resolve() == target.resolve():
            raise OutputError(f"File `{log}` cannot be both OUT and --log. Choose another name for one.")


def _with_couplings(
    hamiltonian: Any,
    source: Path,
    trusted: bool,
    log: Path | None,
    tracking: str | None,
    derivative: str | None,
    orthonormalise: bool,
    degenerate: list[str] | None,
) -> Any:
    """Return the Hamiltonian with couplings from its raw overlaps, where it has some and its own are not trusted."""
    from hopcast.core.errors import ConfigError

    if hamiltonian.overlaps is not None and not trusted:
        return derived(hamiltonian, tracking, derivative, orthonormalise=orthonormalise, degenerate=degenerate, log=log)
    if log is not None or tracking or derivative or orthonormalise or degenerate:
        why = "--couplings source trusts the couplings" if trusted else f"`{source}` has no raw overlaps"
        raise ConfigError(
            f"{why}, so that nothing is done to overlaps. Leave --log, --tracking, --derivative, --orthonormalise and --degenerate out."
        )
    return hamiltonian


def _dephasing_times(hamiltonian: Any) -> Any:
    """Return a time for every two states, as codes that know no blocks take them."""
    import dataclasses

    from hopcast.dynamics import dephasing_matrix

    return None if hamiltonian.n_states < 2 else dephasing_matrix(dataclasses.replace(hamiltonian, multiplicities=()))
