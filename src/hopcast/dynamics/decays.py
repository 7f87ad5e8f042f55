"""Which decay a population follows, and which transitions carry it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gamma, gammaincc

from hopcast.core.errors import InputError, QualityWarning
from hopcast.core.units import FS_PER_NS, time_unit
from hopcast.dynamics.result import DynamicsResult

Floats = NDArray[np.float64]
Curve = Callable[[Floats, Floats], Floats]

CLEAR: Final = 2.0
"""Difference of BIC below which two models fit alike."""
CLOSE: Final = 0.005
"""Largest deviation, of the population, at which a model describes a curve that has no noise."""
LONGEST: Final = 10.0
"""Longest time of a model of several parameters, windows: of a slower part the window shows less than a tenth."""
EXTRAPOLATED: Final = 0.1
"""Share of a lifetime beyond the window from which on it is said."""
MOST_SAMPLES: Final = 10**6


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
    extrapolated
        Share of that integral beyond the window: what no data stand behind but the model.
    deviation
        Largest difference to the population.
    bic
        Bayesian criterion of the likelihood of the decay times, smaller is better; None for a curve that counts no samples.
    """

    name: str
    parameters: tuple[float, ...]
    lifetime: float
    extrapolated: float
    deviation: float
    bic: float | None


@dataclass(frozen=True)
class DecayFits:
    """All models of a decay, the best first, and what limits the choice (an empty string if nothing).

    Attributes
    ----------
    models
        The chosen one, then the others by their criterion.
    note
        What limits the choice or the lifetime.
    n_samples
        Number of decay times behind the population; None for a curve without sampling noise.
    """

    models: tuple[DecayModel, ...]
    note: str
    n_samples: int | None = None

    @property
    def best(self) -> DecayModel:
        """The chosen model."""
        return self.models[0]

    def __str__(self) -> str:
        lines = [
            f"{m.name:14s} lifetime {_shown_time(m.lifetime)} ({100 * m.extrapolated:.2g} % beyond the window), "
            f"parameters {_shown_parameters(m)}, off by {m.deviation:.2g}"
            + ("" if m.bic is None else f", BIC {m.bic:.5g}")
            for m in self.models
        ]
        return "\n".join(lines + ([f"note: {self.note}"] if self.note else []))


def _shown_time(femtoseconds: float) -> str:
    unit, factor = time_unit(femtoseconds / FS_PER_NS)
    return f"{femtoseconds / FS_PER_NS * factor:.4g} {unit}"


def _shown_parameters(model: DecayModel) -> str:
    n_times = 2 if model.name == "biexponential" else 1
    shown = [_shown_time(time) for time in model.parameters[:n_times]]
    return ", ".join([*shown, *(f"{number:.4g}" for number in model.parameters[n_times:])])


def fit_decays(
    times: ArrayLike, population: ArrayLike, *, equilibrium: float = 0.0, n_samples: int | None = None
) -> DecayFits:
    r"""Fit exponential, stretched and bi-exponential decays to a population and choose the simplest that does.

    **A share of samples** that only falls is the survival curve of that many decay times: its values at different times
    share their errors, its increments do not. With :math:`n_i` decays between output times the log-likelihood of a model `S` is
    multinomial, :math:`\ln L=\sum_i n_i\ln[S(t_{i-1})-S(t_i)] + n_{left}\ln S(T)`, and the choice is that of
    :math:`\mathrm{BIC} = -2\ln L + p\ln N` over `p` parameters.

    **A curve without noise** (of the exact solver) has no likelihood: the simplest model of least squares that deviates nowhere
    by more than half a percent is chosen, or else one that at least halves the deviation of every simpler one. So is a share
    of samples that also rises, with :math:`1.36/\sqrt N` (Kolmogorov's 95 %) for half a percent where that is larger.

    Times of a model of several parameters lie between a tenth of the first output time and ten windows, so that no part of a
    decay is slower than what the window can show.

    Parameters
    ----------
    times
        [n_times], fs, from 0.
    population
        What decays, 1 at time 0 and `equilibrium` at the end [n_times].
    equilibrium
        Population that stays.
    n_samples
        How many trajectories the population is a share of; None finds out: whole multiples of 1/N count N samples, anything
        else is a curve without noise.

    Returns
    -------
    DecayFits
        Best first.

    Raises
    ------
    InputError
        If there are fewer than six times, a value is not finite, `n_samples` is not positive, or the population does not decay.

    Warns
    -----
    QualityWarning
        If more than a tenth of the lifetime lies beyond the window, or models fit alike but their lifetimes differ by more
        than 10 %.

    References
    ----------
    G. Schwarz, Ann. Stat. 1978, 6, 461, 10.1214/aos/1176344136; J. F. Lawless, Statistical Models and Methods for Lifetime
    Data, Wiley 2003, 10.1002/9781118033005 (grouped survival times).
    """
    t, p = np.asarray(times, dtype=np.float64), np.asarray(population, dtype=np.float64)
    if t.ndim != 1 or t.shape != p.shape or t.size < 6:
        raise InputError(f"A decay needs at least six times and as many values, but has {t.shape} and {p.shape}.")
    if not (np.isfinite(t).all() and np.isfinite(p).all()):
        raise InputError("A decay must be finite at every time, but has values that are not.")
    if n_samples is not None and n_samples < 1:
        raise InputError(f"Argument `n_samples` must be at least 1, but is {n_samples}.")
    y = (p - equilibrium) / (1.0 - equilibrium)
    if y[-1] >= y[0] or (y >= 1.0 - 1e-12).all():
        raise InputError(f"A population must decay to have a lifetime, but goes from {p[0]:.4g} to {p[-1]:.4g}.")
    n = _count_samples(p) if n_samples is None else n_samples
    survival = n is not None and equilibrium == 0.0 and bool((np.diff(p) <= 1e-9).all())
    models = [
        _fitted(model, t, y, _by_likelihood if survival else _by_least_squares, n if survival else None)
        for model in _MODELS
    ]
    close = CLOSE if n is None else max(CLOSE, 1.36 / math.sqrt(n))
    order = _by_bic(models) if survival else _by_deviation(models, close)
    note = _limits(order, 1.0 - float(y[-1]), survival, close)
    if note:
        warnings.warn(f"Decay: {note}.", QualityWarning, stacklevel=2)
    return DecayFits(tuple(order), note, n)


@dataclass(frozen=True)
class _Model:
    """A decay as a function of unbounded coordinates x, with what they mean."""

    name: str
    curve: Curve
    starts: tuple[tuple[float, ...], ...]
    """Coordinates to start from; the first ones are logarithms of times over a guess of the lifetime."""
    n_times: int
    limits: tuple[tuple[float, float], ...]
    """Of the coordinates that are no times."""


def _exponential(t: Floats, x: Floats) -> Floats:
    return np.asarray(np.exp(-t * np.exp(-x[0])))


def _stretched(t: Floats, x: Floats) -> Floats:
    return np.asarray(np.exp(-((t * np.exp(-x[0])) ** np.exp(x[1]))))


def _biexponential(t: Floats, x: Floats) -> Floats:
    a = 1.0 / (1.0 + np.exp(-x[2]))
    return np.asarray(a * np.exp(-t * np.exp(-x[0])) + (1 - a) * np.exp(-t * np.exp(-x[1])))


_MODELS: Final = (
    _Model("exponential", _exponential, ((0.0,),), 1, ()),
    _Model("stretched", _stretched, ((0.0, 0.0), (0.0, -0.5)), 1, ((-1.6, 1.1),)),
    _Model("biexponential", _biexponential, ((-1.0, 0.7, 0.0), (-2.5, 0.2, -1.0)), 2, ((-7.0, 7.0),)),
)

_Fit = Callable[[_Model, Floats, Floats, Floats, list[tuple[float, float]], int | None], tuple[Floats, float]]


def _by_likelihood(
    model: _Model, t: Floats, y: Floats, start: Floats, bounds: list[tuple[float, float]], n: int | None
) -> tuple[Floats, float]:
    """Return coordinates and -2 ln L of the decay times."""
    from scipy.optimize import minimize  # takes a quarter of a second to import

    decays = -np.diff(y) * (n or 1)
    left = float(y[-1]) * (n or 1)
    inside = decays > 0

    def misfit(x: Floats) -> float:
        s = model.curve(t, x)
        shares = np.maximum(-np.diff(s)[inside], 1e-300)
        return -2.0 * float(decays[inside] @ np.log(shares) + left * np.log(max(float(s[-1]), 1e-300)))

    found = minimize(misfit, start, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x), float(found.fun)


def _by_least_squares(
    model: _Model, t: Floats, y: Floats, start: Floats, bounds: list[tuple[float, float]], n: int | None
) -> tuple[Floats, float]:
    """Return coordinates and cost of the curve of least squares."""
    from scipy.optimize import least_squares

    low, high = np.array(bounds).T
    found = least_squares(
        lambda x: model.curve(t, x) - y, start, bounds=(low, high), xtol=1e-12, ftol=1e-12, gtol=1e-14
    )
    return np.asarray(found.x), float(found.cost)


def _fitted(model: _Model, t: Floats, y: Floats, fit: _Fit, n: int | None) -> DecayModel:
    window = float(t[-1])
    below = np.flatnonzero(y < np.exp(-1))
    last = float(np.clip(y[-1], 1e-6, 1 - 1e-12))
    guess = float(np.log(t[below[0]] if below.size and t[below[0]] > 0 else -window / np.log(last)))
    most = np.log(LONGEST * window) if model.name != "exponential" else guess + 10.0
    least = min(np.log(0.1 * float(t[t > 0].min())), most - 1e-3)
    bounds = [(float(least), float(most))] * model.n_times + list(model.limits)
    starts = [np.array([guess] * model.n_times + [0.0] * len(model.limits)) + np.array(s) for s in model.starts]
    inner = [np.array([np.clip(v, a, b) for v, (a, b) in zip(s, bounds, strict=True)]) for s in starts]
    x, misfit = min((fit(model, t, y, s, bounds, n) for s in inner), key=lambda found: found[1])
    parameters, lifetime, beyond = _meaning(model.name, x, window)
    return DecayModel(
        model.name,
        parameters,
        lifetime,
        beyond / lifetime,
        float(np.abs(model.curve(t, x) - y).max()),
        None if n is None else misfit + len(x) * math.log(n),
    )


def _meaning(name: str, x: Floats, window: float) -> tuple[tuple[float, ...], float, float]:
    """Return parameters, integral of the decay, and its part beyond the window, fs."""
    if name == "stretched":
        tau, beta = float(np.exp(x[0])), float(np.exp(x[1]))
        lifetime = tau / beta * float(gamma(1.0 / beta))
        return (tau, beta), lifetime, lifetime * float(gammaincc(1.0 / beta, (window / tau) ** beta))
    if name == "exponential":
        tau = float(np.exp(x[0]))
        return (tau,), tau, tau * math.exp(-window / tau)
    a = float(1.0 / (1.0 + np.exp(-x[2])))
    first, second = float(np.exp(x[0])), float(np.exp(x[1]))
    if first > second:
        first, second, a = second, first, 1.0 - a
    beyond = a * first * math.exp(-window / first) + (1 - a) * second * math.exp(-window / second)
    return (first, second, a), a * first + (1 - a) * second, beyond


def _by_bic(models: list[DecayModel]) -> list[DecayModel]:
    return sorted(models, key=lambda m: m.bic if m.bic is not None else math.inf)


def _by_deviation(models: list[DecayModel], close: float) -> list[DecayModel]:
    chosen = models[0]
    for model in models[1:]:
        if chosen.deviation > close and model.deviation < 0.5 * chosen.deviation:
            chosen = model
    return [chosen, *sorted((m for m in models if m is not chosen), key=lambda m: m.deviation)]


def _limits(order: list[DecayModel], decayed: float, survival: bool, close: float) -> str:
    """Return what limits choice and lifetime, or an empty string."""
    best = order[0]
    if survival:
        alike = [m.lifetime for m in order if (m.bic or 0.0) <= (best.bic or 0.0) + CLEAR]
    else:
        alike = [m.lifetime for m in order if m.deviation <= max(best.deviation, close)]
    said = []
    if max(alike) > 1.1 * min(alike):
        said.append(
            f"the window is too short to tell the decays apart ({100 * decayed:.3g} % decay in it): lifetimes from "
            f"{min(alike):.3g} to {max(alike):.3g} fs"
        )
    if best.extrapolated > EXTRAPOLATED:
        said.append(
            f"{100 * best.extrapolated:.0f} % of the lifetime lies beyond the window ({100 * decayed:.3g} % decay in it): "
            "extrapolated by the model"
        )
    return "; ".join(said)


def _count_samples(population: Floats) -> int | None:
    """Return N of which all values are whole multiples of 1 / N, or None if no N up to a million does."""
    n = 1
    for value in population.tolist():
        share = Fraction(value).limit_denominator(MOST_SAMPLES)
        if abs(float(share) - value) > 1e-12:
            return None
        n = math.lcm(n, share.denominator)
        if n > MOST_SAMPLES:
            return None
    return n if n > 1 else None


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
