"""NumPy and SciPy archives and HDF5 of other codes, read without pickles, links to other places or trust in sizes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hdf5 import atomic_path, checked_file

MAX_RATIO = 1100
"""Deflate cannot compress better than 1032 to 1: what claims more is damaged, or made to fill the memory."""


def load_npy(path: Path) -> NDArray[Any]:
    """Return the array of a ``.npy`` file.

    Raises
    ------
    InputError
        If it is missing, damaged, not finite or holds Python objects.
    """
    try:
        size = path.stat().st_size
        # a memory map knows the size that the header claims before anything is allocated
        array = np.load(path, mmap_mode="r", allow_pickle=False) if size else None
        if isinstance(array, np.ndarray) and array.nbytes <= size:
            return _numbers(path.name, np.array(array), path)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(
            f"File `{path}` must be there, but is missing. Calculate this step, or copy its result here."
        ) from error
    except Exception as error:  # NumPy raises whatever its parser of headers raises
        raise InputError(
            f"File `{path}` cannot be read as a NumPy array ({type(error).__name__}: {str(error)[:200]}). Write it again, without "
            "Python objects."
        ) from error
    raise InputError(
        f"File `{path}` must hold the array that its header names, but holds {size} bytes only. It is cut short: write it again."
    )


def _numbers(name: str, array: NDArray[Any], path: Path) -> NDArray[Any]:
    if array.dtype.kind not in "fciu":
        raise InputError(
            f"File `{path}` must hold numbers in `{name}`, but holds {array.dtype}. Write it again as numbers."
        )
    broken = np.argwhere(~np.isfinite(array))
    if len(broken):
        where = tuple(int(i) for i in broken[0])
        raise InputError(
            f"File `{path}` must hold finite numbers in `{name}`, but holds {array[where]} at {list(where)}. Calculate this step again."
        )
    return array


def load_sparse(path: Path) -> NDArray[Any]:
    """Return the matrix of a file of `scipy.sparse.save_npz` as a dense array; indices are checked.

    Raises
    ------
    InputError
        If it is missing, damaged, of another kind, not finite or holds Python objects.
    """
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_RATIO * size:
                raise InputError(
                    f"File `{path}` claims to hold more than its size allows. It is damaged: write it again."
                )
        with np.load(path, allow_pickle=False) as content:
            kind = content["format"].item()
            kind = kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)
            shape = tuple(int(n) for n in content["shape"])
            if len(shape) != 2 or not all(1 <= n <= 100_000 for n in shape):
                raise InputError(f"File `{path}` must hold a matrix, but its shape is {shape[:4]}. Write it again.")
            data = _numbers("data", content["data"], path).ravel()
            if kind in ("csc", "csr"):
                pointers, minor = content["indptr"].ravel(), content["indices"].ravel()
                counts = np.diff(pointers)
                if len(pointers) != shape[kind == "csc"] + 1 or (counts < 0).any() or pointers[0] != 0:
                    raise InputError(f"File `{path}` is damaged: its columns do not fit its shape. Write it again.")
                if not len(data) == len(minor) == pointers[-1]:
                    raise InputError(
                        f"File `{path}` is damaged: it has {len(data)} numbers for {pointers[-1]} places. Write it again."
                    )
                major = np.repeat(np.arange(len(counts)), counts)
                rows, columns = (minor, major) if kind == "csc" else (major, minor)
            elif kind == "coo":
                rows, columns = content["row"].ravel(), content["col"].ravel()
            else:
                raise InputError(
                    f"File `{path}` must be a csc, csr or coo matrix, but is `{kind[:20]}`. Write it as csc."
                )
            if not len(rows) == len(columns) == len(data):
                raise InputError(f"File `{path}` is damaged: its indices and numbers differ in length. Write it again.")
            if len(data) and not (
                rows.min() >= 0 and rows.max() < shape[0] and columns.min() >= 0 and columns.max() < shape[1]
            ):
                raise InputError(f"File `{path}` is damaged: an index lies outside its matrix. Write it again.")
            if shape[0] * shape[1] * 16 > 64 * size + (1 << 24):
                raise InputError(
                    f"File `{path}` claims a matrix of {shape[0]} x {shape[1]}, more than its content. It is damaged: write it again."
                )
            dense = np.zeros(shape, dtype=np.result_type(data.dtype, np.float64))
            np.add.at(dense, (rows.astype(np.int64), columns.astype(np.int64)), data)
            return dense
    except InputError:
        raise
    except Exception as error:  # damaged archives raise whatever their parsers raise
        raise InputError(
            f"File `{path}` cannot be read as a sparse matrix ({type(error).__name__}: {str(error)[:200]}). Write it again with "
            "`scipy.sparse.save_npz`."
        ) from error


def save_sparse(path: Path, matrix: NDArray[Any]) -> None:
    """Write a matrix as `scipy.sparse.save_npz` does (csc), atomically."""
    from scipy.sparse import csc_array, save_npz

    with atomic_path(path) as temporary, temporary.open("wb") as file:
        save_npz(file, csc_array(matrix))


@contextmanager
def foreign_hdf5(path: Path) -> Iterator[Any]:
    """Open the HDF5 file of another code.

    Raises
    ------
    InputError
        If it is missing or damaged.
    """
    if not path.is_file():
        raise InputError(f"File `{path}` does not exist or is not a file. Check the path.")
    try:
        with checked_file(path, thorough=True) as file:  # of another program, and read in full anyway
            yield file
    except InputError:
        raise
    except Exception as error:  # h5py raises whatever the HDF5 library says of damaged files
        raise InputError(
            f"File `{path}` cannot be read as HDF5 ({type(error).__name__}: {str(error)[:200]}). It may be cut short: write it again."
        ) from error


def dataset(group: Any, name: str) -> NDArray[Any]:
    """Return an array of an open HDF5 file; one that lies in another file is refused.

    Raises
    ------
    InputError
        If it is absent, outside the file, larger than the file can hold, or not finite.
    """
    import h5py

    path = Path(group.file.filename)
    where = f"{group.name}/{name}".replace("//", "/")
    here = group
    for part in name.split("/"):
        link = here.get(part, getlink=True) if isinstance(here, h5py.Group) and part in here.keys() else None  # noqa: SIM118
        if isinstance(link, h5py.ExternalLink):
            raise InputError(
                f"File `{path}` keeps `{where}` in another file, which hopcast does not follow. Copy it in."
            )
        if link is None or isinstance(link, h5py.SoftLink):
            raise InputError(f"File `{path}` must hold `{where}`, but does not. Check that the run was complete.")
        here = here[part]
    if not isinstance(here, h5py.Dataset):
        raise InputError(f"File `{path}` must hold an array at `{where}`, but holds a group. Write it again.")
    if here.external or here.is_virtual:
        raise InputError(f"File `{path}` keeps `{where}` in another file, which hopcast does not follow. Copy it in.")
    if here.dtype.kind not in "fciu":
        raise InputError(
            f"File `{path}` must hold numbers at `{where}`, but holds {here.dtype}. Write it again as numbers."
        )
    if here.size * here.dtype.itemsize > MAX_RATIO * path.stat().st_size:
        raise InputError(f"File `{path}` claims more at `{where}` than its size allows. It is damaged: write it again.")
    array: NDArray[Any] = here[()]
    return _numbers(where, np.asarray(array), path)
