"""Numbered folders of VASP calculations with `WSWQ`: overlaps with the augmentation of PAW, made by VASP itself."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.chunks import map_chunks
from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.io.assemble import need_timestep
from hopcast.io.formats.poscars import poscar_folders
from hopcast.io.registry import Format, ReadOptions
from hopcast.io.wavefunctions.folders import hamiltonian_of, selection_of
from hopcast.io.wavefunctions.paw_pairs import open_bands, read_pair
from hopcast.io.wavefunctions.places import has_numbered, levels_in, numbered_folders, wswq_in
from hopcast.io.wavefunctions.selection import Window, choose_window


def sniff(path: Path) -> bool:
    """Whether numbered folders hold a `WSWQ`."""
    return path.is_dir() and has_numbered(path, wswq_in)


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read energies of all frames, and the overlaps of those with the frame before them."""
    timestep = need_timestep(path, options.timestep)
    overlaps_at = numbered_folders(path, wswq_in)
    levels_at = numbered_folders(path, levels_in)
    if not overlaps_at:
        raise InputError(
            f"Folder `{path}` must hold numbered folders with a WSWQ, one a frame, but holds none. Copy the WAVECAR of the frame before to "
            "WAVECAR.qqq and run each frame once more with LWSWQ = .TRUE. and ALGO = None, or read the WAVECARs (format `vasp-wavecar`)."
        )
    for number, file in sorted(overlaps_at.items()):
        for needed, what in ((number, "this frame"), (number - 1, "the frame before it")):
            if needed not in levels_at:
                raise InputError(
                    f"File `{file}` needs the bands of {what} too, but frame {needed} has neither WAVECAR nor EIGENVAL. Put its folder beside it."
                )
    window = choose_window(open_bands(levels_at[min(levels_at)]), selection_of(options))
    frames = sorted(levels_at)
    first, last = frames[0], frames[-1]
    shape = last - first, len(window.bands), len(window.bands)
    energies, overlaps = np.full((shape[0] + 1, shape[1]), np.nan), np.full(shape, np.nan, complex)
    levels = partial(_energies, window=window)
    rows = map_chunks(levels, [levels_at[n] for n in frames], workers=options.workers, portable=True)
    energies[np.array(frames) - first] = rows
    later = sorted(overlaps_at)
    pairs = [(overlaps_at[number], levels_at[number - 1], levels_at[number]) for number in later]
    found = map_chunks(partial(read_pair, window=window), pairs, workers=options.workers, portable=True)
    overlaps[np.array(later) - 1 - first] = found
    return hamiltonian_of(
        path,
        energies,
        overlaps,
        window,
        options,
        first=first,
        timestep=timestep,
        provenance={
            "format": FORMAT.name,
            "units": "eV",
            "sign": "raw overlaps <i(t)|j(t+dt)>, the conjugate transpose of WSWQ",
            "overlaps": "with the PAW overlap operator at the later frame" + _without(levels_at, overlaps_at),
        },
    )


def _without(levels: dict[int, Path], overlaps: dict[int, Path]) -> str:
    """Return how many frames follow another and have no `WSWQ` all the same."""
    missing = [number for number in sorted(levels) if number - 1 in levels and number not in overlaps]
    if not missing:
        return ""
    return (
        f"; {len(missing)} frames that follow another have no WSWQ (the first is {missing[0]}: WAVECAR.qqq or LWSWQ was not given), and their "
        "couplings are unknown"
    )


def _energies(path: Path, *, window: Window) -> NDArray[Any]:
    file = open_bands(path)
    levels = file.levels(*window.selection.channel)
    window.check_levels(file, levels)
    return levels.energies[window.bands.start : window.bands.stop].copy()


FORMAT = Format(
    "vasp-wswq",
    "VASP: its own PAW overlaps in numbered folders",
    "hamiltonian",
    "<frame>/WSWQ with WAVECAR or EIGENVAL",
    sniff,
    read,
    heeds=("spin", "bands", "kpoint"),
    geometries=poscar_folders,
)
