"""Files in and out. Units are converted here and nowhere else: inside there are only eV, Å and fs."""

from hopcast.io.hamiltonians import read_hamiltonian, write_hamiltonian
from hopcast.io.native import write_native
from hopcast.io.trajectories import read_trajectory, write_trajectory

__all__ = ["read_hamiltonian", "read_trajectory", "write_hamiltonian", "write_native", "write_trajectory"]
