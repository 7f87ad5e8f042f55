"""VASP as an engine, where a `vasp_gam` is on the path: pseudo-wavefunctions at Gamma from `WAVECAR`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hopcast.abinitio.engine import Electrons, Geometry, check_gap
from hopcast.abinitio.plane_waves import electrons_of, overlap_of
from hopcast.abinitio.program import run_program
from hopcast.abinitio.vasp_input import FRAME_TAGS, VaspSettings, merged_incar, poscar, vasp_state
from hopcast.core.errors import ConfigError
from hopcast.core.plain import PlainMap
from hopcast.io.wavefunctions.wavecar import Wavecar

INPUTS = ("INCAR", "KPOINTS", "POTCAR")


class VaspEngine:
    """Density-functional theory with PAW at Gamma, by an external VASP; overlaps are those of the pseudo-wavefunctions.

    VASP's own overlaps (WSWQ) need a run for each pair: they are for `hopcast select --engine vasp` and `hopcast harvest`.

    Parameters
    ----------
    bands
        How many bands to keep below and above the gap.
    settings
        The program, and where INCAR, KPOINTS and POTCAR are.
    command
        How to start it; the default is the program of the settings, from the path.
    temperature
        A gap below kT at this temperature (K) is an error.
    """

    name = "vasp"

    def __init__(
        self,
        *,
        bands: tuple[int, int] = (8, 8),
        settings: VaspSettings | None = None,
        command: tuple[str, ...] | None = None,
        temperature: float = 300.0,
    ) -> None:
        self.options = settings or VaspSettings()
        self.bands = (int(bands[0]), int(bands[1]))
        self.command = command
        self.temperature = temperature
        program = command[0] if command else self.options.program
        if shutil.which(program) is None:
            raise ConfigError(
                f"Engine `vasp` needs the program {program}, which is not on the path. Load its module, name another `program` in the settings, or "
                "write inputs with `hopcast select --engine vasp` and read the results with `hopcast harvest`."
            )

    @property
    def inputs(self) -> Path:
        """Folder with the user's INCAR, KPOINTS and POTCAR."""
        return Path(self.options.inputs or ".")

    def settings(self) -> PlainMap:
        """Return what decides about the result: the user's files, by their content."""
        import hashlib

        files = {
            name: hashlib.sha256((self.inputs / name).read_bytes()).hexdigest()
            for name in INPUTS
            if (self.inputs / name).is_file()
        }
        return {
            "engine": self.name,
            "program": self.options.program,
            **files,
            "bands": list(self.bands),
            "temperature": self.temperature,
            "overlaps": "pseudo-wavefunctions, orthonormalised in the window",
        }

    def check(self, numbers: NDArray[np.int64]) -> None:
        """Refuse to go on without INCAR, KPOINTS or POTCAR.

        Raises
        ------
        ConfigError
            Naming the file.
        """
        for name in INPUTS:
            if not (self.inputs / name).is_file():
                raise ConfigError(
                    f"Engine `vasp` needs your {name} in `{self.inputs}`, but it is not there. Copy it, or set `inputs` in the settings."
                )

    def electrons(self, geometry: Geometry) -> Electrons:
        """Run VASP on a geometry, in a temporary folder.

        Raises
        ------
        ElectronsError
            If it does not converge, stops, or the frame is metallic.
        """
        self.check(geometry.numbers)
        with tempfile.TemporaryDirectory(prefix="hopcast-vasp-") as name:
            folder = Path(name)
            for each in INPUTS[1:]:
                shutil.copy(self.inputs / each, folder)
            yours = (self.inputs / "INCAR").read_text(encoding="utf-8", errors="replace")
            (folder / "INCAR").write_text(merged_incar(yours, FRAME_TAGS), encoding="utf-8")
            (folder / "POSCAR").write_text(poscar(geometry, "frame"), encoding="utf-8")
            run_program(self.command or (self.options.program,), folder, lambda: vasp_state(folder / "OUTCAR"))
            return check_gap(electrons_of(Wavecar.open(folder / "WAVECAR"), geometry, self.bands), self.temperature)

    def overlap(self, left: Electrons, right: Electrons) -> NDArray[np.float64]:
        """Return the overlaps of two sets of bands.

        Raises
        ------
        InputError
            If cutoffs or cells differ.
        """
        return overlap_of(left, right)
