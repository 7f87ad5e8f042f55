"""Kramers pairs of a lead halide: a tight binding fitted to CsPbI3, spin-orbit coupling on its atoms, and what random bases do.

    python benchmarks/spin_orbit.py [--frames N]

Prints the table of docs/spin-orbit.md. Strengths: Pb 6p 0.9 eV, I 5p 0.63 eV (atomic values, lambda of lambda L.S).
"""

from __future__ import annotations

import argparse
import dataclasses
import warnings

import numpy as np
from scipy.stats import unitary_group

import hopcast as hc
from hopcast.tightbinding import spinor_matrix

STRENGTHS = {"Pb": {"p": 0.9}, "I": {"p": 0.63}}


def without_overlap(H, S):
    """Return H in Löwdin's orthonormal orbitals."""
    if S is None:
        return H
    values, vectors = np.linalg.eigh(S)
    root = (vectors / np.sqrt(values)) @ vectors.T
    return root @ H @ root


def spinor_pairs(model, theta, trajectory, n_occupied, *, n_pairs=2, strengths=STRENGTHS):
    """Return the Kramers pairs next to the gap along a trajectory, with raw overlaps in whatever basis LAPACK hands out.

    Parameters
    ----------
    model, theta
        A tight binding and its parameters.
    trajectory
        Of the material.
    n_occupied
        Doubly occupied levels of the cell.
    n_pairs
        On either side of the gap.
    """
    window = slice(2 * (n_occupied - n_pairs), 2 * (n_occupied + n_pairs))
    energies, states = [], []
    for frame in range(trajectory.n_frames):
        geometry = model.geometry(trajectory, frame)
        H = without_overlap(model.hamiltonian(theta, geometry), model.metric(theta, geometry))
        levels, vectors = np.linalg.eigh(spinor_matrix(model, H, geometry, strengths))
        energies.append(levels[window])
        states.append(vectors[:, window])
    states = np.array(states)
    overlaps = states[:-1].conj().swapaxes(1, 2) @ states[1:]
    return hc.VibronicHamiltonian(
        np.array(energies),
        np.full(overlaps.shape, np.nan),
        trajectory.timestep,
        overlaps=overlaps,
        n_occupied=2 * n_pairs,
    ).with_blocks()


def turned(raw, seed):
    """Return the same Hamiltonian with random U(2) rotations inside each pair at every frame."""
    n_pairs = raw.n_states // 2
    drawn = unitary_group.rvs(2, size=raw.n_frames * n_pairs, random_state=np.random.default_rng(seed))
    w = np.zeros((raw.n_frames, raw.n_states, raw.n_states), dtype=complex)
    for pair in range(n_pairs):
        part = slice(2 * pair, 2 * pair + 2)
        w[:, part, part] = drawn.reshape(raw.n_frames, n_pairs, 2, 2)[:, pair]
    return dataclasses.replace(raw, overlaps=w[:-1].conj().swapaxes(1, 2) @ raw.overlaps @ w[1:])


def lifetimes(raw, **options):
    """Return lifetimes of the CBM pair, ns: one partner of each pair as it comes, blocks, and norms of the blocks alone."""
    edge = raw.n_occupied
    plain = dataclasses.replace(raw, multiplicities=())
    partner = hc.derive_couplings(plain).select([edge - 1, edge])
    blocks = hc.derive_couplings(raw).select(range(edge - 2, edge + 2))
    return [
        hc.run_dynamics(each, method="exact", duration=1e6, **options).lifetime.value
        for each in (partner, blocks, blocks.merged())
    ]


def main(n_frames):
    """Fit, follow, print."""
    warnings.simplefilter("ignore")
    long, dense = hc.load("cspbi3-long"), hc.load("cspbi3")
    fitted = hc.TightBinding(form=hc.tightbinding.Form()).fit(long.trajectory, long.hamiltonian).bands_
    trajectory = dense.trajectory[:n_frames]
    n_occupied = fitted.model.basis.n_occupied(trajectory.numbers)
    none = spinor_pairs(fitted.model, fitted.theta, trajectory, n_occupied, strengths={})
    raw = spinor_pairs(fitted.model, fitted.theta, trajectory, n_occupied)
    print(f"tight binding: {fitted.scores}")
    print(
        f"{trajectory.n_frames} frames, {trajectory.timestep:g} fs; mean gap without spin-orbit coupling {none.frontier().gap().mean():.3f} eV, with {raw.frontier().gap().mean():.3f} eV"
    )
    split = np.abs(np.diff(raw.energies.reshape(raw.n_frames, -1, 2), axis=2)).max()
    ham = hc.derive_couplings(raw).frontier()
    values = np.linalg.svd(ham.nac[:, :2, 2:], compute_uv=False)
    print(
        f"largest splitting of a pair {split:.1g} eV; singular values of the coupling differ by at most {np.abs(values[:, 0] / values[:, 1] - 1).max():.1g}"
    )
    for name, each in (("as LAPACK gives it", raw), ("turned", turned(raw, 1)), ("turned again", turned(raw, 2))):
        partner, blocks, norms = lifetimes(each, dephasing_time=6.0)
        print(
            f"{name}: one partner of each pair {partner:.4g} ns, blocks {blocks:.10g} ns, norms of blocks {norms:.10g} ns"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=400)
    main(parser.parse_args().frames)
