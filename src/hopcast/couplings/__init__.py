r"""Nonadiabatic couplings from wavefunction overlaps.

An electronic-structure code gives, for neighbouring frames, :math:`S_{ij}(t) = \langle i(t)|j(t+\Delta t)\rangle`
with states in energy order and with arbitrary signs. Three steps lead to the coupling at the mid-point:

1. *Order.* By energy (adiabatic states, the default), or following the character of a state through
   crossings that the time step does not resolve (``tracking="trivial"``).
2. *Phases.* Each state takes the phase that makes :math:`S_{ii}` real and positive, cumulatively along the
   trajectory. Without this a sign flip between frames corrupts even the *magnitude* of :math:`S - S^\dagger`,
   which :math:`|d|` cannot repair.
3. *Derivative.* :math:`\hbar d = \hbar\log(\tilde S)/\Delta t`, or :math:`\hbar(S-S^\dagger)/2\Delta t`.

`diagnose_overlaps` says what was found on the way, `coupling_log` what was done at each step.
"""

from hopcast.couplings.derive import DERIVED, derive_couplings
from hopcast.couplings.diagnosis import Crossing, OverlapDiagnosis, diagnose_overlaps
from hopcast.couplings.log import StepLog, coupling_log, log_to_csv, summary

__all__ = [
    "DERIVED",
    "Crossing",
    "OverlapDiagnosis",
    "StepLog",
    "coupling_log",
    "derive_couplings",
    "diagnose_overlaps",
    "log_to_csv",
    "summary",
]
