r"""A doctor for Hamiltonians: what silently ruins lifetimes, with evidence and the fix.

Each check is a function of the data that returns a `Verdict`. The physics behind the less obvious ones:

- *Phases.* Where the diagonal of a raw overlap is negative a state changed its sign; :math:`S - S^\dagger` is then wrong
  in magnitude, not only in sign (Akimov, J. Phys. Chem. Lett. 2018, 9, 6096, doi 10.1021/acs.jpclett.8b02826). Without
  overlaps the lag-1 autocorrelation of the coupling is the alarm: nuclei cannot turn it within a step.
- *Alignment.* The gap is a function of the positions of its own frame. A ridge regression on displacements and their squares,
  judged on held-out blocks of time, has its least error where positions and gap belong together (lag 0, or half a step
  for energies of mid-points). With few independent values of the gap some other lag wins by accident: then nothing is said.
- *Units.* For adiabatic states :math:`\hbar d_{ij}(E_j - E_i) = \hbar\langle i|\dot H|j\rangle`, and :math:`\hbar\,d(E_j - E_i)/dt` is
  the same of the diagonal: they are of one size where energies and couplings have the right units.
- *Decay.* Between two decoherence events, every :math:`\tau`, a Rabi oscillation leaves
  :math:`2\langle V^2\rangle/\langle\Delta E^2\rangle` on the other state, so that a population decays in about
  :math:`\tau\langle\Delta E^2\rangle/2\langle V^2\rangle` (two states, gap much larger than the coupling).
- *Time step.* A gap :math:`\Delta E` turns the phase by :math:`\Delta E\,\Delta t/\hbar` a step; above a quarter period the
  propagation needs sub-steps.
- *Velocities.* Central differences of the positions must be the velocities of the file; their ratio is the time step's error.
"""

from hopcast.doctor.examine import check, unreadable
from hopcast.doctor.page import render, write_page
from hopcast.doctor.verdict import Diagnosis, Verdict

__all__ = ["Diagnosis", "Verdict", "check", "render", "unreadable", "write_page"]
