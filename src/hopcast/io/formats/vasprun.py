"""VASP's `vasprun.xml`, element by element: nothing of a calculation but its structure is kept."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from array import array
from pathlib import Path

import numpy as np

from hopcast.core.errors import InputError
from hopcast.core.trajectory import Trajectory
from hopcast.io.assemble import need_timestep
from hopcast.io.registry import Format, ReadOptions
from hopcast.io.text import head
from hopcast.io.trajectory_parts import atomic_number, from_fractional, joined_cells


def sniff(path: Path) -> bool:
    """Whether it is XML of VASP."""
    return path.is_file() and path.suffix.lower() == ".xml" and b"<modeling" in head(path)


def _rows(path: Path, frame: int, element: ET.Element | None, what: str, n_rows: int) -> list[float]:
    """Return the numbers of a varray of vectors."""
    vectors = [] if element is None else element.findall("v")
    try:
        found = [float(word) for vector in vectors for word in (vector.text or "").split()]
    except ValueError:
        found = []
    if len(vectors) != n_rows or len(found) != 3 * n_rows:
        raise InputError(
            f"File `{path}`, frame {frame} must hold {n_rows} vectors of {what}, but holds {len(found)} numbers in {len(vectors)}. "
            "The file is damaged: read the XDATCAR of the run."
        )
    return found


def _timestep(path: Path, tags: dict[str, str], timestep: float | None) -> float:
    """Return the user's time step, or POTIM of a molecular dynamics; the first must be a multiple of the second."""
    try:
        potim = float(tags.get("POTIM", "nan"))
    except ValueError:
        potim = np.nan
    dynamics = tags.get("IBRION", "0") == "0" and potim > 0
    if timestep is None:
        return need_timestep(path, potim if dynamics else None)
    if dynamics and not np.isclose(timestep / potim, max(1, round(timestep / potim)), rtol=1e-6):
        raise InputError(
            f"File `{path}` has POTIM = {potim:g} fs, but `timestep` is {timestep:g} fs, no multiple of it. Leave `timestep` out."
        )
    return need_timestep(path, timestep)


def read(path: Path, options: ReadOptions) -> Trajectory:
    """Read the structures of all ionic steps; the time step is POTIM where nobody says another."""
    if b"<!DOCTYPE" in head(path, 1 << 16) or b"<!ENTITY" in head(path, 1 << 16):
        raise InputError(f"File `{path}` defines entities, which VASP never does, and is not read. Copy it again.")
    fractional, cells = array("d"), array("d")
    numbers: list[int] = []
    tags: dict[str, str] = {}
    frame = 0
    parents: list[str] = []
    try:
        for event, element in ET.iterparse(path, events=("start", "end")):
            if event == "start":
                parents.append(element.tag)
                continue
            parents.pop()
            above = parents[-1] if parents else ""
            if element.tag == "i" and ("incar" in parents or "parameters" in parents):
                tags.setdefault(element.get("name", ""), (element.text or "").strip())
            elif element.tag == "array" and element.get("name") == "atoms" and above == "atominfo":
                names = [(row.findtext("c") or "").strip() for row in element.findall("set/rc")]
                numbers = [atomic_number(name, path) for name in names]
            # steps of machine-learned dynamics stand outside of calculations, without the name that the first and the last one have
            elif element.tag == "structure" and (
                above == "calculation" or (above == "modeling" and element.get("name") is None)
            ):
                basis = element.find("crystal/varray[@name='basis']")
                places = element.find("varray[@name='positions']")
                cells.extend(_rows(path, frame, basis, "the basis", 3))
                fractional.extend(_rows(path, frame, places, "positions", len(numbers)))
                frame += 1
            if above in ("calculation", "modeling", "scstep", "kpoints"):
                element.clear()
    except InputError:
        raise
    except (ET.ParseError, LookupError, ValueError) as error:  # the last two for encodings
        raise InputError(
            f"File `{path}` is cut short or damaged after {frame} frames ({error}). Read the XDATCAR of the run, which needs no end."
        ) from error
    if not frame or not numbers:
        raise InputError(
            f"File `{path}` must hold atoms and ionic steps, but holds {len(numbers)} atoms and {frame} steps. Check that the run "
            "was a molecular dynamics."
        )
    return from_fractional(
        path,
        np.frombuffer(fractional).reshape(frame, -1, 3),
        joined_cells(np.frombuffer(cells).reshape(frame, 3, 3)),
        np.array(numbers),
        timestep=_timestep(path, tags, options.timestep),
        options=options,
    )


FORMAT = Format("vasprun", "VASP's vasprun.xml, with its time step", "trajectory", "vasprun.xml", sniff, read)
