"""From what the stages left behind to the report: the records of `results.json` and the series behind the figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.units import AMU, FS_PER_NS, KB
from hopcast.couplings import OverlapDiagnosis
from hopcast.report import Dephasing, Forecast, InformationMap, Populations, Series, Structure, StudyReport
from hopcast.results import SCHEMA_VERSION, StudyResults
from hopcast.results.dynamics import BandNorm
from hopcast.results.record import known
from hopcast.results.study import CorrectionsRecord, Crossing, DataRecord, Provenance, SamplesRecord, Timing
from hopcast.study.config import StudyConfig
from hopcast.study.electron_hole import pair_series
from hopcast.study.inputs import StudyData
from hopcast.study.rates import DynamicsNumbers
from hopcast.study.sampled_rates import forecast_series
from hopcast.study.samples import Samples
from hopcast.study.stage import Arrays, Stage, StageResult
from hopcast.study.stages import checks, dynamics, electrons, features, information, models, relaxation
from hopcast.study.stages.models import ModelNumbers

Results = Mapping[str, StageResult[Any]]


def assemble(
    config: StudyConfig, data: StudyData, stages: Results, provenance: Provenance, seconds: Mapping[str, float]
) -> StudyReport:
    """Return the report of the stages that ran; those that did not are left out.

    Fields of a stage's record that are fields of `StudyResults` go there as they are.
    """
    found: dict[str, Any] = {"models": [], "hamiltonians": []}
    for stage in stages.values():
        names = set(type(stage.numbers).model_fields) & set(StudyResults.model_fields) - {"reasons"}
        found |= {name: getattr(stage.numbers, name) for name in names}
    forecasts = _of(stages, models.STAGE)
    numbers = None if forecasts is None else forecasts.numbers
    results = StudyResults(
        schema_version=SCHEMA_VERSION,
        provenance=provenance,
        data=_data(config, data, stages, numbers),
        samples=None if data.samples is None else _samples(data.samples, numbers),
        corrections=None
        if data.diagnosis is None
        else _corrections(config, data.diagnosis, len(data.window.state_labels)),
        notes=[note for stage in stages.values() for note in stage.notes],
        timings=[Timing(stage=name, seconds=round(spent, 2)) for name, spent in seconds.items()],
        **found,
    )
    return StudyReport(results, _series(config, data, stages))


def _of(stages: Results, stage: Stage[Any]) -> StageResult[Any] | None:
    return stages.get(stage.name)


def _data(config: StudyConfig, data: StudyData, stages: Results, numbers: ModelNumbers | None) -> DataRecord:
    trajectory, gap, nac = data.trajectory, data.hamiltonian.gap(), np.abs(data.hamiltonian.coupling())
    memory: list[float | None]
    if data.samples is not None and numbers is not None:
        memory = list(numbers.memory.values())
    else:
        memory = [one.correlation_time for one in stages[information.STAGE.name].numbers.memory.values()]
    temperature, reason = _temperature(data)
    strides = [] if numbers is None else [one.stride for one in numbers.models]
    return DataRecord(
        name=config.title or data.name,
        description=data.description,
        formula=trajectory.formula,
        elements=list(trajectory.elements),
        n_atoms=trajectory.n_atoms,
        n_frames=trajectory.n_frames,
        timestep=trajectory.timestep,
        duration=trajectory.duration,
        states=list(data.hamiltonian.state_labels),
        gap_mean=float(np.nanmean(gap)),
        gap_std=float(np.nanstd(gap)),
        nac_rms=float(np.sqrt(np.nanmean(nac**2))),
        correlation_time=None if None in memory else max(known(one) for one in memory),
        temperature=temperature,
        train_stride=strides[0] if strides else None,
        reasons={"temperature": reason},
    )


def _samples(samples: Samples, numbers: ModelNumbers | None) -> SamplesRecord:
    return SamplesRecord(
        n_pairs=len(samples),
        spacing=samples.spacing,
        share=len(samples) / samples.n_steps,
        block=numbers and numbers.block,
        purge=numbers and numbers.purge,
    )


def _temperature(data: StudyData) -> tuple[float | None, str]:
    """Return the mean temperature of the nuclei from their velocities, the centre of mass at rest, or why there is none."""
    from ase.data import atomic_masses

    trajectory = data.trajectory
    if trajectory.velocities is None or trajectory.n_atoms < 2:
        return None, "the trajectory has no velocities"
    mass = atomic_masses[trajectory.numbers] * AMU
    kinetic = 0.5 * np.einsum("a,tai,tai->", mass, trajectory.velocities, trajectory.velocities)
    degrees = 3 * (trajectory.n_atoms - 1) * trajectory.n_frames
    return float(2 * kinetic / (degrees * KB)), ""


def _corrections(config: StudyConfig, found: OverlapDiagnosis, n_states: int) -> CorrectionsRecord:
    crossings = [
        Crossing(step=crossing.step, states=list(crossing.states), overlap=crossing.overlap)
        for crossing in found.crossings
    ]
    kept = config.couplings.tracking == "energy"
    derivative = (
        "logarithm of the orthonormalised overlap" if config.couplings.derivative == "log" else "difference (S - S^T)/2"
    )
    order = "energy (adiabatic)" if kept else "character, through trivial crossings"
    return CorrectionsRecord(
        phase_flips=round(found.flipped * found.n_steps * n_states),
        n_overlaps=found.n_steps * n_states,
        swaps=[] if kept else crossings,
        crossings=crossings if kept else [],
        leaking_bands=[BandNorm(band=band, row_norm=norm) for band, norm in found.leaking.items()],
        doubtful_steps=len(found.doubtful),
        nac_autocorrelation_raw=found.autocorrelation_raw,
        nac_autocorrelation=found.autocorrelation,
        notes=[f"couplings are the {derivative} over the time step", f"states in order of {order}"],
        reasons=dict.fromkeys(("nac_autocorrelation_raw", "nac_autocorrelation"), "no frontier pair"),
    )


def _series(config: StudyConfig, data: StudyData, stages: Results) -> Series:
    trajectory = data.trajectory
    functions = stages[features.STAGE.name].numbers.functions
    ranked = stages[information.STAGE.name].arrays
    maps = tuple(
        InformationMap(
            element=element,
            target=target,
            r_s=np.array(functions.r_s),
            theta_s=np.array(functions.theta_s),
            r_labels=functions.r_s_labels,
            theta_labels=functions.theta_s_labels,
            **{kind: ranked[f"{kind}/{target}/{element}"] for kind in ("raw", "null", "corrected")},
        )
        for target in information.TARGETS
        for element in data.sites.elements
    )
    series = Series(
        structure=Structure(
            np.asarray(trajectory.positions[0], dtype=float),
            np.asarray(trajectory.cells()[0]),
            trajectory.numbers,
            trajectory.pbc,
        ),
        maps=maps,
        atoms={target: data.at_atoms(ranked[f"atoms/{target}"]) for target in information.TARGETS},
    )
    forecasts, found = _of(stages, models.STAGE), _of(stages, dynamics.STAGE)
    if forecasts is not None and found is not None:
        gap, nac = _forecasts(config, data, forecasts, found)
        series = dataclasses.replace(
            series,
            gap=gap,
            nac=nac,
            populations=_populations(found, _of(stages, checks.STAGE)),
            dephasing=_dephasing(found),
        )
    followed = _of(stages, relaxation.STAGE)
    if followed is not None:
        series = dataclasses.replace(
            series,
            relaxation=relaxation.relaxation_series(followed),
            pair=pair_series(followed.numbers.relaxation, followed.arrays),
        )
    orbitals = _of(stages, electrons.STAGE)
    if orbitals is not None:
        states, edges = electrons.electron_series(orbitals.arrays)
        series = dataclasses.replace(series, states=states, edges=edges)
    return series


def _forecasts(
    config: StudyConfig, data: StudyData, forecasts: StageResult[ModelNumbers], found: StageResult[DynamicsNumbers]
) -> tuple[Forecast, Forecast]:
    """Return gap and coupling, ab initio and forecast."""
    trajectory, pair, names = data.trajectory, data.hamiltonian, forecasts.numbers.names
    frames: NDArray[Any] = np.arange(trajectory.n_frames) * trajectory.timestep
    middle = frames[:-1] + 0.5 * trajectory.timestep
    arrays = forecasts.arrays
    gap = Forecast(
        frames if pair.energy_grid == "frame" else middle,
        pair.gap(),
        arrays["train/gap"],
        {name: arrays[f"gap/{name}"] for name in names},
    )
    nac = Forecast(
        middle, np.abs(pair.coupling()), arrays["train/nac"], {name: found.arrays[f"nac/{name}"] for name in names}
    )
    if data.samples is not None:  # what models that saw nothing of a stretch say of the computed pairs in it
        unseen = {name: forecast_series(config, data, arrays, name, "-blocked") for name in names}
        gap = dataclasses.replace(
            gap, held_out={name: np.where(gap.train, one.gap, np.nan) for name, one in unseen.items()}
        )
        nac = dataclasses.replace(
            nac, held_out={name: np.where(nac.train, one.learnt_coupling, np.nan) for name, one in unseen.items()}
        )
    return gap, nac


def _populations(found: StageResult[DynamicsNumbers], checked: StageResult[Any] | None) -> Populations | None:
    """Return the populations; separate pairs have none."""
    arrays, numbers = found.arrays, found.numbers
    rows = [row.name for row in numbers.hamiltonians if f"population/{row.name}" in arrays]
    if not rows:
        return None
    return Populations(
        arrays["times"] / FS_PER_NS,
        {name: arrays[f"population/{name}"] for name in rows},
        *_band(numbers, arrays),
        monte_carlo=None if checked is None else checked.arrays.get("monte_carlo"),
    )


def _dephasing(found: StageResult[DynamicsNumbers]) -> Dephasing | None:
    """Return the dephasing function of a complete Hamiltonian."""
    if "dephasing/times" not in found.arrays:
        return None
    times, tau = found.arrays["dephasing/times"], known(found.numbers.dephasing.tau)
    return Dephasing(times, found.arrays["dephasing/function"], tau, times, found.arrays["dephasing/correlation"])


def _band(numbers: DynamicsNumbers, arrays: Arrays) -> tuple[Arrays, Arrays]:
    """Return the ends of the ab initio population's interval: that of its rate, P -> 1 - (1 - P)^(k'/k)."""
    first = numbers.hamiltonians[0]
    rate = first.rate
    if f"population/{first.name}" not in arrays or rate is None or not rate.value:
        return {}, {}
    if rate.low is None or rate.high is None:
        return {}, {}
    survived = 1.0 - arrays[f"population/{first.name}"]
    low, high = ({first.name: 1.0 - survived ** (max(end, 0.0) / rate.value)} for end in (rate.low, rate.high))
    return low, high
