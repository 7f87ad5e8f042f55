"""GFN1-xTB in process, by tblite."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.abinitio.engine import Electrons, ElectronsError, Geometry, check_alike, check_gap, choose_window, require
from hopcast.abinitio.matrices import Matrices, loewdin_root
from hopcast.core.chunks import single_threaded_blas
from hopcast.core.errors import InputError, check_choice
from hopcast.core.plain import PlainMap
from hopcast.core.units import BOHR, HARTREE, KB

METHODS = ("GFN1-xTB", "GFN2-xTB", "IPEA1-xTB")
LAST_ELEMENT = 86


class TbliteEngine:
    """Extended tight binding at Gamma; overlaps in the Löwdin-orthonormalised basis.

    Parameters
    ----------
    method
        "GFN1-xTB", "GFN2-xTB" (molecules only) or "IPEA1-xTB".
    bands
        How many orbitals to keep below and above the gap.
    accuracy
        Of tblite: 1 is its default, smaller converges further. Couplings are differences: 0.1.
    temperature
        Electronic temperature, K; a gap below kT is an error.
    max_iterations
        Of the self-consistency.
    """

    name = "tblite"

    def __init__(
        self,
        *,
        method: str = "GFN1-xTB",
        bands: tuple[int, int] = (8, 8),
        accuracy: float = 0.1,
        temperature: float = 300.0,
        max_iterations: int = 250,
    ) -> None:
        require("tblite", "tblite", "tblite")
        self.method = check_choice("method", method, METHODS)
        self.bands = (int(bands[0]), int(bands[1]))
        self.accuracy = accuracy
        self.temperature = temperature
        self.max_iterations = max_iterations

    def settings(self) -> PlainMap:
        """Return what decides about the result."""
        from importlib.metadata import version

        return {
            "engine": self.name,
            "version": version("tblite"),
            "method": self.method,
            "accuracy": self.accuracy,
            "temperature": self.temperature,
            "bands": list(self.bands),
            "overlaps": "Löwdin-orthonormalised basis",
        }

    def check(self, numbers: NDArray[np.int64]) -> None:
        """Refuse elements without parameters.

        Raises
        ------
        InputError
            Naming the element.
        """
        beyond = np.flatnonzero((np.asarray(numbers) > LAST_ELEMENT) | (np.asarray(numbers) < 1))
        if beyond.size:
            from ase.data import chemical_symbols

            raise InputError(
                f"{self.method} has parameters up to Rn, but atom {beyond[0]} is {chemical_symbols[numbers[beyond[0]]]}. "
                "Use the engine cp2k."
            )

    def electrons(self, geometry: Geometry) -> Electrons:
        """Return the orbitals of a geometry.

        Raises
        ------
        ElectronsError
            If the self-consistency does not converge or the frame is metallic.
        """
        energies, orbitals, overlap, occupied, atom_of = self._solve(geometry)
        with single_threaded_blas():
            orthonormal = loewdin_root(overlap) @ orbitals
        kept = choose_window(self.bands, occupied, energies.size)
        weights = np.zeros((len(geometry.numbers), energies.size))
        np.add.at(weights, atom_of, orthonormal**2)
        electrons = Electrons(
            geometry,
            energies,
            np.ascontiguousarray(orthonormal[:, kept]),
            kept.start,
            occupied,
            atom_of,
            basis=f"{self.method}, Löwdin",
            weights=weights,
        )
        return check_gap(electrons, self.temperature)

    def overlap(self, left: Electrons, right: Electrons) -> NDArray[np.float64]:
        """Return the overlaps of two sets of orbitals.

        Raises
        ------
        InputError
            If bases or cells differ.
        """
        check_alike(left, right)
        if not np.array_equal(left.geometry.numbers, right.geometry.numbers):
            raise InputError(
                "Wavefunctions that are overlapped must be of the same atoms in the same order, but are not."
            )
        return left.orbitals.T @ right.orbitals

    def matrices(self, geometry: Geometry) -> Matrices:
        """Return the converged Hamiltonian (eV) and the overlap of the atomic functions [n_basis, n_basis].

        tblite hands out the Hamiltonian without its self-consistent part; the full one is S C e C^T S.

        Raises
        ------
        ElectronsError
            If the self-consistency does not converge.
        """
        energies, orbitals, overlap, _, _ = self._solve(geometry)
        projected = overlap @ orbitals
        return (projected * energies) @ projected.T, overlap

    def _solve(self, geometry: Geometry) -> tuple[Any, Any, Any, int, Any]:
        from tblite.interface import Calculator

        self.check(geometry.numbers)
        lattice: dict[str, Any] = {}
        if geometry.periodic:
            lattice = {"lattice": geometry.cell / BOHR, "periodic": np.array([True] * 3)}
        try:
            with single_threaded_blas():
                calculator = Calculator(self.method, np.asarray(geometry.numbers), geometry.positions / BOHR, **lattice)
                for key, value in (
                    ("verbosity", 0),
                    ("save-integrals", 1),
                    ("accuracy", self.accuracy),
                    ("max-iter", self.max_iterations),
                    ("temperature", self.temperature * KB / HARTREE),
                ):
                    calculator.set(key, value)
                result = calculator.singlepoint()
        except RuntimeError as error:
            text = " ".join(str(error).split())
            raise ElectronsError(
                f"tblite stopped: {text or 'no reason given'} (at most {self.max_iterations} iterations)"
            ) from error
        energies = np.asarray(result.get("orbital-energies")).ravel() * HARTREE
        orbitals = np.asarray(result.get("orbital-coefficients"))
        if not (np.isfinite(energies).all() and np.isfinite(orbitals).all()):
            raise ElectronsError("tblite returned orbitals that are not finite")
        electrons = float(np.sum(result.get("orbital-occupations")))
        if round(electrons) % 2:
            raise ElectronsError(f"the cell holds {electrons:.0f} electrons, and only closed shells are computed")
        shells = np.asarray(calculator.get("orbital-map"))
        atoms = np.asarray(calculator.get("shell-map"))
        return (energies, orbitals, np.asarray(result.get("overlap-matrix")), round(electrons / 2), atoms[shells])
