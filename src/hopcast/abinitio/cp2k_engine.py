"""CP2K's Quickstep as an engine: orbitals from its restart file, overlaps from pyscf's integrals over the periodic cell."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.abinitio.cp2k_files import data_folder, find_program, order_from_cp2k, output_state, read_basis
from hopcast.abinitio.cp2k_input import Cp2kSettings, cp2k_input
from hopcast.abinitio.engine import Electrons, ElectronsError, Geometry, check_alike, check_gap, choose_window, require
from hopcast.abinitio.matrices import loewdin_root
from hopcast.abinitio.program import run_program
from hopcast.core.chunks import single_threaded_blas
from hopcast.core.errors import ConfigError, InputError
from hopcast.core.plain import PlainMap
from hopcast.io.wavefunctions.gaussians import Wfn


class Cp2kEngine:
    """Density-functional theory with Gaussian functions and plane waves at Gamma, by an external CP2K.

    Parameters
    ----------
    bands
        How many orbitals to keep below and above the gap (`Cp2kSettings.added_bands` limits the latter).
    settings
        Basis, functional, accuracies.
    command
        How to start it; the default is the program found on the path, on one thread.
    temperature
        A gap below kT at this temperature (K) is an error.
    precision
        Of the lattice sums of overlaps.
    weights
        Compute the weight of each atom in each orbital too (one more set of integrals a frame).
    """

    name = "cp2k"

    def __init__(
        self,
        *,
        bands: tuple[int, int] = (8, 8),
        settings: Cp2kSettings | None = None,
        command: tuple[str, ...] | None = None,
        temperature: float = 300.0,
        precision: float = 1e-9,
        weights: bool = True,
    ) -> None:
        require("pyscf", "cp2k", "cp2k")
        self.options = settings or Cp2kSettings()
        self.bands = (int(bands[0]), int(bands[1]))
        if self.bands[1] > self.options.added_bands:
            raise ConfigError(
                f"Argument `bands` asks for {self.bands[1]} bands above the gap, but `added_bands` computes "
                f"{self.options.added_bands}. Raise `added_bands`."
            )
        self.command = command
        self.temperature = temperature
        self.precision = precision
        self.weights = weights

    def settings(self) -> PlainMap:
        """Return what decides about the result."""
        return {
            "engine": self.name,
            **self.options.as_dict(),
            "bands": list(self.bands),
            "temperature": self.temperature,
            "overlaps": "Gaussian integrals, pyscf",
        }

    def check(self, numbers: NDArray[np.int64]) -> None:
        """Refuse elements without a basis, or a missing program.

        Raises
        ------
        InputError
            Naming the element.
        ConfigError
            If CP2K is not there.
        """
        from ase.data import chemical_symbols

        for symbol in dict.fromkeys(chemical_symbols[number] for number in numbers):
            self.options.charge_of(symbol)
        if self.command is None and find_program() is None:
            raise ConfigError(
                "Engine `cp2k` needs the program CP2K, which is not on the path. Install it (Debian, Ubuntu: apt-get install cp2k; "
                "conda-forge: cp2k), or use the engine tblite."
            )
        folder = data_folder()
        for symbol in dict.fromkeys(chemical_symbols[number] for number in numbers):
            read_basis(folder / self.options.basis_file, symbol, self.options.basis)

    def electrons(self, geometry: Geometry) -> Electrons:
        """Run CP2K on a geometry, in a temporary folder.

        Raises
        ------
        ElectronsError
            If it does not converge, stops, or the frame is metallic.
        """
        self.check(geometry.numbers)
        with tempfile.TemporaryDirectory(prefix="hopcast-cp2k-") as name:
            folder = Path(name)
            (folder / "frame.inp").write_text(cp2k_input(geometry, self.options), encoding="utf-8")
            command = self.command or (str(find_program()),)
            run = [*command, "-i", "frame.inp", "-o", "frame.out"]
            run_program(run, folder, lambda: output_state(folder / "frame.out"))
            return self.read(folder, geometry)

    def read(self, folder: str | Path, geometry: Geometry) -> Electrons:
        """Return the electrons of a finished run (``frame.out``, ``frame-RESTART.wfn``).

        Parameters
        ----------
        folder
            Where it ran.
        geometry
            What it computed.

        Raises
        ------
        ElectronsError
            If it did not finish, or the frame is metallic.
        InputError
            If its basis is another than these settings'.
        """
        from ase.data import chemical_symbols

        place = Path(folder)
        found = output_state(place / "frame.out")
        if found.state != "finished":
            raise ElectronsError(found.reason)
        wave = Wfn.open(place / "frame-RESTART.wfn")
        if wave.n_spins != 1:
            raise InputError(
                f"File `{wave.path}` holds {wave.n_spins} spins, and only closed shells are read. Run CP2K without UKS."
            )
        levels = wave.levels(0, 0)
        basis_file = data_folder() / self.options.basis_file
        shells = {
            symbol: read_basis(basis_file, symbol, self.options.basis)
            for symbol in dict.fromkeys(chemical_symbols[number] for number in geometry.numbers)
        }
        expected = tuple(
            tuple(
                momentum for momentum, _, columns in shells[chemical_symbols[number]] for _ in range(columns.shape[1])
            )
            for number in geometry.numbers
        )
        if expected != wave.momenta:
            raise InputError(
                f"The wavefunction in `{place}` must be of the basis {self.options.basis} and these atoms, but has other shells. "
                "Give the basis it was computed with."
            )
        orbitals = wave.coefficients(range(wave.n_bands), 0, 0).T[order_from_cp2k(wave.momenta)]
        occupied = int((levels.occupations > 0.5).sum())
        kept = choose_window(self.bands, occupied, levels.energies.size)
        atom_of = np.repeat(np.arange(len(expected)), [sum(2 * m + 1 for m in atom) for atom in expected])
        weights = None
        if self.weights:
            with single_threaded_blas():
                root = loewdin_root(self._integrals(geometry, geometry))
            weights = np.zeros((len(expected), levels.energies.size))
            np.add.at(weights, atom_of, (root @ orbitals) ** 2)
            weights /= weights.sum(axis=0)
        electrons = Electrons(
            geometry,
            levels.energies,
            np.ascontiguousarray(orbitals[:, kept]),
            kept.start,
            occupied,
            atom_of,
            basis=self.options.basis,
            weights=weights,
        )
        return check_gap(electrons, self.temperature)

    def overlap(self, left: Electrons, right: Electrons) -> NDArray[np.float64]:
        """Return the overlaps of two sets of orbitals, the Gaussian functions at their own atoms.

        Raises
        ------
        InputError
            If bases or cells differ.
        """
        check_alike(left, right)
        return left.orbitals.T @ self._integrals(left.geometry, right.geometry) @ right.orbitals

    def _integrals(self, left: Geometry, right: Geometry) -> NDArray[np.float64]:
        from pyscf.pbc.gto.cell import intor_cross

        return np.asarray(intor_cross("int1e_ovlp", self._cell(left), self._cell(right))).real

    def _cell(self, geometry: Geometry) -> Any:
        from ase.data import chemical_symbols
        from pyscf.pbc import gto

        basis_file = data_folder() / self.options.basis_file
        symbols = [chemical_symbols[number] for number in geometry.numbers]
        basis = {
            symbol: [
                [momentum, *np.column_stack([exponents, columns]).tolist()]
                for momentum, exponents, columns in read_basis(basis_file, symbol, self.options.basis)
            ]
            for symbol in dict.fromkeys(symbols)
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cell = gto.Cell()
            cell.build(
                dump_input=False,
                parse_arg=False,
                verbose=0,
                unit="Angstrom",
                a=geometry.cell,
                basis=basis,
                atom=list(zip(symbols, geometry.positions.tolist(), strict=True)),
                spin=int(geometry.numbers.sum()) % 2,
                precision=self.precision,
            )
        return cell
