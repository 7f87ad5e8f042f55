r"""Kernel ridge regression of the vibronic Hamiltonian from features of the geometry.

Model
-----
With features x (standardised on the training frames to z) and a target y (a gap, a coupling; m its mean over the
training frames),

.. math:: \mu(x) = m + k(x)^T c, \qquad c = (K + \alpha)^{-1} (y - m), \qquad
          K_{ij} = e^{-\gamma \|z_i - z_j\|_1}

The Laplacian kernel is a product of exponentials, one a feature: its sample paths are continuous but rough. With
``kernel="matern32"`` they have one derivative: k = (1 + s) exp(-s), s = sqrt(3) gamma r, of the *L2* distance r. (Of
the L1 distance this is no kernel: on the corners of a small square of side a it has the eigenvalue
k(0) - 2 k(a) + k(2a), near a^2 k''(0) < 0.)

Frames, atoms, velocities
-------------------------
`LaplacianRidge` takes atoms in their order. `ExchangeableRidge` averages a kernel over all pairs of atoms of one element
(`hopcast.regression.frame_kernels`): the order of like atoms does not matter, a replicated cell gives the same, and a
cell of another size can be forecast, which is flagged. A gap does not know the sign of the velocities, a coupling
changes its own with them: with ``parity``, :math:`K(x, x') \pm K(x, R x')`, R the reversal of the time derivatives among the
features, spans the functions that are even or odd.

Couplings of sparse samples have no common sign. `CouplingRidge` learns the magnitude, the square, or V itself under the
likelihood of both signs (`hopcast.regression.signs`), and gives back the mean square that regression takes away.

Choices the paper leaves open, as `LaplacianRidge.paper` takes them: gamma = 1/n_features (scikit-learn's default),
features standardised on the training frames, the target centred, alpha = 1e-4.

Hyperparameters
---------------
By default gamma and alpha are those of least leave-one-*block*-out error. The residuals of a block B left out come
from the factor of the full matrix,

.. math:: e_B = \left([(K + \alpha)^{-1}]_{BB}\right)^{-1} c_B

with centre and scale of all training frames. Blocks (a tenth of the training frames, unless `block_length` or groups
say otherwise) should be longer than the correlation time: leaving out single frames 25 fs apart selects a clock.
One factorisation a pair (gamma, alpha) serves any number of targets, and each target chooses its own pair.

Error bars
----------
Of the Gaussian process of the same mean, with its signal scale,

.. math:: \sigma^2(x) = s^2 [k(x,x) - k^T (K+\alpha)^{-1} k], \qquad
          s^2 = (y-m)^T (K+\alpha)^{-1} (y-m) / n

so the standard deviation has the unit of y and scales with it. `LaplacianRidge.sample` draws whole series from the
joint posterior. Regression shrinks variance, so a rate formed from V^2 needs mu^2 + sigma^2.

Time and geometry
-----------------
`TimeGeometryProcess` is a Gaussian process whose kernel is a sum of a part in time, the kernel above in the geometry, and
their product,

.. math:: v_r M_{3/2}(\tau/l_r) + v_s M_{5/2}(\tau/l_s) + [v_g + v_p M_{5/2}(\tau/l_p)]\, k_\gamma(z, z') + v_n \delta

(M_nu Matern kernels of the time difference). Between samples closer than the lengths it is a spline, far from all of
them the geometric model. Its nine hyperparameters maximise the marginal likelihood

.. math:: \log p = -\tfrac12 y^T A^{-1} y - \tfrac12 \log\det A - \tfrac n2 \log 2\pi, \qquad
          \partial_\theta \log p = \tfrac12 \mathrm{tr}[(c c^T - A^{-1})\, \partial_\theta A], \quad c = A^{-1} y

times weak priors: lengths near the periods of a lattice, little noise (an electronic-structure code repeats its
digits), and two nats to be earned by geometry and by product.

Cost
----
Distances take 3 operations a feature and pair (difference, modulus, sum) in Numba tiles; a fit n^2 d + n^3 for each
pair tried; prediction n d a frame, in chunks whose memory does not grow with the trajectory. The sums over features
run in one fixed order, equal for any chunks and workers.

`LinearRidge` is the same with a line, k(z, z') = z . z' / n: for the few numbers a chemist would quote of a frame.

`LowRankRidge` replaces all pairs of n training frames by n pairs with m landmarks: n m d + n m^2.

Sources: How, Wang, Chu, Tkatchenko, Prezhdo, J. Phys. Chem. Lett. 2021, 12, 12026, doi:10.1021/acs.jpclett.1c03469.
Rasmussen, Williams, *Gaussian Processes for Machine Learning*, MIT Press 2006.
"""

from hopcast.regression.blockout import BlockOutSearch
from hopcast.regression.correction import Corrected, correct_in_time
from hopcast.regression.coupling import CouplingRidge
from hopcast.regression.exchangeable import ExchangeableRidge
from hopcast.regression.kernels import distances, kernel_matrix
from hopcast.regression.laplacian import LaplacianRidge
from hopcast.regression.linear import LinearRidge
from hopcast.regression.low_rank import LowRankRidge
from hopcast.regression.time_geometry import TimeGeometryProcess

__all__ = [
    "BlockOutSearch",
    "Corrected",
    "CouplingRidge",
    "ExchangeableRidge",
    "LaplacianRidge",
    "LinearRidge",
    "LowRankRidge",
    "TimeGeometryProcess",
    "correct_in_time",
    "distances",
    "kernel_matrix",
]
