"""Numbered folders of Quantum ESPRESSO calculations with their `prefix.save`: overlaps of wavefunctions."""

from __future__ import annotations

from pathlib import Path

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.io.registry import Format, ReadOptions
from hopcast.io.wavefunctions.espresso import Save
from hopcast.io.wavefunctions.folders import check_pairs, read_folders
from hopcast.io.wavefunctions.places import has_numbered, numbered_folders, save_in


def _any_save(folder: Path) -> Path | None:
    try:
        return save_in(folder)
    except InputError:
        return folder


def sniff(path: Path) -> bool:
    """Whether numbered folders hold a `.save`."""
    return path.is_dir() and has_numbered(path, _any_save)


def saves(path: Path) -> dict[int, Path]:
    """Return the `.save` of each numbered folder.

    Raises
    ------
    InputError
        If they are of several prefixes.
    """
    found = numbered_folders(path, save_in)
    first = found[min(found)].name if found else ""
    for number, save in sorted(found.items()):
        if save.name != first:
            raise InputError(
                f"Folder `{path}` must hold frames of one prefix, but `{found[min(found)]}` and `{save}` (frame {number}) have two. They are "
                "of different calculations: move one of them elsewhere."
            )
    return found


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read energies and overlaps of consecutive numbers."""
    found = saves(path)
    check_pairs(path, found, "a `prefix.save`")
    return read_folders(path, found, Save.open, options, FORMAT.name)


FORMAT = Format(
    "qe-save",
    "Quantum ESPRESSO: overlaps of wavefunctions in numbered folders",
    "hamiltonian",
    "<frame>/**/<prefix>.save",
    sniff,
    read,
    heeds=("spin", "bands", "kpoint", "loewdin", "variable_cell"),
    geometries=saves,
)
