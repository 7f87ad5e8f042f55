r"""A fitted forecast of the vibronic Hamiltonian as one object, and its way along trajectories of any length.

A `Forecaster` holds everything between a geometry and a Hamiltonian: a model of the gap and one of the coupling's
modulus (each a `Representation` of the geometry and a learner), the training set's domain, and the cell and atoms it was
made for. It learns from the frames that are known, all of them or pairs of frames, and knows nothing else: its file is
plain HDF5 without pickles.

`fit_forecaster` compares the options (`hopcast.forecast.options`) on blocks of time held out, and takes the best inside
the training blocks for each target. Models that see averages over atoms go over to larger cells of the same material;
those that know each atom by its place do not.

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
from hopcast.forecast.forecaster import Forecaster, TargetModel
from hopcast.forecast.representation import Representation
from hopcast.forecast.storage import load_forecaster, save_forecaster
from hopcast.forecast.stream import StreamedForecast, predict_stream

__all__ = [
    "Forecaster", "Representation", "StreamedForecast", "TargetModel", "fit_forecaster", "load_forecaster", "predict_stream",
    "save_forecaster",
]  # fmt: skip
