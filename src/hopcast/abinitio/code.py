"""What a code of electronic structure is to hopcast: an engine, inputs for a cluster, files to harvest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hopcast.abinitio.engine import Engine, Geometry, OutputState
from hopcast.abinitio.plan import Plan
from hopcast.core.errors import InputError
from hopcast.io.wavefunctions.protocol import Wavefunctions
from hopcast.io.wavefunctions.selection import Window


def _accept(symbols: Sequence[str], settings: Any) -> None:
    """Accept any element."""


def _nothing(plan: Plan, settings: Any) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class FrameInput:
    """The input of a frame that `hopcast select` writes, and how a job of a cluster runs it.

    Attributes
    ----------
    file
        Its name in the folder of a frame; what is called so says which code a plan is for.
    write
        From geometry, settings and number of the frame to the text.
    run
        From settings to the shell that runs it, in the folder of the frame.
    finished
        The shell's test of whether that is done.
    check
        Refuses elements (symbols of the atoms, settings) before anything is written.
    beside
        From plan and settings to more files of the plan, by name.
    """

    file: str
    write: Callable[[Geometry, Any, int], str]
    run: Callable[[Any], str]
    finished: str
    check: Callable[[Sequence[str], Any], None] = _accept
    beside: Callable[[Plan, Any], Mapping[str, str]] = _nothing


@dataclass(frozen=True)
class WaveFiles:
    """Wavefunctions that finished runs leave, for `hopcast harvest`.

    Attributes
    ----------
    find
        From the folder of a frame to its wavefunctions; InputError says why there are none.
    open
        Open them.
    parts
        From the folder of a frame to the files, of those that are there, whose change makes a pair anew.
    exact_file
        Overlaps that the code itself made, in the folder of the later frame; empty where it makes none.
    read_exact
        From (that file, the wavefunctions of both frames) and the bands to the overlaps.
    """

    find: Callable[[Path], Path]
    open: Callable[[Path], Wavefunctions]
    parts: Callable[[Path], list[Path]]
    exact_file: str = ""
    read_exact: Callable[[tuple[Path, Path, Path], Window], NDArray[Any]] | None = None


def finished_waves(state: OutputState, found: Path | None) -> Path:
    """Return the wavefunctions of a run that ended in a state.

    Raises
    ------
    InputError
        If it did not finish, or they are not there.
    """
    if state.state != "finished":
        raise InputError(state.reason)
    if found is None:
        raise InputError(
            "the run is finished, but left no wavefunctions (LWAVE, wf_collect), or they were deleted before they were harvested"
        )
    return found


@dataclass(frozen=True)
class Code:
    """A code and its facts. A module of `hopcast.abinitio.codes` that names its `CODE` adds it to every command.

    Attributes
    ----------
    name
        As in ``make_engine(name)`` and ``--engine``.
    engine
        From options (`bands`, and others by name) to the engine.
    next_step
        What to do with a plan, ``{plan}``, once it is written.
    settings
        Class of the settings that inputs are made with, an option of the engine; None where the engine's own options are all.
    inputs
        What is written for a cluster; None where hopcast itself runs there.
    waves
        What is harvested; None where the engine reads its finished runs itself (`hopcast.abinitio.harvest.RunReader`).
    """

    name: str
    engine: Callable[..., Engine]
    next_step: str
    settings: Callable[..., Any] | None = None
    inputs: FrameInput | None = None
    waves: WaveFiles | None = None
