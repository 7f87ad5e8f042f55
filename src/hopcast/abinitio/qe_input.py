"""The complete input of a single point with `pw.x`, its pseudopotentials, and how a run ended."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hopcast.abinitio.engine import Geometry, OutputState, coordinates
from hopcast.core.errors import ConfigError, InputError
from hopcast.core.plain import PlainMap
from hopcast.io.text import head

PLACES = ("/usr/share/espresso/pseudo", "/usr/local/share/espresso/pseudo")
"""Where packages put pseudopotentials."""


@dataclass(frozen=True)
class QeSettings:
    """What is written into the input.

    Attributes
    ----------
    pseudopotentials
        File of each element, ``{Si = "Si.pz-vbc.UPF"}``.
    pseudo_dir
        Where they are; the default is ``ESPRESSO_PSEUDO``, or where packages put them.
    ecutwfc, ecutrho
        Cutoffs of wavefunctions and density, Ry; `ecutrho` 0 leaves pw.x's choice, four times the first (take 8 to 12 times
        for ultrasoft pseudopotentials).
    nbnd
        Number of bands; 0: the occupied ones and `added_bands`.
    added_bands
        Above the gap, where `nbnd` is 0.
    kpoints
        A grid that contains Gamma, e.g. ``[2, 2, 2]``; empty: Gamma alone, with half the plane waves.
    functional
        `input_dft`; empty: that of the pseudopotentials.
    conv_thr
        Of the self-consistency, Ry.
    mixing_beta, electron_maxstep
        Of the self-consistency.
    spin_orbit
        Spinors, with fully relativistic pseudopotentials.
    """

    pseudopotentials: Mapping[str, str] = field(default_factory=dict)
    pseudo_dir: str = ""
    ecutwfc: float = 50.0
    ecutrho: float = 0.0
    nbnd: int = 0
    added_bands: int = 8
    kpoints: tuple[int, ...] = ()
    functional: str = ""
    conv_thr: float = 1e-9
    mixing_beta: float = 0.7
    electron_maxstep: int = 100
    spin_orbit: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "kpoints", tuple(self.kpoints))
        if self.kpoints and (len(self.kpoints) != 3 or min(self.kpoints) < 1):
            raise ConfigError(
                f"Setting `kpoints` must be three numbers of k-points, or empty for Gamma, but is {list(self.kpoints)}."
            )
        if not self.ecutwfc > 0 or self.nbnd < 0 or self.added_bands < 1:
            raise ConfigError(
                f"Settings `ecutwfc`, `nbnd` and `added_bands` must be positive (`nbnd` may be 0), but are {self.ecutwfc:g}, {self.nbnd} and "
                f"{self.added_bands}."
            )

    def as_dict(self) -> PlainMap:
        """Return the settings as plain values."""
        return {**asdict(self), "kpoints": list(self.kpoints), "pseudopotentials": dict(self.pseudopotentials)}

    def folder(self) -> Path:
        """Return where the pseudopotentials are."""
        places = [self.pseudo_dir, os.environ.get("ESPRESSO_PSEUDO", ""), *PLACES]
        given = self.pseudo_dir or os.environ.get("ESPRESSO_PSEUDO", "")
        return Path(given or next((place for place in places if place and Path(place).is_dir()), "pseudo"))

    def file_of(self, symbol: str) -> str:
        """Return the name of the pseudopotential of an element.

        Raises
        ------
        ConfigError
            If none is chosen.
        """
        if symbol not in self.pseudopotentials:
            raise ConfigError(
                f"Element {symbol} has no pseudopotential chosen for pw.x. Name its file in the settings: "
                f'pseudopotentials = {{{symbol} = "..."}} (--settings).'
            )
        return self.pseudopotentials[symbol]

    def bands(self, symbols: list[str]) -> int:
        """Return the number of bands, counted from the valence electrons of the pseudopotentials where `nbnd` is 0.

        Raises
        ------
        ConfigError
            If a pseudopotential is not at hand, or the number of electrons is odd.
        """
        if self.nbnd:
            return self.nbnd
        electrons = sum(
            valence_of(self.folder() / self.file_of(symbol)) * symbols.count(symbol) for symbol in set(symbols)
        )
        if abs(electrons % 2) > 1e-6 and not self.spin_orbit:
            raise ConfigError(
                f"Closed shells need an even number of electrons, but there are {electrons:g}. Give `nbnd` if that is meant."
            )
        return round(electrons if self.spin_orbit else electrons / 2) + self.added_bands * (2 if self.spin_orbit else 1)


def valence_of(path: Path) -> float:
    """Return the valence electrons of a pseudopotential (UPF).

    Raises
    ------
    ConfigError
        If it is not there, or does not say.
    """
    text = head(path, 1 << 17).decode("utf-8", "replace")
    hit = re.search(r'z_valence\s*=\s*"\s*([\d.eE+-]+)\s*"', text) or re.search(r"([\d.]+)\s+Z valence", text)
    if hit is None:
        raise ConfigError(
            f"Pseudopotential `{path}` is not there or does not name its valence electrons. Set `pseudo_dir` (or ESPRESSO_PSEUDO), or give "
            "`nbnd`, in the settings (--settings)."
        )
    return float(hit.group(1))


def qe_input(geometry: Geometry, settings: QeSettings, *, prefix: str = "frame", pseudo_dir: str | None = None) -> str:
    """Return an input of pw.x that keeps its wavefunctions in ``out/<prefix>.save``.

    Occupations are fixed: a frame whose gap closes does not pass for an insulator. Symmetry is left out, so that every frame
    has the same k-points.

    Parameters
    ----------
    geometry
        The nuclei.
    settings
        Pseudopotentials, cutoffs, bands, k-points.
    prefix
        Of the run.
    pseudo_dir
        Where the run finds the pseudopotentials; the default is where they are here.

    Raises
    ------
    ConfigError
        If a pseudopotential is not chosen or not at hand.
    InputError
        If the cell does not repeat.
    """
    from ase.data import atomic_masses, atomic_numbers, chemical_symbols

    if not geometry.periodic:
        raise InputError("The engine qe needs a periodic cell, but `pbc` is False. Give the molecule a box.")
    symbols = [chemical_symbols[number] for number in geometry.numbers]
    kinds = list(dict.fromkeys(symbols))
    species = "\n".join(f"{s} {atomic_masses[atomic_numbers[s]]:.4f} {settings.file_of(s)}" for s in kinds)
    atoms = "\n".join(f"{s} {coordinates(row)}" for s, row in zip(symbols, geometry.positions, strict=True))
    system = [
        f"ibrav=0, nat={len(symbols)}, ntyp={len(kinds)}",
        f"ecutwfc={settings.ecutwfc:g}",
        f"nbnd={settings.bands(symbols)}",
    ]
    if settings.ecutrho:
        system.append(f"ecutrho={settings.ecutrho:g}")
    if settings.functional:
        system.append(f"input_dft='{settings.functional}'")
    if settings.spin_orbit:
        system.append("noncolin=.true., lspinorb=.true.")
    grid = "automatic\n" + " ".join(str(n) for n in settings.kpoints) + " 0 0 0" if settings.kpoints else "gamma"
    if settings.spin_orbit and not settings.kpoints:
        # the trick for real wavefunctions is not for spinors
        grid = "automatic\n1 1 1 0 0 0"
    places = pseudo_dir if pseudo_dir is not None else str(settings.folder().resolve())
    return (
        f"&CONTROL\n calculation='scf', prefix='{prefix}', outdir='./out', pseudo_dir='{places}', wf_collect=.true., disk_io='low'\n/\n"
        f"&SYSTEM\n {', '.join(system)},\n occupations='fixed', nosym=.true.\n/\n"
        f"&ELECTRONS\n conv_thr={settings.conv_thr:g}, mixing_beta={settings.mixing_beta:g}, electron_maxstep={settings.electron_maxstep}\n/\n"
        f"ATOMIC_SPECIES\n{species}\nATOMIC_POSITIONS angstrom\n{atoms}\nCELL_PARAMETERS angstrom\n"
        + "\n".join(coordinates(row) for row in geometry.cell)
        + f"\nK_POINTS {grid}\n"
    )


def qe_state(path: str | Path) -> OutputState:
    """Return how a run of pw.x ended, from its output.

    Parameters
    ----------
    path
        The output file.
    """
    name = Path(path)
    if not name.is_file():
        return OutputState("absent", "there is no output")
    text = name.read_text(encoding="utf-8", errors="replace").rpartition("Program PWSCF")[2]
    error = re.search(r"%{20,}\s*(?:Error in routine|task #)?(.*?)%{20,}", text, re.DOTALL)
    if error:
        return OutputState("killed", f"pw.x stopped: {' '.join(error.group(1).split())[:250]}")
    if "convergence NOT achieved" in text:
        return OutputState("not converged", "the self-consistency did not converge")
    if "JOB DONE" not in text:
        return OutputState("killed", "the run was killed before its end")
    return OutputState("finished", "")
