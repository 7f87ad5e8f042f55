"""Libra's sparse archives: ``E_ks/S_ks/St_ks`` (raw overlaps), ``Hvib_ks``, ``Hvib_sd``, ``Hvib_ci``; ``Im Hvib = +d``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import HARTREE
from hopcast.io.arrays import load_sparse, save_sparse
from hopcast.io.assemble import assemble, from_overlaps, need_timestep, orthogonal_pair
from hopcast.io.numbered import consecutive, first_number, numbered_files
from hopcast.io.registry import Format, Holds, ReadOptions, WriteOptions


def _all_files(folder: Path) -> dict[str, dict[int, Path]]:
    names = {"E": r"E_ks_(\d+)", "S": r"S_ks_(\d+)", "St": r"St_ks_(\d+)", "ks_im": r"Hvib_ks_(\d+)_im"}
    names |= {
        f"{kind}_{part}": rf"Hvib_{kind}_(\d+)_{part}" for kind in ("sd", "ci") for part in ("re", "im")
    }
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
    if options.spin not in (0, 1):
        raise InputError(f"Argument `spin` must be 0 (alpha) or 1 (beta), but is {options.spin}.")
    if "St" in found and "E" in found and not (options.couplings == "source" and "ks_im" in found):
        return _from_overlaps(path, found, timestep, options)
    if "ks_im" in found and "E" in found:
        numbers, energies, _ = _energies(path, found["E"], options.spin)
        steps = consecutive(path, found["ks_im"], "couplings `Hvib_ks_<step>_im.npz`")
        _same_start(path, numbers, steps, "E_ks", "Hvib_ks")
        nac = _real(_stack(found["ks_im"], steps, options.spin), steps, found["ks_im"]) * HARTREE
        return assemble(
            path, energies, nac, timestep=timestep, grid="frame", options=options, first=numbers[0],
            place=lambda row: f"File `{found['ks_im'][steps[row]]}`",
            provenance={"format": "libra-npz, E_ks and Hvib_ks", "sign": "Im Hvib = +d", "units": "Ha, atomic units"},
        )  # fmt: skip
    for kind in ("ci", "sd"):
        if f"{kind}_im" in found and f"{kind}_re" in found:
            return _many_body(path, kind, found, timestep, options)
    raise InputError(
        f"Folder `{path}` must hold energies beside its couplings (`E_ks_<step>.npz`, or `Hvib_*_re.npz`), but holds "
        f"{', '.join(sorted(found)) or 'neither'} only. Copy them here."
    )


def _block(path: Path, spin: int, shape: tuple[int, int] | None = None) -> NDArray[Any]:
    """Return the block of one spin of a (2n, 2n) matrix: alpha first, then beta."""
    matrix = load_sparse(path)
    if (
        matrix.shape[0] != matrix.shape[1]
        or matrix.shape[0] % 2
        or (shape is not None and matrix.shape != shape)
    ):
        raise InputError(
            f"File `{path}` must hold a square matrix of alpha and beta states{'' if shape is None else f', {shape}'}, but "
            f"its shape is {matrix.shape}. Calculate this step with the same orbitals."
        )
    n_states = matrix.shape[0] // 2
    part = slice(spin * n_states, (spin + 1) * n_states)
    return matrix[part, part]


def _stack(files: dict[int, Path], numbers: list[int], spin: int) -> NDArray[Any]:
    first = _block(files[numbers[0]], spin)
    double = (2 * first.shape[0], 2 * first.shape[0])
    return np.array([first, *(_block(files[number], spin, double) for number in numbers[1:])])


def _energies(path: Path, files: dict[int, Path], spin: int) -> tuple[list[int], NDArray[np.float64], str]:
    numbers = consecutive(path, files, "energies `E_ks_<step>.npz`")
    matrices = _stack(files, numbers, spin)
    energies = np.einsum("tii->ti", matrices).real * HARTREE
    if spin == 1 and not np.any(energies):
        raise InputError(f"Folder `{path}` has no beta states (all energies are zero). Give `spin` 0.")
    return numbers, energies, f"spin {'beta' if spin else 'alpha'}"


def _same_start(path: Path, numbers: list[int], steps: list[int], energies: str, couplings: str) -> None:
    if steps[0] != numbers[0]:
        raise InputError(
            f"Folder `{path}` must number `{energies}` and `{couplings}` alike, but they begin with {numbers[0]} and {steps[0]}. "
            "Check that they come from the same run."
        )


def _from_overlaps(
    path: Path, found: dict[str, dict[int, Path]], timestep: float, options: ReadOptions
) -> VibronicHamiltonian:
    numbers, energies, spin = _energies(path, found["E"], options.spin)
    steps = consecutive(path, found["St"], "overlaps `St_ks_<step>.npz`")
    _same_start(path, numbers, steps, "E_ks", "St_ks")
    overlaps = _stack(found["St"], steps, options.spin)
    if overlaps.shape[1] != energies.shape[1]:
        raise InputError(
            f"File `{found['St'][steps[0]]}` must have the {energies.shape[1]} states of `E_ks`, but has {overlaps.shape[1]}. Check that both "
            "come from the same run."
        )
    treated = "as they come"
    if "S" in found:
        missing = sorted(set(numbers) - set(found["S"]))
        if missing:
            raise InputError(
                f"Folder `{path}` must hold `S_ks_<step>.npz` of every frame, or of none, but that of frame {missing[0]} is missing. Copy it "
                "here, or move the others elsewhere."
            )
        metric = _stack(found["S"], numbers, options.spin)
        if metric.shape[1:] != overlaps.shape[1:]:
            raise InputError(
                f"File `{found['S'][numbers[0]]}` must have the {overlaps.shape[1]} states of `St_ks`, but has {metric.shape[1]}. Check that "
                "both come from the same run."
            )
        deviation = float(np.abs(metric - np.eye(metric.shape[1])).max())
        if deviation > 1e-8:
            # of as many overlaps as frames the last one has no partner, and is dropped
            pairs = min(len(overlaps), len(metric) - 1)
            overlaps[:pairs] = orthogonal_pair(metric[:pairs], overlaps[:pairs], metric[1 : pairs + 1])
            treated = f"Löwdin-orthonormalised with S_ks (which deviates by up to {deviation:.2g} from unity)"
    return from_overlaps(
        path, energies, overlaps, timestep=timestep, options=options, first=numbers[0],
        provenance={
            "format": f"libra-npz, E_ks and St_ks, {spin}", "sign": "raw overlaps <i(t)|j(t+dt)>",
            "units": "Ha", "overlaps": treated,
        },
    )  # fmt: skip


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
    files = {"re": found[f"{kind}_re"], "im": found[f"{kind}_im"]}
    real = [load_sparse(files["re"][number]) for number in numbers]
    imaginary = [load_sparse(files["im"][step]) for step in steps]
    size = real[0].shape[0]
    for part, at, matrices_of in (("re", numbers, real), ("im", steps, imaginary)):
        for step, matrix in zip(at, matrices_of, strict=True):
            if matrix.shape != (size, size):
                raise InputError(
                    f"File `{files[part][step]}` must hold a matrix of {size} x {size} as the first, but its shape is {matrix.shape}. "
                    "Calculate this step with the same states."
                )
    matrices = np.array(real).real
    energies = np.einsum("tii->ti", matrices).copy()
    states = np.arange(matrices.shape[1])
    matrices[:, states, states] = 0.0
    if np.abs(matrices).max() > 1e-10:
        worst = int(np.abs(matrices).max(axis=(1, 2)).argmax())
        raise InputError(
            f"File `{files['re'][numbers[worst]]}` must be diagonal (adiabatic states), but has elements of "
            f"{np.abs(matrices[worst]).max():.2g} Ha off the diagonal. Write Hvib of adiabatic states: hopcast reads real couplings only "
            "from Libra's archives."
        )
    return assemble(
        path, energies * HARTREE, _real(np.array(imaginary), steps, files["im"]) * HARTREE, timestep=timestep, grid="midpoint",
        options=options, first=numbers[0], place=lambda row: f"File `{files['im'][steps[row]]}`",
        provenance={"format": f"libra-npz, Hvib_{kind}", "sign": "Im Hvib = +d", "units": "Ha, atomic units"},
    )  # fmt: skip


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
    if np.iscomplexobj(hamiltonian.nac):
        from hopcast.io.assemble import real_couplings

        nac = real_couplings(hamiltonian.nac)
    else:
        nac = hamiltonian.nac

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
    "libra-npz", "Libra's sparse archives: raw overlaps (E_ks, S_ks, St_ks), Hvib_ks, Hvib_sd, Hvib_ci", "hamiltonian",
    "E_ks_<step>.npz, St_ks_<step>.npz, Hvib_*_<step>_im.npz", sniff, read, write,
    Holds("frame", overlaps=True, numbers="consecutive", digits=17), heeds=("spin",),
)  # fmt: skip
