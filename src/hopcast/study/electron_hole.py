"""Electron and hole in one run: both cool and recombine, in a basis of Slater determinants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.spreading import spread
from hopcast.dynamics import choose_substeps, electron_hole_hamiltonian
from hopcast.dynamics.loop import steps_kept
from hopcast.report import ElectronHole
from hopcast.results.dynamics import CarrierCooling, ElectronHoleRecord, RelaxationRecord
from hopcast.study.rates import follow_carrier
from hopcast.study.stage import Arrays, Context

GROUPS: Final = ("both hot", "electron hot", "hole hot", "both cool", "ground state")
"""Populations that the report draws; cool: in the band at the edge, hot: in any other."""

Carrier = Literal["electron", "hole"]
Way = Literal["together", "alone"]
CARRIERS: Final[tuple[Carrier, ...]] = ("electron", "hole")
WAYS: Final[tuple[Way, ...]] = ("together", "alone")


@dataclass(frozen=True, eq=False)
class Cooling:
    """A carrier on its way to the edge.

    Attributes
    ----------
    populations
        Of its bands, the edge first [n_times, n_bands].
    energy, error
        Mean energy above the edge and the 95 % half-width of its sampling [n_times], eV.
    """

    populations: NDArray[np.float64]
    energy: NDArray[np.float64]
    error: NDArray[np.float64]


def run_pair(
    context: Context, window: VibronicHamiltonian, holes: Sequence[str], electrons: Sequence[str]
) -> tuple[ElectronHoleRecord, Arrays]:
    """Start electron and hole in their last bands and follow them together, and each alone.

    By the first method of the section. The ground state absorbs; the edges do not, together or alone, so that the two ways differ in
    nothing but the other carrier. Of a long trajectory as many frames are used as memory keeps propagators for.

    Parameters
    ----------
    window
        Bands, complete.
    holes, electrons
        Names of the bands of each carrier, the edge first.

    Returns
    -------
    record, arrays
        ``pair`` of `results.json`, and series by carrier and way.
    """
    section = context.config.relaxation
    method, names = section.methods[0], window.state_labels
    bands = {"hole": [names.index(band) for band in holes], "electron": [names.index(band) for band in electrons]}
    window, pair = _that_fits(window, bands)
    shape = (len(holes), len(electrons))
    starts = spread(pair.n_steps, section.n_starts)

    context.progress.advance(f"electron and hole together, {method}")
    found = follow_carrier(context, pair, "electron", method, pair.n_states - 1, starts)
    n = found.n_trajectories * found.initial_times.size
    excited = found.populations[:, 1:].reshape(-1, *shape)
    cooling = {}
    for carrier in CARRIERS:
        order = bands[carrier]
        energies = np.abs(window.energies[:, order] - window.energies[:, order[:1]]).mean(axis=0)
        cooling[carrier, "together"] = _cooling(excited.sum(axis=1 if carrier == "electron" else 2), energies, n)
        own = window.select(sorted(order))
        alone = follow_carrier(context, own, carrier, method, own.n_states - 1, starts, absorbing=False)
        cooling[carrier, "alone"] = _cooling(alone.populations, energies, n)
    groups = np.stack(
        [
            excited[:, 1:, 1:].sum(axis=(1, 2)),
            excited[:, 0, 1:].sum(axis=1),
            excited[:, 1:, 0].sum(axis=1),
            excited[:, 0, 0],
            found.ground_population,
        ],
        axis=1,
    )
    carriers = [
        _carrier(carrier, way, [names[band] for band in bands[carrier]], found.times, cooling[carrier, way])
        for carrier in CARRIERS
        for way in WAYS
    ]
    assert found.populations_high is not None
    apart = found.tau[~np.eye(len(found.tau), dtype=bool)]
    record = ElectronHoleRecord(
        method=method,
        rule=found.rule or "none",
        waiting=found.waiting or "none",
        n_determinants=pair.n_states,
        carriers=carriers,
        ground_population=float(found.ground_population[-1]),
        ground_population_high=float(found.populations_high[-1, 0]),
        tau_low=float(apart.min()),
        tau_high=float(apart.max()),
        tau_convention=found.tau_convention,
        temperature=found.temperature,
        duration=float(found.times[-1]),
        n_frames=pair.n_frames,
        n_trajectories=n,
        n_starts=int(found.initial_times.size),
        substeps=found.substeps,
        random_state=found.random_state,
        reasons={"temperature": "no detailed balance"},
    )
    arrays = {"pair/times": found.times, "pair/groups": groups}
    for (carrier, way), each in cooling.items():
        arrays[f"pair/{carrier}/{way}/populations"] = each.populations
        arrays[f"pair/{carrier}/{way}/energy"] = each.energy
        arrays[f"pair/{carrier}/{way}/energy_error"] = each.error
    return record, arrays


def _that_fits(
    window: VibronicHamiltonian, bands: dict[str, list[int]]
) -> tuple[VibronicHamiltonian, VibronicHamiltonian]:
    """Return as many frames as memory keeps propagators for, and the Hamiltonian of the pair there."""
    pair = electron_hole_hamiltonian(window, bands["hole"], bands["electron"])
    n_frames = 1 + steps_kept(pair.n_states, choose_substeps(pair))
    if n_frames >= window.n_frames:
        return window, pair
    return window[:n_frames], pair[:n_frames]


def _cooling(populations: NDArray[np.float64], energies: NDArray[np.float64], n: int) -> Cooling:
    """Return mean energy and the error that `n` trajectories leave it; what has recombined counts with zero."""
    mean = populations @ energies
    variance = np.maximum(populations @ energies**2 - mean**2, 0.0)
    return Cooling(populations, mean, np.asarray(1.96 * np.sqrt(variance / n)))


def _carrier(
    carrier: Carrier, way: Way, bands: list[str], times: NDArray[np.float64], found: Cooling
) -> CarrierCooling:
    """Return when the energy has fallen to 1/e, with the interval of the sampling, and what is left at the end."""
    target = found.energy[0] / np.e
    curves = {
        "cooling_time": found.energy,
        "cooling_time_low": found.energy - found.error,
        "cooling_time_high": found.energy + found.error,
    }
    falls: dict[str, Any] = {key: fall_time(times, curve, target) for key, curve in curves.items()}
    return CarrierCooling(
        carrier=carrier,
        way=way,
        bands=bands,
        initial_state=bands[-1],
        **falls,
        initial_energy=float(found.energy[0]),
        final_energy=float(found.energy[-1]),
        at_the_edge=float(found.populations[-1, 0]),
        reasons=dict.fromkeys(falls, "more than 1/e of the energy is left at the end"),
    )


def fall_time(times: NDArray[np.float64], curve: NDArray[np.float64], target: float) -> float | None:
    """Return when a curve first reaches a target from above, linear between its points; None where it never does."""
    below = np.flatnonzero(curve <= target)
    if not below.size:
        return None
    i = int(below[0])
    if i == 0:
        return float(times[0])
    share = (curve[i - 1] - target) / (curve[i - 1] - curve[i])
    return float(times[i - 1] + share * (times[i] - times[i - 1]))


def pair_series(record: RelaxationRecord, arrays: Arrays) -> ElectronHole | None:
    """Return what the report draws."""
    if record.pair is None:
        return None
    kinds: Iterator[dict[tuple[str, str], NDArray[Any]]] = (
        {(carrier, way): arrays[f"pair/{carrier}/{way}/{kind}"] for carrier in CARRIERS for way in WAYS}
        for kind in ("energy", "energy_error")
    )
    groups = dict(zip(GROUPS, arrays["pair/groups"].T, strict=True))
    return ElectronHole(record.pair.method, arrays["pair/times"], groups, *kinds)
