r"""Scores that can fail: splits in time, baselines, controls, and means that cannot be hurt by a forecast.

Why a score alone says nothing
------------------------------
Frames of a trajectory a few femtoseconds apart are nearly equal, and so are their targets. A model trained on every
n-th frame and tested between them (`InterleavedSplit`, the published protocol) needs no physics: any smooth features
tell it the time, and with the time it interpolates. Features of *another* system would do. So every score stands
beside three forecasts from the same training frames and one control:

- the mean of the training targets;
- linear interpolation in time, and a cubic spline (`interpolate_in_time`: constant beyond the ends, linear across gaps
  longer than four median training spacings, as blocked splits leave them);
- the same model fed the same features shifted circularly in time by at least a correlation time (`hopcast.information.circular_shifts`),
  at least 20 times: distribution, rank, z, p = rank/(n+1).

Shifting the features by s is shifting the target by -s, so all shifted models share the kernel matrix, its
factorisations and its distances with the model itself. Each shifted model repeats the model's procedure, its choice of
hyperparameters included (for `LaplacianRidge` errors of every pair come from the same factors). At the seam the
shifted target jumps from its end to its start; test frames within one training spacing of it are not scored.

Verdict
-------
*Useful*, *calibrated* and *agrees* are defined once, in `hopcast.evaluation.verdicts`, for what is printed, for reports and for
``--strict``: a model is ``useful`` only where it leaves 10 % less of the variance than the mean, linear and cubic interpolation, and
less than 97.5 % of its shifted twins; ``inconclusive`` where fewer than 19 shifts fit into the trajectory.

Splits
------
`InterleavedSplit`, `BlockedSplit` (contiguous blocks held out, no training frame within the purge, which should be
twice the correlation time), `TrajectorySplit`. Samples of a sparse Hamiltonian, spread unevenly over a trajectory, have
`NeighbourSplit` (every n-th sample held out, its neighbours train) and `CalendarSplit` (stretches of time held out).
Scores of several folds are those of all held-out forecasts together.

Choice among models
-------------------
`nested_selection` puts representations and learners into one table on whole blocks of time held out. The best row of
such a table is flattered by being the best; the row "chosen in each fold" is not: there the candidate is chosen inside the
training blocks, hyperparameters included.

Prediction-powered means
------------------------
An average needs no forecast to be right on every frame. `prediction_powered_mean` adds to the plain average of the
samples the difference between the forecast's mean over all frames and over the samples, weighted by lambda: near 0
for a useless forecast (a slope that its own noise explains is shrunk to 0), and a variance of 1 - rho^2 times the plain
average's for one of correlation rho.

Calibrated error bars
---------------------
`calibrate` counts how often the posterior's intervals hold the truth on held-out blocks, as they are and stretched by
conformal factors from inner blocks of the training frames, which the test never meets. The verdict at 90 % takes
Wilson's interval at the effective number of frames, tested time over correlation time: ``calibrated`` if 90 % lies
inside and it is narrower than 25 points, ``not calibrated`` if 90 % lies outside, otherwise ``inconclusive``.

Knowing when not to
-------------------
`training_domain` fixes once how far training frames lie from those of other blocks, in feature space and by posterior
deviation; `extrapolation` judges frames by it, chunk after chunk, and says which lie outside.

Sources: How et al., J. Phys. Chem. Lett. 2021, 12, 12026, doi:10.1021/acs.jpclett.1c03469 (interleaved protocol).
Roberts et al., Ecography 2017, 40, 913, doi:10.1111/ecog.02881 (blocked cross-validation).
Angelopoulos et al., Science 2023, 382, 669, doi:10.1126/science.adi6000; PPI++, arXiv:2311.01453.
"""

from hopcast.evaluation.baselines import interpolate_in_time, mean_prediction
from hopcast.evaluation.calibration import Calibration, calibrate
from hopcast.evaluation.candidates import Candidate, CandidateScore, NestedSelection, nested_selection, time_blocks
from hopcast.evaluation.evaluate import Evaluation, evaluate_model, evaluate_series
from hopcast.evaluation.extrapolation import Extrapolation, TrainingDomain, extrapolation, training_domain
from hopcast.evaluation.observables import HamiltonianScores, score_hamiltonian
from hopcast.evaluation.powered import PoweredMean, prediction_powered_mean
from hopcast.evaluation.scores import Score, score
from hopcast.evaluation.splits import (
    BlockedSplit,
    CalendarSplit,
    InterleavedSplit,
    NeighbourSplit,
    TrajectorySplit,
    stretches_of_time,
)

__all__ = [
    "BlockedSplit",
    "CalendarSplit",
    "Calibration",
    "Candidate",
    "CandidateScore",
    "Evaluation",
    "Extrapolation",
    "HamiltonianScores",
    "InterleavedSplit",
    "NeighbourSplit",
    "NestedSelection",
    "PoweredMean",
    "Score",
    "TrainingDomain",
    "TrajectorySplit",
    "calibrate",
    "evaluate_model",
    "evaluate_series",
    "extrapolation",
    "interpolate_in_time",
    "mean_prediction",
    "nested_selection",
    "prediction_powered_mean",
    "score",
    "score_hamiltonian",
    "stretches_of_time",
    "time_blocks",
    "training_domain",
]
