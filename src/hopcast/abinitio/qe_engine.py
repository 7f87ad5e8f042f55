"""Quantum ESPRESSO's pw.x as an engine: plane waves at Gamma, wavefunctions from `prefix.save`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hopcast.abinitio.engine import Electrons, Geometry, check_gap
from hopcast.abinitio.plane_waves import electrons_of, overlap_of
from hopcast.abinitio.program import run_program
from hopcast.abinitio.qe_input import QeSettings, qe_input, qe_state
from hopcast.core.errors import ConfigError
from hopcast.core.plain import PlainMap
from hopcast.io.wavefunctions.espresso import Save


class QeEngine:
    """Density-functional theory in plane waves at Gamma, by an external pw.x.

    Parameters
    ----------
    bands
        How many bands to keep below and above the gap.
    settings
        Pseudopotentials, cutoffs, accuracies.
    command
        How to start it; the default is ``pw.x`` from the path, on one thread.
    temperature
        A gap below kT at this temperature (K) is an error.
    """

    name = "qe"

    def __init__(
        self,
        *,
        bands: tuple[int, int] = (8, 8),
        settings: QeSettings | None = None,
        command: tuple[str, ...] | None = None,
        temperature: float = 300.0,
    ) -> None:
        self.options = settings or QeSettings()
        self.bands = (int(bands[0]), int(bands[1]))
        self.command = command
        self.temperature = temperature
        if self.options.kpoints or self.options.spin_orbit:
            raise ConfigError(
                "The engine qe computes at Gamma, without spin-orbit coupling, but the settings ask for more. Write inputs with `hopcast select "
                "--engine qe`, run them, and read them with `hopcast harvest`."
            )
        if not self.options.nbnd and self.bands[1] > self.options.added_bands:
            raise ConfigError(
                f"Argument `bands` asks for {self.bands[1]} bands above the gap, but `added_bands` computes {self.options.added_bands}. Raise "
                "`added_bands`."
            )

    def settings(self) -> PlainMap:
        """Return what decides about the result."""
        decisive = {key: value for key, value in self.options.as_dict().items() if key != "pseudo_dir"}
        return {
            "engine": self.name,
            **decisive,
            "bands": list(self.bands),
            "temperature": self.temperature,
            "overlaps": "plane waves",
        }

    def check(self, numbers: NDArray[np.int64]) -> None:
        """Refuse elements without a pseudopotential, or a missing program.

        Raises
        ------
        ConfigError
            Naming the element, or that pw.x is not there.
        """
        from ase.data import chemical_symbols

        for symbol in dict.fromkeys(chemical_symbols[number] for number in numbers):
            file = self.options.folder() / self.options.file_of(symbol)
            if not file.is_file():
                raise ConfigError(
                    f"Pseudopotential `{file}` of {symbol} is not there. Set `pseudo_dir` in the settings, or ESPRESSO_PSEUDO."
                )
        if self.command is None and shutil.which("pw.x") is None:
            raise ConfigError(
                "Engine `qe` needs the program pw.x, which is not on the path. Install it (Debian, Ubuntu: apt-get install quantum-espresso "
                "quantum-espresso-data; conda-forge: qe), or use the engine tblite."
            )

    def electrons(self, geometry: Geometry) -> Electrons:
        """Run pw.x on a geometry, in a temporary folder.

        Raises
        ------
        ElectronsError
            If it does not converge, stops, or the frame is metallic.
        """
        self.check(geometry.numbers)
        with tempfile.TemporaryDirectory(prefix="hopcast-qe-") as name:
            folder = Path(name)
            (folder / "frame.in").write_text(qe_input(geometry, self.options), encoding="utf-8")
            command = [*(self.command or ("pw.x",)), "-in", "frame.in"]
            run_program(command, folder, lambda: qe_state(folder / "frame.out"), output="frame.out")
            return check_gap(
                electrons_of(Save.open(folder / "out" / "frame.save"), geometry, self.bands), self.temperature
            )

    def overlap(self, left: Electrons, right: Electrons) -> NDArray[np.float64]:
        """Return the overlaps of two sets of bands.

        Raises
        ------
        InputError
            If cutoffs or cells differ.
        """
        return overlap_of(left, right)
