"""`hopcast demo`: studies of the data that ship."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hopcast.cli.options import Output, Overwrite, Workers

Pairs = Annotated[
    bool,
    typer.Option(
        "--pairs", help="145 pairs of frames along 100 ps instead, where a tight binding is a useful forecast."
    ),
]


def demo(pairs: Pairs = False, output: Output = None, overwrite: Overwrite = False, workers: Workers = None) -> None:
    """Run the nine-Hamiltonian study on the shipped CsPbI3 trajectory. Run again, it continues where it was."""
    from importlib import resources

    from hopcast.cli.present import conduct
    from hopcast.study.config import read_config
    from hopcast.study.record import NAME

    name, place = ("cspbi3-long.toml", "hopcast-demo-pairs") if pairs else ("cspbi3.toml", "hopcast-demo")
    folder = output or Path(place)
    with resources.as_file(resources.files("hopcast.study") / name) as path:
        config = read_config(path)
    again = (folder / NAME).is_file() and not overwrite
    conduct(config, folder, resume=again, overwrite=overwrite and folder.exists(), workers=workers)
    if not pairs:
        typer.echo("Next, a forecast that is useful: hopcast demo --pairs")
