"""Physical constants and unit conversions: eV, Å and fs are the only units inside hopcast."""

from __future__ import annotations

from typing import Final

HBAR: Final = 0.6582119569
"""Reduced Planck constant, eV fs (CODATA 2018)."""

KB: Final = 8.617333262e-5
"""Boltzmann constant, eV/K (CODATA 2018)."""

AMU: Final = 103.642696
"""1 atomic mass unit in eV fs^2 / Å^2."""

RYDBERG: Final = 13.605693
"""1 Ry in eV."""

HARTREE: Final = 27.211386
"""1 Ha in eV."""

BOHR: Final = 0.529177210903
"""1 Bohr in Å."""

ATOMIC_TIME: Final = 1.0 / 41.341373
"""Atomic unit of time in fs."""

FS_PER_NS: Final = 1.0e6
"""Femtoseconds in a nanosecond."""


def time_unit(nanoseconds: float) -> tuple[str, float]:
    """Return the unit in which a time reads as one or more, and its factor from ns."""
    for unit, factor in (("ms", 1e-6), ("µs", 1e-3), ("ns", 1.0), ("ps", 1e3)):
        if nanoseconds * factor >= 1.0:
            return unit, factor
    return ("fs", 1e6) if nanoseconds > 0 else ("ns", 1.0)


THZ_PER_INVERSE_FS: Final = 1.0e3
"""1/fs in THz."""

WAVENUMBER_PER_THZ: Final = 33.35640951981521
"""1 THz in 1/cm."""
