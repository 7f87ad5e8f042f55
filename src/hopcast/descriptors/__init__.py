r"""Symmetry functions: what each atom sees of its neighbours, along a trajectory, and how fast it changes.

The function of atom i with centres :math:`R_s` and :math:`\theta_s` is

.. math::

    G_i(R_s, \theta_s) = 2^{1-\zeta} \sum_{j<k} [1 + \cos(\theta_{ijk} - \theta_s)]^\zeta \,
        e^{-\eta \left(\frac{R_{ij} + R_{ik}}{2} - R_s\right)^2} f_c(R_{ij}) f_c(R_{ik}), \qquad
    f_c(R) = \tfrac12 \cos(\pi R / R_c) + \tfrac12 \text{ for } R \le R_c, \text{ else } 0.

**Sum.** Over all neighbours of any element, each unordered pair once (both orders would give twice as much).
``images="all"`` takes every periodic image within :math:`R_c` as a neighbour, images of atom i itself included, and is
smooth in time. ``images="mic"`` takes the shortest image of each other atom, which jumps where another image becomes the
shortest, unless :math:`R_c` stays below half the smallest width of the cell. Cells may be triclinic, change from frame
to frame, and be periodic along some directions only. Defaults: :math:`\zeta = 1`, :math:`\eta = 0.15` Å⁻².

**Centres** (`find_shells`). One :math:`R_s` for each unlike pair of elements: the distance from A to its nearest B,
averaged over atoms and frames, and from B to A; the mean of the two directions. One :math:`\theta_s` for each ordered
pair (A, B): the largest angle A-B-A centred on B among the A atoms within 1.3 :math:`R_s`, averaged over centres and
frames; where these are fewer than two, the next shell is taken and the fact logged. Every periodic image counts here in
both modes, for small cells would cut shells of minimum images. Three elements give 3 x 6 = 18 functions an
atom, two 1 x 2, one (its like pair) 1 x 1; give `r_s` and `theta_s` where that is too few.

**Cutoff.** Half the (longest) body diagonal of the frame-averaged cell in ``paper`` mode, with ``images="mic"``;
otherwise at most 9.1 Å, with ``images="all"``. Where not all directions are periodic, 9.1 Å.

**Exact facts that make it fast.** With :math:`\zeta = 1` the angular part is linear in
:math:`(1, \cos\theta, \sin\theta)`: three sums for each :math:`R_s` give every :math:`\theta_s`, and the functions of
:math:`n_r` distances have linear rank at most :math:`3 n_r`. The Gaussian factors into terms of single neighbours and
:math:`e^{-2 \eta u_j u_k}`, :math:`u = (R - R_c/2)/2`, one exponential for each pair whatever the number of
:math:`R_s`. Where :math:`\eta R_c^2` makes these exponents large, and for :math:`\zeta \ne 1`, the definition is summed.
Sines are norms of cross products and powers are taken of
:math:`2 \cos^{2\zeta}\frac{\theta - \theta_s}{2}`, so the straight triplets of a crystal keep all digits.

**Time derivatives.** :math:`\dot G_i` follows analytically from the velocities; images move with their atoms and with
a cell that changes. At a straight triplet :math:`\sin\theta` has a kink, and the mean of the derivatives from both sides
is returned. Analytic derivatives avoid the noise of differenced positions, and couplings, odd in the velocities, need
them.

**Beside them.** `RadialFunctions` count neighbours by element and distance; `StructuralNumbers` put a frame into mean,
spread and extremes of its bonds and bridge angles, bonds found from the trajectory; `pool_elements` takes means (and
spreads) over the atoms of an element, which do not depend on the order of atoms or the size of the cell;
`midpoint_functions` gives values and time derivatives where couplings live.

**Columns.** `SymmetryFunctions.transform` returns [n_frames, n_atoms, n_functions], :math:`R_s` slow and
:math:`\theta_s` fast; `flatten` makes features of it and `element_columns` finds those of one element.

Sources: G. How, B. Wang, W. Chu, A. Tkatchenko, O. V. Prezhdo, J. Phys. Chem. Lett. 2021, 12, 12026,
doi:10.1021/acs.jpclett.1c03469 (these functions for vibronic Hamiltonians); J. S. Smith, O. Isayev, A. E. Roitberg,
Chem. Sci. 2017, 8, 3192, doi:10.1039/C6SC05720A (their form); J. Behler, J. Chem. Phys. 2011, 134, 074106,
doi:10.1063/1.3553717 (symmetry functions).
"""

from hopcast.descriptors.columns import element_columns, flatten
from hopcast.descriptors.pooled import midpoint_functions, pool_elements, take_frames
from hopcast.descriptors.radial import RadialFunctions
from hopcast.descriptors.shells import Shells, find_shells
from hopcast.descriptors.sites import Sites, find_sites
from hopcast.descriptors.structure import Bond, StructuralNumbers
from hopcast.descriptors.symmetry_functions import SymmetryFunctions

__all__ = [
    "Bond",
    "RadialFunctions",
    "Shells",
    "Sites",
    "StructuralNumbers",
    "SymmetryFunctions",
    "element_columns",
    "find_shells",
    "find_sites",
    "flatten",
    "midpoint_functions",
    "pool_elements",
    "take_frames",
]
