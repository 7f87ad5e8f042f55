"""The nouns of hopcast (trajectory, vibronic Hamiltonian), its units, errors, HDF5 form and chunks of work.

Arrays of whole trajectories, first axis time. Axis names used everywhere: n_frames, n_atoms, n_states,
n_features, n_trajectories, n_times. Energies and couplings live on different grids: energies on the frames,
couplings on the mid-points between them.
"""

from hopcast.core.errors import ConfigError, GateError, HopcastError, InputError, OutputError, QualityWarning
from hopcast.core.forecast import HamiltonianForecast, HamiltonianStd
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory

__all__ = [
    "ConfigError",
    "GateError",
    "HamiltonianForecast",
    "HamiltonianStd",
    "HopcastError",
    "InputError",
    "OutputError",
    "QualityWarning",
    "Trajectory",
    "VibronicHamiltonian",
]
