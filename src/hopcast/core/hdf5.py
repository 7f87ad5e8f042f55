"""Self-describing HDF5: arrays with units and axes, attributes as text and numbers, files written atomically.

Nothing is pickled. A file is written under a temporary name beside its target and renamed when complete,
so that a killed run leaves either the old file or the new one.
"""

from __future__ import annotations

import io
import mmap
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import HopcastError, InputError, OutputError
from hopcast.core.inputs import refuse_pipe

FORMAT_NAME = "hopcast"
FORMAT_VERSION = 1


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, delete it on any failure.

    Raises
    ------
    OutputError
        If the folder cannot be written or the disk is full.
    """
    # through a link, to the file that it names
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
    except OSError as error:
        raise OutputError(
            f"Cannot write `{target}`: {error.strerror or error}. Free space or choose another place."
        ) from error
    temporary = Path(name)
    try:
        # mkstemp is private to the user; the result follows the umask like any other file
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        yield temporary
        os.replace(temporary, target)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"Cannot write `{target}`: {error.strerror or error}. Free space or choose another place."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically (UTF-8)."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_file(path: str | Path, fill: Callable[[Any], None]) -> None:
    """Write an HDF5 file atomically; `fill` receives the open file.

    The file is built in memory and then written in one go: the HDF5 library does not survive a disk that fills up
    under an open file (it fails on closing, and again when the process ends).

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    import h5py

    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        file.attrs["format"] = FORMAT_NAME
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["created_by"] = f"hopcast {_version()}"
        fill(file)
    with atomic_path(path) as temporary:
        temporary.write_bytes(image.getbuffer())


_HEAP = b"GCOL"
# a type of class 9 (variable length, any version), whose elements take 16 bytes: a length, the place of a heap, a number there
_VARIABLE = (0x19, 0x29, 0x39, 0x49)
_SIXTEEN = re.compile(rb"\x10\x00\x00\x00")


SMALL = 1 << 20
"""Files up to this size (bytes) are looked through whenever they are opened: it takes milliseconds."""

_thorough = False


@contextmanager
def examining() -> Iterator[None]:
    """Look through HDF5 files of any size before they are opened, for as long as the context lasts (some seconds a GB)."""
    global _thorough
    before, _thorough = _thorough, True
    try:
        yield
    finally:
        _thorough = before


def checked_file(path: Path, *, thorough: bool = False) -> Any:
    """Open an HDF5 file for reading after a look at its strings, where it is small or somebody is `examining`.

    They lie in heaps, and the HDF5 library trusts the sizes that stand there and where they are used: it never ends where one
    is zero, and allocates whatever a heap or a string claims.

    Parameters
    ----------
    path
        The file.
    thorough
        Look whatever its size.

    Raises
    ------
    InputError
        If a heap is damaged, or a string claims more than the file.
    OSError
        If it is not HDF5.
    """
    import h5py

    size = path.stat().st_size
    if size > SMALL and not (thorough or _thorough):
        return h5py.File(path, "r")
    with path.open("rb") as raw:
        content = mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    damaged = _damaged_heap(content, size)
    what = "strings"
    if damaged is None:
        damaged, what = _damaged_string(content, size), "a string"
    if damaged is not None:
        raise InputError(f"File `{path}` is damaged at byte {damaged} ({what}). Write it again.")
    return h5py.File(path, "r")


def _damaged_heap(content: Any, size: int) -> int | None:
    """Return where a heap of strings says something impossible of itself."""
    at = content.find(_HEAP)
    while at >= 0:
        begin, end = at + 16, at + _integer(content, at + 8, 8)
        if end > size:
            return at + 8
        while begin + 16 <= end:
            index, length = _integer(content, begin, 2), _integer(content, begin + 8, 8)
            step = 16 + (length + 7) // 8 * 8 if index else length
            # the library makes room for no more objects than fit
            if step == 0 or step > end - begin or index > (end - at) // 16 + 1:
                return begin
            begin += step
        at = content.find(_HEAP, at + len(_HEAP))
    return None


def _damaged_string(content: Any, size: int) -> int | None:
    """Return where an attribute claims a string longer than the file.

    An attribute holds its type (20 bytes, filled up to 24 in old files), its shape and its strings one after the other.
    """
    for hit in _SIXTEEN.finditer(content, 4):
        begin = hit.start() - 4
        if content[begin] not in _VARIABLE:
            continue
        for width in (20, 24):
            shape = begin + width
            version, rank, flags = content[shape : shape + 3].ljust(3, b"\0")
            if version not in (1, 2) or rank > 1:
                continue
            lengths = shape + (8 if version == 1 else 4)
            n_strings = _integer(content, lengths, 8) if rank else 1
            first = lengths + 8 * rank * (1 + (flags & 1))
            for at in range(first, min(first + 16 * n_strings, size - 15), 16):
                if _integer(content, at, 4) > size:
                    return at
    return None


def _integer(content: Any, at: int, size: int) -> int:
    return int.from_bytes(content[at : at + size], "little")


@contextmanager
def open_file(path: str | Path) -> Iterator[Any]:
    """Open an HDF5 file of ours for reading.

    Raises
    ------
    InputError
        If it is missing, not HDF5, or of another program or a newer version.
    """
    name = refuse_pipe(path)
    if not name.is_file():
        raise InputError(f"File `{name}` does not exist or is not a file. Check the path.")
    try:
        file = checked_file(name)
    except OSError as error:
        raise InputError(
            f"File `{name}` cannot be read as HDF5 ({error}). It may be cut short: write it again."
        ) from error
    with file:
        if get_attribute(file, "format") != FORMAT_NAME:
            raise InputError(f"File `{name}` is HDF5, but not hopcast's own form. Name its format.", topic="option")
        version = int(get_attribute(file, "format_version") or 0)
        if version > FORMAT_VERSION:
            raise InputError(
                f"File `{name}` has format version {version}, but this hopcast reads up to {FORMAT_VERSION}. Update hopcast."
            )
        yield file


@contextmanager
def open_group(path: str | Path, name: str, what: str, made_by: str, definition: int) -> Iterator[Any]:
    """Open a group of a file that holds something fitted; what goes wrong inside is damage of the file, and says so.

    Parameters
    ----------
    path
        The file.
    name
        Of the group; its attribute ``definition`` (1 where there is none) says what its numbers mean.
    what
        Is fitted, e.g. "forecaster".
    made_by
        What writes such files, e.g. "`hopcast fit`".
    definition
        The one that this hopcast has.

    Raises
    ------
    InputError
        If the file is missing or broken, has no such group, or another definition.
    """
    try:
        with open_file(path) as file:
            if name not in file:
                raise InputError(
                    f"File `{path}` must hold a {what} ({made_by} writes one), but holds {', '.join(file) or 'nothing'}."
                )
            found = int(file[name].attrs.get("definition", 1))
            if found != definition:
                raise InputError(
                    f"File `{path}` must be of definition {definition}, as this version of hopcast is, but is of definition {found}. Fit the "
                    f"{what} again."
                )
            yield file[name]
    except HopcastError:
        raise
    except Exception as error:  # h5py raises whatever the HDF5 library says of damaged files
        raise InputError(
            f"File `{path}` is damaged ({type(error).__name__}: {str(error)[:200]}). Fit the {what} again."
        ) from error


def put_array(
    group: Any, name: str, values: NDArray[Any], *, unit: str, axes: Sequence[str], compress: bool = True
) -> None:
    """Store an array with its unit and the names of its axes (complex as HDF5 compound, booleans as enum)."""
    array = np.asarray(values)
    options: dict[str, Any] = {}
    if compress and array.size > 1024:
        options = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
    data = group.create_dataset(name, data=array, track_times=False, **options)
    data.attrs["unit"] = unit
    data.attrs["axes"] = ", ".join(axes)


def get_array(group: Any, name: str) -> NDArray[Any]:
    """Load an array.

    Raises
    ------
    InputError
        If it is absent.
    """
    if name not in group:
        raise InputError(f"File `{group.file.filename}` must hold `{group.name}/{name}`, but does not. Write it again.")
    if group[name].dtype.kind not in "fciub":
        raise InputError(
            f"File `{group.file.filename}` must hold numbers at `{group.name}/{name}`, but holds {group[name].dtype}. It is damaged: write it again."
        )
    return np.asarray(group[name][()])


def get_optional_array(group: Any, name: str) -> NDArray[Any] | None:
    """Load an array, or return None where it is absent."""
    return get_array(group, name) if name in group else None


def get_attribute(group: Any, key: str) -> Any:
    """Load an attribute, or return None where it is absent; only numbers and text are read.

    Raises
    ------
    InputError
        If it is of another type, or of another size than its type and shape say: the HDF5 library would crash.
    """
    from h5py import h5t

    if key not in group.attrs:
        return None
    stored = group.attrs.get_id(key)
    kind, count = stored.get_type(), int(np.prod(stored.shape or (1,), dtype=np.float64))
    known = kind.get_class() in (h5t.INTEGER, h5t.FLOAT, h5t.ENUM, h5t.STRING)
    # a string of any length is stored as its length and place
    width = 16 if kind.get_class() == h5t.STRING and kind.is_variable_str() else kind.get_size()
    if not known or count > 1_000_000 or stored.get_storage_size() != count * width:
        raise InputError(f"File `{group.file.filename}` is damaged (attribute `{key[:40]}`). Write it again.")
    return group.attrs[key]


def put_attributes(group: Any, attributes: Mapping[str, Any]) -> None:
    """Store text and numbers as attributes; None is left out."""
    for key, value in attributes.items():
        if value is not None:
            group.attrs[key] = value


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("hopcast")
    except PackageNotFoundError:  # pragma: no cover - only in a source tree that was never installed
        return "unknown"
