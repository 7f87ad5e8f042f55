"""Hamiltonians in and out, by the name of their format."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from hopcast.core.errors import InputError, check_choice
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.inputs import refuse_pipe
from hopcast.io.registry import (
    Format,
    ReadOptions,
    WriteOptions,
    check_heeded,
    find_format,
    reading,
    recognise,
    writable,
)


def read_hamiltonian(
    path: str | Path,
    *,
    format: str | None = None,
    timestep: float | None = None,
    couplings: str = "overlaps",
    unit: str | None = None,
    energy_grid: str | None = None,
    spin: int | None = None,
    prefix: str | None = None,
    scheme: str | None = None,
    n_occupied: int | None = None,
    bands: tuple[int, int] | None = None,
    kpoint: int | None = None,
    loewdin: bool = True,
    variable_cell: bool = False,
    workers: int | None = None,
) -> VibronicHamiltonian:
    r"""Read a vibronic Hamiltonian of any registered format.

    Energies become eV on the grid of the source (mid-point energies are never un-averaged), couplings
    :math:`\hbar\langle i|\partial_t j\rangle` in eV on mid-points. The provenance says format, sign, units and alignment.
    States that have one energy at most frames (Kramers pairs) are kept as degenerate blocks.

    Parameters
    ----------
    path
        File or folder.
    format
        A name of ``hopcast formats``; None recognises it from the files.
    timestep
        Time between frames, fs, for formats that do not hold it; where one does, a different value is an error.
    couplings
        "overlaps": where the source has raw overlaps they are kept, and couplings that are not known are NaN until
        `hopcast.derive_couplings` makes them. "source": the couplings of the source are trusted as they are.
    unit
        Unit of energy of text that may have several (PYXAID, nano-qmflows): "eV", "Ry" or "Ha".
    energy_grid
        "frame" or "midpoint" for Libra's text, which does not say it.
    spin
        Spin channel, 0 or 1 (Libra's archives, NAMD-LMI, nano-qmflows' HDF5, wavefunctions). None takes the first, and warns where there is a second
        that differs.
    prefix
        How the names of the files begin, where a folder holds several Hamiltonians (PYXAID, Libra: ``Hvib_ci_``).
    scheme
        "3points" or "levine" for nano-qmflows' text.
    n_occupied
        Number of occupied states, where the files do not say it; where ours does, a different number is an error.
    bands
        First band and last + 1, from 0, of files of wavefunctions (VASP, QE); None takes eight below and eight above the gap.
    kpoint
        K-point of such files, from 0; None where there is one.
    loewdin
        Orthonormalise pseudo-wavefunctions (WAVECAR; ultrasoft or PAW of QE) in the window of bands.
    variable_cell
        Frames of such files may have different cells: plane waves are matched by their indices then, else such frames are
        refused.
    workers
        Threads; None takes the cores.

    Raises
    ------
    InputError
        If files are missing, broken, ragged, not finite, not antisymmetric, or do not fit together; or of no or of
        several formats.
    ConfigError
        If an option is unknown, or one that the format does not heed.
    """
    check_choice("couplings", couplings, ("overlaps", "source"))
    name = refuse_pipe(path)
    if not name.exists():
        raise InputError(f"File `{name}` does not exist. Check the path.")
    found = recognise(name, "hamiltonian") if format is None else find_format(format, "hamiltonian", name)
    options = ReadOptions(
        timestep=timestep,
        couplings=couplings,
        unit=unit,
        energy_grid=energy_grid,
        spin=spin,
        prefix=prefix,
        scheme=scheme,
        n_occupied=n_occupied,
        bands=None if bands is None else (int(bands[0]), int(bands[1])),
        kpoint=kpoint,
        loewdin=loewdin,
        variable_cell=variable_cell,
        workers=workers,
    )
    check_heeded(found, options)
    with reading(name, found):
        hamiltonian: VibronicHamiltonian = found.read(name, options)
    return hamiltonian if hamiltonian.is_degenerate else hamiltonian.with_blocks()


def write_hamiltonian(
    hamiltonian: VibronicHamiltonian, path: str | Path, *, format: str = "hopcast", **options: Any
) -> None:
    """Write a vibronic Hamiltonian in a registered format (see `hopcast.io.losses` for what one cannot hold).

    Parameters
    ----------
    hamiltonian
        What to write.
    path
        File (ours) or folder (formats of several files).
    format
        A name of ``hopcast formats`` that can be written.
    **options
        Fields of `hopcast.io.registry.WriteOptions`, e.g. ``flavour="dev"``, ``n_samples=100``.

    Raises
    ------
    ConfigError
        If `format` is unknown or only read, or an option does not fit.
    InputError
        If something is unknown (NaN) that the format must know.
    OutputError
        If it cannot be written.
    """
    target = writable(format, "hamiltonian")
    assert target.write is not None
    for name in options:
        check_choice("options", name, [field.name for field in dataclasses.fields(WriteOptions)])
    require_complete(hamiltonian, target)
    target.write(hamiltonian, Path(path), WriteOptions(**options))


def require_complete(hamiltonian: VibronicHamiltonian, target: Format) -> None:
    """Refuse to write unknown numbers into a format that must know all.

    Raises
    ------
    InputError
        Naming the first frame or step that is unknown.
    """
    if target.holds.unknown:
        return
    overlaps = hamiltonian.overlaps
    known = overlaps is None or not target.holds.overlaps or bool(np.isfinite(overlaps).all())
    if hamiltonian.is_complete and known:
        return
    if not hamiltonian.energy_known.all():
        unknown = ~hamiltonian.energy_known
        what = f"the energies of frame {int(unknown.argmax())} ({int(unknown.sum())} frames in all) are"
    elif not hamiltonian.nac_known.all():
        what = f"the coupling of step {int(np.argmin(hamiltonian.nac_known))} is"
    else:
        assert overlaps is not None
        what = f"the overlaps of step {int(np.argmin(np.isfinite(overlaps).all(axis=(1, 2))))} are"
    raise InputError(
        f"Format `{target.name}` must know every number, but {what} unknown. Forecast what is missing (`hopcast run`), derive "
        "couplings from overlaps, or write `hopcast`, which keeps unknown frames."
    )
