"""`Form`: the choices a fit leaves open, and the model they make for a trajectory."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import ConfigError, check_choice
from hopcast.core.spreading import spread
from hopcast.core.trajectory import Trajectory
from hopcast.tightbinding.basis import OrbitalBasis
from hopcast.tightbinding.geometry import FrameGeometry
from hopcast.tightbinding.model import BandModel, Surroundings
from hopcast.tightbinding.radial import RadialPrior, RadialTable, tabulate
from hopcast.tightbinding.samples import Samples
from hopcast.tightbinding.start import bond_length
from hopcast.tightbinding.terms import Keep, hoppings_of, standard_terms

Floats = NDArray[np.float64]

DENSITIES = ("", "all", "element")
POTENTIALS = ("", "screened", "ewald")

REFERENCE_FRAMES = 40
"""Training frames from which reference densities, potentials and bond lengths are averaged."""


BOND_MARGIN = 0.35
"""Bonds of ionic solids are longer than the sum of covalent radii, Å."""


@dataclass(frozen=True)
class Form:
    """Hyperparameters of a fit.

    Attributes
    ----------
    r_hopping, decay_hopping, size_hopping
        Cutoff, decay (Å) and size at a bond (eV) that are believed of hoppings before any data (`RadialPrior`).
    r_field, decay_field, size_field
        The same of crystal fields, which reach further: they are electrostatic in good part.
    density
        Modulation of radial functions by the density around either atom: "" (none), of "all" neighbours, or of each "element".
    density_size
        Relative effect of a unit of density.
    size_level
        By how much levels differ from the atoms', eV.
    potential
        Electrostatic potential on each level: "" (none), "screened", or "ewald" (unscreened, not size-consistent in small cells).
    size_overlap
        Size of the overlap of orbitals at a bond; 0: an orthogonal basis. Less is believed in a crystal so dense that universal overlaps would
        be more than a basis can have.
    size_momentum
        Of an atom between its shells, 1/Å (`hopcast.tightbinding.motion`); 0: couplings of orbitals at rest.
    energy_error
        What the form cannot say of an energy, eV: residuals are measured in it.
    edge_weight
        Weight of the residuals of VBM and CBM over those of other bands.
    coupling_weight
        Weight of the residuals of couplings, measured in their root mean square over the training samples.
    n_edges
        Bands on either side of the gap whose couplings across it count.
    shift, scale
        Where the fit starts (`hopcast.tightbinding.start.starting_values`); None: where left-out blocks are forecast best.
    """

    r_hopping: float = 8.0
    decay_hopping: float = 1.6
    size_hopping: float = 0.5
    r_field: float = 10.0
    decay_field: float = 4.0
    size_field: float = 0.6
    density: str = "all"
    density_size: float = 0.3
    size_level: float = 1.0
    potential: str = ""
    size_overlap: float = 0.05
    size_momentum: float = 1.0
    energy_error: float = 0.1
    edge_weight: float = 3.0
    coupling_weight: float = 1.0
    n_edges: int = 3
    shift: float | None = None
    scale: float | None = None

    def __post_init__(self) -> None:
        check_choice("density", self.density, DENSITIES)
        check_choice("potential", self.potential, POTENTIALS)
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            if one.name in ("density", "potential", "shift") or (one.name == "scale" and value is None):
                continue
            if (
                not np.isfinite(value)
                or value < 0
                or (value == 0 and one.name not in ("coupling_weight", "size_overlap", "size_momentum"))
            ):
                raise ConfigError(f"Argument `{one.name}` must be positive, but is {value}.")
        if (self.shift is None) != (self.scale is None):
            raise ConfigError("Arguments `shift` and `scale` must be given together: they say where a fit starts.")

    def replace(self, **changes: object) -> Form:
        """Return another form."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]

    @property
    def priors(self) -> tuple[RadialPrior, RadialPrior]:
        """Of hoppings and of crystal fields."""
        return (
            RadialPrior(self.r_hopping, self.decay_hopping),
            RadialPrior(self.r_field, self.decay_field),
        )

    def __str__(self) -> str:
        parts = [f"hoppings to {self.r_hopping:g} Å, crystal fields to {self.r_field:g} Å"]
        parts += [f"density of {self.density} neighbours"] * bool(self.density)
        parts += [f"{self.potential} potential"] * bool(self.potential)
        sizes = {"hoppings": self.size_hopping, "fields": self.size_field}
        sizes |= {"densities": self.density_size} if self.density else {}
        sizes |= {"overlap": self.size_overlap} if self.size_overlap else {}
        parts += [f"start {self.shift:g} eV, {self.scale:g}"] if self.shift is not None else []
        parts += ["sizes " + ", ".join(f"{name} {size:.3g}" for name, size in sizes.items())]
        return ", ".join([*parts, f"coupling weight {self.coupling_weight:.3g}"])


def shortest_distances(trajectory: Trajectory, frames: NDArray[np.int64], basis: OrbitalBasis) -> Floats:
    """Return the shortest distance of each pair of elements over some frames [n_species, n_species], Å (inf where beyond 6 Å)."""
    species = basis.species_of(trajectory.numbers)
    n = len(basis.elements)
    # a model of densities sees every pair
    table = RadialTable(1.0, 1.0, 6.0, np.zeros((n * n, 1, 0, 4)), (0, 0), (6.0, 6.0))
    probe = BandModel(basis, (), Surroundings(table, density="all", density_reach=6.0))
    shortest = np.full((n, n), np.inf)
    for frame in frames:
        geometry = probe.geometry(trajectory, int(frame))
        np.minimum.at(shortest, (species[geometry.first], species[geometry.second]), geometry.distance)
    return np.minimum(shortest, shortest.T)


def build_model(
    form: Form, basis: OrbitalBasis, trajectory: Trajectory, samples: Samples, *, keep: Keep | None = None
) -> BandModel:
    """Return the model of a form for a material: radial functions and references from the training frames.

    Raises
    ------
    ConfigError
        If a cutoff does not reach beyond the shortest bond.
    """
    picked = spread(len(samples), REFERENCE_FRAMES)
    frames = samples.steps[picked]
    nearest = float(shortest_distances(trajectory, frames, basis).min())
    for name in ("r_hopping", "r_field"):
        if getattr(form, name) < 1.2 * nearest:
            raise ConfigError(
                f"Argument `{name}` must lie well beyond the shortest distance of the training frames ({nearest:.2f} Å), "
                f"but is {getattr(form, name):g} Å."
            )
    bonds = np.array([bond_length(one, other) + BOND_MARGIN for one in basis.elements for other in basis.elements])
    around = Surroundings(
        tabulate(form.priors, bonds, 0.8 * nearest),
        form.density,
        form.r_field,
        1.15 * nearest,
        potential=form.potential,
    )
    terms = standard_terms(basis, potential=bool(form.potential), momenta=form.size_momentum > 0, keep=keep)
    hoppings = hoppings_of(terms)
    metric = BandModel(basis, hoppings, around, modulated=False) if form.size_overlap and hoppings else None
    bare = BandModel(basis, terms, around, overlap=metric)
    if not (form.density or form.potential):
        return bare
    around = _with_references(bare, trajectory, frames)
    metric = dataclasses.replace(metric, surroundings=around) if metric is not None else None
    return dataclasses.replace(bare, surroundings=around, overlap=metric)


def _with_references(model: BandModel, trajectory: Trajectory, frames: NDArray[np.int64]) -> Surroundings:
    """Return the surroundings with mean densities and potentials by element."""
    around, n = model.surroundings, model.n_species
    species = model.basis.species_of(trajectory.numbers)
    density, potential = [], []
    for frame in frames:
        geometry: FrameGeometry = model.geometry(trajectory, int(frame))
        if around.density:
            density.append(model.densities_at(geometry.first, geometry.second, geometry.distance, species))
        potential.append(geometry.sites)
    means: dict[str, Any] = {}
    for name, values in (("density_mean", density), ("potential_mean", potential)):
        if values and values[0].shape[1]:
            mean = np.mean(values, axis=0)
            means[name] = np.array([mean[species == k].mean(axis=0) for k in range(n)])
    return dataclasses.replace(around, **means)
