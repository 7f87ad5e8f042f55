"""The registry of formats: a format is one file in `hopcast.io.formats` that names its `FORMAT`.

To add one, put a module into `hopcast/io/formats/` with ``FORMAT = Format(...)``: what its files are called, how
they are recognised, read and written, and what they can hold. Nothing else changes: `list_formats`,
`read_hamiltonian`, `write_hamiltonian`, ``hopcast formats`` and ``hopcast convert`` find it there.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.declared import list_declared
from hopcast.core.errors import ArgumentError, ConfigError, InputError, OutputError, check_choice, check_number
from hopcast.core.hamiltonian import VibronicHamiltonian

Kind = Literal["hamiltonian", "trajectory"]
HEEDED = ("unit", "energy_grid", "spin", "prefix", "elements", "scheme", "bands", "kpoint", "loewdin", "variable_cell")
"""Options of reading that are for some formats only."""


@dataclass(frozen=True)
class ReadOptions:
    """What a user may say about files that do not say it themselves.

    Attributes
    ----------
    timestep
        Time between frames, fs.
    couplings
        "overlaps": raw overlaps are kept, so that couplings are derived from them. "source": the couplings of the
        source are trusted, and overlaps left out.
    unit
        Unit of energy in text without one: "eV", "Ry" or "Ha".
    energy_grid
        Where such energies live: "frame" or "midpoint".
    spin
        Spin channel, 0 or 1; None takes the first, and a reader warns where a second differs from it.
    prefix
        How the names of the files begin, where a folder holds several Hamiltonians (``Hvib_ci_``).
    scheme
        How the source differentiated: "3points" or "levine" (nano-qmflows).
    n_occupied
        How many of the states are occupied.
    bands
        First band and last + 1 of files of wavefunctions, from 0; None: eight below and eight above the gap.
    kpoint
        K-point of such files, from 0; None where there is one.
    loewdin
        Orthonormalise pseudo-wavefunctions (PAW, ultrasoft) in the window of bands.
    variable_cell
        Frames of such files may have different cells; plane waves are matched by their indices.
    cell, unwrap, pbc, velocities, elements
        For trajectories, see `read_trajectory`.
    ase_format
        ASE's name of the format.
    workers
        Threads.
    """

    timestep: float | None = None
    couplings: str = "overlaps"
    unit: str | None = None
    energy_grid: str | None = None
    spin: int | None = None
    prefix: str | None = None
    scheme: str | None = None
    n_occupied: int | None = None
    bands: tuple[int, int] | None = None
    kpoint: int | None = None
    loewdin: bool = True
    variable_cell: bool = False
    cell: ArrayLike | None = None
    unwrap: bool = True
    pbc: bool | tuple[bool, bool, bool] | None = None
    velocities: Path | None = None
    elements: tuple[str, ...] | None = None
    ase_format: str | None = None
    workers: int | None = None


@dataclass(frozen=True)
class WriteOptions:
    """What a code needs beside the Hamiltonian to run on it.

    Attributes
    ----------
    flavour
        Of the code: "original", "dev" or "dish" (Hefei-NAMD).
    complex
        Write complex couplings where the code has two forms (Hefei's ``NATXT_RE``, ``NATXT_IM`` are always written).
    unit
        Unit of energy where the code has a choice: "Ry", "eV" or "Ha" (PYXAID).
    initial_state
        State at the start, counted from 0; the default is the lowest unoccupied one, or the highest.
    n_samples
        Number of initial times, spread evenly.
    duration
        Length of the dynamics, fs; the default is half of the data.
    temperature
        K.
    n_trajectories
        Trajectories of each initial time.
    dephasing
        Pure-dephasing times of all pairs [n_states, n_states], fs.
    """

    flavour: str = "original"
    unit: str = "Ry"
    initial_state: int | None = None
    n_samples: int = 10
    duration: float | None = None
    temperature: float = 300.0
    n_trajectories: int = 1000
    dephasing: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        for name in ("temperature", "duration"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name))
        for name, least in (("n_samples", 1), ("n_trajectories", 1), ("initial_state", 0)):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), whole=True, least=least)


@dataclass(frozen=True)
class Holds:
    """What a format can hold of a Hamiltonian; the rest is lost and `losses` says so.

    Attributes
    ----------
    grid
        Where its energies live: "frame", "midpoint" or "any".
    complex
        Whether couplings may be complex.
    diagonal
        Whether the imaginary diagonal of complex couplings is kept.
    overlaps, unknown, timestep, labels, provenance
        Whether raw overlaps, unknown frames, the time step, names of states and number of occupied ones, and
        where the numbers come from, are kept.
    couplings
        Whether couplings are kept (a format of raw overlaps gives them back only by derivation).
    last
        Whether the last frame fits.
    numbers
        Which numbers of frames are kept: "none", those that count one by one ("consecutive"), or "any".
    digits
        Significant digits of its numbers.
    """

    grid: Literal["frame", "midpoint", "any"] = "frame"
    complex: bool = False
    diagonal: bool = True
    overlaps: bool = False
    unknown: bool = False
    timestep: bool = False
    labels: bool = False
    provenance: bool = False
    couplings: bool = True
    last: bool = True
    numbers: Literal["none", "consecutive", "any"] = "none"
    digits: int = 16


class FrameIndex(Protocol):
    """Where the frames of a text file begin, so that a stretch of them can be read by itself."""

    n_frames: int

    def text(self, start: int, stop: int) -> bytes:
        """Return a whole file that holds these frames only."""

    def options(self, options: ReadOptions, start: int, stop: int) -> ReadOptions:
        """Return what a reader must be told of these frames that such a file does not say."""


@dataclass(frozen=True)
class Format:
    """One format: its name, how it is recognised, read and written, and what it can hold.

    Attributes
    ----------
    name
        What `format=` is called.
    title
        One line about it.
    kind
        "hamiltonian" or "trajectory".
    files
        What its files are called.
    sniff
        Whether a path (file or folder) is in this format; cheap, and never raises.
    read
        Returns the Hamiltonian or the trajectory.
    write
        Writes it; None where the format is only read.
    holds
        What a Hamiltonian keeps when it is written and read again.
    keeps
        What a trajectory keeps so, beside its positions, cell and atoms: fields of `Trajectory`.
    heeds
        Which of the options of `HEEDED` its reader heeds; the others are refused.
    code
        Another name, shared by all formats of a code; the files decide which of them it is.
    geometries
        Finds the geometry of each numbered folder, where its folders hold the trajectory too.
    index
        Finds the frames of a trajectory, so that one larger than memory is read a stretch at a time; None where it is
        read whole.
    """

    name: str
    title: str
    kind: Kind
    files: str
    sniff: Callable[[Path], bool]
    read: Callable[[Path, ReadOptions], Any]
    write: Callable[[Any, Path, WriteOptions], None] | None = None
    holds: Holds = field(default_factory=Holds)
    keeps: tuple[str, ...] = ()
    code: str = ""
    heeds: tuple[str, ...] = ()
    geometries: Callable[[Path], dict[int, Path]] | None = None
    index: Callable[[Path, ReadOptions], FrameIndex] | None = None


def list_formats(kind: Kind | None = None) -> tuple[Format, ...]:
    """Return the registered formats by name, of one kind or of both.

    Parameters
    ----------
    kind
        "hamiltonian" or "trajectory".
    """
    declared = list_declared(importlib.import_module("hopcast.io.formats"), "FORMAT")
    return tuple(
        sorted((each for each in declared if kind in (None, each.kind)), key=lambda each: (each.kind, each.name))
    )


@contextmanager
def reading(path: Path, form: Format) -> Iterator[None]:
    """Make every error of a reader one that names the file.

    Raises
    ------
    InputError
        For what the reader refuses, what the system refuses, and what the numbers of a file cannot be.
    """
    try:
        yield
    except OutputError:  # of a temporary copy
        raise
    except (OSError, MemoryError) as error:
        raise InputError(
            f"`{path}` cannot be read as `{form.name}` ({error}). Check that it is complete and may be read."
        ) from error
    except ArgumentError as error:
        raise InputError(
            f"`{path}` cannot be read as `{form.name}`: {error} Correct it at its source and write it again.",
            topic=error.topic,
        ) from error


def find_format(name: str, kind: Kind, path: Path | None = None, argument: str = "format") -> Format:
    """Return a format by its name, or by that of its code.

    Parameters
    ----------
    name
        As `format=` gives it.
    kind
        "hamiltonian" or "trajectory".
    path
        The files, which decide between several formats of one code.
    argument
        What the choice is called in the message.

    Raises
    ------
    ConfigError
        If there is none of this name.
    """
    formats = list_formats(kind)
    of_code = [each for each in formats if each.code and each.code == name]
    if of_code:
        return next((each for each in of_code if path is not None and each.sniff(path)), of_code[0])
    known = {each.name: each for each in formats}
    check_choice(argument, name, [*known, *sorted({each.code for each in formats} - {"", *known})])
    return known[name]


def recognise(path: Path, kind: Kind) -> Format:
    """Return the one format that a file or folder is in.

    Raises
    ------
    InputError
        If it does not exist, or is in none of the formats or in several.
    """
    if not path.exists():
        raise InputError(f"File `{path}` does not exist. Check the path.")
    found = [each for each in list_formats(kind) if each.sniff(path)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"`{path}` may be {' or '.join(f'`{each.name}`' for each in found)}, and hopcast does not guess. "
            "Name its `format`.",
            topic="option",
        )
    raise InputError(
        f"`{path}` {_known_by_name(path)}"
        if _known_by_name(path)
        else f"`{path}` is in no format that hopcast recognises as a {kind} ({', '.join(f.name for f in list_formats(kind))}). "
        "Name its `format`, or see `hopcast formats`.",
        topic="option",
    )


def _known_by_name(path: Path) -> str:
    """Return what is to be said of files that are known but not read, or an empty string."""
    names = [entry.name for entry in path.iterdir()] if path.is_dir() else [path.name]
    packed = [name for name in names if name.endswith(".gz")]
    if packed:
        return f"holds compressed files (`{packed[0][:60]}`). Unpack them (gunzip)."
    if any(re.fullmatch(r"[ES]_\d+_\d+_\d+_t?(re|im)", name) for name in names):
        return (
            "holds `E_<step>_1_1_re` and `S_<step>_0_1_tre`, of which no code that writes them could be found: their units and order are not known, "
            "and they are not read. Take the `hvib_<step>_re`, `_im` and `St_<step>_re` that Libra writes."
        )
    return ""


def check_heeded(form: Format, options: ReadOptions) -> None:
    """Refuse options that a format's reader would not look at: what a user says is never left out silently.

    Raises
    ------
    ConfigError
        Naming the option.
    """
    for name in HEEDED:
        value = getattr(options, name)
        if value != getattr(ReadOptions(), name) and name not in form.heeds:
            able = ", ".join(f"`{each.name}`" for each in list_formats(form.kind) if name in each.heeds)
            raise ConfigError(
                f"Argument `{name}` must be left out for the format `{form.name}`, which has no choice of it, but is `{value}`. "
                f"It is for {able}."
            )


def losses(hamiltonian: VibronicHamiltonian, target: Format) -> list[str]:
    """Return what of a Hamiltonian a format cannot hold, one sentence each.

    Parameters
    ----------
    hamiltonian
        What is to be written.
    target
        The format.
    """
    holds = target.holds
    lost = []
    if holds.grid == "midpoint" and hamiltonian.energy_grid == "frame":
        lost.append("Energies of frames become averages of neighbours (mid-points); the frames cannot be had back.")
    if holds.grid == "frame" and hamiltonian.energy_grid == "midpoint":
        lost.append(
            "Energies live on mid-points and are written as rows of the same number: half a step later than the "
            "format says. They are not un-averaged."
        )
        if holds.last:
            lost.append("The last coupling has no energy after it then, and is dropped when the files are read.")
    if np.iscomplexobj(hamiltonian.nac):
        if not holds.complex:
            lost.append("Complex couplings become |nac| times the sign of their real part; the phase is lost.")
        elif not holds.diagonal and np.any(np.einsum("tii->ti", hamiltonian.nac)):
            lost.append("The imaginary diagonal of the couplings is left out.")
    if hamiltonian.overlaps is not None and not holds.overlaps:
        lost.append("Raw overlaps are left out: couplings cannot be derived anew.")
    if not holds.couplings:
        lost.append("Couplings are left out: they are derived anew from the raw overlaps.")
    if not holds.timestep:
        lost.append(f"The time step is not stored: give timestep {hamiltonian.timestep:g} fs when reading.")
    if not holds.labels and (
        hamiltonian.n_occupied is not None
        or hamiltonian.state_labels != tuple(str(i) for i in range(hamiltonian.n_states))
    ):
        lost.append("Names of the states and the number of occupied ones are not stored.")
    if hamiltonian.provenance and not holds.provenance:
        lost.append("The provenance is not stored.")
    numbers = hamiltonian.frame_numbers
    if numbers is not None and (
        holds.numbers == "none" or (holds.numbers == "consecutive" and np.any(np.diff(numbers) != 1))
    ):
        lost.append("The numbers that the source gave its frames are not stored.")
    if not holds.last:
        lost.append("The last frame and the coupling before it are left out.")
    if holds.digits < 16:
        lost.append(f"Numbers are printed with {holds.digits} significant digits.")
    return lost


def writable(name: str, kind: Kind, argument: str = "format") -> Format:
    """Return a format that can be written; `argument` is what the choice is called in the message.

    Raises
    ------
    ConfigError
        If it is unknown or only read.
    """
    found = find_format(name, kind, argument=argument)
    if found.write is None:
        able = ", ".join(f"`{each.name}`" for each in list_formats(kind) if each.write is not None)
        raise ConfigError(f"Argument `{argument}` must be one that can be written ({able}), but `{name}` is only read.")
    return found
