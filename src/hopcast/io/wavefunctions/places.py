"""Where the files of a frame are: numbered folders, and what is looked for in them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from hopcast.core.errors import InputError
from hopcast.io.numbered import names_in
from hopcast.io.wavefunctions.espresso import Save
from hopcast.io.wavefunctions.espresso_schema import SCHEMA
from hopcast.io.wavefunctions.paw_pairs import open_bands


def numbered_folders(folder: Path, find: Callable[[Path], Path | None]) -> dict[int, Path]:
    """Return what `find` finds in each numbered folder (``12``, ``frame_0012``), by number.

    Parameters
    ----------
    folder
        Which holds them.
    find
        Returns the file of a frame in its folder, or None.

    Raises
    ------
    InputError
        If two folders have the same number.
    """
    found: dict[int, Path] = {}
    for name in sorted(names_in(folder)):
        hit = re.fullmatch(r"\D*(\d{1,9})", name)
        file = find(folder / name) if hit is not None else None
        if hit is None or file is None:
            continue
        number = int(hit.group(1))
        if number in found:
            raise InputError(
                f"Folder `{folder}` has frame {number} twice: `{found[number]}` and `{file}`. Move one elsewhere."
            )
        found[number] = file
    return found


def has_numbered(folder: Path, find: Callable[[Path], Path | None]) -> bool:
    """Whether a numbered folder holds such a file; cheap, and never raises."""
    return any(re.fullmatch(r"\D*\d{1,9}", name) and find(folder / name) is not None for name in names_in(folder))


def wavecar_in(folder: Path) -> Path | None:
    """Return the `WAVECAR` of a folder, or None."""
    file = folder / "WAVECAR"
    return file if file.is_file() else None


def wswq_in(folder: Path) -> Path | None:
    """Return the `WSWQ` of a folder, or None."""
    file = folder / "WSWQ"
    return file if file.is_file() else None


def levels_in(folder: Path) -> Path | None:
    """Return the file with the bands of a frame: its `WAVECAR`, or `EIGENVAL` where that was deleted."""
    if (found := wavecar_in(folder)) is not None and found.stat().st_size:
        return found
    file = folder / "EIGENVAL"
    return file if file.is_file() else None


def save_in(folder: Path) -> Path | None:
    """Return the `prefix.save` of a frame's folder or of a folder in it (`outdir`), or None.

    Raises
    ------
    InputError
        If there are several.
    """
    inside = _folders_in(folder)
    places = inside + [each for place in inside if place.suffix != ".save" for each in _folders_in(place)]
    found = sorted(place for place in places if place.suffix == ".save" and (place / SCHEMA).is_file())
    if len(found) > 1:
        raise InputError(
            f"Folder `{folder}` must hold one `.save`, but holds `{found[0].name}` and `{found[1].name}`. Move one elsewhere."
        )
    return found[0] if found else None


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [folder / entry.name for entry in entries if entry.is_dir()]
    except OSError:
        return []


def count_kpoints(path: Path) -> int:
    """Return how many k-points the first frame of numbered folders has.

    Raises
    ------
    InputError
        If they hold no wavefunctions.
    """
    levels = numbered_folders(path, levels_in)
    if levels:
        return len(open_bands(levels[min(levels)]).kpoints)
    saves = numbered_folders(path, save_in)
    if saves:
        return len(Save.open(saves[min(saves)]).kpoints)
    raise InputError(
        f"Folder `{path}` holds no numbered folders with wavefunctions, so that it has no k-points. Leave --kpoint out."
    )
