"""`hopcast demo`: the study of the paper on the data that ship."""

from __future__ import annotations

from pathlib import Path

from hopcast.cli.options import Output, Overwrite, Workers


def demo(output: Output = None, overwrite: Overwrite = False, workers: Workers = None) -> None:
    """Run the nine-Hamiltonian study on the shipped CsPbI3 trajectory; run again, it continues where it was."""
    from importlib import resources

    from hopcast.cli.present import conduct
    from hopcast.study.config import read_config
    from hopcast.study.record import NAME

    folder = output or Path("hopcast-demo")
    with resources.as_file(resources.files("hopcast.study") / "cspbi3.toml") as path:
        config = read_config(path)
    again = (folder / NAME).is_file() and not overwrite
    conduct(config, folder, resume=again, overwrite=overwrite and folder.exists(), workers=workers)
