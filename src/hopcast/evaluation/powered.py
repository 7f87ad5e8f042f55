"""Prediction-powered means: a forecast as the control variate of a few true samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.errors import ConfigError, InputError, check_choice
from hopcast.core.resampling import MIN_BLOCKS, cut_into_blocks, mean_interval
from hopcast.core.showing import Shown
from hopcast.evaluation.samples_in_time import Memory, long_run_variance, sampled_share

Floats = NDArray[np.float64]
Target = Literal["trajectory", "long-run"]

FEWEST: Final = 12
"""Samples below which a forecast gets no weight, as with fewer than `MIN_BLOCKS` independent blocks: the slope fits whatever there is."""

_LEAST_FREEDOM: Final = 3.0
_LEAST_UNSEEN: Final = 1e-6


@dataclass(frozen=True, repr=False)
class PoweredMean(Shown):
    """A prediction-powered mean and its interval.

    Attributes
    ----------
    value
        The estimate, unit of y.
    low, high
        Its interval at `level`.
    weight
        lambda: 0 the plain average of the samples, near 1 a forecast that is trusted.
    plain
        The plain average of the samples.
    level, n_samples
        As used.
    n_blocks
        Blocks, or independent samples where frames are known.
    target
        Whose mean the interval is about: "trajectory" or "long-run".
    """

    value: float
    low: float
    high: float
    weight: float
    plain: float
    level: float
    n_samples: int
    n_blocks: int
    target: Target = "trajectory"

    def headline(self) -> str:
        """Return the estimate with its interval."""
        return f"{self.value:.5g} [{self.low:.5g}, {self.high:.5g}], weight {self.weight:.3f}"

    def __str__(self) -> str:
        whose = "the trajectory's mean" if self.target == "trajectory" else "the long-run mean"
        return (
            f"{self.value:.5g} [{self.low:.5g}, {self.high:.5g}] at {100 * self.level:g} % for {whose}, "
            f"weight {self.weight:.3f}, plain average {self.plain:.5g} ({self.n_samples} samples, {self.n_blocks} blocks)"
        )


def prediction_powered_mean(
    y: ArrayLike,
    m_sampled: ArrayLike,
    m_all: ArrayLike,
    blocks: ArrayLike | None = None,
    level: float = 0.9,
    *,
    frames: ArrayLike | None = None,
    target: Target = "trajectory",
    n_bootstrap: int = 2000,
    random_state: int = 0,
) -> PoweredMean:
    r"""Estimate the mean of y over all frames from samples of y and a forecast of every frame.

    .. math::

        \hat k = \langle y\rangle_S + \lambda (\langle m\rangle_{all} - \langle m\rangle_S), \qquad
        \lambda = \frac{b}{1 + n/N} \Big(1 - c\,\frac{\mathrm{var}(b)}{b^2}\Big)_+, \qquad
        b = \frac{\mathrm{cov}_S(y, m)}{\mathrm{var}_S(m)}

    with var(b) the sampling variance of the slope b between blocks and :math:`c = 1 + (10/n)^3` of n independent samples or blocks.

    Parameters
    ----------
    y
        True values of the sampled frames, [n].
    m_sampled
        Forecasts of the sampled frames, each by a model that saw neither it nor its neighbours (cross-fitted), [n].
    m_all
        Forecasts of all frames, [N].
    blocks
        Label of each sample's block, [n]; blocks count whole. None: samples are independent, unless `frames` says where
        they lie.
    level
        Of the interval.
    frames
        Which of the N frames each sample is, [n]: how much neighbouring samples share is then estimated, and needs no blocks.
    target
        What the interval is about. "trajectory": the mean over the N frames given. "long-run": the mean that ever longer
        trajectories tend to, with what this one happened to do as a further error.
    n_bootstrap, random_state
        Resamples behind the interval where there are enough samples for them (`mean_interval`), and their seed.

    Returns
    -------
    PoweredMean
        ``.value``, ``.low``, ``.high``, ``.weight``.

    Raises
    ------
    InputError
        If shapes do not fit, a value is not finite, a frame is not among the N or named twice, or there are fewer than two
        samples or blocks.
    ConfigError
        If `level` is not between 0 and 1, `n_bootstrap` below 100, a target unknown, or both `blocks` and `frames` given.

    Notes
    -----
    **Weight.** A forecast that does not vary over the samples gets weight 0, and so does any forecast of fewer than twelve
    samples, or ten independent blocks of them: with two the slope fits exactly, with six log-normal ones a useless forecast costs up to 40 %, with eight up to 13 %, and
    of nominal 90 % intervals 84 to 86 % hold with eight to ten. Without the last factor (PPI++) it
    triples the variance; var(b) is therefore that of MacKinnon and White's HC3 or of independent errors, whichever is larger,
    and counts more the fewer the samples. Where a positive y (all samples above 0) would get an estimate below 0 the weight is 0.

    **Interval.** That of the mean of y (of sums over blocks, where there are any) by `hopcast.core.resampling.mean_interval`: Student's t,
    aware of skewness, on the logarithmic scale for positive y; moved to the estimate and scaled by the ratio of standard errors
    of the residuals :math:`y - \lambda m` and of y. Residuals are inflated
    by the leverage of their forecast on the slope, and where the forecast strays further on frames that were not sampled by what it says of
    them: squared residuals are a line in the squared deviation of the forecast, :math:`e^2\approx a+b(m-\bar m_S)^2` with `a` and `b` at least
    0, and their mean is taken over all frames. (Of log-normal targets a forecast that is fitted where nothing happened is extrapolated to
    the rare frames that carry the mean; without this 77 % of 90 % intervals hold, with it 86 %.)

    **Samples in time.** Regular samples of a slow series know its mean along the trajectory better than independent ones,
    and the long-run mean worse. With `frames` the correlation :math:`\rho_k` of residuals k samples apart is
    taken as :math:`(1-\nu)e^{-t/\tau}`, and the variance of :math:`\bar e_S-\bar e_{all}` is that of this process at these frames. For
    the long run the variance of the trajectory's own mean about it is added: what the samples of y show
    of it, :math:`s_y^2(1+\rho)/(1-\rho)/n` less the former for y, or what ten blocks of the forecast do, whichever is larger. There
    :math:`\rho` is the larger of those of y and of its normal scores, which do not depend on whether a rare high value happens to be
    among the samples, and the shape of the interval is that of the means of as many stretches as are independent (at least ten).
    Blocks or independent samples share nothing: their mean strays from that of all N frames with a variance smaller by 1 - n/N, which is all
    that the two targets differ by.

    The factor 1 + n/N is that of N frames apart from the n samples (PPI++); where the samples are among the N, the
    least variance is without it. The loss is (n/N)^2/(1 + n/N)^2 of what the forecast gains, so 1 % at n/N = 1/9.

    References
    ----------
    Angelopoulos et al., Science 2023, 382, 669, doi:10.1126/science.adi6000.
    Angelopoulos, Duchi, Zrnic, *PPI++*, arXiv:2311.01453.
    James, Stein, Proc. 4th Berkeley Symp. 1961, 1, 361 (why a noisy slope is shrunk).
    MacKinnon, White, J. Econometrics 1985, 29, 305, doi:10.1016/0304-4076(85)90158-7 (HC3).
    Särndal, Swensson, Wretman, Model Assisted Survey Sampling, Springer 1992, chapter 6 (variances that the model tells).
    Cochran, Sampling Techniques, 3rd ed., Wiley 1977, chapter 8 (systematic samples of autocorrelated series).
    """
    if not 0.0 < level < 1.0:
        raise ConfigError(f"Argument `level` must lie between 0 and 1, but is {level}.")
    if n_bootstrap < 100:
        raise ConfigError(f"Argument `n_bootstrap` must be at least 100, but is {n_bootstrap}.")
    check_choice("target", target, ("trajectory", "long-run"))
    given = _samples(y, m_sampled, m_all, blocks, frames)
    truth, codes, n, n_blocks = given.y, given.codes, len(given.y), given.n_blocks
    memory = Memory(0.0, 0.0)
    if given.at is not None:
        memory = Memory.of(truth) if target == "trajectory" else Memory.in_the_long_run(truth)
    independent = n_blocks / memory.inefficiency
    plain, positive = float(truth.mean()), bool((truth > 0).all())
    weight = _weight(truth, given.m, codes, independent) / (1.0 + n / len(given.m_all))
    shift = float(given.m_all.mean() - given.m.mean())
    if positive and plain + weight * shift <= 0:
        weight = 0.0
    value = plain + weight * shift
    own = _residual_variance(truth, given.m, 0.0, codes)
    variance = _variance(given, weight, memory if target == "long-run" else None, own)
    freedom = float(n_blocks - 1)
    if target == "long-run":
        freedom = min(freedom, max(independent - 1.0, _LEAST_FREEDOM))
    # rare values that few samples lack are missing from residuals and truths alike: the shape is that of the truths
    values = plain + _block_sums(truth - plain, codes) * n_blocks / n
    if target == "long-run" and independent < n_blocks:
        # as few as their memory leaves independent, and as skew as those are
        values = cut_into_blocks(truth, int(min(max(independent, MIN_BLOCKS), n_blocks)))[0]
        own = float(values.var(ddof=1)) / len(values)
    wider = float(np.sqrt(variance / own)) if own > 0 else 1.0
    found = mean_interval(
        values,
        level,
        positive=positive,
        widening=max(wider, 1.0),
        freedom=freedom,
        n_draws=n_bootstrap,
        random_state=random_state,
    )
    part = min(wider, 1.0)
    low = value - part * (plain - found.low)
    if positive and part * plain > value:  # the same step on the logarithmic scale, which cannot reach zero
        low = value * (found.low / plain) ** (part * plain / value)
    return PoweredMean(
        value=value,
        low=low,
        high=value + part * (found.high - plain),
        weight=weight,
        plain=plain,
        level=level,
        n_samples=n,
        n_blocks=max(1, int(independent)),
        target=target,
    )


@dataclass(frozen=True, eq=False)
class _Samples:
    """Truths and forecasts of n samples, in the order of time where frames are known, and forecasts of all frames."""

    y: Floats
    m: Floats
    m_all: Floats
    codes: NDArray[np.intp]
    """Which block each sample is of."""
    at: NDArray[np.intp] | None
    """Which frame each is, ascending."""

    @property
    def n_blocks(self) -> int:
        return int(self.codes.max()) + 1


def _samples(
    y: ArrayLike, m_sampled: ArrayLike, m_all: ArrayLike, blocks: ArrayLike | None, frames: ArrayLike | None
) -> _Samples:
    """Return checked samples."""
    truth, sampled, everywhere = (
        _series(name, v) for name, v in (("y", y), ("m_sampled", m_sampled), ("m_all", m_all))
    )
    n, at = len(truth), None
    if len(sampled) != n:
        raise InputError(
            f"Argument `m_sampled` must have one forecast for each of {n} samples, but has {len(sampled)}."
        )
    if blocks is not None and frames is not None:
        raise ConfigError("Arguments `blocks` and `frames` must not both be given: frames need no blocks.")
    if frames is not None:
        at = _frames(frames, n, len(everywhere))
        order = np.argsort(at)
        truth, sampled, at = truth[order], sampled[order], at[order]
    labels = np.arange(n) if blocks is None else np.asarray(blocks)
    if labels.shape != (n,):
        raise InputError(
            f"Argument `blocks` must have one label for each of {n} samples, but has shape {labels.shape}."
        )
    found = _Samples(truth, sampled, everywhere, np.unique(labels, return_inverse=True)[1], at)
    if found.n_blocks < 2:
        raise InputError(
            f"Arguments `y` and `blocks` must hold at least two samples and blocks, but hold {n} and {found.n_blocks}."
        )
    return found


def _variance(given: _Samples, weight: float, memory: Memory | None, own: float) -> float:
    """Return the variance of the estimate about the trajectory's mean, or with the memory of y about the long-run mean."""
    n, n_all = len(given.y), len(given.m_all)
    variance = _residual_variance(given.y, given.m, weight, given.codes)
    if weight != 0:
        variance *= _beyond_the_samples(given.y, given.m, given.m_all)
    unseen = max(1.0 - n / n_all, _LEAST_UNSEEN)
    if given.at is None:
        variance *= unseen
    else:
        variance *= sampled_share(Memory.of(given.y - weight * given.m, cautious=True), given.at, n_all)
    if memory is None:
        return variance
    seen = unseen if given.at is None else sampled_share(memory, given.at, n_all)
    shown = own * max(memory.inefficiency * memory.shrinkage(n) - seen, 0.0)
    return variance + max(shown, 0.0 if given.at is None else weight**2 * long_run_variance(given.m_all))


def _block_sums(values: Floats, codes: NDArray[np.intp]) -> Floats:
    return np.asarray(np.bincount(codes, weights=values), dtype=np.float64)


def _residual_variance(y: Floats, m: Floats, weight: float, codes: NDArray[np.intp]) -> float:
    """Return the variance of the mean of y - weight m over independent blocks.

    What the slope fits away is put back, by the leverage of each block on the line of y on m (HC3).
    """
    dy, dm = y - y.mean(), m - m.mean()
    sums = _block_sums(dy - weight * dm, codes)
    n_blocks = len(sums)
    if weight != 0:
        left = _block_sums(dy - float(dm @ dy) / float(dm @ dm) * dm, codes)
        sums += left * (1.0 / np.minimum(1.0 - _leverage(m, codes) + 1.0 / n_blocks, 1.0) - 1.0)
    return float(sums @ sums) * n_blocks / (n_blocks - 1) / len(y) ** 2


def _beyond_the_samples(y: Floats, m: Floats, everywhere: Floats) -> float:
    """Return by how much residuals scatter more on all frames than on the samples, as far as the forecast tells.

    Their squares are a line in the squared deviation of the forecast, neither end of which is negative; where the forecast strays
    further on frames that were not sampled, so do they.
    """
    dy, dm = y - y.mean(), m - m.mean()
    away = dm**2 / float(dm @ dm) * len(y)
    left = (dy - float(dm @ dy) / float(dm @ dm) * dm) / np.maximum(1.0 - (1.0 + away) / len(y), 1e-3)
    squares = left**2 / max(float(left @ left) / len(y), 1e-300)
    spread = away - 1.0
    growing = float(spread @ squares) / max(
        float(spread @ spread), 1e-300
    )  # of the mean square, with the squared deviation
    strays = float(np.mean((everywhere - m.mean()) ** 2)) / float(dm @ dm) * len(y)
    return max(1.0, 1.0 + min(max(growing, 0.0), 1.0) * (strays - 1.0))


def _leverage(m: Floats, codes: NDArray[np.intp]) -> Floats:
    """Return the leverage of each block on the line of y on m, below 1."""
    dm = m - m.mean()
    return np.asarray(np.minimum(_block_sums(dm**2 / float(dm @ dm) + 1.0 / len(m), codes), 0.999))


def _weight(y: Floats, m: Floats, codes: NDArray[np.intp], independent: float) -> float:
    """Return the slope of y on m, shrunk by its own noise; 0 with too few samples."""
    dy, dm = y - y.mean(), m - m.mean()
    squares = float(dm @ dm)
    n, n_blocks = len(y), int(codes.max()) + 1
    if n < FEWEST or independent < MIN_BLOCKS or squares <= len(m) * (1e-14 * np.abs(m).max()) ** 2:
        return 0.0
    slope = float(dm @ dy) / squares
    left = dy - slope * dm
    apart = _block_sums(dm * left, codes) / (1.0 - _leverage(m, codes))
    sums = _block_sums(left, codes)
    shared = max(1.0, float(sums @ sums) / max(float(left @ left), 1e-300) * n_blocks / (n_blocks - 1))
    alike = shared * float(left @ left) / max(n - 2, 1) * squares  # errors that do not depend on the forecast
    noise = max(float(apart @ apart), alike) / squares**2 * n_blocks / independent
    shrunk = slope**2 - (1.0 + (10.0 / independent) ** 3) * noise
    return shrunk / slope if shrunk > 0 else 0.0


def _frames(frames: ArrayLike, n: int, n_all: int) -> NDArray[np.intp]:
    given = np.asarray(frames)
    if given.shape != (n,) or given.dtype.kind not in "iu":
        raise InputError(
            f"Argument `frames` must have one whole number for each of {n} samples, but has shape {given.shape} of {given.dtype}."
        )
    if given.min() < 0 or given.max() >= n_all:
        raise InputError(
            f"Argument `frames` must lie among the {n_all} frames of `m_all`, but holds {given.min()} to {given.max()}."
        )
    if len(np.unique(given)) != n:
        raise InputError("Argument `frames` must name each frame once, but repeats one.")
    return given.astype(np.intp)


def _series(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise InputError(f"Argument `{name}` must be a series of at least one value, but has shape {array.shape}.")
    if not np.isfinite(array).all():
        raise InputError(
            f"Argument `{name}` must be finite, but value {np.flatnonzero(~np.isfinite(array))[0]} is not."
        )
    return array
