r"""A fitted forecast of the vibronic Hamiltonian as one object, and its way along trajectories of any length.

A `Forecaster` learns from the steps that are known, all frames or pairs of them, and becomes a `FittedForecaster`, which turns
geometries into a `HamiltonianForecast`: a Hamiltonian with deviations, whole draws from the posterior, and which frames lie
outside of what was learnt from. What is handed on is that and nothing of how it was learnt, so a forecaster may know two states
or a window of bands, moduli of couplings or signed ones. Its file is plain HDF5 without pickles.

`fit_forecaster` compares the kinds (one file each in `hopcast.forecast.kinds`) on stretches of time held out. The kind `pair`
holds everything between a geometry and the Hamiltonian of two states: a model of the gap and one of the coupling's modulus (each
a `Representation` of the geometry and a learner, the best of `hopcast.forecast.options` inside the training blocks), the
training set's domain, and the cell and atoms it was made for. Models that see averages over atoms go over to larger cells of
the same material; those that know each atom by its place do not.

Between frames t and t + dt, with features G of both,

.. math:: E(t) = f_E[G(t)], \qquad
    |\hbar d|(t + \tfrac{dt}{2})\, E = f_V\!\left[\tfrac12 (G_t + G_{t+dt}),\, \tfrac{1}{dt}(G_{t+dt} - G_t)\right]

with f_E learnt at mid-points too (the mean of the features of both frames), so that a pair of frames is one sample. Signs
of couplings of separate pairs are unrelated, so the modulus is learnt. Its mean square, which is what rates see, is that of the
forecast plus the posterior variance; `predict_stream` writes sqrt(mu^2 + var) unless told otherwise.

`predict_stream` reads, forecasts and writes chunk by chunk. Every finished chunk is a file of its own, named by what
it was made of, so a run killed at any point goes on where it was and ends with the same bits.
"""

from hopcast.forecast.fit import fit_forecaster
from hopcast.forecast.fit_pair import PairForecaster
from hopcast.forecast.fitted_pair import FittedPair, TargetModel
from hopcast.forecast.protocol import FittedForecaster, Forecaster, ForecasterKind, list_kinds
from hopcast.forecast.representation import Representation
from hopcast.forecast.storage import load_forecaster, save_forecaster
from hopcast.forecast.stream import StreamedForecast, predict_stream

__all__ = [
    "FittedForecaster",
    "FittedPair",
    "Forecaster",
    "ForecasterKind",
    "PairForecaster",
    "Representation",
    "StreamedForecast",
    "TargetModel",
    "fit_forecaster",
    "list_kinds",
    "load_forecaster",
    "predict_stream",
    "save_forecaster",
]
