"""Which decay a population follows, and which transitions carry it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares
from scipy.special import gamma

from hopcast.core.errors import InputError, QualityWarning
from hopcast.core.units import FS_PER_NS
from hopcast.dynamics.result import DynamicsResult

Curve = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
CLEAR: Final = 2.0
"""Difference of AIC beyond which one model is preferred."""


@dataclass(frozen=True)
class DecayModel:
    r"""A fitted decay.

    Attributes
    ----------
    name
        "exponential" :math:`e^{-t/\tau}`, "stretched" :math:`e^{-(t/\tau)^\beta}` or "biexponential"
        :math:`a\,e^{-t/\tau_1}+(1-a)\,e^{-t/\tau_2}`.
    parameters
        :math:`\tau` | :math:`\tau, \beta` | :math:`\tau_1, \tau_2, a`; times in fs.
    lifetime
        Integral of the decay, fs.
    aic
        Akaike's criterion of the least-squares fit; smaller is better.
    """

    name: str
    parameters: tuple[float, ...]
    lifetime: float
    aic: float


@dataclass(frozen=True)
class DecayFits:
    """All models of a decay, the best first, and what limits the choice (an empty string if nothing)."""

    models: tuple[DecayModel, ...]
    note: str

    @property
    def best(self) -> DecayModel:
        """The model with the smallest AIC; the one with fewer parameters unless another is clearly better."""
        return self.models[0]

    def __str__(self) -> str:
        lines = [
            f"{m.name:14s} lifetime {m.lifetime:.4g} fs, parameters {', '.join(f'{p:.4g}' for p in m.parameters)}, "
            f"AIC {m.aic:.4g}"
            for m in self.models
        ]
        return "\n".join(lines + ([f"note: {self.note}"] if self.note else []))


def _exponential(t: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-t * np.exp(-x[0])))


def _stretched(t: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-((t * np.exp(-x[0])) ** np.exp(x[1]))))


def _biexponential(t: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    a = 1.0 / (1.0 + np.exp(-x[2]))
    return np.asarray(a * np.exp(-t * np.exp(-x[0])) + (1 - a) * np.exp(-t * np.exp(-x[1])))


def _fit(curve: Curve, t: NDArray[np.float64], y: NDArray[np.float64], start: list[float]) -> Any:
    def residual(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(curve(t, x) - y)

    return least_squares(residual, start, xtol=1e-12, ftol=1e-12)


def fit_decays(times: ArrayLike, population: ArrayLike, *, equilibrium: float = 0.0) -> DecayFits:
    r"""Fit exponential, stretched and bi-exponential decays to a population and choose by AIC.

    :math:`\mathrm{AIC} = n\ln(\mathrm{RSS}/n) + 2p` over `n` output times with `p` parameters. Neighbouring times share
    their noise, so that differences are larger than they should be: they rank models, no more.

    Parameters
    ----------
    times
        [n_times], fs, from 0.
    population
        What decays, 1 at time 0 and `equilibrium` at the end [n_times].
    equilibrium
        Population that stays.

    Returns
    -------
    DecayFits
        Best first.

    Raises
    ------
    InputError
        If there are fewer than six times, a value is not finite, or the population does not decay.

    Warns
    -----
    QualityWarning
        If the window is too short to tell the models apart: less than half decays in it, or models fit alike but their
        lifetimes differ by more than 10 %.

    References
    ----------
    H. Akaike, IEEE Trans. Autom. Control 1974, 19, 716, 10.1109/TAC.1974.1100705.
    """
    t, p = np.asarray(times, dtype=np.float64), np.asarray(population, dtype=np.float64)
    if t.ndim != 1 or t.shape != p.shape or t.size < 6:
        raise InputError(
            f"A decay needs at least six times and as many values, but has {t.shape} and {p.shape}."
        )
    if not (np.isfinite(t).all() and np.isfinite(p).all()):
        raise InputError("A decay must be finite at every time, but has values that are not.")
    y = (p - equilibrium) / (1.0 - equilibrium)
    if y[-1] >= y[0] or (y >= 1.0 - 1e-12).all():
        raise InputError(
            f"A population must decay to have a lifetime, but goes from {p[0]:.4g} to {p[-1]:.4g}."
        )
    below = np.flatnonzero(y < np.exp(-1))
    last = float(np.clip(y[-1], 1e-6, 1 - 1e-12))
    guess = float(np.log(t[below[0]] if below.size else -t[-1] / np.log(last)))
    trials: dict[str, tuple[Curve, list[list[float]]]] = {
        "exponential": (_exponential, [[guess]]),
        "stretched": (_stretched, [[guess, 0.0], [guess, -0.5]]),
        "biexponential": (
            _biexponential,
            [[guess - 1.0, guess + 0.7, 0.0], [guess - 2.5, guess + 0.2, -1.0]],
        ),
    }
    models = []
    for name, (curve, starts) in trials.items():
        fits = [_fit(curve, t, y, start) for start in starts]
        best = min(fits, key=lambda fit: float(fit.cost))
        # rounding of populations is not information
        rss = max(2.0 * float(best.cost), t.size * 1e-24)
        x = best.x
        if name == "exponential":
            parameters: tuple[float, ...] = (float(np.exp(x[0])),)
            lifetime = float(np.exp(x[0]))
        elif name == "stretched":
            tau, beta = float(np.exp(x[0])), float(np.exp(x[1]))
            parameters, lifetime = (tau, beta), tau / beta * float(gamma(1.0 / beta))
        else:
            a = float(1.0 / (1.0 + np.exp(-x[2])))
            first, second = float(np.exp(x[0])), float(np.exp(x[1]))
            if first > second:
                first, second, a = second, first, 1.0 - a
            parameters, lifetime = (first, second, a), a * first + (1 - a) * second
        models.append(DecayModel(name, parameters, lifetime, t.size * np.log(rss / t.size) + 2 * len(x)))
    chosen = models[0]
    for model in models[1:]:
        if model.aic < chosen.aic - CLEAR:
            chosen = model
    order = [chosen, *sorted((m for m in models if m is not chosen), key=lambda m: m.aic)]
    alike = [m.lifetime for m in models if m.aic < chosen.aic + CLEAR]
    note = ""
    if max(alike) > 1.1 * min(alike) or y[-1] > 0.5:
        note = (
            f"the window is too short to tell the decays apart ({100 * (1 - y[-1]):.3g} % decay in it): lifetimes from "
            f"{min(m.lifetime for m in models):.3g} to {max(m.lifetime for m in models):.3g} fs"
        )
        warnings.warn(f"Decay: {note}.", QualityWarning, stacklevel=2)
    return DecayFits(tuple(order), note)


def transition_rates(result: DynamicsResult) -> NDArray[np.float64]:
    r"""Return the rates between states that the sampled hops show, ``[from, to]``, 1/ns.

    Hops from `i` to `j` over the time that trajectories spent in `i`; NaN for a state nobody visited.

    Raises
    ------
    InputError
        If the method counts no hops between states.
    """
    flows = _flows(result)
    total = result.n_trajectories * result.initial_times.size
    spent = total * np.asarray(np.trapezoid(result.populations, result.times, axis=0)) / FS_PER_NS
    rates = np.full(flows.shape, np.nan)
    visited = spent > 0
    rates[visited] = flows[visited] / spent[visited, None]
    return rates


def active_transitions(result: DynamicsResult) -> list[tuple[str, str, float]]:
    """Return which pairs of states carry the decay: (from, to, net hops a trajectory), the largest first.

    Raises
    ------
    InputError
        If the method counts no hops between states.
    """
    flows = _flows(result)
    net = (flows - flows.T) / (result.n_trajectories * result.initial_times.size)
    pairs = [(result.states[i], result.states[j], float(net[i, j])) for i, j in np.argwhere(net > 0)]
    return sorted(pairs, key=lambda pair: -pair[2])


def _flows(result: DynamicsResult) -> NDArray[np.int64]:
    if result.flows is not None:
        return result.flows
    raise InputError(
        f"Hops between states are counted by sampled methods of many states, but this result of `{result.method}` has none."
    )
