"""nano-qmflows' HDF5: raw overlaps, eigenvalues (Ha), couplings (1/atomic time)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
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
from hopcast.io.spin_channels import warn_of_spins

SUFFIXES = (".h5", ".hdf5")


SPINS = ("alphas", "betas")
"""Groups of an unrestricted calculation."""


def homes_of(file: Any) -> dict[str, Any]:
    """Return the groups with eigenvalues by name: the file itself (""), or groups in it."""
    import h5py

    if "eigenvalues" in file.keys():  # noqa: SIM118
        return {"": file}
    found = {}
    for name in list(file.keys())[:64]:
        link = file.get(name, getlink=True)
        if isinstance(link, h5py.HardLink) and isinstance(file[name], h5py.Group) and "eigenvalues" in file[name]:
            found[name] = file[name]
    return found


def home_of(path: Path, file: Any, spin: int | None) -> Any:
    """Return the group that is read: the only one, or that of a spin.

    Raises
    ------
    InputError
        If there is none, or several that are no spins, or none of this spin.
    """
    found = homes_of(file)
    if not found and _is_old(file):
        raise InputError(
            f"File `{path}` has the layout of an old nano-qmflows (`<project>/point_<step>/cp2k/mo`), which is not read. Write it with version 0.9 "
            "or newer, or read the `Ham_<step>_re` and `_im` of the run."
        )
    if not found:
        raise InputError(
            f"File `{path}` must hold `eigenvalues`, but holds {', '.join(list(file)[:5]) or 'nothing'}. Name nano-qmflows' HDF5."
        )
    channels = [name for name in SPINS if name in found]
    if spin is not None and not (0 <= spin < len(channels)):
        raise InputError(
            f"File `{path}` must hold channels of spin (`alphas`, `betas`) to choose from, but holds {', '.join(channels) or 'none'}. Leave `spin` out."
        )
    if len(channels) == 2 and spin is None:
        warn_of_spins(path, "`alphas` and `betas`")
    if channels:
        return found[channels[spin or 0]]
    if len(found) > 1:
        raise InputError(
            f"File `{path}` must hold the eigenvalues of one run, but holds those of {', '.join(f'`{name}`' for name in list(found)[:5])}. "
            "Copy one into a file of its own."
        )
    return next(iter(found.values()))


def _is_old(file: Any) -> bool:
    """Whether a group, or one in it, is that of a point with its code and orbitals in it."""
    import h5py

    def groups(group: Any) -> list[Any]:
        names = list(group.keys())[:64]
        return [
            group[name]
            for name in names
            if group.get(name, getclass=True, getlink=True) is h5py.HardLink
            and group.get(name, getclass=True) is h5py.Group
        ]

    points = [
        point for group in (file, *groups(file)) for point in groups(group) if re.fullmatch(r".*/point_\d+", point.name)
    ]
    return any("mo" in code for point in points[:8] for code in groups(point))


def looks_like(file: Any) -> bool:
    """Whether an open HDF5 file is nano-qmflows'."""
    return bool(homes_of(file)) or _is_old(file)


def sniff(path: Path) -> bool:
    """Whether it is HDF5 with eigenvalues and overlaps by number."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
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
            "gap has no meaning.",
            topic="numbering",
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
        home = home_of(path, file, options.spin)
        channel = f", {home.name.strip('/')}" if home.name.strip("/") in SPINS else ""
        points = _numbers(home["eigenvalues"], r"point_(\d{1,9})", path, "`eigenvalues/point_<step>`")
        if len(points) < 2:
            raise InputError(
                f"File `{path}` must hold eigenvalues of at least two steps, but holds {len(points)}. Give more of the trajectory."
            )
        energies = _energies(path, home, points)
        couplings = _numbers(home, r"coupling_(\d{1,9})", path, "`coupling_<step>`")
        overlaps, kind = read_overlaps(path, home, corrected=options.couplings == "source" and bool(couplings))
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
    _check_shapes(path, (*stack.items(), *overlaps.items()), energies.shape[1], kind)
    matrices = np.array(list(stack.values()))
    matrices = matrices.astype(complex if np.iscomplexobj(matrices) else float)
    provenance = {"format": f"nanoqmflows-hdf5, {kind}{channel}", "units": "Ha, 1/atomic time"}
    if trust:
        nac = matrices * (HBAR / ATOMIC_TIME)
        sign, factor = _sign(path, nac, list(stack), overlaps, options.scheme, timestep)
        return assemble(
            path,
            energies,
            nac * factor,
            timestep=timestep,
            grid="frame",
            options=options,
            first=first,
            provenance={**provenance, "sign": sign},
        )
    return from_overlaps(
        path,
        energies,
        matrices,
        timestep=timestep,
        options=options,
        first=first,
        provenance={**provenance, "sign": "raw overlaps <i(t)|j(t+dt)>"},
    )


def _energies(path: Path, home: Any, points: Mapping[int, str]) -> NDArray[np.float64]:
    """Return the eigenvalues of all steps, eV."""
    rows = [dataset(home["eigenvalues"], name).ravel() for name in points.values()]
    for step, row in zip(points, rows, strict=True):
        if row.size != rows[0].size:
            raise InputError(
                f"File `{path}`, step {step} must hold {rows[0].size} eigenvalues as the steps before, but holds {row.size}. "
                "Calculate this step with the same orbitals."
            )
    return np.array(rows, dtype=float) * HARTREE


def _check_shapes(path: Path, matrices: Iterable[tuple[int, NDArray[Any]]], n_states: int, kind: str) -> None:
    shape = (n_states, n_states)
    for number, matrix in matrices:
        if matrix.shape != shape:
            raise InputError(
                f"File `{path}`, step {number}: `{kind}` must have the shape {shape} of the eigenvalues, but has {matrix.shape}. "
                "Calculate this step with the same orbitals."
            )


def _sign(
    path: Path,
    nac: NDArray[Any],
    numbers: list[int],
    overlaps: Mapping[int, NDArray[Any]],
    scheme: str | None,
    timestep: float,
) -> tuple[str, float]:
    """Return what the source's couplings are in words, and the factor that makes them d: as told, or by its overlaps."""
    if scheme is not None:
        factor = SCHEMES[check_choice("scheme", scheme, SCHEMES)]
        return f"{scheme}: d times {1 / factor:.4g}", factor
    common = [number for number in numbers if number in overlaps]
    if not common:
        return "d; there are no overlaps to check it", 1.0
    at = [numbers.index(number) for number in common]
    paired = np.array([overlaps[number] for number in common])
    found, factor = against_overlaps(path, nac[at].real, paired, timestep)
    return f"{found}, told by the overlaps: d times {1 / factor:.4g}", factor


FORMAT = Format(
    "nanoqmflows-hdf5",
    "nano-qmflows' HDF5: raw overlaps or couplings",
    "hamiltonian",
    "*.hdf5 with eigenvalues/point_<step>",
    sniff,
    read,
    code="nano-qmflows",
    heeds=("scheme", "spin"),
)
