"""nano-qmflows' HDF5: raw overlaps, eigenvalues (Ha), couplings (1/atomic time)."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError, check_choice
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import ATOMIC_TIME, HARTREE, HBAR
from hopcast.io.arrays import dataset, foreign_hdf5
from hopcast.io.assemble import SCHEMES, against_overlaps, assemble, from_overlaps, need_timestep
from hopcast.io.registry import Format, ReadOptions

SUFFIXES = (".h5", ".hdf5")


def home_of(file: Any) -> Any:
    """Return the group with the eigenvalues: the file, or one group in it."""
    import h5py

    if "eigenvalues" in file.keys():  # noqa: SIM118
        return file
    for name in list(file.keys())[:64]:
        link = file.get(name, getlink=True)
        if (
            isinstance(link, h5py.HardLink)
            and isinstance(file[name], h5py.Group)
            and "eigenvalues" in file[name]
        ):
            return file[name]
    return None


def looks_like(file: Any) -> bool:
    """Whether an open HDF5 file is nano-qmflows'."""
    return home_of(file) is not None


def sniff(path: Path) -> bool:
    """Whether it is HDF5 with eigenvalues and overlaps by number."""
    if path.suffix not in SUFFIXES or not path.is_file():
        return False
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return "format" not in file.attrs and looks_like(file)
    except Exception:  # damaged files are for the one who is asked to read them
        return False


def _numbers(group: Any, pattern: str, path: Path, what: str) -> dict[int, str]:
    hits = [re.fullmatch(pattern, name) for name in group.keys()]  # noqa: SIM118
    found = {int(hit.group(1)): hit.group(0) for hit in hits if hit}
    numbers = sorted(found)
    if numbers and numbers[-1] - numbers[0] + 1 != len(numbers):
        missing = next(a + 1 for a, b in itertools.pairwise(numbers) if b != a + 1)
        raise InputError(
            f"File `{path}` must hold {what} of every step, but that of step {missing} is missing. Calculate it: a coupling across a "
            "gap has no meaning."
        )
    return {number: found[number] for number in numbers}


def read_overlaps(path: Path, home: Any, *, corrected: bool) -> tuple[dict[int, NDArray[Any]], str]:
    """Return overlaps by number (raw where they are, or with the code's phases), and the name of the kind.

    Raises
    ------
    InputError
        If one is missing or damaged.
    """
    groups = _numbers(home, r"overlaps_(\d{1,9})", path, "`overlaps_<step>`")
    kinds = ["mtx_sji_t0", "mtx_sji_t0_corrected"]
    held = [kind for kind in kinds if all(_has(home, name, kind) for name in groups.values())]
    kind = (held[-1] if corrected else held[0]) if held else kinds[0]
    return {number: dataset(home, f"{name}/{kind}") for number, name in groups.items()}, kind


def _has(home: Any, name: str, kind: str) -> bool:
    import h5py

    is_own = isinstance(home.get(name, getlink=True), h5py.HardLink)
    return is_own and isinstance(home[name], h5py.Group) and kind in home[name].keys()  # noqa: SIM118


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read eigenvalues and overlaps (or, where the source is trusted, its couplings)."""
    timestep = need_timestep(path, options.timestep)
    with foreign_hdf5(path) as file:
        home = home_of(file)
        if home is None:
            raise InputError(
                f"File `{path}` must hold `eigenvalues`, but holds {', '.join(list(file)[:5]) or 'nothing'}. Name nano-qmflows' HDF5."
            )
        points = _numbers(home["eigenvalues"], r"point_(\d{1,9})", path, "`eigenvalues/point_<step>`")
        if len(points) < 2:
            raise InputError(
                f"File `{path}` must hold eigenvalues of at least two steps, but holds {len(points)}. Give more of the trajectory."
            )
        rows = [dataset(home["eigenvalues"], name).ravel() for name in points.values()]
        for step, row in zip(points, rows, strict=True):
            if row.size != rows[0].size:
                raise InputError(
                    f"File `{path}`, step {step} must hold {rows[0].size} eigenvalues as the steps before, but holds {row.size}. "
                    "Calculate this step with the same orbitals."
                )
        energies = np.array(rows, dtype=float) * HARTREE
        couplings = _numbers(home, r"coupling_(\d{1,9})", path, "`coupling_<step>`")
        overlaps, kind = read_overlaps(
            path, home, corrected=options.couplings == "source" and bool(couplings)
        )
        trust = options.couplings == "source" and bool(couplings)
        if not (couplings if trust else overlaps):
            raise InputError(
                f"File `{path}` must hold `overlaps_<step>` or `coupling_<step>`, but holds neither. Check that the run was complete."
            )
        stack = {number: dataset(home, name) for number, name in couplings.items()} if trust else overlaps
        kind = "coupling" if trust else kind
    first = min(points)
    if min(stack) != first:
        raise InputError(
            f"File `{path}` must number eigenvalues and couplings alike, but begins with {first} and {min(stack)}. Check that they come "
            "from the same run."
        )
    shape = (energies.shape[1], energies.shape[1])
    for number, matrix in (*stack.items(), *overlaps.items()):
        if matrix.shape != shape:
            raise InputError(
                f"File `{path}`, step {number}: `{kind}` must have the shape {shape} of the eigenvalues, but has {matrix.shape}. "
                "Calculate this step with the same orbitals."
            )
    matrices = np.array(list(stack.values()))
    matrices = matrices.astype(complex if np.iscomplexobj(matrices) else float)
    provenance = {"format": f"nanoqmflows-hdf5, {kind}", "units": "Ha, 1/atomic time"}
    if trust:
        nac = matrices * (HBAR / ATOMIC_TIME)
        sign, factor = "d; there are no overlaps to check it", 1.0
        common = [number for number in stack if number in overlaps]
        if options.scheme is not None:
            factor = SCHEMES[check_choice("scheme", options.scheme, SCHEMES)]
            sign = f"{options.scheme}: d times {1 / factor:.4g}"
        elif common:
            at = [list(stack).index(number) for number in common]
            paired = np.array([overlaps[number] for number in common])
            scheme, factor = against_overlaps(path, nac[at].real, paired, timestep)
            sign = f"{scheme}, told by the overlaps: d times {1 / factor:.4g}"
        return assemble(
            path, energies, nac * factor, timestep=timestep, grid="frame", options=options, first=first,
            provenance={**provenance, "sign": sign},
        )  # fmt: skip
    return from_overlaps(
        path, energies, matrices, timestep=timestep, options=options, first=first,
        provenance={**provenance, "sign": "raw overlaps <i(t)|j(t+dt)>"},
    )  # fmt: skip


FORMAT = Format(
    "nanoqmflows-hdf5", "nano-qmflows' HDF5: raw overlaps or couplings", "hamiltonian", "*.hdf5 with eigenvalues/point_<step>",
    sniff, read, code="nano-qmflows", heeds=("scheme",),
)  # fmt: skip
