"""The `hopcast` command: subcommands, version, errors as one sentence."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from typing import Annotated

import typer

from hopcast.cli.commands import NAMES, Commands, build_command
from hopcast.cli.printed import Printed

app = typer.Typer(
    name="hopcast",
    cls=Commands,
    help="Forecast the vibronic Hamiltonian of a solid along molecular dynamics, run surface hopping on it, and say how far to trust the answer.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"hopcast {version('hopcast')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a user's mistake becomes one sentence and an exit code."""
    gc.set_threshold(100_000, 20, 100)  # looking for garbage while modules load takes a sixth of a small run
    warnings.showwarning = _show_warning
    threads = os.environ.get("NUMBA_NUM_THREADS", "1")
    if not threads.isdecimal() or int(threads) < 1:
        typer.echo(
            f"hopcast: NUMBA_NUM_THREADS must be a whole number of at least 1, but is `{threads}`. Unset it.", err=True
        )
        sys.exit(2)
    printed = Printed(sys.stdout)
    sys.stdout = printed
    try:
        _run_app()
    finally:
        printed.close_out()


def _run_app() -> None:
    try:
        app()
    except KeyboardInterrupt:
        typer.echo("hopcast: interrupted.", err=True)
        sys.exit(130)
    except Exception as error:
        # imported here because it brings NumPy, which `--help` does not need
        from hopcast.core.errors import HopcastError

        if not isinstance(error, HopcastError):
            raise
        typer.echo(f"hopcast: {_worded(str(error))}", err=True)
        sys.exit(error.exit_code)


def _worded(message: str) -> str:
    """Return a sentence with the options of the command that runs in place of arguments of the library."""
    from hopcast.cli.wording import in_options

    name = next((word for word in sys.argv[1:] if word in NAMES), None)
    return in_options(message, None if name is None else build_command(name))


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object, **__: object
) -> None:
    from hopcast.core.errors import QualityWarning

    if issubclass(category, QualityWarning):
        typer.echo(f"hopcast: note: {_worded(str(message))}", err=True)
