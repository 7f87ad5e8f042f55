r"""Which frames to compute.

A sample is a pair (t, t + dt): two single points give two energies and one coupling. With a budget of n pairs:

- ``stride``: equally spaced (the paper's choice).
- ``farthest``: farthest-point sampling in the space of features: each next pair is the one farthest from all chosen
  ones (Gonzalez, *Theor. Comput. Sci.* 1985, 38, 293, doi 10.1016/0304-3975(85)90224-5); covers rare geometries, and is blind
  to how often they occur, so plain averages over it are biased.
- ``blocks``: a quarter of the budget in a few dense runs of consecutive frames (to judge a forecast on, and to see the spectrum of the
  coupling), the rest equally spaced over what lies between.
- ``sequential``: given what is computed, the pairs that take the most variance from the mean rate. With the local rate
  :math:`k_t = V_t^2/E_t^4` (V = coupling times gap, second order), linearised about the forecast, the mean
  :math:`\bar k = N^{-1}\sum_t k_t` has the gradient :math:`g_E = -4V^2/E^5`, :math:`g_V = 2V/E^4`, and computing pair x reduces its
  variance by :math:`\sum_q (g_q^T\Sigma_q)_x^2/(\Sigma_{q,xx} + \alpha_q s_q^2)`, with the posterior covariance :math:`\Sigma_q` of the gap
  and of |V|; pairs are taken greedily, :math:`\Sigma` updated after each (Krause, Singh, Guestrin, *J. Mach. Learn. Res.* 2008, 9, 235).
  Each keeps a distance of half the equal stride from those chosen, so that errors of the forecast are not all taken from one place.
"""

from hopcast.selection.sequential import choose_sequential
from hopcast.selection.strategies import STRATEGIES, choose_blocks, choose_farthest, choose_stride, select_pairs

__all__ = [
    "STRATEGIES",
    "choose_blocks",
    "choose_farthest",
    "choose_sequential",
    "choose_stride",
    "select_pairs",
]
