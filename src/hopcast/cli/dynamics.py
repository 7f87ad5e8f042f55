"""`hopcast dynamics`: surface hopping on a Hamiltonian, from the shell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hopcast.cli.options import Output, Overwrite, Resume, Workers

if TYPE_CHECKING:
    from hopcast.core import VibronicHamiltonian


MOSTLY = 0.9
"""Decays are fitted only where less than this is left."""


def dynamics(
    hamiltonian: Annotated[
        str,
        typer.Argument(
            help="Hamiltonian (any format of `hopcast formats`), or the name of a shipped data set.",
            show_default=False,
        ),
    ],
    method: Annotated[
        str,
        typer.Option("--method", "-m", help="dish, fssh, gfsh, mssh, msdm, ida, ehrenfest, bl-lz or exact."),
    ] = "dish",
    rule: Annotated[str, typer.Option("--rule", help="Of DISH: consistent, hefei or pyxaid.")] = "consistent",
    waiting: Annotated[
        str, typer.Option("--waiting", help="Of DISH: exponential or deterministic.")
    ] = "exponential",
    states: Annotated[
        str | None,
        typer.Option(
            "--states",
            help="Names of states, e.g. 62-68 or 68,69; the band edges by default.",
            show_default=False,
        ),
    ] = None,
    carrier: Annotated[str, typer.Option("--carrier", help="electron or hole.")] = "electron",
    initial_state: Annotated[
        str | None,
        typer.Option(
            "--initial-state", help="Name of the state; the farthest by default.", show_default=False
        ),
    ] = None,
    every: Annotated[
        int | None, typer.Option("--every", help="Start at every k-th frame.", show_default=False)
    ] = None,
    duration: Annotated[float, typer.Option("--duration", help="fs.")] = 1e6,
    temperature: Annotated[
        float, typer.Option("--temperature", help="K; 0 accepts all upward hops.")
    ] = 300.0,
    trajectories: Annotated[int, typer.Option("--trajectories", help="For each initial time.")] = 1000,
    dephasing: Annotated[
        str | None,
        typer.Option(
            "--dephasing",
            help="Dephasing time, fs, or a file with their matrix (DEPHTIME).",
            show_default=False,
        ),
    ] = None,
    convention: Annotated[
        str, typer.Option("--convention", help="Of dephasing times from the data: gaussian, pyxaid or libra.")
    ] = "gaussian",
    scissor: Annotated[
        float | None, typer.Option("--scissor", help="Mean gap wanted, eV.", show_default=False)
    ] = None,
    leave: Annotated[
        bool, typer.Option("--not-absorbing", help="Let carriers leave the lowest state again.")
    ] = False,
    loop: Annotated[bool, typer.Option("--loop/--no-loop", help="Repeat the trajectory.")] = True,
    substeps: Annotated[
        int | None, typer.Option("--substeps", help="For each step; chosen by default.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the random numbers.")] = 0,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Also run every rule, waiting and convention, and print the spread."),
    ] = False,
    output: Output = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    workers: Workers = None,
) -> None:
    """Run surface hopping on a Hamiltonian: populations, lifetime with its interval, figures."""
    import json
    import shutil

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from hopcast.cli.dynamics_figures import draw_populations
    from hopcast.core.errors import ConfigError, InputError, OutputError
    from hopcast.core.hdf5 import write_text
    from hopcast.dynamics import compare_methods, fit_decays, result_record, run_dynamics, write_result
    from hopcast.dynamics import scissor as shifted

    if resume and overwrite:
        raise ConfigError("Options --resume and --overwrite exclude each other: choose one.")
    folder = output or Path(f"{Path(hamiltonian).stem}-dynamics")
    done = folder / "results.json"
    if folder.exists() and not (resume or overwrite):
        raise OutputError(
            f"Folder `{folder}` exists. Continue with --resume, replace with --overwrite, or name another."
        )
    ham = _states(_read(hamiltonian), states)
    if scissor is not None:
        ham = shifted(ham, target_gap=scissor)
    checkpoint = folder / "checkpoint"
    if overwrite and folder.exists():
        if not (done.exists() or checkpoint.exists()):
            raise OutputError(
                f"Folder `{folder}` holds no dynamics of ours. Name another, or remove it yourself."
            )
        shutil.rmtree(checkpoint, ignore_errors=True)
        done.unlink(missing_ok=True)
    if every is not None and every < 1:
        raise ConfigError(f"Option --every must be at least 1, but is {every}.")
    labels = ham.state_labels[::-1] if carrier == "hole" else ham.state_labels
    start = len(labels) - 1
    if initial_state is not None:
        found = _find(ham, initial_state)
        start = -1 if found is None else labels.index(ham.state_labels[found])
    if start < 0:
        raise InputError(
            f"Option --initial-state must be one of {', '.join(labels)}, but is `{initial_state}`."
        )
    options: dict[str, Any] = {
        "duration": duration, "temperature": temperature if temperature != 0 else None, "carrier": carrier,
        "initial_state": start,
        "absorbing": not leave, "n_trajectories": trajectories, "random_state": seed, "substeps": substeps,
        "loop": loop, "workers": workers,
    }  # fmt: skip
    if every is not None:
        options["initial_times"] = list(range(0, ham.n_steps, every))
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task(method, total=None)
            result = run_dynamics(
                ham, method, rule, waiting, dephasing_time=_times(dephasing), tau_convention=convention,
                progress=lambda now, total: bar.update(task, completed=now, total=total), checkpoint=checkpoint, **options,
            )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo(
            f"hopcast: interrupted. Finished parts are kept: continue with --resume --output {folder}.",
            err=True,
        )
        raise typer.Exit(130) from None
    fits = None
    excited = 1.0 - result.ground_population
    if result.absorbing and result.times.size >= 6 and excited[-1] < MOSTLY * excited[0]:
        fits = fit_decays(result.times, excited)
    text = str(result) + (f"\ndecay of the populations above {result.states[0]}\n{fits}" if fits else "")
    record = result_record(result, fits)
    if compare:
        table = compare_methods(ham, **options)
        text += f"\n\n{table}"
        record["comparison"] = {
            "spread": table.spread,
            "rows": [
                {"rule": r.rule, "waiting": r.waiting, "tau_convention": r.tau_convention, "tau": r.tau,
                 "lifetime": r.lifetime.as_dict()}
                for r in table.rows
            ],
        }  # fmt: skip
    typer.echo(text)
    write_result(result, folder / "dynamics.h5")
    draw_populations(result, folder / "populations")
    write_text(folder / "summary.txt", text + "\n")
    write_text(done, json.dumps(record, indent=1, allow_nan=False) + "\n")
    shutil.rmtree(checkpoint, ignore_errors=True)
    typer.echo(f"Results: {folder}")


def _read(name: str) -> VibronicHamiltonian:
    from hopcast.core.errors import InputError
    from hopcast.couplings import derive_couplings
    from hopcast.io import read_hamiltonian

    if not Path(name).exists() and Path(name).suffix == "":
        from hopcast.datasets import load

        found = load(name).hamiltonian
        if found is None:
            raise InputError(f"Data set `{name}` has no Hamiltonian. Name another.")
        return found
    ham = read_hamiltonian(name)
    if ham.overlaps is not None and not ham.nac_known.any():
        ham = derive_couplings(ham)
    return ham


def _states(ham: VibronicHamiltonian, wanted: str | None) -> VibronicHamiltonian:
    from hopcast.core.errors import InputError
    from hopcast.dynamics import warn_leaking

    if wanted is None:
        return ham.frontier() if ham.n_states > 2 else ham
    index: list[int] = []
    for part in wanted.split(","):
        place = _find(ham, part)
        ends = [place] if place is not None else [_find(ham, end) for end in part.split("-", 1)]
        for end, text in zip(ends, part.split("-", 1), strict=False):
            if end is None:
                raise InputError(
                    f"Option --states must name states of the Hamiltonian ({ham.state_labels[0]} to "
                    f"{ham.state_labels[-1]}), but holds `{text}`."
                )
        index += range(ends[0] or 0, (ends[-1] or 0) + 1)
    warn_leaking(ham, index)
    return ham.select(index)


def _find(ham: VibronicHamiltonian, name: str) -> int | None:
    """Return the index of a state by its name or the last word of it ("62" for "band 62")."""
    for i, label in enumerate(ham.state_labels):
        if name.strip() in (label, label.split()[-1]):
            return i
    return None


def _times(text: str | None) -> Any:
    from hopcast.core.errors import InputError

    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        import numpy as np

    if not Path(text).is_file():
        raise InputError(f"Option --dephasing must be a time in fs or a file, but `{text}` is neither.")
    try:
        return np.loadtxt(text, comments=("#", "!"))
    except ValueError as error:
        raise InputError(f"File `{text}` must hold a matrix of times in fs, but: {error}.") from error
