"""`hopcast dynamics`: surface hopping on a Hamiltonian, from the shell."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from hopcast.cli.convert import Timestep
from hopcast.cli.options import Output, Overwrite, Resume, Workers

GROUPS = {
    "Method": ("method", "rule", "waiting", "decisions", "dephasing", "convention", "temperature", "compare"),
    "States and starts": ("states", "carrier", "initial_state", "initial_times", "every", "scissor", "leave"),
    "Length and sampling": ("duration", "trajectories", "loop", "substeps", "seed", "timestep"),
    "Several channels": ("also", "weights"),
    "Output": ("output", "resume", "overwrite", "workers"),
}
MOSTLY = 0.9
"""Decays are fitted only where less than this is left."""


def dynamics(
    hamiltonian: Annotated[
        str,
        typer.Argument(
            help="Hamiltonian (any format of `hopcast formats`), or the name of a shipped data set.", show_default=False
        ),
    ],
    method: Annotated[
        str, typer.Option("--method", "-m", help="dish, fssh, gfsh, mssh, msdm, ida, ehrenfest, bl-lz or exact.")
    ] = "dish",
    rule: Annotated[str, typer.Option("--rule", help="Of DISH: consistent, hefei or pyxaid.")] = "consistent",
    waiting: Annotated[str, typer.Option("--waiting", help="Of DISH: exponential or deterministic.")] = "exponential",
    decisions: Annotated[
        str, typer.Option("--decisions", help="Of DISH: each sub-step, or each nuclear step as other engines do.")
    ] = "sub-step",
    states: Annotated[
        str | None,
        typer.Option(
            "--states",
            help="Names of states, e.g. 62-68, 68,69 or VBM-1,VBM,CBM; the band edges by default.",
            show_default=False,
        ),
    ] = None,
    carrier: Annotated[str, typer.Option("--carrier", help="electron or hole.")] = "electron",
    initial_state: Annotated[
        str | None,
        typer.Option(
            "--initial-state",
            help="Name of the state (the farthest by default), several with weights, e.g. 62:0.7,63:0.3, or thermal.",
            show_default=False,
        ),
    ] = None,
    initial_times: Annotated[
        str | None,
        typer.Option(
            "--initial-times",
            help="Frames to start at, e.g. 0,50,100, or a file with one a line, its weight beside it; or an INICON (step, band).",
            show_default=False,
        ),
    ] = None,
    every: Annotated[int | None, typer.Option("--every", help="Start at every k-th frame.", show_default=False)] = None,
    timestep: Timestep = None,
    duration: Annotated[float, typer.Option("--duration", help="fs.")] = 1e6,
    temperature: Annotated[float, typer.Option("--temperature", help="K; 0 accepts all upward hops.")] = 300.0,
    trajectories: Annotated[int, typer.Option("--trajectories", help="For each initial time.")] = 1000,
    dephasing: Annotated[
        str | None,
        typer.Option(
            "--dephasing",
            help="Dephasing time, fs, or a file with their matrix (DEPHTIME, PYXAID's decoherence_rates*), in the order of the Hamiltonian.",
            show_default=False,
        ),
    ] = None,
    convention: Annotated[
        str,
        typer.Option("--convention", help="Of dephasing times from the data: gaussian, e-folding, pyxaid or libra."),
    ] = "gaussian",
    scissor: Annotated[float | None, typer.Option("--scissor", help="Mean gap wanted, eV.", show_default=False)] = None,
    leave: Annotated[bool, typer.Option("--not-absorbing", help="Let carriers leave the lowest state again.")] = False,
    loop: Annotated[bool, typer.Option("--loop/--no-loop", help="Repeat the trajectory.")] = True,
    substeps: Annotated[
        int | None, typer.Option("--substeps", help="For each step; chosen by default.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the random numbers.")] = 0,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also run every rule, waiting and convention, and print the spread.")
    ] = False,
    also: Annotated[
        list[Path] | None,
        typer.Option(
            "--also",
            help="Another spin or k-point along the same trajectory, for averages (again for more).",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            help="Of the Hamiltonian and each --also, e.g. 1,3; by default those of their k-points, or alike.",
            show_default=False,
        ),
    ] = None,
    output: Output = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    workers: Workers = None,
) -> None:
    """Run surface hopping: populations, lifetime, figures."""
    from hopcast.cli.dynamics_inputs import (
        read_any,
        read_channels,
        read_dephasing,
        read_initial_state,
        read_initial_times,
        read_states,
    )
    from hopcast.cli.dynamics_outputs import check_run, clear_run
    from hopcast.core.errors import MAX_SEED, ConfigError, check_number
    from hopcast.core.outputs import run_folder
    from hopcast.dynamics import scissor as shifted

    check_number("--seed", seed, whole=True, least=0, most=MAX_SEED)
    folder = output or Path(f"{Path(hamiltonian).stem}-dynamics")
    check_run(folder, resume=resume, overwrite=overwrite, inputs=(hamiltonian, dephasing, initial_times, *(also or [])))
    whole = read_any(hamiltonian, timestep)
    index = read_states(whole, states)
    ham = whole.select(index)
    if scissor is not None:
        ham = shifted(ham, target_gap=scissor)
    channels, shares = read_channels(ham, also or [], weights, states, scissor, timestep)
    tau = read_dephasing(dephasing, whole.n_states, index)
    starts = read_initial_times(whole, index, initial_times, every, carrier)
    if starts.states is not None and initial_state is not None:
        raise ConfigError(
            f"Option --initial-state must be left out: `{initial_times}` names a state for each initial time."
        )
    start = read_initial_state(ham, initial_state, carrier) if starts.states is None else starts.states
    options: dict[str, Any] = {
        "duration": duration,
        "temperature": temperature if temperature != 0 else None,
        "carrier": carrier,
        "initial_state": start,
        "absorbing": not leave,
        "n_trajectories": trajectories,
        "random_state": seed,
        "substeps": substeps,
        "loop": loop,
        "workers": workers,
        "initial_times": starts.frames,
        "initial_weights": starts.weights,
    }
    chosen = {
        "method": method,
        "rule": rule,
        "waiting": waiting,
        "decisions": decisions,
        "dephasing_time": tau,
        "tau_convention": convention,
    }
    with run_folder(folder):
        if overwrite:
            clear_run(folder)
        _run([ham, *channels], shares, folder, options, chosen, compare)
    typer.echo(f"Results: {folder}")


@contextmanager
def _bar(name: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar of progress on a terminal; nothing elsewhere, and rich is not even imported."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda now, total: bar.update(task, completed=now, total=total)


def _run(
    channels: list[Any],
    shares: list[float] | None,
    folder: Path,
    options: dict[str, Any],
    chosen: dict[str, Any],
    compare: bool,
) -> None:
    """Run with a bar of progress, print what was found, and write it."""
    from hopcast.cli.dynamics_outputs import CHECKPOINT, write_run
    from hopcast.dynamics import average_channels, compare_methods, fit_decays, result_record, run_dynamics

    ham, *others = channels
    try:
        with _bar(chosen["method"]) as progress:
            result = run_dynamics(
                ham,
                progress=progress,
                checkpoint=folder / CHECKPOINT,
                **chosen,
                **options,
            )
    except KeyboardInterrupt:
        typer.echo(
            f"hopcast: interrupted. Finished parts are kept: continue with --resume --output {folder}.", err=True
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
                {
                    "rule": r.rule,
                    "waiting": r.waiting,
                    "tau_convention": r.tau_convention,
                    "tau": r.tau,
                    "lifetime": r.lifetime.as_dict(),
                }
                for r in table.rows
            ],
        }
    if others:
        found = [run_dynamics(other, **chosen, **options) for other in others]
        together = average_channels(channels, [result, *found], shares, random_state=options["random_state"])
        text += f"\n\n{together}"
        record["channels"] = {
            "weights": together.weights.tolist(),
            "rate": together.rate.as_dict(),
            "lifetimes": [one.lifetime.as_dict() for one in together.results],
        }
    write_run(result, folder, text, record)
    typer.echo(text)
