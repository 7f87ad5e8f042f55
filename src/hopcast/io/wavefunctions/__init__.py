r"""Wavefunctions on disk: one small protocol for the files of VASP, Quantum ESPRESSO and CP2K, and overlaps of frames from them.

A file is opened by its header, and gives the coefficients of the bands that are asked for (`Wavefunctions`). Two frames in one cell
with one cutoff have the same plane waves in the same order, so that

.. math:: S_{ij}(t) = \langle i(t)|j(t+\Delta t)\rangle = \sum_G c_i^*(G; t)\, c_j(G; t+\Delta t)

is one matrix product, and nothing but the coefficients of two frames is in memory. In a cell that varies, plane waves of the same
three indices are matched: the wavefunctions are carried along with the lattice.

*Norm-conserving* pseudopotentials: the coefficients are the whole (pseudo-)wavefunction, orthonormal, and the overlaps exact.
*PAW and ultrasoft*: the coefficients lack the augmentation inside the spheres, so that :math:`M = C^\dagger C \neq 1`. Within the
window of bands, :math:`\tilde C = C M^{-1/2}` (Löwdin) is orthonormal again, :math:`\tilde S = M(t)^{-1/2} S M(t+\Delta t)^{-1/2}`;
what the augmentation itself contributes is left out. VASP's ``WSWQ`` contains it, with the projectors of the present frame
for both wavefunctions: :math:`\langle \tilde\psi_i(t+\Delta t)|\hat S(t+\Delta t)|\tilde\psi_j(t)\rangle`. That leaves out only how
the augmentation moves with its atom.

Sources: Blöchl, *Phys. Rev. B* 1994, 50, 17953 (doi 10.1103/PhysRevB.50.17953) and Kresse and Joubert, *Phys. Rev. B* 1999, 59,
1758 (doi 10.1103/PhysRevB.59.1758) for PAW and its overlap operator; Feenstra and Widom's WaveTrans for the order of plane
waves in a WAVECAR; Giannozzi et al., *J. Phys.: Condens. Matter* 2017, 29, 465901 (doi 10.1088/1361-648X/aa8f79) for QE; Löwdin,
*J. Chem. Phys.* 1950, 18, 365 (doi 10.1063/1.1747632).
"""

from hopcast.io.wavefunctions.espresso import Save
from hopcast.io.wavefunctions.gaussians import Wfn
from hopcast.io.wavefunctions.overlaps import overlap
from hopcast.io.wavefunctions.protocol import Basis, Levels, Wavefunctions
from hopcast.io.wavefunctions.selection import Selection, band_labels
from hopcast.io.wavefunctions.wavecar import Wavecar

__all__ = ["Basis", "Levels", "Save", "Selection", "Wavecar", "Wavefunctions", "Wfn", "band_labels", "overlap"]
