"""What PYXAID writes into its scratch folder: `out`, `me_pop`, `me_energies`, `decoherence_rates_icond`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.io.text import parse_table, read_bytes


@dataclass(frozen=True, eq=False)
class PyxaidOutput:
    """Rows of a file of PYXAID.

    Attributes
    ----------
    steps
        [n_times], number of the nuclear step; times ``nuc_dt`` it is a time.
    values
        [n_times, n_states]: populations, or energies (eV) from that of the first state.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]


def read_pyxaid_populations(path: str | Path) -> PyxaidOutput:
    """Read an ``out<icond>`` (populations of surface hopping) or a ``me_pop<icond>`` (of the wave function).

    Raises
    ------
    InputError
        If it is missing, ragged, not of this form, not finite, or populations do not add up to one.
    """
    found = _labelled(Path(path), rb"P\(\d{1,6}\)=", rb"Total=\s*\S+")
    total = found.values.sum(axis=1)
    worst = int(np.argmax(np.abs(total - 1.0)))
    if abs(total[worst] - 1.0) > 0.01:
        raise InputError(
            f"File `{path}`, line {worst + 1} must hold populations that add up to 1, but they add up to {total[worst]:.6g}. "
            "Check `elec_dt` of the run."
        )
    return found


def read_pyxaid_energies(path: str | Path) -> PyxaidOutput:
    """Read a ``me_energies<icond>``: energies of the basis states from that of the first, eV.

    Raises
    ------
    InputError
        If it is missing, ragged, not of this form, or not finite.
    """
    return _labelled(Path(path), rb"E\[\d{1,6}\]-E\[0\]=", rb"E\[0\]=\s*\S+")


def _labelled(path: Path, label: bytes, left_out: bytes) -> PyxaidOutput:
    """Read lines of a step and of numbers after labels with the number of their state."""
    data = read_bytes(path)
    n_states = len(re.findall(label, data.split(b"\n", 1)[0]))
    # the label of the numbers ends like the one that is left out
    bare = re.sub(left_out, b" ", re.sub(label, b" ", data))
    table = parse_table(re.sub(rb"(?m)^\s*(?:time|t=)(?=\s)", b" ", bare), str(path), columns=n_states + 1)
    steps = table[:, 0]
    if n_states < 1 or np.any(steps != np.rint(steps)) or np.abs(steps).max() > 2**53:
        raise InputError(
            f"File `{path}` must hold lines of a step and of numbers with the labels of their states, as PYXAID writes them, but "
            f"its first line has {n_states} labels. Name another file of the run."
        )
    return PyxaidOutput(steps.astype(np.int64), table[:, 1:])


def read_pyxaid_rates(path: str | Path) -> NDArray[np.float64]:
    r"""Return dephasing times [n_states, n_states], fs, from a ``decoherence_rates_icond<icond>.txt`` (1/fs).

    PYXAID fits :math:`D(t) = A\,e^{-(rt)^2}` and writes the rates `r`; the times are :math:`1/r`, of its convention
    (``tau_convention="pyxaid"``), zero on the diagonal.

    Raises
    ------
    InputError
        If it is no square matrix, not symmetric, or a rate of a pair is not positive (PYXAID writes 0 where its fit failed).

    References
    ----------
    A. V. Akimov, O. V. Prezhdo, J. Chem. Theory Comput. 2014, 10, 789, 10.1021/ct400934c.
    """
    rates = parse_table(read_bytes(Path(path)), str(path))
    if rates.shape[0] != rates.shape[1] or len(rates) < 2:
        raise InputError(
            f"File `{path}` must hold a square matrix of at least two states, but holds {len(rates)} lines of {rates.shape[1]} numbers. "
            "Check that it is complete."
        )
    pairs = ~np.eye(len(rates), dtype=bool)
    bad = np.argwhere(pairs & ~(rates > 1e-12))
    if len(bad):
        i, j = bad[0]
        raise InputError(
            f"File `{path}`, line {i + 1}, column {j + 1} must hold a positive rate (1/fs), but holds {rates[i, j]:g}. PYXAID writes 0 "
            "where it cannot fit one: give dephasing times of your own for this pair."
        )
    # six digits are printed
    wrong = np.argwhere(np.where(pairs, ~np.isclose(rates, rates.T, rtol=1e-4), rates != 0))
    if len(wrong):
        i, j = wrong[0]
        raise InputError(
            f"File `{path}`, line {i + 1}, column {j + 1} must fit a symmetric matrix with a zero diagonal, but holds {rates[i, j]:g} "
            f"(and {rates[j, i]:g} across the diagonal). Write it again, of one initial condition."
        )
    times = np.zeros_like(rates)
    times[pairs] = 2.0 / (rates + rates.T)[pairs]
    return times
