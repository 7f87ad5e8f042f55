"""Libra's sparse archives: ``E_ks/S_ks/St_ks`` (raw overlaps), ``Hvib_ks``, and ``Hvib_sd``, ``Hvib_ci`` with ``St_sd``, ``St_ci``.

Step 2 of its workflow writes ``E_ks`` and ``S_ks`` of frames and ``St_ks`` of pairs; step 3 writes ``E_ks`` (then averages
of neighbours), ``St_ks`` and ``Hvib_ks`` of the same numbers, and many-body states with ``St_*_re`` beside them.
``Im Hvib = +d`` since the code writes it as ``-(St^T - St)/2dt``; before, it was the opposite, which the overlaps tell.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import EnergyGrid, VibronicHamiltonian
from hopcast.core.units import HARTREE
from hopcast.io.arrays import load_sparse, save_sparse
from hopcast.io.assemble import assemble, from_overlaps, need_timestep, orthogonal_pair, real_couplings
from hopcast.io.numbered import chosen_prefix, consecutive, first_number, need_overlaps, numbered_files
from hopcast.io.registry import Format, Holds, ReadOptions, WriteOptions
from hopcast.io.spin_channels import SpinChannel, ending, load_square


def _all_files(folder: Path) -> dict[str, dict[int, Path]]:
    names = {"E": r"E_ks_(\d+)", "S": r"S_ks_(\d+)", "St": r"St_ks_(\d+)", "ks_im": r"Hvib_ks_(\d+)_im"}
    for kind in ("sd", "ci"):
        names |= {f"{kind}_{part}": rf"Hvib_{kind}_(\d+)_{part}" for part in ("re", "im")}
        names |= {f"{kind}_St_{part}": rf"St_{kind}_(\d+)_{part}" for part in ("re", "im")}
    found = {key: numbered_files(folder, rf"{pattern}\.npz") for key, pattern in names.items()}
    return {key: files for key, files in found.items() if files}


def sniff(path: Path) -> bool:
    """Whether a folder has Libra's numbered archives."""
    if not path.is_dir():
        return False
    try:
        found = _all_files(path)
    except InputError:
        return True
    return bool({"St", "ks_im", "sd_im", "ci_im"} & set(found))


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read raw overlaps where they are (and not the source's couplings are asked for), else Hvib."""
    timestep = need_timestep(path, options.timestep)
    found = _all_files(path)
    if options.spin not in (None, 0, 1):
        raise InputError(f"Argument `spin` must be 0 (alpha) or 1 (beta), but is {options.spin}.")
    held = ["Hvib_ks_"] if "E" in found and {"St", "ks_im"} & set(found) else []
    held += [f"Hvib_{kind}_" for kind in ("sd", "ci") if f"{kind}_im" in found and f"{kind}_re" in found]
    if not held:
        raise InputError(
            f"Folder `{path}` must hold energies beside its couplings (`E_ks_<step>.npz`, or `Hvib_*_re.npz`), but holds "
            f"{', '.join(sorted(found)) or 'neither'} only. Copy them here."
        )
    kind = chosen_prefix(path, held, options.prefix)[5:-1]
    return (
        read_one_particle(path, found, timestep, options)
        if kind == "ks"
        else _many_body(path, kind, found, timestep, options)
    )


def _same_start(path: Path, numbers: list[int], steps: list[int], energies: str, couplings: str) -> None:
    if steps[0] != numbers[0]:
        raise InputError(
            f"Folder `{path}` must number `{energies}` and `{couplings}` alike, but they begin with {numbers[0]} and {steps[0]}. "
            "Check that they come from the same run."
        )


def read_one_particle(
    path: Path, found: dict[str, dict[int, Path]], timestep: float, options: ReadOptions, form: str = "libra-npz"
) -> VibronicHamiltonian:
    """Read ``E_ks`` with ``St_ks`` or ``Hvib_ks``; as many energies as couplings are those of mid-points (step 3)."""
    trusted = "ks_im" in found and (options.couplings == "source" or "St" not in found)
    coupled, name = (found["ks_im"], "Hvib_ks") if trusted else (found["St"], "St_ks")
    numbers = consecutive(path, found["E"], f"energies `{ending(found['E'], 'E_ks')}`")
    steps = consecutive(path, coupled, f"`{ending(coupled, name)}`")
    channel = SpinChannel(coupled[steps[0]], options.spin)
    if not trusted and load_square(found["E"][numbers[0]]).shape != channel.shape:
        raise InputError(
            f"File `{coupled[steps[0]]}` must have the states of `E_ks`, but its shape is {channel.shape}. Check that both come from the same run."
        )
    energies = channel.energies(path, found["E"], numbers, options.spin)
    _same_start(path, numbers, steps, "E_ks", name)
    grid: EnergyGrid = "midpoint" if len(found.get("ks_im", ())) == len(numbers) else "frame"
    where = ", averages of neighbours" if grid == "midpoint" else ""
    if trusted:
        stored = _real(channel.stack(coupled, steps), steps, coupled)
        raw = channel.stack(found["St"], steps) if "St" in found and set(steps) <= set(found["St"]) else None
        factor, sign = _told_sign(stored, raw)
        return assemble(
            path,
            energies,
            factor * stored * HARTREE,
            timestep=timestep,
            grid=grid,
            options=options,
            first=numbers[0],
            place=lambda row: f"File `{coupled[steps[row]]}`",
            provenance={
                "format": f"{form}, E_ks{where} and Hvib_ks, {channel.name}",
                "sign": sign,
                "units": "Ha, atomic units",
            },
        )
    overlaps, treated = channel.stack(coupled, steps), "as they come"
    if "S" in found and grid == "frame":
        overlaps, treated = _orthonormal(path, found["S"], numbers, channel, overlaps)
    return from_overlaps(
        path,
        energies,
        overlaps,
        timestep=timestep,
        grid=grid,
        options=options,
        first=numbers[0],
        place=lambda row: f"File `{coupled[steps[row]]}`",
        provenance={
            "format": f"{form}, E_ks{where} and St_ks, {channel.name}",
            "sign": "raw overlaps <i(t)|j(t+dt)>",
            "units": "Ha",
            "overlaps": treated,
        },
    )


def _orthonormal(
    path: Path, files: dict[int, Path], numbers: list[int], channel: SpinChannel, overlaps: NDArray[Any]
) -> tuple[NDArray[Any], str]:
    """Return overlaps of Löwdin's orthonormalised states, and what was done."""
    missing = sorted(set(numbers) - set(files))
    if missing:
        raise InputError(
            f"Folder `{path}` must hold `{ending(files, 'S_ks')}` of every frame, or of none, but that of frame {missing[0]} is missing. Copy it "
            "here, or move the others elsewhere."
        )
    metric = channel.stack(files, numbers)
    deviation = float(np.abs(metric - np.eye(metric.shape[1])).max())
    if deviation <= 1e-8:
        return overlaps, "as they come"
    # of as many overlaps as frames the last one has no partner, and is dropped
    pairs = min(len(overlaps), len(metric) - 1)
    overlaps[:pairs] = orthogonal_pair(metric[:pairs], overlaps[:pairs], metric[1 : pairs + 1])
    return overlaps, f"Löwdin-orthonormalised with S_ks (which deviates by up to {deviation:.2g} from unity)"


def _many_body(
    path: Path, kind: str, found: dict[str, dict[int, Path]], timestep: float, options: ReadOptions
) -> VibronicHamiltonian:
    if options.spin:
        raise InputError(
            f"Folder `{path}` must hold `E_ks_<step>.npz` to have spins, but holds `Hvib_{kind}` only. Leave `spin` out."
        )
    numbers = consecutive(path, found[f"{kind}_re"], f"`Hvib_{kind}_<step>_re.npz`")
    steps = consecutive(path, found[f"{kind}_im"], f"`Hvib_{kind}_<step>_im.npz`")
    _same_start(path, numbers, steps, f"Hvib_{kind}_re", f"Hvib_{kind}_im")
    real = _all_of(found[f"{kind}_re"], numbers, None)
    shape = (real.shape[1], real.shape[1])
    imaginary = _all_of(found[f"{kind}_im"], steps, shape)
    files = found[f"{kind}_im"]
    matrices = real.real
    energies = np.einsum("tii->ti", matrices).copy() * HARTREE
    states = np.arange(matrices.shape[1])
    matrices[:, states, states] = 0.0
    if np.abs(matrices).max() > 1e-10:
        worst = int(np.abs(matrices).max(axis=(1, 2)).argmax())
        raise InputError(
            f"File `{found[f'{kind}_re'][numbers[worst]]}` must be diagonal (adiabatic states), but has elements of "
            f"{np.abs(matrices[worst]).max():.2g} Ha off the diagonal. Write Hvib of adiabatic states: hopcast reads real couplings only "
            "from Libra's archives."
        )
    raw = _many_body_overlaps(path, kind, found, steps, shape)
    if raw is not None and options.couplings == "overlaps":
        return from_overlaps(
            path,
            energies,
            raw,
            timestep=timestep,
            grid="midpoint",
            options=options,
            first=numbers[0],
            place=lambda row: f"File `{found[f'{kind}_St_re'][steps[row]]}`",
            provenance={
                "format": f"libra-npz, Hvib_{kind}_re and St_{kind}",
                "sign": "raw overlaps <i(t)|j(t+dt)>",
                "units": "Ha",
            },
        )
    stored = _real(imaginary, steps, files)
    factor, sign = _told_sign(stored, raw)
    return assemble(
        path,
        energies,
        factor * stored * HARTREE,
        timestep=timestep,
        grid="midpoint",
        options=options,
        first=numbers[0],
        place=lambda row: f"File `{files[steps[row]]}`",
        provenance={"format": f"libra-npz, Hvib_{kind}", "sign": sign, "units": "Ha, atomic units"},
    )


def _many_body_overlaps(
    path: Path, kind: str, found: dict[str, dict[int, Path]], steps: list[int], shape: tuple[int, int]
) -> NDArray[Any] | None:
    """Return the overlaps ``St_<kind>`` of the steps of the couplings, None where there are none."""
    if f"{kind}_St_re" not in found:
        return None
    parts = {}
    for part in ("re", "im"):
        files = found.get(f"{kind}_St_{part}")
        if files is None:
            continue
        need_overlaps(path, f"St_{kind}_<step>_{part}.npz", steps, files)
        parts[part] = _all_of(files, steps, shape)
    return parts["re"] + 1j * parts["im"] if "im" in parts else parts["re"]


def _all_of(files: dict[int, Path], numbers: list[int], shape: tuple[int, int] | None) -> NDArray[Any]:
    matrices = []
    for number in numbers:
        matrix = load_sparse(files[number])
        shape = shape or (matrix.shape[0], matrix.shape[0])
        if matrix.shape != shape:
            raise InputError(
                f"File `{files[number]}` must hold a matrix of {shape[0]} x {shape[0]} as the first, but its shape is {matrix.shape}. "
                "Calculate this step with the same states."
            )
        matrices.append(matrix)
    return np.array(matrices)


def _told_sign(stored: NDArray[np.float64], overlaps: NDArray[Any] | None) -> tuple[float, str]:
    """Return what makes d of the imaginary parts of Hvib, and why: older versions of the code store -d."""
    if overlaps is not None:
        expected = (overlaps - overlaps.conj().swapaxes(1, 2)).real[: len(stored)]
        power = float(np.sqrt((expected**2).sum() * (stored**2).sum()))
        if power > 0 and float((stored * expected).sum()) / power < -0.8:
            return -1.0, "Im Hvib = -d, as the overlaps beside them tell"
    return 1.0, "Im Hvib = +d"


def _real(matrices: NDArray[Any], steps: list[int], files: dict[int, Path]) -> NDArray[np.float64]:
    largest = np.abs(matrices.imag).max(axis=(1, 2)) if np.iscomplexobj(matrices) else np.zeros(len(matrices))
    if largest.max() > 1e-12:
        worst = int(largest.argmax())
        raise InputError(
            f"File `{files[steps[worst]]}` must hold real numbers, the imaginary part of Hvib, but holds one with an imaginary part of "
            f"{largest[worst]:.2g}. Write the imaginary part only."
        )
    return matrices.real


def write(hamiltonian: VibronicHamiltonian, path: Path, options: WriteOptions) -> None:
    """Write E_ks and Hvib_ks (and S_ks, St_ks where raw overlaps are known), alpha and beta alike, into a folder."""
    nac = real_couplings(hamiltonian.nac)

    def both(block: NDArray[Any]) -> NDArray[Any]:
        zero = np.zeros_like(block)
        return np.block([[block, zero], [zero, block]]).astype(complex)

    first = first_number(hamiltonian)
    for frame, energies in enumerate(hamiltonian.energies / HARTREE, first):
        save_sparse(path / f"E_ks_{frame}.npz", both(np.diag(energies)))
    for step, matrix in enumerate(nac / HARTREE, first):
        save_sparse(path / f"Hvib_ks_{step}_im.npz", both(matrix).real)
    if hamiltonian.overlaps is not None:
        for frame in range(first, first + len(hamiltonian.energies)):
            save_sparse(path / f"S_ks_{frame}.npz", both(np.eye(hamiltonian.n_states)))
        for step, overlap in enumerate(hamiltonian.overlaps, first):
            save_sparse(path / f"St_ks_{step}.npz", both(overlap))


FORMAT = Format(
    "libra-npz",
    "Libra's sparse archives: raw overlaps (E_ks, S_ks, St_ks; St_sd, St_ci), Hvib_ks, Hvib_sd, Hvib_ci",
    "hamiltonian",
    "E_ks_<step>.npz, St_ks_<step>.npz, Hvib_*_<step>_im.npz",
    sniff,
    read,
    write,
    Holds("any", overlaps=True, numbers="consecutive", digits=17),
    heeds=("spin", "prefix"),
)
