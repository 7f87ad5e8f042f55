"""Hefei-NAMD's own input files: `inp`, `INICON`, `DEPHTIME`."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.errors import ConfigError, InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.hdf5 import write_text
from hopcast.io.registry import WriteOptions
from hopcast.io.text import head, line_of_row, read_table

FLAVOURS = ("original", "dev", "dish")
"""`src/namd`, the DEV code, and `src/dish`."""


def read_namelist(path: Path) -> dict[str, str]:
    """Return the entries of a namelist (``inp``) as text, keys in capitals; paths in it are never followed.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    text = head(path, 1 << 16).decode("utf-8", "replace")
    text = re.sub(r"!.*", "", text)
    return {
        key.upper(): value.strip().strip("'\"")
        for key, value in re.findall(r"([A-Za-z_]\w*)\s*=\s*('[^'\n]*'|\"[^\"\n]*\"|[^\s,'\"]+)", text)
    }


def timestep_of(folder: Path, timestep: float | None) -> float | None:
    """Return the time step, the user's or POTIM of the ``inp`` beside the data.

    Raises
    ------
    InputError
        If both are there and differ.
    """
    entry = read_namelist(folder / "inp").get("POTIM") if (folder / "inp").is_file() else None
    if entry is None:
        return timestep
    try:
        found = float(entry.lower().replace("d", "e"))
    except ValueError:
        raise InputError(
            f"File `{folder / 'inp'}` must have a number as POTIM, but has `{entry[:40]}`. Correct it."
        ) from None
    if timestep is not None and not np.isclose(found, timestep, rtol=1e-6):
        raise InputError(
            f"File `{folder / 'inp'}` has POTIM = {found:g} fs, but `timestep` is {timestep:g} fs. Correct the wrong one."
        )
    return found


def write_inputs(hamiltonian: VibronicHamiltonian, folder: Path, options: WriteOptions) -> None:
    """Write ``inp``, ``INICON``, an empty ``COUPCAR`` ("read the text") and, where dephasing times are given, ``DEPHTIME``.

    Bands are those of the source's own ``inp`` where it had one, else counted from 1. The original code and `src/dish` read
    NSW - 1 rows of NATXT, the DEV code NSW of both; NSW is chosen so that all rows are found. `original` and FSSH of `dev` end with
    the data; DISH of both codes repeats it, so that any duration will do. `dev` starts at step 2 or later.

    Raises
    ------
    ConfigError
        If the duration or the initial state does not fit the data, or DISH has no dephasing times.
    """
    if options.flavour not in FLAVOURS:
        raise ConfigError(f"Argument `flavour` must be `original`, `dev` or `dish`, but is `{options.flavour}`.")
    if options.flavour == "dish" and options.dephasing is None:
        raise ConfigError(
            "Flavour `dish` needs dephasing times of all pairs (argument `dephasing`), but there are none."
        )
    n_states, dt = hamiltonian.n_states, hamiltonian.timestep
    bmin = first_band(hamiltonian)
    nsw = _rows(hamiltonian, options.flavour)
    namdtime, starts = _sampling(hamiltonian, nsw, options)
    state = options.initial_state
    if state is None:
        occupied = hamiltonian.n_occupied
        state = occupied if occupied is not None and occupied < n_states else n_states - 1
    if not 0 <= state < n_states:
        raise ConfigError(f"Argument `initial_state` must lie between 0 and {n_states - 1}, but is {state}.")
    write_initial_conditions(folder / "INICON", starts, np.full(len(starts), state + bmin))
    lines = {
        "BMIN": bmin,
        "BMAX": bmin + n_states - 1,
        "NSW": nsw,
        "POTIM": f"{dt:.10g}",
        "TEMP": f"{options.temperature:.10g}",
        "NSAMPLE": len(starts),
        "NAMDTIME": namdtime,
        "NELM": 1000 if options.flavour == "original" else 10,
        "NTRAJ": options.n_trajectories,
        "LHOLE": hamiltonian.provenance.get("LHOLE", ".FALSE."),
    }
    if options.flavour == "dev":
        algorithm = "FSSH" if options.dephasing is None else "DISH"
        lines |= {"ALGO": f"'{algorithm}'", "ALGO_INT": 0, "LCPTXT": ".TRUE."}
    else:
        lines |= {"NBANDS": bmin + n_states - 1, "LCPEXT": ".TRUE.", "RUNDIR": "'.'", "TBINIT": "'INICON'"}
        lines |= {"REALTIME": namdtime, "DIINIT": "'DEPHTIME'"} if options.flavour == "dish" else {"LSHP": ".TRUE."}
    body = "".join(f"  {key:<9}= {value}\n" for key, value in lines.items())
    write_text(folder / "inp", f"&NAMDPARA\n{body}/\n")
    write_text(folder / "COUPCAR", "")
    if options.dephasing is not None:
        write_dephasing_times(folder / "DEPHTIME", options.dephasing)


def bands_of(folder: Path, n_states: int) -> dict[str, str]:
    """Return BMIN and LHOLE of the ``inp`` beside the data, where it speaks of as many bands as the data has."""
    entries = read_namelist(folder / "inp") if (folder / "inp").is_file() else {}
    first, last = entries.get("BMIN", ""), entries.get("BMAX", "")
    if not (first.isdecimal() and last.isdecimal() and int(last) - int(first) + 1 == n_states):
        return {}
    hole = entries.get("LHOLE", ".FALSE.").strip(".").upper().startswith("T")
    return {"BMIN": str(int(first)), "LHOLE": ".TRUE." if hole else ".FALSE."}


def first_band(hamiltonian: VibronicHamiltonian) -> int:
    """Return the number of the lowest band: that of the source where its states are still named after bands in a row, else 1."""
    labels = hamiltonian.state_labels
    if "BMIN" not in hamiltonian.provenance or not all(label.isdecimal() for label in labels):
        return 1
    numbers = np.array([int(label) for label in labels])
    return int(numbers[0]) if numbers[0] > 0 and (np.diff(numbers) == 1).all() else 1


def _rows(hamiltonian: VibronicHamiltonian, flavour: str) -> int:
    if flavour == "dev":
        return hamiltonian.n_steps
    return len(hamiltonian.energies) - (hamiltonian.energy_grid == "midpoint")


def _sampling(hamiltonian: VibronicHamiltonian, nsw: int, options: WriteOptions) -> tuple[int, NDArray[np.int64]]:
    """Return NAMDTIME and the steps to start at."""
    n_steps, dt = hamiltonian.n_steps, hamiltonian.timestep
    duration = 0.5 * n_steps * dt if options.duration is None else options.duration
    namdtime = max(1, round(duration / dt))
    first = 2 if options.flavour == "dev" else 1
    last = nsw - namdtime + (options.flavour == "dev")
    repeats = options.flavour == "dish" or (options.flavour == "dev" and options.dephasing is not None)
    if repeats and last < first:
        last = nsw - 1
    if last < first:
        raise ConfigError(
            f"Argument `duration` must leave room for one start in the {n_steps} steps of the data, but is {duration:g} fs "
            f"({namdtime} steps)."
        )
    return namdtime, np.unique(np.linspace(first, last, max(1, options.n_samples)).round().astype(np.int64))


def write_initial_conditions(path: str | Path, steps: ArrayLike, bands: ArrayLike) -> None:
    """Write ``INICON``: "first step, band" a line, both counted from 1.

    Raises
    ------
    ConfigError
        If the two are not of one length, or below 1.
    """
    pairs = np.broadcast_arrays(np.atleast_1d(steps), np.atleast_1d(bands))
    if min(int(np.min(part)) for part in pairs) < 1:
        raise ConfigError("Steps and bands of INICON are counted from 1, but one is below 1.")
    write_text(path, "".join(f"{int(step):8d} {int(band):6d}\n" for step, band in zip(*pairs, strict=True)))


def read_initial_conditions(path: str | Path) -> NDArray[np.int64]:
    """Return the pairs "first step, band" of an ``INICON`` [n_samples, 2], as they stand (from 1).

    Raises
    ------
    InputError
        If it is no table of two columns of positive whole numbers.
    """
    table = read_table(Path(path), columns=2)
    whole = np.clip(table, -1, 2**53).astype(np.int64)
    bad = np.flatnonzero(((whole != table) | (table < 1)).any(axis=1))
    if bad.size:
        raise InputError(
            f"File `{path}`, line {line_of_row(Path(path), int(bad[0]))} must hold a step and a band, both whole numbers from 1, but holds "
            f"{table[bad[0], 0]:g} and {table[bad[0], 1]:g}. Correct it."
        )
    return whole


def write_dephasing_times(path: str | Path, times: ArrayLike) -> None:
    """Write ``DEPHTIME``: dephasing times of all pairs [n_states, n_states], fs, symmetric, zero on the diagonal.

    Raises
    ------
    ConfigError
        If the matrix is not square and symmetric, or a time of a pair not positive.
    """
    matrix = np.array(times, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.allclose(matrix, matrix.T):
        raise ConfigError(f"Dephasing times must be a symmetric matrix, but have the shape {matrix.shape}.")
    np.fill_diagonal(matrix, 0.0)
    pairs = matrix[np.triu_indices(len(matrix), 1)]
    if not (np.isfinite(pairs).all() and (pairs > 0).all()):
        raise ConfigError("Dephasing times of pairs must be positive and finite, but one is not.")
    write_text(path, "\n".join("".join(f" {value:14.6f}" for value in row) for row in matrix) + "\n")


def read_dephasing_times(path: str | Path) -> NDArray[np.float64]:
    """Return the dephasing times of a ``DEPHTIME`` [n_states, n_states], fs.

    Raises
    ------
    InputError
        If it is not a symmetric matrix of positive times with a zero diagonal.
    """
    table = read_table(Path(path))
    if table.shape[0] != table.shape[1]:
        raise InputError(
            f"File `{path}` must hold a square matrix, but holds {len(table)} lines of {table.shape[1]} numbers. "
            "Give a time for each pair of states."
        )
    diagonal = np.eye(len(table), dtype=bool)
    wrong = np.argwhere(np.where(diagonal, table != 0, (table <= 0) | ~np.isclose(table, table.T)))
    if len(wrong):
        i, j = (int(k) for k in wrong[0])
        raise InputError(
            f"File `{path}`, line {line_of_row(Path(path), i)}, column {j + 1} must fit a symmetric matrix of positive times (fs) with a "
            f"zero diagonal, but holds {table[i, j]:g} (and {table[j, i]:g} across the diagonal). Correct it."
        )
    return table
