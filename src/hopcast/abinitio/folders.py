"""Input files of a plan for a code, and scripts for arrays of jobs on SLURM."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hopcast.abinitio.code import Code
from hopcast.abinitio.codes import find_code
from hopcast.abinitio.plan import Plan
from hopcast.abinitio.slurm import array_of_frames, array_of_parts
from hopcast.core.hdf5 import write_text


def write_folders(plan: Plan, code: str, *, settings: Any = None) -> tuple[Path, ...]:
    """Write a folder with input files for each frame of a plan, and ``array.slurm``; files that are there stay.

    For VASP there are two scripts, ``array.slurm`` (each frame) and ``overlaps.slurm`` (each pair, once its frames are there:
    VASP's own PAW overlaps, ``WSWQ``), and ``submit.sh``, which submits one after the other.

    Parameters
    ----------
    plan
        From `hopcast.abinitio.write_plan`.
    code
        "cp2k" (complete input), "qe" (complete input of pw.x), "vasp" (POSCAR; INCAR, KPOINTS and POTCAR are the user's, beside the
        plan), or "tblite" (nothing but the script, which runs hopcast compute).
    settings
        `Cp2kSettings`, `QeSettings` or `VaspSettings`.

    Returns
    -------
    tuple of Path
        The files of inputs, one a frame.

    Raises
    ------
    ConfigError
        If a pseudopotential of pw.x is not named.
    """
    chosen = find_code(code)
    inputs = chosen.inputs
    if inputs is None:
        write_text(plan.folder / "array.slurm", array_of_parts(plan, chosen.name))
        return ()
    given = _settings(chosen, settings)
    written = []
    for frame in plan.frames:
        file = plan.place(frame) / inputs.file
        text = inputs.write(plan.geometry(frame), given, frame)
        if not file.exists():
            write_text(file, text)
        written.append(file)
    for name, text in inputs.beside(plan, given).items():
        write_text(plan.folder / name, text)
    write_text(plan.folder / "array.slurm", array_of_frames(plan, inputs.run(given), inputs.finished))
    return tuple(written)


def check_settings(code: str, symbols: Sequence[str], settings: Any = None) -> None:
    """Refuse settings with which no input can be written, before anything is.

    Parameters
    ----------
    code
        See `write_folders`.
    symbols
        Of the atoms.
    settings
        Of the code.

    Raises
    ------
    ConfigError, InputError
        Naming the element.
    """
    chosen = find_code(code)
    if chosen.inputs is not None:
        chosen.inputs.check(symbols, _settings(chosen, settings))


def _settings(code: Code, settings: Any) -> Any:
    return settings if settings is not None or code.settings is None else code.settings()
