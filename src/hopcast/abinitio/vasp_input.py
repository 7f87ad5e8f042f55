"""What `hopcast select --engine vasp` writes, and how a run of VASP ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hopcast.abinitio.engine import Geometry, OutputState, coordinates
from hopcast.core.plain import PlainMap, to_plain
from hopcast.io.vasp_structures import header

FRAME_TAGS = {
    "ISTART": "0",
    "ICHARG": "2",
    "NSW": "0",
    "IBRION": "-1",
    "ISYM": "-1",
    "LWAVE": ".TRUE.",
    "LCHARG": ".FALSE.",
}
"""Of the run that makes the wavefunctions of a frame: the same k-points whatever the symmetry, and a WAVECAR."""
OVERLAP_TAGS = {
    "ISTART": "1",
    "ICHARG": "0",
    "NSW": "0",
    "IBRION": "-1",
    "ISYM": "-1",
    "NELM": "1",
    "ALGO": "None",
    "LWSWQ": ".TRUE.",
    "LWAVE": ".FALSE.",
    "LCHARG": ".FALSE.",
}
"""Of the run after it, which changes nothing and writes WSWQ."""


@dataclass(frozen=True)
class VaspSettings:
    """What is VASP's.

    Attributes
    ----------
    program
        "vasp_gam" (Gamma alone), "vasp_std" or "vasp_ncl" (spinors).
    inputs
        Folder with your INCAR, KPOINTS and POTCAR; the default is that of the plan.
    """

    program: str = "vasp_gam"
    inputs: str = ""

    def as_dict(self) -> PlainMap:
        """Return the settings as plain values."""
        return to_plain(self)


def tags(values: dict[str, str]) -> str:
    """Return lines of an INCAR."""
    return "".join(f"{name} = {value}\n" for name, value in values.items())


def merged_incar(yours: str, values: dict[str, str]) -> str:
    """Return an INCAR with some tags replaced, whatever it says of them.

    Parameters
    ----------
    yours
        The INCAR.
    values
        Tags that must hold.
    """
    kept = [
        "; ".join(part for part in line.split(";") if part.split("=")[0].strip().upper() not in values)
        if not line.lstrip().startswith(("#", "!"))
        else line
        for line in yours.splitlines()
    ]
    return tags(values) + "\n".join(kept) + "\n"


def poscar(geometry: Geometry, title: str) -> str:
    """Return a POSCAR; atoms keep their order (species may repeat).

    Parameters
    ----------
    geometry
        The nuclei.
    title
        First line.
    """
    places = "\n".join(coordinates(row) for row in geometry.positions)
    return f"{header(title, geometry.cell, geometry.numbers, '%.12f')}Cartesian\n{places}\n"


def vasp_state(path: str | Path) -> OutputState:
    """Return how a run of VASP ended, from its `OUTCAR`.

    Parameters
    ----------
    path
        The file.
    """
    name = Path(path)
    if not name.is_file():
        return OutputState("absent", "there is no OUTCAR")
    text = name.read_text(encoding="utf-8", errors="replace")
    if "General timing" not in text:
        return OutputState("killed", "the run was killed before its end")
    if "aborting loop because EDIFF is reached" not in text:
        return OutputState("not converged", "the self-consistency did not converge (EDIFF was not reached)")
    return OutputState("finished", "")
