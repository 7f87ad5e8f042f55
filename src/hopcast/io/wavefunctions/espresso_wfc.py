"""The beginning of Quantum ESPRESSO's files of wavefunctions, `wfc*.dat` and `wfc*.hdf5`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.io.arrays import foreign_hdf5


@dataclass(frozen=True, eq=False)
class WfcHeader:
    """The beginning of a file of wavefunctions.

    Attributes
    ----------
    gamma_only
        Whether only one of each G and -G is kept.
    scale
        What coefficients are multiplied by.
    n_planewaves, n_components, n_bands
        `igwx`, 1 or 2 (spinors), `nbnd`.
    miller
        Indices of the plane waves [n_planewaves, 3].
    start
        Where the record of the first band begins (``.dat``).
    """

    gamma_only: bool
    scale: float
    n_planewaves: int
    n_components: int
    n_bands: int
    miller: NDArray[np.int64]
    start: int


def _damaged(path: Path, what: str) -> InputError:
    return InputError(
        f"File `{path}` is cut short or no file of wavefunctions of pw.x ({what}). The run was killed while it wrote, or is older than "
        "version 6.2: calculate this frame again."
    )


def read_dat_header(path: Path) -> WfcHeader:
    """Return the header of a ``wfc*.dat``: Fortran records, of which those of all bands are looked for.

    Raises
    ------
    InputError
        If it is cut short or damaged.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        place = 0

        def record(length: int | None = None) -> bytes:
            nonlocal place
            file.seek(place)
            mark = int.from_bytes(file.read(4), "little")
            if (length is not None and mark != length) or place + 8 + mark > size:
                raise _damaged(path, f"a record of {mark} bytes at byte {place}")
            body = file.read(mark)
            if int.from_bytes(file.read(4), "little") != mark:
                raise _damaged(path, f"a record without an end at byte {place}")
            place += 8 + mark
            return body

        first = record(44)
        gamma_only, scale = (int.from_bytes(first[32:36], "little") != 0, float(np.frombuffer(first[36:], "<f8")[0]))
        _, n_planewaves, n_components, n_bands = (int(x) for x in np.frombuffer(record(16), "<i4"))
        if not (n_planewaves >= 1 and n_components in (1, 2) and n_bands >= 1 and np.isfinite(scale) and scale != 0):
            raise _damaged(path, f"{n_bands} bands of {n_planewaves} plane waves")
        record(72)
        miller = np.frombuffer(record(12 * n_planewaves), "<i4").reshape(-1, 3).astype(np.int64)
        length = 16 * n_planewaves * n_components
        if size < place + n_bands * (length + 8):
            raise _damaged(path, f"{size} bytes for {n_bands} bands, which need {place + n_bands * (length + 8)}")
        for band in range(n_bands):
            file.seek(place + band * (length + 8))
            if int.from_bytes(file.read(4), "little") != length:
                raise _damaged(path, f"band {band} is no record of {length} bytes")
    return WfcHeader(gamma_only, scale, n_planewaves, n_components, n_bands, _distinct(path, miller), place)


def read_hdf5_header(path: Path) -> WfcHeader:
    """Return the header of a ``wfc*.hdf5``.

    Raises
    ------
    InputError
        If it is cut short or damaged.
    """
    import h5py

    with foreign_hdf5(path) as file:
        try:
            numbers = [int(file.attrs[name]) for name in ("igwx", "npol", "nbnd")]
            scale = float(file.attrs["scale_factor"])
            said = file.attrs["gamma_only"]
            gamma_only = (said.decode() if isinstance(said, bytes) else str(said)).strip().upper() in (
                ".TRUE.",
                "1",
                "TRUE",
            )
            evc, miller = (file.get(name, getlink=True) for name in ("evc", "MillerIndices"))
            if not (isinstance(evc, h5py.HardLink) and isinstance(miller, h5py.HardLink)):
                raise ValueError("`evc` or `MillerIndices` is missing")
            sets = file["evc"], file["MillerIndices"]
            n_planewaves, n_components, n_bands = numbers
            shapes = (n_bands, 2 * n_planewaves * n_components), (n_planewaves, 3)
            for each, shape in zip(sets, shapes, strict=True):
                if not isinstance(each, h5py.Dataset) or each.external or each.is_virtual or each.shape != shape:
                    raise ValueError(f"`{each.name}` is no array of {shape}")
                if each.dtype.kind not in "fi" or each.size * each.dtype.itemsize > 1100 * path.stat().st_size:
                    raise ValueError(f"`{each.name}` claims more than the file holds")
            table = np.asarray(sets[1][()]).astype(np.int64)
        except (KeyError, ValueError, TypeError, OverflowError, UnicodeDecodeError) as error:
            raise _damaged(path, str(error)[:80]) from error
        if not (n_planewaves >= 1 and n_components in (1, 2) and n_bands >= 1 and np.isfinite(scale) and scale != 0):
            raise _damaged(path, f"{n_bands} bands of {n_planewaves} plane waves")
    return WfcHeader(gamma_only, scale, n_planewaves, n_components, n_bands, _distinct(path, table), 0)


def _distinct(path: Path, miller: NDArray[np.int64]) -> NDArray[np.int64]:
    if np.abs(miller).max() > 100_000:
        raise _damaged(path, f"a plane wave with the index {miller.flat[np.abs(miller).argmax()]}")
    return miller
