"""PYXAID's vibronic Hamiltonian: ``<prefix><step>_re`` and ``_im``, ``H = E - i hbar d``, Ry by default."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from hopcast.core.errors import InputError, QualityWarning
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.hdf5 import write_text
from hopcast.io.assemble import UNITS, assemble, need_timestep, unit_of
from hopcast.io.numbered import (
    chosen_prefix,
    first_number,
    join_vibronic,
    matrix_prefixes,
    matrix_text,
    names_in,
    numbered_files,
    read_vibronic_pair,
    split_vibronic,
)
from hopcast.io.registry import Format, Holds, ReadOptions, WriteOptions

_OWN = re.compile(r"\d+_Ham_")
"""What the code itself writes; its input may name any other prefix."""
_FOREIGN = re.compile(r"[Hh]vib_(?:[a-z]+_)*|Ham_|\d+_(?:S|sig\d*|ovlp|Hprime)_|(?:E|S|St)_(?:[a-z]+_)*")
"""Vibronic Hamiltonians of Libra and nano-qmflows, whose matrices look alike but have other units and signs, and matrices that are none."""


def prefixes(folder: Path) -> list[str]:
    """Return the prefixes in a folder that may be those of a Hamiltonian of PYXAID: the code's own, or all that no code is known by."""
    found = [prefix for prefix in matrix_prefixes(folder) if not _FOREIGN.fullmatch(prefix)]
    return [prefix for prefix in found if _OWN.fullmatch(prefix)] or found


def _scattered(folder: Path) -> dict[str, dict[int, Path]]:
    """Return CA-NAC's form of these files: each in the folder of its own step."""
    found: dict[str, dict[int, Path]] = {"re": {}, "im": {}}
    for name in names_in(folder):
        if (folder / name).is_dir() and len(name) < 64:
            for part, files in found.items():
                for number, path in numbered_files(folder / name, rf"Ham(\d+)_{part}").items():
                    if number in files:
                        raise InputError(
                            f"Folder `{folder}` has step {number} twice: `{files[number]}` and `{path}`. Move one elsewhere."
                        )
                    files[number] = path
    return found


def sniff(path: Path) -> bool:
    """Whether a folder has numbered real and imaginary parts that are not another code's."""
    if not path.is_dir():
        return False
    own = prefixes(path)
    if own or matrix_prefixes(path):
        # beside files of another code, a prefix that nobody is known by says nothing
        return any(_OWN.fullmatch(prefix) for prefix in own) or (own == matrix_prefixes(path))
    try:
        scattered = _scattered(path)
    except InputError:
        return True
    return bool(scattered["re"] and scattered["im"])


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read energies and couplings at mid-points; `options.unit` where they are not in Ry."""
    timestep = need_timestep(path, options.timestep)
    own = matrix_prefixes(path) if options.prefix is not None else prefixes(path)
    if own:
        prefix = chosen_prefix(path, own, options.prefix)
        if not _OWN.fullmatch(prefix) and options.unit is None:
            warnings.warn(
                f"Folder `{path}` is read as PYXAID's (Ry, Im H = -hbar d) only because no code is known to name its files `{prefix}<step>`. "
                "Give `unit` if you know it, and hold the gap against a value you trust.",
                QualityWarning,
                stacklevel=4,
            )
        files = {part: numbered_files(path, rf"{re.escape(prefix)}(\d+)_{part}") for part in ("re", "im")}
        origin = f"pyxaid, prefix {prefix}"
    else:
        prefix = "Ham"
        files = _scattered(path)
        origin = "pyxaid, written by CA-NAC into the folder of each step"
    unit, scale = unit_of(str(path), options.unit, "Ry")
    re_parts, im_parts, first = read_vibronic_pair(path, files["re"], files["im"], f"`{prefix}<step>`")
    energies, nac = split_vibronic(re_parts, im_parts)
    return assemble(
        path,
        energies * scale,
        nac * scale,
        timestep=timestep,
        grid="midpoint",
        options=options,
        first=first,
        provenance={"format": origin, "sign": "Im H = -hbar d", "units": unit},
    )


def write(hamiltonian: VibronicHamiltonian, path: Path, options: WriteOptions) -> None:
    """Write ``0_Ham_<step>_re/_im`` and a script to start from into a folder."""
    _, scale = unit_of(str(path), options.unit, "Ry")
    re_parts, im_parts = join_vibronic(hamiltonian.midpoint_energies / scale, hamiltonian.nac / scale)
    for step, (real, imaginary) in enumerate(zip(re_parts, im_parts, strict=True), first_number(hamiltonian)):
        write_text(path / f"0_Ham_{step}_re", matrix_text(real))
        write_text(path / f"0_Ham_{step}_im", matrix_text(imaginary))
    write_text(path / "run_pyxaid.py", _script(hamiltonian, options))


def _script(hamiltonian: VibronicHamiltonian, options: WriteOptions) -> str:
    dt, n_steps, n_states = hamiltonian.timestep, hamiltonian.n_steps, hamiltonian.n_states
    duration = 0.5 * n_steps * dt if options.duration is None else options.duration
    steps = min(max(1, round(duration / dt)), n_steps)
    spread = max(1, (n_steps - steps) // max(1, options.n_samples))
    state = options.initial_state
    if state is None:
        state = min(hamiltonian.n_occupied or n_states - 1, n_states - 1)
    starts = list(range(0, max(1, n_steps - steps), spread))[: max(1, options.n_samples)]
    starts = [start + first_number(hamiltonian) for start in starts]
    return f'''# A start for PYXAID on the Hamiltonian beside this file: check every line against your version of the code.
from PYXAID import pyxaid_core

params = {{
    "Ham_re_prefix": "0_Ham_", "Ham_re_suffix": "_re", "Ham_im_prefix": "0_Ham_", "Ham_im_suffix": "_im",
    "energy_units": "{options.unit if options.unit in UNITS else "Ry"}",
    "scratch_dir": "out", "read_couplings": "batch", "read_overlaps": 0,
    "namdtime": {steps}, "nuc_dt": {dt:.10g}, "elec_dt": {dt / 1000:.10g}, "integrator": 0,
    "runtype": "namd", "decoherence": {0 if options.dephasing is None else 1}, "num_sh_traj": {options.n_trajectories},
    "boltz_flag": 1, "Temp": {options.temperature:.10g}, "alp_bet": 0, "is_field": 0, "debug_flag": 0,
    "norbitals": {n_states}, "active_space": {list(range(1, n_states + 1))},  # counted from 1
    "states": {[[f"S{i}", [i + 1], 0.0] for i in range(n_states)]},  # one electron in one orbital each
    "iconds": {[[start, state] for start in starts]},  # first step, state
}}
pyxaid_core.namd(params)
'''


FORMAT = Format(
    "pyxaid",
    "PYXAID's Hamiltonian, any prefix (also CA-NAC's), with a script to start from",
    "hamiltonian",
    "0_Ham_<step>_re, _im",
    sniff,
    read,
    write,
    Holds("midpoint", complex=True, diagonal=False, numbers="consecutive"),
    heeds=("unit", "prefix"),
)
