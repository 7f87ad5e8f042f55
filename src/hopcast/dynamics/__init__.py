r"""Surface hopping under the classical path approximation, exact where it can be, with intervals.

**Equation.** Nuclei move on a given trajectory; electrons follow

.. math:: i\hbar\,\dot c_i = \sum_j \bigl(E_i\,\delta_{ij} - i\,\hbar d_{ij}\bigr)\,c_j,\qquad d_{ij} = \langle i|\partial_t j\rangle.

Energies live on frames and are linear between them (constant within a step where a source has only mid-points),
couplings live on mid-points and are linear between *them* (or constant within a step). Each nuclear step is cut into
sub-steps that resolve the phase of the gap, :math:`\max(E_j-E_i)\,\delta t/\hbar \le 0.5`: a gap of 2 eV has a period of 2 fs, and
events decided once a nuclear step give rates wrong by factors. Inside a sub-step the Hamiltonian of its middle acts
exactly: for two states by the closed SU(2) form, for more by diagonalisation. Error: second order in the sub-step.

**Loop.** `T` frames are `T - 1` steps, then frame 0 again: the last frame stands for frame 0. The jump of the gap there
is reported beside its usual step, with the rate once with coherences kept across the seam and once with them zeroed.
Before the first and after the last mid-point couplings are held; where the loop closes exactly (last frame equal to
the first) they are interpolated across.

**Dephasing.** :math:`C(t) = \langle\delta E(t)\,\delta E(0)\rangle`, :math:`g = \hbar^{-2}\iint C`, :math:`D = e^{-g}`; the time `tau` by
one of four conventions (`dephasing_time`) that differ by up to :math:`\sqrt{12/5}`, so a lifetime is never quoted without its own.

**DISH.** State `i` keeps its coherence for :math:`1/\tau_i = \sum_{j\ne i}|c_j|^2/\tau_{ij}`.

- ``waiting="exponential"``: events at the total hazard :math:`R = \sum_i 1/\tau_i` (probability :math:`1-e^{-R\,\delta t}` a sub-step),
  on state `i` with probability :math:`(1/\tau_i)/R`. ``waiting="deterministic"``: each state has a clock and is due when
  it shows :math:`\tau_i`; the clock of a state that has acted starts again. Deterministic clocks alias with the gap's
  phase: rates jump with `tau`.
- ``rule="consistent"``: at an event on `i` the amplitudes collapse to `i` with :math:`|c_i|^2`, else `i` is projected out; if the pure state
  that is left lies above the active one it is accepted with :math:`e^{-\Delta E/kT}`, else the amplitudes return to the active
  state. Active and collapsed state are always the same. (Deterministic clocks due together: one measurement for both.)
- ``rule="hefei"``: of the states that are due one acts, in random order; :math:`\zeta \le |c_i|^2 e^{-\max(\Delta E,0)/kT}` collapses to and activates `i`,
  else `i` is projected out and the active state stays: it may differ from the collapsed one.
- ``rule="pyxaid"``: who is due is seen once; these states act in order, as before, until one collapses the amplitudes, and *its*
  clock runs on. With exponential waiting one event concerns one state, so both rules are the same.

Both are as in the codes: `projector` and `whichToDec` of Hefei-NAMD, `check_decoherence` of PYXAID. Those decide once a nuclear step
(``decisions="nuclear step"``). With deterministic clocks every decision is visited, many trajectories at once (`methods.clockwork`).

**FSSH, two states.** Hops with :math:`g_{i\to j} = \max(0, 2\,\mathrm{Re}\,c_i^*c_jd_{ij}\,\delta t/|c_i|^2)`, the flux integrated over the sub-step, upward times
:math:`e^{-\Delta E/kT}`. No decoherence: populations follow the phase (`|c|^2` without the factor) and neither obey detailed
balance nor decay with a rate.

**Many states.** `hopcast.dynamics.methods` has one file a method: FSSH, GFSH, MSSH, mSDM, ID-A, DISH, Ehrenfest, BL-LZ, for any
number of states. The `consistent` rule of DISH then reads: an event on `i` is the measurement "in `i` or not". In `i`: as
above. Not in `i`, and `i` was active: another state `j` becomes active with :math:`|c_j|^2` of what is left, with the Boltzmann
factor (refused: the amplitudes return to the active state); else the active state stays. With two states this is the
rule above. Holes follow :math:`-H^*`, states counted from the top of the band (`hole_hamiltonian`). From 13 states on,
propagators are split (norm-conserving) instead of diagonalised.

**Exact ensemble.** For two states, `consistent` and `exponential`, events of both states add up to a projective
measurement at the constant rate :math:`r = 1/\tau`, so the ensemble obeys a linear equation: one unnormalised density matrix per
active state,

.. math:: \dot\rho_a = -\tfrac{i}{\hbar}[H,\rho_a] - r\rho_a + r\,\text{(measured populations routed to the active state they make)}.

A sub-step is a real 4 x 4 (absorbing) or 8 x 8 matrix, the same map that the sampled engine draws from; products over
the loop and powers of them give any duration and the average over all initial times without noise (`method="exact"`).
The largest eigenvalue of the loop is the asymptotic rate; the loss of each step in its eigenvector is the local rate
k(t). For constant energies deciding events on sub-steps changes the rate by :math:`(\delta t/\tau)^2/12` only
(`maps.bare_rate`).

**Rates.** Second order: :math:`k_2 = (2V^2/\hbar^2)\,\tau/(1+(E\tau/\hbar)^2)`; with the gap's own fluctuation :math:`(2V^2/\hbar^2)\,\mathrm{Re}\!\int\cos(Et/\hbar)\,e^{-g}`.

**Intervals** have four parts: the finite trajectory (means of k(t) over blocks of 4 correlation
times, studentised; with fewer than ten blocks "interval at least this wide: trajectory too short"), the model (a study fills it), the
initial times, and the sampling. They add in quadrature, each side for itself (`combine_parts`).

Sources: DISH: Jaeger, Fischer, Prezhdo, J. Chem. Phys. 137, 22A545 (2012), 10.1063/1.4757100. FSSH: Tully, J. Chem. Phys. 93, 1061
(1990), 10.1063/1.459170. Classical path and the Boltzmann factor: Akimov, Prezhdo, J. Chem. Theory Comput. 9, 4959 (2013),
10.1021/ct400641n, and 10, 789 (2014), 10.1021/ct400934c; Zheng et al., WIREs Comput. Mol. Sci. 9, e1411 (2019),
10.1002/wcms.1411. White-noise limit: Haken, Strobl, Z. Phys. 262, 135 (1973), 10.1007/BF01399723. Block bootstrap:
Künsch, Ann. Stat. 17, 1217 (1989), 10.1214/aos/1176347265.
"""

from hopcast.core.estimates import Estimate, Interval, combine_parts, combined
from hopcast.dynamics.carriers import hole_hamiltonian, warn_leaking
from hopcast.dynamics.channels import Channels, average_channels, check_channels, run_channels
from hopcast.dynamics.comparison import Comparison, ComparisonTable, compare_methods, lifetime_against_gap, scissor
from hopcast.dynamics.decays import DecayFits, DecayModel, active_transitions, fit_decays, transition_rates
from hopcast.dynamics.dephasing import Dephasing, dephasing_function, dephasing_matrix, dephasing_time
from hopcast.dynamics.determinants import determinant_hamiltonian, electron_hole_hamiltonian, read_determinants
from hopcast.dynamics.master import influence_spectrum, master_equation, rate_matrices, redfield_rate
from hopcast.dynamics.methods.method import Dish
from hopcast.dynamics.propagation import SubstepGrid, choose_substeps, propagators, substep_grid
from hopcast.dynamics.rates import (
    bootstrap_rate,
    cumulant_rate,
    local_rate,
    plain_average_rate,
    ratio_of_rates,
    second_order_rate,
)
from hopcast.dynamics.result import DynamicsResult, Seam
from hopcast.dynamics.run import run_dynamics
from hopcast.dynamics.storage import result_record, write_result

__all__ = [
    "Channels",
    "Comparison",
    "ComparisonTable",
    "DecayFits",
    "DecayModel",
    "Dephasing",
    "Dish",
    "DynamicsResult",
    "Estimate",
    "Interval",
    "Seam",
    "SubstepGrid",
    "active_transitions",
    "average_channels",
    "bootstrap_rate",
    "check_channels",
    "choose_substeps",
    "combine_parts",
    "combined",
    "compare_methods",
    "cumulant_rate",
    "dephasing_function",
    "dephasing_matrix",
    "dephasing_time",
    "determinant_hamiltonian",
    "electron_hole_hamiltonian",
    "fit_decays",
    "hole_hamiltonian",
    "influence_spectrum",
    "lifetime_against_gap",
    "local_rate",
    "master_equation",
    "plain_average_rate",
    "propagators",
    "rate_matrices",
    "ratio_of_rates",
    "read_determinants",
    "redfield_rate",
    "result_record",
    "run_channels",
    "run_dynamics",
    "scissor",
    "second_order_rate",
    "substep_grid",
    "transition_rates",
    "warn_leaking",
    "write_result",
]
