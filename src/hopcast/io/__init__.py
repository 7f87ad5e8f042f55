r"""Files in and out. Units are converted here and nowhere else: inside there are only eV, Å and fs.

A format is one file in `hopcast.io.formats` (see `hopcast.io.registry`); ``hopcast formats`` lists them. What each
code writes differs in unit, sign, index order and in where on the time axis energies live; all of it becomes
:math:`\hbar d_{ij} = \hbar\langle i|\partial_t j\rangle` on mid-points, in eV, and the provenance of the Hamiltonian
says which rules were applied. Codes that store :math:`c = S - S^\dagger` of overlaps
:math:`S_{ij} = \langle i(t)|j(t+\Delta t)\rangle` give :math:`\hbar d = \hbar c / 2\Delta t` (Hammes-Schiffer and Tully,
J. Chem. Phys. 1994, 101, 4657, doi 10.1063/1.467455); codes that store :math:`H = E - i\hbar d` give the negative of
its imaginary part. Energies of mid-points are never turned back into energies of frames. Nothing is ever unpickled,
and no path that stands in a file is followed.
"""

from hopcast.io.hamiltonians import read_hamiltonian, write_hamiltonian
from hopcast.io.hefei_inputs import (
    read_dephasing_times,
    read_initial_conditions,
    write_dephasing_times,
    write_initial_conditions,
)
from hopcast.io.hefei_outputs import HefeiOutput, read_psict, read_recomb, read_shprop
from hopcast.io.native import write_native
from hopcast.io.pyxaid_outputs import PyxaidOutput, read_pyxaid_energies, read_pyxaid_populations, read_pyxaid_rates
from hopcast.io.registry import Format, Holds, ReadOptions, WriteOptions, list_formats, losses
from hopcast.io.trajectories import read_trajectory, write_trajectory

__all__ = [
    "Format",
    "HefeiOutput",
    "Holds",
    "PyxaidOutput",
    "ReadOptions",
    "WriteOptions",
    "list_formats",
    "losses",
    "read_dephasing_times",
    "read_hamiltonian",
    "read_initial_conditions",
    "read_psict",
    "read_pyxaid_energies",
    "read_pyxaid_populations",
    "read_pyxaid_rates",
    "read_recomb",
    "read_shprop",
    "read_trajectory",
    "write_dephasing_times",
    "write_hamiltonian",
    "write_initial_conditions",
    "write_native",
    "write_trajectory",
]
