"""Run an external program on one geometry."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from hopcast.abinitio.engine import ElectronsError, OutputState


def run_program(
    command: Sequence[str], folder: Path, ended: Callable[[], OutputState], *, output: str | None = None
) -> None:
    """Run a program on one thread (where the user sets no other number) in a folder, to its end.

    Parameters
    ----------
    command
        Program and arguments.
    folder
        Where it runs.
    ended
        Says how it ended.
    output
        File in the folder for its standard output.

    Raises
    ------
    ElectronsError
        If it did not finish, with the last of what it said.
    """
    done = subprocess.run(
        list(command),
        cwd=folder,
        env={"OMP_NUM_THREADS": "1", **os.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if output is not None:
        (folder / output).write_bytes(done.stdout)
    found = ended()
    if found.state != "finished":
        said = done.stderr if output is not None else done.stdout + done.stderr
        tail = " ".join(said.decode(errors="replace").split())[-150:]
        raise ElectronsError(f"{found.reason}{f' ({tail})' if tail and found.state != 'not converged' else ''}")
