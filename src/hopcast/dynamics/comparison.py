"""One Hamiltonian, many conventions: how far the lifetime depends on choices that papers leave out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import ConfigError, InputError
from hopcast.core.estimates import Estimate
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.dynamics.dephasing import CONVENTIONS, dephasing_matrix
from hopcast.dynamics.problem import RULES, WAITINGS
from hopcast.dynamics.run import run_dynamics


@dataclass(frozen=True, eq=False)
class Comparison:
    """A row of `compare_methods`.

    Attributes
    ----------
    method, rule, waiting, tau_convention
        The choice; rule and waiting are None where the method has none.
    tau
        Dephasing time of states 0 and 1, fs.
    lifetime, rate
        ns and 1/ns, with their intervals.
    """

    method: str
    rule: str | None
    waiting: str | None
    tau_convention: str
    tau: float
    lifetime: Estimate
    rate: Estimate


@dataclass(frozen=True, eq=False)
class ComparisonTable:
    """Rows of `compare_methods`."""

    rows: tuple[Comparison, ...]

    @property
    def spread(self) -> float:
        """Longest over shortest finite lifetime."""
        times = [row.lifetime.value for row in self.rows if np.isfinite(row.lifetime.value) and row.lifetime.value > 0]
        return max(times) / min(times) if times else float("nan")

    def __str__(self) -> str:
        lines = [f"{'method':10s} {'rule':11s} {'waiting':14s} {'convention':10s} {'tau (fs)':>9s}  lifetime"]
        lines += [
            f"{row.method:10s} {row.rule or '-':11s} {row.waiting or '-':14s} {row.tau_convention:10s} {row.tau:9.4g}  "
            f"{row.lifetime}"
            for row in self.rows
        ]
        return "\n".join([*lines, f"longest over shortest lifetime: {self.spread:.3g}"])


def compare_methods(
    ham: VibronicHamiltonian,
    *,
    rules: Sequence[str] = RULES,
    waitings: Sequence[str] = WAITINGS,
    conventions: Sequence[str] = CONVENTIONS,
    methods: Sequence[str] = (),
    **options: Any,
) -> ComparisonTable:
    """Run all DISH rules, waitings and conventions of the dephasing time, and other methods beside them.

    Parameters
    ----------
    ham
        Vibronic Hamiltonian.
    rules, waitings, conventions
        What to vary.
    methods
        Other methods to run, once each with the first convention (e.g. "fssh", "msdm").
    options
        Of `run_dynamics`; `dephasing_time`, `tau_convention`, `rule`, `waiting` and `method` are varied here.

    Returns
    -------
    ComparisonTable
        Printing it shows the spread of the lifetime.

    Raises
    ------
    ConfigError
        If an option is one of those that are varied.
    """
    varied = {"dephasing_time", "tau_convention", "rule", "waiting", "method"} & set(options)
    if varied:
        raise ConfigError(
            f"Argument `{min(varied)}` must not be given to `compare_methods`, which varies it. "
            "Use `rules`, `waitings`, `conventions` or `methods`."
        )
    taus = {convention: dephasing_matrix(ham, convention) for convention in conventions}
    # the two states on which the carrier ends
    low, high = (-1, -2) if options.get("carrier") == "hole" else (0, 1)
    choices: list[tuple[str, str, str, str]] = [
        ("dish", rule, waiting, convention) for convention in conventions for rule in rules for waiting in waitings
    ]
    choices += [(method, RULES[0], WAITINGS[0], conventions[0]) for method in methods]
    rows = []
    for method, rule, waiting, convention in choices:
        found = run_dynamics(ham, method, rule, waiting, dephasing_time=taus[convention], **options)
        rows.append(
            Comparison(
                method,
                found.rule,
                found.waiting,
                convention,
                float(taus[convention][low, high]),
                found.lifetime,
                found.rate,
            )
        )
    return ComparisonTable(tuple(rows))


def scissor(
    ham: VibronicHamiltonian, shift: float | None = None, *, target_gap: float | None = None, n_lower: int | None = None
) -> VibronicHamiltonian:
    r"""Return the Hamiltonian with its upper states shifted, as a scissor operator does.

    Couplings across the gap are scaled at each mid-point by :math:`E_{old}/E_{new}` of their pair, so that the matrix element
    :math:`\hbar d_{ij}(E_j-E_i) = \langle i|\partial_tH|j\rangle` stays; those within a band stay as they are.

    Parameters
    ----------
    ham
        Vibronic Hamiltonian.
    shift
        eV, of all states above the gap.
    target_gap
        Mean gap wanted instead, eV.
    n_lower
        States below the gap; None takes `ham.n_occupied`, or one of two states.

    Raises
    ------
    ConfigError
        Unless exactly one of `shift` and `target_gap` is given, and the gap is known.
    InputError
        If the shifted gap closes (with the frame).
    """
    if (shift is None) == (target_gap is None):
        raise ConfigError("Give exactly one of `shift` and `target_gap` to `scissor`.")
    n = (
        n_lower
        if n_lower is not None
        else ham.n_occupied
        if ham.n_occupied
        else ham.blocks[0].stop
        if ham.n_blocks == 2
        else None
    )
    if n is None or not 0 < n < ham.n_states:
        raise ConfigError(
            f"Argument `n_lower` must say how many of the {ham.n_states} states lie below the gap, but is {n}."
        )
    gap = ham.energies[:, n:].min(axis=1) - ham.energies[:, :n].max(axis=1)
    move = float(shift) if shift is not None else float(target_gap or 0.0) - float(gap.mean())
    closed = np.flatnonzero(gap + move <= 0)
    if closed.size:
        raise InputError(
            f"A scissor of {move:.4g} eV must leave the gap open, but closes it at frame {closed[0]} ({gap[closed[0]]:.4g} eV before)."
        )
    energies = ham.energies.copy()
    energies[:, n:] += move
    middle = ham.midpoint_energies
    wide = middle[:, None, n:] - middle[:, :n, None]
    factor: NDArray[np.float64] = wide / (wide + move)
    nac = ham.nac.copy()
    nac[:, :n, n:] *= factor
    nac[:, n:, :n] *= factor.swapaxes(1, 2)
    return dataclasses.replace(ham, energies=energies, nac=nac, overlaps=None)


def lifetime_against_gap(
    ham: VibronicHamiltonian, gaps: Sequence[float], **options: Any
) -> list[tuple[float, Estimate]]:
    """Return (mean gap, lifetime) for scissors to some mean gaps; the dephasing time stays that of the unshifted gap.

    Parameters
    ----------
    ham
        Two states (or degenerate blocks).
    gaps
        Mean gaps, eV.
    options
        Of `run_dynamics`.
    """
    if options.get("dephasing_time") is None:
        options["dephasing_time"] = dephasing_matrix(ham, options.pop("tau_convention", "gaussian"))
    return [
        (float(g), run_dynamics(scissor(ham, target_gap=g, n_lower=ham.blocks[0].stop), **options).lifetime)
        for g in gaps
    ]
