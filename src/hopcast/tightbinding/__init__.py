r"""The Hamiltonian itself, learnt: a tight binding whose matrix elements depend on the geometry.

A regression of a gap on symmetry functions must learn that levels repel, that bands have characters, that a cell and its replica have the
same bands. A Hamiltonian knows. With real orbitals (s, p, d) on the atoms,

.. math:: H(R) = \sum_q \theta_q B_q(R), \qquad S(R) = 1 + \sum_q \sigma_q B_q(R), \qquad H(R)\, c_n = E_n S(R)\, c_n

are linear in their parameters, and 50 to 150 pairs of neighbouring frames determine some hundred of them well. Where two orbitals hop they
overlap; a size of zero makes them orthogonal.

Terms
-----
*Hoppings* between two shells couple equal \|m\| along the bond (`slater_koster`). *Crystal fields* of a neighbour have the same form with
both orbitals on one atom: a shift, a splitting, the mixing of s and p by an off-centre neighbour. Each is a smooth function of the
distance with a Gaussian-process prior (`radial`) of a believed size, and may be modulated by the *density* around either end (`environment`), a three-centre
term. *Levels* are the atoms' own, from a table (`elements`). The electrostatic *potential* of ions with fitted charges can be added.
The number of doubly occupied levels is half the valence electrons; it ties bands of the model to those of the data.

Fit
---
Residuals (`residuals`) are the energies of the known window, with one free shift a frame, and

.. math:: |h_{ij}|, \qquad h_{ij} = \hbar\,\langle i|\dot H|j\rangle = \hbar d_{ij}\,(E_j - E_i),

(with S, :math:`\hbar\langle i|\dot H - \bar E\dot S|j\rangle`), the coupling without its denominator and without its sign, which is a gauge. Orbitals move with their
atoms, which no level knows but couplings across a gap do: a *momentum* of each element between its shells adds to h (`motion`). Their derivatives are exact and need no matrix B_q: <i|B_q|j> is
summed straight over the pairs of atoms (`kernels`). Gauss-Newton (`gauss_newton`) starts from several shifts of the cations' levels against
the anions' and several sizes of Harrison's universal hoppings (`start`), energies first: from the bare atomic levels alone the fit of CsPbI3
ends in a minimum that knows half as much.

Sizes of priors
---------------
`TightBinding(choose=True)` starts from the form and tries smaller sizes in turn; what lowers the errors of gap, bands and
coupling on blocks of time left out one after the other (`blockout`) stays. Nothing outside of the training samples is seen.

Error bars of the bands
-----------------------
:math:`J^T J + W` of the minimum is the inverse covariance of the parameters (W the prior's); it says which gaps are more uncertain than others,
:math:`g^T (J^T J + W)^{-1} g` with g the derivative of a gap. How much is what left-out blocks miss (`bars`): a floor and a factor, as likely as can
be. The size of a coupling has bars of a floor and a part that grows with it, pair by pair; what the posterior or nearby bands say of it did not
tell its error. A frame whose variance exceeds that of 99 % of left-out samples, or with atoms closer than any in training, is outside.

Forecast
--------
Eigenvectors of neighbouring frames give :math:`S = C(t)^T C(t + \Delta t)`, which goes through `hopcast.couplings` like anybody's overlaps:
energies and signed couplings of all pairs of bands along any trajectory, of any cell of the material.

Looking at it
-------------
`band_structure` gives the levels at k-points (H(k), S(k)), `spinor_matrix` adds spin and the spin-orbit coupling of shells, `element_weights` and
`inverse_participation` say where states live and how localised they are, `density_of_states` how many there are.

What matters in it
------------------
`score_variants` and `eliminate_terms` take terms out and fit the rest anew; `atom_slopes` says how gap and coupling move with each atom.

Sources: J. C. Slater, G. F. Koster, Phys. Rev. 1954, 94, 1498 (doi 10.1103/PhysRev.94.1498); W. A. Harrison, *Elementary Electronic Structure*,
World Scientific 1999; Q. Gu et al., Nat. Commun. 2024, 15, 6772 (doi 10.1038/s41467-024-51006-4), a learnt tight binding with networks.
"""

from hopcast.tightbinding.ablation import Elimination, eliminate_terms, score_variants
from hopcast.tightbinding.basis import OrbitalBasis, make_basis
from hopcast.tightbinding.bloch import band_structure, bloch_matrix
from hopcast.tightbinding.estimator import TightBinding
from hopcast.tightbinding.fitted import FittedBands, HeldOutScores
from hopcast.tightbinding.folds import fit_folds
from hopcast.tightbinding.forecast import forecast_bands
from hopcast.tightbinding.form import Form
from hopcast.tightbinding.gradients import AtomSlopes, atom_slopes
from hopcast.tightbinding.model import BandModel
from hopcast.tightbinding.orbitals import atom_weights, density_of_states, element_weights, inverse_participation
from hopcast.tightbinding.parts import Variant, VariantScore
from hopcast.tightbinding.slopes import StepSlopes, step_slopes
from hopcast.tightbinding.spin_orbit import spinor_matrix
from hopcast.tightbinding.storage import get_bands, load_bands, put_bands, save_bands
from hopcast.tightbinding.terms import CrystalField, Hopping, Level, Momentum, Potential, Term, standard_terms

__all__ = [
    "AtomSlopes",
    "BandModel",
    "CrystalField",
    "Elimination",
    "FittedBands",
    "Form",
    "HeldOutScores",
    "Hopping",
    "Level",
    "Momentum",
    "OrbitalBasis",
    "Potential",
    "StepSlopes",
    "Term",
    "TightBinding",
    "Variant",
    "VariantScore",
    "atom_slopes",
    "atom_weights",
    "band_structure",
    "bloch_matrix",
    "density_of_states",
    "element_weights",
    "eliminate_terms",
    "fit_folds",
    "forecast_bands",
    "get_bands",
    "inverse_participation",
    "load_bands",
    "make_basis",
    "put_bands",
    "save_bands",
    "score_variants",
    "spinor_matrix",
    "standard_terms",
    "step_slopes",
]
