"""Small materials for tests: frames of a shaken crystal, models with and without every kind of term, plain NumPy twins."""

import numpy as np

from hopcast import Trajectory, VibronicHamiltonian
from hopcast.tightbinding.basis import make_basis
from hopcast.tightbinding.fit import prior_weights
from hopcast.tightbinding.form import BOND_MARGIN, Form
from hopcast.tightbinding.model import BandModel, Surroundings
from hopcast.tightbinding.radial import RadialPrior, tabulate
from hopcast.tightbinding.start import bond_length
from hopcast.tightbinding.terms import hoppings_of, standard_terms

SYMBOLS = ("Ti", "O", "O", "Cs")
NUMBERS = np.array([22, 8, 8, 55])
CELL = np.array([[4.1, 0.2, 0.0], [0.0, 4.4, 0.1], [0.3, 0.0, 4.9]])
PLACES = np.array([[0.1, 0.2, 0.3], [2.0, 0.3, 0.4], [0.2, 2.3, 0.1], [2.2, 2.1, 2.6]])


def shaken(n_frames=3, size=0.08, seed=0, cell=CELL, places=PLACES, numbers=NUMBERS, timestep=2.0):
    rng = np.random.default_rng(seed)
    positions = places + size * rng.normal(size=(n_frames, *places.shape))
    return Trajectory(positions, cell, numbers, timestep)


def make_model(
    basis=None, *, density="all", potential="screened", cutoff=4.5, symbols=SYMBOLS, overlap=False, momenta=False
):
    """A model with s, p and d orbitals and all kinds of terms."""
    if basis is None:
        # large atoms in so small a cell would overlap more than a basis can
        basis = {"Ti": "spd", "O": "sp", "Cs": "" if overlap else "s"}
    orbitals = make_basis(symbols, basis)
    bonds = np.array([bond_length(a, b) + BOND_MARGIN for a in orbitals.elements for b in orbitals.elements])
    table = tabulate((RadialPrior(cutoff, 1.2), RadialPrior(cutoff + 0.7, 2.0)), bonds, 1.2)
    around = Surroundings(table, density, cutoff, 2.0, potential=potential, eta=0.5)
    terms = standard_terms(orbitals, potential=bool(potential), momenta=momenta)
    metric = BandModel(orbitals, hoppings_of(terms), around, modulated=False) if overlap else None
    return BandModel(orbitals, terms, around, overlap=metric)


SIZES = Form(size_level=1.0, size_overlap=0.02)
"""An overlap that stays positive definite whatever is drawn."""


def random_theta(model, seed=1, size=1.0, form=SIZES):
    """Parameters as far from zero as a form believes them to be."""
    return size * np.random.default_rng(seed).normal(size=model.n_parameters) / np.sqrt(prior_weights(model, form))


def real_harmonics(momentum, u):
    """Real orbitals at unit vectors, normalised to 1 for the one along the vector, in our order."""
    x, y, z = u
    if momentum == 0:
        return np.array([1.0])
    if momentum == 1:
        return np.array([x, y, z])
    r3 = np.sqrt(3.0)
    return np.array([r3 * x * y, r3 * y * z, r3 * z * x, r3 / 2 * (x * x - y * y), (3 * z * z - 1) / 2])


def slater_koster_table(l, m, n):  # noqa: E741 - direction cosines as published
    """Rows of the table of Slater and Koster (Phys. Rev. 1954, 94, 1498, Table I), as (orbitals, (sigma, pi, delta))."""
    r3 = np.sqrt(3.0)
    return {
        ("s", "x"): (l,),
        ("x", "x"): (l * l, 1 - l * l),
        ("x", "y"): (l * m, -l * m),
        ("x", "z"): (l * n, -l * n),
        ("s", "xy"): (r3 * l * m,),
        ("s", "x2-y2"): (r3 / 2 * (l * l - m * m),),
        ("s", "3z2-r2"): (n * n - (l * l + m * m) / 2,),
        ("x", "xy"): (r3 * l * l * m, m * (1 - 2 * l * l)),
        ("x", "yz"): (r3 * l * m * n, -2 * l * m * n),
        ("x", "zx"): (r3 * l * l * n, n * (1 - 2 * l * l)),
        ("x", "x2-y2"): (r3 / 2 * l * (l * l - m * m), l * (1 - l * l + m * m)),
        ("y", "x2-y2"): (r3 / 2 * m * (l * l - m * m), -m * (1 + l * l - m * m)),
        ("z", "x2-y2"): (r3 / 2 * n * (l * l - m * m), -n * (l * l - m * m)),
        ("x", "3z2-r2"): (l * (n * n - (l * l + m * m) / 2), -r3 * l * n * n),
        ("z", "3z2-r2"): (n * (n * n - (l * l + m * m) / 2), r3 * n * (l * l + m * m)),
        ("xy", "xy"): (3 * l * l * m * m, l * l + m * m - 4 * l * l * m * m, n * n + l * l * m * m),
        ("xy", "yz"): (3 * l * m * m * n, l * n * (1 - 4 * m * m), l * n * (m * m - 1)),
        ("xy", "zx"): (3 * l * l * m * n, m * n * (1 - 4 * l * l), m * n * (l * l - 1)),
        ("xy", "x2-y2"): (1.5 * l * m * (l * l - m * m), 2 * l * m * (m * m - l * l), l * m * (l * l - m * m) / 2),
        ("yz", "x2-y2"): (
            1.5 * m * n * (l * l - m * m),
            -m * n * (1 + 2 * (l * l - m * m)),
            m * n * (1 + (l * l - m * m) / 2),
        ),
        ("xy", "3z2-r2"): (
            r3 * l * m * (n * n - (l * l + m * m) / 2),
            -2 * r3 * l * m * n * n,
            r3 / 2 * l * m * (1 + n * n),
        ),
        ("zx", "3z2-r2"): (
            r3 * l * n * (n * n - (l * l + m * m) / 2),
            r3 * l * n * (l * l + m * m - n * n),
            -r3 / 2 * l * n * (l * l + m * m),
        ),
        ("x2-y2", "x2-y2"): (
            0.75 * (l * l - m * m) ** 2,
            l * l + m * m - (l * l - m * m) ** 2,
            n * n + (l * l - m * m) ** 2 / 4,
        ),
        ("3z2-r2", "3z2-r2"): (
            (n * n - (l * l + m * m) / 2) ** 2,
            3 * n * n * (l * l + m * m),
            0.75 * (l * l + m * m) ** 2,
        ),
    }


ORBITALS = (
    {"s": (0, 0)}
    | {name: (1, k) for k, name in enumerate(("x", "y", "z"))}
    | {name: (2, k) for k, name in enumerate(("xy", "yz", "zx", "x2-y2", "3z2-r2"))}
)


GALLIUM_ARSENIDE = np.array([31, 31, 33, 33])
GAAS_CELL = np.diag([4.0, 4.0, 5.65])
GAAS_PLACES = np.array([[0, 0, 0], [2.0, 2.0, 2.825], [2.0, 0, 1.41], [0, 2.0, 4.24]])


def sparse_pairs(n_pairs=24, size=0.12, seed=0, step=1e-5, timestep=1.0):
    """Pairs of neighbouring frames of a shaken crystal, far from each other: frames 3 p and 3 p + 1, and one between pairs."""
    rng = np.random.default_rng(seed)
    base = GAAS_PLACES + size * rng.normal(size=(n_pairs, 1, 4, 3))
    frames = np.concatenate([base, base + step * rng.normal(size=base.shape), base], axis=1)
    return Trajectory(frames.reshape(-1, 4, 3), GAAS_CELL, GALLIUM_ARSENIDE, timestep)


def known_on_pairs(hamiltonian):
    """The Hamiltonian with the frames and steps between pairs unknown."""
    energies, nac = hamiltonian.energies.copy(), hamiltonian.nac.copy()
    energies[2::3] = np.nan
    nac[1::3] = nac[2::3] = np.nan
    return VibronicHamiltonian(energies, nac, hamiltonian.timestep, n_occupied=hamiltonian.n_occupied)
