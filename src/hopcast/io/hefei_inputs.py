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

FLAVOURS = ("original", "dev")


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
    """Write ``inp``, ``INICON`` and, where dephasing times are given, ``DEPHTIME`` of a run on this Hamiltonian.

    Bands are counted from 1 and those of the files, so that BMIN is 1. The original code reads NSW - 1 rows of EIGTXT
    and NATXT, the DEV code NSW; NSW is chosen so that both find all their rows.

    Raises
    ------
    ConfigError
        If the duration or the initial state does not fit the data.
    """
    if options.flavour not in FLAVOURS:
        raise ConfigError(f"Argument `flavour` must be `original` or `dev`, but is `{options.flavour}`.")
    n_steps, n_states, dt = hamiltonian.n_steps, hamiltonian.n_states, hamiltonian.timestep
    rows = len(hamiltonian.energies) - (hamiltonian.energy_grid == "midpoint")
    nsw = n_steps if options.flavour == "dev" else rows
    duration = 0.5 * n_steps * dt if options.duration is None else options.duration
    namdtime = max(1, round(duration / dt))
    last = nsw - namdtime
    if last < 1:
        raise ConfigError(
            f"Argument `duration` must leave room for one start in the {n_steps} steps of the data, but is {duration:g} fs "
            f"({namdtime} steps)."
        )
    starts = np.unique(np.linspace(1, last, max(1, options.n_samples)).round().astype(int))
    state = options.initial_state
    if state is None:
        occupied = hamiltonian.n_occupied
        state = occupied if occupied is not None and occupied < n_states else n_states - 1
    if not 0 <= state < n_states:
        raise ConfigError(f"Argument `initial_state` must lie between 0 and {n_states - 1}, but is {state}.")
    write_initial_conditions(folder / "INICON", starts, np.full(len(starts), state + 1))
    lines = {
        "BMIN": 1, "BMAX": n_states, "NBANDS": n_states, "NSW": nsw, "POTIM": f"{dt:.10g}",
        "TEMP": f"{options.temperature:.10g}", "NSAMPLE": len(starts), "NAMDTIME": namdtime, "NELM": 1000,
        "NTRAJ": options.n_trajectories, "LHOLE": ".FALSE.",
    }  # fmt: skip
    if options.flavour == "dev":
        algorithm = "FSSH" if options.dephasing is None else "DISH"
        lines |= {"ALGO": f"'{algorithm}'", "ALGO_INT": 0, "LCPTXT": ".TRUE.", "NPAR": 1}
    else:
        lines |= {"LSHP": ".TRUE.", "LCPEXT": ".TRUE.", "RUNDIR": "'.'", "TBINIT": "'INICON'"}
    body = "".join(f"  {key:<9}= {value}\n" for key, value in lines.items())
    write_text(folder / "inp", f"&NAMDPARA\n{body}/\n")
    if options.dephasing is not None:
        write_dephasing_times(folder / "DEPHTIME", options.dephasing)


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
