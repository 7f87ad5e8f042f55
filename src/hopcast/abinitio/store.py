"""What is finished of a plan: one file a frame and one a pair, each written atomically."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.abinitio.engine import Electrons, Geometry
from hopcast.abinitio.plan import frame_folder
from hopcast.core.hdf5 import atomic_path, write_text


class Store:
    """The finished frames, pairs and failures in a plan's folder, of one engine and its settings.

    Parameters
    ----------
    folder
        Of the plan.
    fingerprint
        Hash of the engine's settings; files of another are not used.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder, self.fingerprint = folder, fingerprint

    def frame_file(self, frame: int) -> Path:
        """Return where the electrons of a frame are kept."""
        return frame_folder(self.folder, frame) / "electrons.npz"

    def pair_file(self, pair: int) -> Path:
        """Return where the overlaps of a pair are kept."""
        return self.folder / "pairs" / f"{pair:06d}.npz"

    def failure_file(self, frame: int) -> Path:
        """Return where the reason of a failure is kept."""
        return frame_folder(self.folder, frame) / "failed.json"

    def put_electrons(self, frame: int, electrons: Electrons) -> None:
        """Keep the electrons of a frame; an earlier failure is forgotten."""
        arrays: dict[str, ArrayLike] = {
            "energies": electrons.energies,
            "orbitals": electrons.orbitals,
            "first": electrons.first,
            "n_occupied": electrons.n_occupied,
            "atom_of": electrons.atom_of,
            "basis": electrons.basis,
            "positions": electrons.geometry.positions,
            "cell": electrons.geometry.cell,
            "numbers": electrons.geometry.numbers,
            "periodic": electrons.geometry.periodic,
        }
        if electrons.weights is not None:
            arrays["weights"] = electrons.weights
        self._write(self.frame_file(frame), arrays)
        self.failure_file(frame).unlink(missing_ok=True)

    def get_electrons(self, frame: int) -> Electrons | None:
        """Return the electrons of a frame, or None where it is unfinished, half-written or of other settings."""
        data = self._read(self.frame_file(frame))
        if data is None:
            return None
        return Electrons(
            Geometry(data["numbers"], data["positions"], data["cell"], bool(data["periodic"])),
            data["energies"],
            data["orbitals"],
            int(data["first"]),
            int(data["n_occupied"]),
            data["atom_of"],
            str(data["basis"]),
            data.get("weights"),
        )

    def put_overlap(self, pair: int, overlap: NDArray[np.float64]) -> None:
        """Keep the raw overlaps of a pair."""
        self._write(self.pair_file(pair), {"overlap": overlap})

    def get_overlap(self, pair: int) -> NDArray[np.float64] | None:
        """Return the raw overlaps of a pair, or None."""
        data = self._read(self.pair_file(pair))
        return None if data is None else data["overlap"]

    def put_arrays(self, pair: int, arrays: Mapping[str, ArrayLike]) -> None:
        """Keep what was harvested of a pair."""
        self._write(self.pair_file(pair), arrays)

    def get_arrays(self, pair: int) -> dict[str, NDArray[Any]] | None:
        """Return what was harvested of a pair, or None."""
        return self._read(self.pair_file(pair))

    def put_failure(self, frame: int, reason: str) -> None:
        """Record why a frame has no electrons."""
        write_text(self.failure_file(frame), json.dumps({"frame": frame, "reason": reason}) + "\n")

    def get_failure(self, frame: int) -> str | None:
        """Return why a frame failed, or None."""
        try:
            return str(json.loads(self.failure_file(frame).read_text(encoding="utf-8"))["reason"])
        except (OSError, ValueError, KeyError):
            return None

    def _write(self, path: Path, arrays: Mapping[str, ArrayLike]) -> None:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **{"settings": np.array(self.fingerprint), **arrays})  # type: ignore[arg-type]

    def _read(self, path: Path) -> dict[str, NDArray[Any]] | None:
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
                found = {key: data[key] for key in data.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None  # absent, killed while writing, or cut short: to be computed (again)
        return found if str(found.get("settings")) == self.fingerprint else None
