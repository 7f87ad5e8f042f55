"""The complete input of a CP2K single point: Quickstep, GPW, diagonalisation with bands above the gap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hopcast.abinitio.engine import Geometry
from hopcast.core.errors import InputError
from hopcast.core.plain import PlainMap, to_plain

# valence electrons of the GTH pseudopotentials of the elements for which a choice is made here
VALENCE: Mapping[str, int] = {
    "H": 1,
    "Li": 3,
    "B": 3,
    "C": 4,
    "N": 5,
    "O": 6,
    "F": 7,
    "Na": 9,
    "Mg": 10,
    "Al": 3,
    "Si": 4,
    "P": 5,
    "S": 6,
    "Cl": 7,
    "K": 9,
    "Ca": 10,
    "Ti": 12,
    "Zn": 12,
    "Ga": 13,
    "Ge": 4,
    "As": 5,
    "Se": 6,
    "Br": 7,
    "Rb": 9,
    "Sr": 10,
    "Zr": 12,
    "Mo": 14,
    "Ag": 11,
    "Cd": 12,
    "In": 13,
    "Sn": 4,
    "Sb": 5,
    "Te": 6,
    "I": 7,
    "Cs": 9,
    "Ba": 10,
    "W": 14,
    "Pb": 4,
    "Bi": 5,
}


@dataclass(frozen=True)
class Cp2kSettings:
    """What is written into the input; the defaults are those of the shipped CsPbI3 data.

    Attributes
    ----------
    basis, potential
        Names in the files `basis_file` and `potential_file` (``-qN`` is added for the elements known here).
    functional
        Of CP2K's ``XC_FUNCTIONAL`` section.
    cutoff, relative_cutoff
        Of the grids, Ry.
    eps_default, eps_scf
        Accuracies.
    added_bands
        Above the gap.
    mixing
        Broyden's alpha.
    max_scf
        Iterations.
    """

    basis: str = "DZVP-MOLOPT-SR-GTH"
    potential: str = "GTH-PBE"
    functional: str = "PBE"
    cutoff: float = 160.0
    relative_cutoff: float = 40.0
    eps_default: float = 1e-9
    eps_scf: float = 1.6e-5
    added_bands: int = 8
    mixing: float = 0.4
    max_scf: int = 100
    basis_file: str = "BASIS_MOLOPT"
    potential_file: str = "GTH_POTENTIALS"
    valence: Mapping[str, int] = field(default_factory=dict)

    def charge_of(self, symbol: str) -> int:
        """Return the valence electrons of an element.

        Raises
        ------
        InputError
            If none is known.
        """
        known = {**VALENCE, **self.valence}
        if symbol not in known:
            raise InputError(
                f"Element {symbol} has no basis and pseudopotential chosen for CP2K. Give `valence`: the number of valence "
                "electrons of its GTH potential."
            )
        return known[symbol]

    def as_dict(self) -> PlainMap:
        """Return the settings as plain values."""
        return to_plain(self)


def cp2k_input(geometry: Geometry, settings: Cp2kSettings, project: str = "frame") -> str:
    """Return the input of a single point that keeps its orbitals (``<project>-RESTART.wfn``).

    Parameters
    ----------
    geometry
        The nuclei.
    settings
        Basis, functional, accuracies.
    project
        Name of the run.

    Raises
    ------
    InputError
        If an element has no basis chosen, or the cell does not repeat.
    """
    from ase.data import chemical_symbols

    if not geometry.periodic:
        raise InputError("The engine cp2k needs a periodic cell, but `pbc` is False. Give the molecule a box.")
    symbols = [chemical_symbols[number] for number in geometry.numbers]
    vectors = "\n".join(
        f"      {name} " + " ".join(f"{x:.12f}" for x in row) for name, row in zip("ABC", geometry.cell, strict=True)
    )
    atoms = "\n".join(
        f"      {symbol} " + " ".join(f"{x:.12f}" for x in row)
        for symbol, row in zip(symbols, geometry.positions, strict=True)
    )
    kinds = "\n".join(
        f"    &KIND {symbol}\n      BASIS_SET {settings.basis}\n"
        f"      POTENTIAL {settings.potential}-q{settings.charge_of(symbol)}\n    &END KIND"
        for symbol in dict.fromkeys(symbols)
    )
    return f"""&GLOBAL
  PROJECT {project}
  RUN_TYPE ENERGY
  PRINT_LEVEL LOW
&END GLOBAL
&FORCE_EVAL
  METHOD Quickstep
  &DFT
    BASIS_SET_FILE_NAME {settings.basis_file}
    POTENTIAL_FILE_NAME {settings.potential_file}
    &MGRID
      CUTOFF {settings.cutoff:g}
      REL_CUTOFF {settings.relative_cutoff:g}
    &END MGRID
    &QS
      EPS_DEFAULT {settings.eps_default:g}
    &END QS
    &SCF
      SCF_GUESS ATOMIC
      EPS_SCF {settings.eps_scf:g}
      MAX_SCF {settings.max_scf}
      ADDED_MOS {settings.added_bands}
      &DIAGONALIZATION
        ALGORITHM STANDARD
      &END DIAGONALIZATION
      &MIXING
        METHOD BROYDEN_MIXING
        ALPHA {settings.mixing:g}
      &END MIXING
      &PRINT
        &RESTART ON
          BACKUP_COPIES 0
        &END RESTART
      &END PRINT
    &END SCF
    &XC
      &XC_FUNCTIONAL {settings.functional}
      &END XC_FUNCTIONAL
    &END XC
  &END DFT
  &SUBSYS
    &CELL
{vectors}
    &END CELL
    &COORD
{atoms}
    &END COORD
{kinds}
  &END SUBSYS
&END FORCE_EVAL
"""
