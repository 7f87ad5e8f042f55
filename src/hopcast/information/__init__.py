r"""How much a feature knows of a target along a trajectory, and how much of that is only smoothness.

**Estimator.** Kraskov, Stögbauer, Grassberger, estimator 1, in nat, max norm, each variable scaled to unit
variance:

    I = psi(k) + <psi(M_i + 1)> - <psi(n_x + 1) + psi(n_y + 1)>

n_x, n_y: other samples strictly inside the distance of the joint k-th neighbour of sample i; M_i: samples admitted
as its neighbours, n_samples - 1 without a window, so that the second term is psi(n_samples). In this mode
`mutual_information` has the values of `sklearn.feature_selection.mutual_info_regression`, its jitter and its clip
at 0 included. Exact counts matter: the k-th neighbour lies exactly on the border in one of the two marginals.

**Trap.** Along a densely sampled trajectory the nearest neighbours of a frame are the frames just before and after
it, in every variable. Two independent smooth series then show 1-2 nat. So a raw value never stands without the
raw value of the same features shifted circularly in time (`raw_null_mean`), which has the smoothness and no
information.

**Corrected** (the value to believe): the estimate on series decimated to half the first zero crossing of the
autocorrelation, averaged over all offsets, not clipped. In the max norm two samples are neighbours only if both
variables have hardly moved, so a pair needs the stride of its faster member only; `information` takes the target's
or the slowest feature's, whichever is shorter, one stride for all, so that all features of a group share one null.

**Windowed**: frames with |i - j| < w excluded from the joint search and from both counts (Theiler). On smooth series
it is biased low, by about 1 nat, so it stands beside its own shifted null. Frames within w of the seam of a shift
are excluded likewise; the seam itself is one jump in the series.

Series are scaled to unit variance for `raw` (scikit-learn's values) and replaced by their normal scores for everything else:
heavy tails bias the estimate low (0.22 nat of a bivariate normal become 0.10 for sinh 2z).

**Significance.** The decimated series is shifted circularly, by whole decimated samples (half the first zero crossing) and at least
the first zero crossing from where it was, and the
null values of all features of a group (an element) that are alike in speed, within an octave, are pooled: p = (1 + number >= value) / (1 + number).
Shifts a correlation time apart would be independent surrogates, but two to five of them reach no p at all; nearer ones repeat each other and
keep the errors of the first kind (docs/validation.md).
Features of a group resemble each other and are shifted together, so the pool is not that many independent draws.
The smallest p that S shifts can support is 1 / (1 + S n_eff), with n_eff = n^2 / sum_ij r_ij^2 the effective number of
independent features from the correlations r_ij of their null values over the shifts (copies count once); no p is
reported below it. `p_adjusted` follows Benjamini and Hochberg. A short trajectory is no error: the result's
`reason` says what is inconclusive and which length is needed.

**Correlation time.** First lag after which the envelope of the autocorrelation (magnitude of its analytic signal,
lags up to a quarter of the series) stays below 1/e; of target and features the slowest. If it does not, it is flagged
as not resolved.

**Ranking.** `rank_elements`: the "mean MI" of an element is the sum over all features of all its atoms over the number
of its atoms; its best function has the largest raw mean over the atoms (the paper's choice), with the choice by the
corrected mean beside it.

**More than one feature.** `conditional_information` is I(x; y | z) of Frenzel and Pompe (Phys. Rev. Lett. 99, 204101 (2007),
10.1103/PhysRevLett.99.204101); `select_features` chooses greedily by it or by mRMR, so that the second feature is no copy
of the first; `bootstrap_information` draws blocks of the estimator's local terms for an interval.

**Cost.** Sorting, n log n a feature, and a sweep that is linear in n for continuous data (sqrt(n) more at worst,
where values repeat). Each shift repeats the sweep only.

Sources: KSG: Phys. Rev. E 69, 066138 (2004), 10.1103/PhysRevE.69.066138. Window: Theiler, Phys. Rev. A 34, 2427 (1986),
10.1103/PhysRevA.34.2427. False discovery: Benjamini, Hochberg, J. R. Stat. Soc. B 57, 289 (1995),
10.1111/j.2517-6161.1995.tb02031.x. Mean MI of an element: How et al., J. Phys. Chem. Lett. 12, 12026 (2021),
10.1021/acs.jpclett.1c03469.
"""

import sys
from types import ModuleType

from hopcast.information.conditional import (
    InformationInterval,
    Selection,
    bootstrap_information,
    conditional_information,
    select_features,
)
from hopcast.information.ksg import mutual_information
from hopcast.information.ranking import ElementInformation, ElementRanking, rank_elements
from hopcast.information.shifts import circular_shifts
from hopcast.information.significance import Information, adjust, information
from hopcast.information.timescales import (
    CorrelationTime,
    autocorrelation,
    correlation_time,
    first_zero_crossing,
    memory_time,
)

__all__ = [
    "CorrelationTime",
    "ElementInformation",
    "ElementRanking",
    "Information",
    "InformationInterval",
    "Selection",
    "adjust",
    "autocorrelation",
    "bootstrap_information",
    "circular_shifts",
    "conditional_information",
    "correlation_time",
    "first_zero_crossing",
    "information",
    "memory_time",
    "mutual_information",
    "rank_elements",
    "select_features",
]


class _CallablePackage(ModuleType):
    """`hopcast.information` is this package and the function of its name: whichever import came first, both work."""

    __call__ = staticmethod(information)


sys.modules[__name__].__class__ = _CallablePackage
