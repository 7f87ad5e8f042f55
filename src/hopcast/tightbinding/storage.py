"""A fitted tight binding in one HDF5 file: numbers and text, nothing that could run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Final

from hopcast.core import hdf5
from hopcast.tightbinding.basis import OrbitalBasis
from hopcast.tightbinding.fitted import FittedBands, HeldOutScores
from hopcast.tightbinding.form import Form
from hopcast.tightbinding.model import BandModel, Surroundings
from hopcast.tightbinding.radial import RadialTable
from hopcast.tightbinding.terms import CrystalField, Hopping, Level, Momentum, Potential, Term, hoppings_of

DEFINITION: Final = 3
"""Of the terms and their columns: a file of another one would forecast something else."""

KINDS: Final = {kind.__name__: kind for kind in (Level, Potential, Hopping, CrystalField, Momentum)}
ARRAYS: Final = {
    "theta": ("1", ("parameter",)),
    "factor": ("1", ("parameter", "parameter")),
    "shortest": ("Å", ("element", "element")),
    "coupling_bars": ("eV^2, 1", ("floor and scale", "state", "state")),
    "band_errors": ("eV", ("state",)),
    "cell": ("Å", ("vector", "xyz")),
    "numbers": ("1", ("atom",)),
}
NUMBERS: Final = (
    "n_states",
    "n_occupied",
    "timestep",
    "offset",
    "floor",
    "scale",
    "gap_std",
    "limit",
    "n_samples",
    "converged",
)


def put_bands(group: Any, bands: FittedBands) -> None:
    """Store a fitted tight binding in a group."""
    around, basis = bands.model.surroundings, bands.model.basis
    hdf5.put_attributes(
        group,
        {
            "definition": DEFINITION,
            "form": json.dumps(dataclasses.asdict(bands.form)),
            "scores": json.dumps(dataclasses.asdict(bands.scores)),
            "state_labels": list(bands.state_labels),
            "basis": json.dumps(dataclasses.asdict(basis)),
            "terms": json.dumps([[type(term).__name__, *dataclasses.astuple(term)] for term in bands.model.terms]),
            **{name: getattr(bands, name) for name in NUMBERS},
        },
    )
    for name, (unit, axes) in ARRAYS.items():
        hdf5.put_array(group, name, getattr(bands, name), unit=unit, axes=axes)
    part = group.create_group("surroundings")
    hdf5.put_attributes(
        part,
        {
            **{name: getattr(around, name) for name in ("density", "density_reach", "bond", "potential", "eta")},
            "start": around.radial.start,
            "step": around.radial.step,
            "cutoff": around.radial.cutoff,
            "counts": json.dumps(around.radial.counts),
            "reaches": json.dumps(around.radial.reaches),
        },
    )
    hdf5.put_array(
        part,
        "coefficients",
        around.radial.coefficients,
        unit="eV/Å^k",
        axes=("pair of elements", "knot", "function", "power"),
    )
    hdf5.put_array(part, "density_mean", around.density_mean, unit="1", axes=("element", "density"))
    hdf5.put_array(part, "potential_mean", around.potential_mean, unit="eV", axes=("element", "element"))
    hdf5.put_attributes(group.create_group("provenance"), bands.provenance)


def save_bands(bands: FittedBands, path: str | Path) -> None:
    """Write a fitted tight binding, atomically.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """

    def fill(file: Any) -> None:
        put_bands(file.create_group("tight_binding"), bands)

    hdf5.write_file(path, fill)


def load_bands(path: str | Path) -> FittedBands:
    """Read a fitted tight binding.

    Raises
    ------
    InputError
        If the file is missing, broken, of another definition, or holds no tight binding.
    """
    with hdf5.open_group(path, "tight_binding", "tight binding", "`TightBinding.save`", DEFINITION) as group:
        return get_bands(group)


def get_bands(group: Any) -> FittedBands:
    """Load what `put_bands` stored."""
    part = group["surroundings"]
    basis = {name: tuple(value) for name, value in json.loads(group.attrs["basis"]).items()}
    form = Form(**json.loads(group.attrs["form"]))
    radial = RadialTable(
        float(part.attrs["start"]),
        float(part.attrs["step"]),
        float(part.attrs["cutoff"]),
        hdf5.get_array(part, "coefficients"),
        tuple(json.loads(part.attrs["counts"])),
        tuple(json.loads(part.attrs["reaches"])),
    )
    around = Surroundings(
        radial,
        str(part.attrs["density"]),
        float(part.attrs["density_reach"]),
        float(part.attrs["bond"]),
        hdf5.get_array(part, "density_mean"),
        str(part.attrs["potential"]),
        float(part.attrs["eta"]),
        hdf5.get_array(part, "potential_mean"),
    )
    terms: tuple[Term, ...] = tuple(KINDS[kind](*values) for kind, *values in json.loads(group.attrs["terms"]))
    metric = None
    if form.size_overlap:
        metric = BandModel(OrbitalBasis(**basis), hoppings_of(terms), around, modulated=False)
    numbers: dict[str, Any] = {name: group.attrs[name].item() for name in NUMBERS}
    arrays: dict[str, Any] = {name: hdf5.get_array(group, name) for name in ARRAYS}
    return FittedBands(
        model=BandModel(OrbitalBasis(**basis), terms, around, overlap=metric),
        form=form,
        scores=HeldOutScores(**json.loads(group.attrs["scores"])),
        state_labels=tuple(str(one) for one in group.attrs["state_labels"]),
        provenance={key: str(value) for key, value in group["provenance"].attrs.items()},
        **arrays,
        **numbers,
    )
