"""Wavefunctions of a small model solid, and files of VASP and QE with them, written from the definitions of the formats.

Nothing here uses hopcast. The solid is two atoms of Gaussian potentials in a skewed cell, diagonalised in plane waves; with
spinors there is a term that couples spin and momentum. The order of plane waves is made by plain loops.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

RYDBERG, BOHR, HARTREE = 13.605826, 0.529177249, 27.211386
CONSTANT = RYDBERG * BOHR**2  # hbar^2 / 2m, eV A^2, as VASP computes it
CELL = np.array([[4.6, 0.0, 0.0], [0.4, 4.9, 0.0], [-0.3, 0.2, 5.3]])
CUTOFF = 43.0
ATOMS = ((0.02, 0.05, 0.01), (0.47, 0.55, 0.52))
DEPTHS = (-150.0, -220.0)


def planewaves(cell=CELL, cutoff=CUTOFF, kpoint=(0, 0, 0), half=None):
    """Return indices in VASP's order."""
    return _planewaves(tuple(map(tuple, np.asarray(cell).tolist())), cutoff, tuple(kpoint), half)


@functools.cache
def _planewaves(cell, cutoff, kpoint, half):
    """Return indices in VASP's order: third index slowest, each 0, 1, ..., n, -n, ..., -1; halved along x or z."""
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    reach = 6
    line = [*range(reach + 1), *range(-reach, 0)]
    found = []
    for g3 in line:
        for g2 in line:
            for g1 in line:
                if half == "x" and (g1 < 0 or (g1 == 0 and (g2 < 0 or (g2 == 0 and g3 < 0)))):
                    continue
                if half == "z" and (g3 < 0 or (g3 == 0 and (g2 < 0 or (g2 == 0 and g1 < 0)))):
                    continue
                vector = np.add(kpoint, (g1, g2, g3)) @ reciprocal
                if CONSTANT * vector @ vector < cutoff:
                    found.append((g1, g2, g3))
    found = np.array(found)
    assert np.abs(found).max() < reach
    return found


def atoms_at(time):
    """Return fractional positions [2, 3] at a time in fs."""
    swing = 0.012 * np.sin(0.11 * time + np.arange(6).reshape(2, 3))
    return np.array(ATOMS) + swing


def solve(indices, time, cell=CELL, kpoint=(0, 0, 0), spin=0, spinor=False):
    """Return energies (eV) and coefficients [n_bands, n_planewaves (x 2)] of the model at a time."""
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    vectors = (indices + np.array(kpoint)) @ reciprocal
    matrix = np.diag(CONSTANT * np.einsum("gi,gi->g", vectors, vectors)).astype(complex)
    difference = indices[:, None] - indices
    length2 = np.einsum("abi,abi->ab", difference @ reciprocal, difference @ reciprocal)
    for depth, place in zip(DEPTHS, atoms_at(time), strict=True):
        phase = np.exp(-2j * np.pi * difference @ place)
        matrix += (depth + 4 * spin) * np.exp(-0.25 * length2) * phase / abs(np.linalg.det(cell))
    if spinor:
        pauli = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
        coupling = sum(
            0.15 * np.kron(pauli[i], np.exp(-0.2 * length2) * (vectors[:, None, i] + vectors[None, :, i]))
            for i in range(3)
        )
        # breaks inversion and nothing else
        coupling += np.kron(np.eye(2), np.zeros_like(matrix))
        matrix = np.kron(np.eye(2), matrix) + coupling
    energies, states = np.linalg.eigh(matrix)
    return energies, states.T.copy()


def make_real(indices, states):
    """Return states at Gamma with c(-G) = c(G)*, of which half a sphere is enough."""
    place = {tuple(index): at for at, index in enumerate(indices)}
    opposite = np.array([place[tuple(-index)] for index in indices])
    product = np.einsum("bg,bg->b", states, states[:, opposite])
    states = states * np.exp(-0.5j * np.angle(product))[:, None]
    assert np.abs(states[:, opposite] - states.conj()).max() < 1e-8
    return states


@dataclass
class Channel:
    """One spin and k-point: k, energies, occupations [n_bands], and for each band a dictionary plane wave -> coefficient(s)."""

    kpoint: tuple
    indices: np.ndarray
    energies: np.ndarray
    occupations: np.ndarray
    states: np.ndarray  # over the whole sphere


def channel(
    time,
    *,
    n_bands=8,
    n_occupied=4,
    kpoint=(0, 0, 0),
    spin=0,
    spinor=False,
    real=False,
    cell=CELL,
    cutoff=CUTOFF,
    seed=0,
):
    """Return the bands of the model at a time, with signs (phases) as accidental as a code's."""
    indices = planewaves(cell, cutoff, kpoint)
    energies, states = solve(indices, time, cell, kpoint, spin, spinor)
    energies, states = energies[:n_bands], states[:n_bands]
    rng = np.random.default_rng([seed, round(1000 * time)])
    if real:
        states = make_real(indices, states) * rng.choice([-1.0, 1.0], n_bands)[:, None]
    else:
        states = states * np.exp(2j * np.pi * rng.random(n_bands))[:, None]
    occupations = (np.arange(n_bands) < n_occupied).astype(float)
    return Channel(tuple(kpoint), indices, energies, occupations, states)


def direct_overlaps(left, right):
    """Return <i|j> as a plain sum over the plane waves of both."""
    found = np.zeros((len(left.states), len(right.states)), complex)
    n_left, n_right = len(left.indices), len(right.indices)
    places = {tuple(index): at for at, index in enumerate(right.indices)}
    for at, index in enumerate(left.indices):
        other = places.get(tuple(index))
        if other is None:
            continue
        for component in range(left.states.shape[1] // n_left):
            found += np.outer(
                left.states[:, component * n_left + at].conj(), right.states[:, component * n_right + other]
            )
    return found


def half_of(one, half):
    """Return coefficients [n_bands, n_half] as a gamma-only VASP keeps them: those of G != 0 times sqrt 2."""
    kept = planewaves(half=half)
    place = {tuple(index): at for at, index in enumerate(one.indices)}
    columns = [place[tuple(index)] for index in kept]
    return one.states[:, columns] * np.where(np.any(kept, axis=1), np.sqrt(2), 1.0)


def write_wavecar(path, spins, *, cell=CELL, cutoff=CUTOFF, half=None, double=False, tag=None, n_bands=None):
    """Write a WAVECAR of [spin][k-point] channels: records of one length, direct access."""
    kind = np.complex128 if double else np.complex64
    stored = [[half_of(one, half) if half else one.states for one in ks] for ks in spins]
    n_bands = n_bands or len(stored[0][0])
    largest = max(states.shape[1] for ks in stored for states in ks)
    record = max(largest * np.dtype(kind).itemsize, 8 * (4 + 3 * n_bands), 8 * 13)
    record = -(-record // 8) * 8

    def padded(*parts):
        body = b"".join(np.asarray(part).tobytes() for part in parts)
        return body + bytes(record - len(body))

    tag = tag or (45210 if double else 45200)
    data = [padded(np.array([record, len(spins), tag], float))]
    data.append(padded(np.array([len(spins[0]), n_bands, cutoff, *np.ravel(cell), 1.5])))
    for ks, kept in zip(spins, stored, strict=True):
        for one, states in zip(ks, kept, strict=True):
            head = [states.shape[1], *one.kpoint]
            for band in range(n_bands):
                head += [one.energies[band], 0.0, one.occupations[band]]
            data.append(padded(np.array(head, float)))
            data += [padded(states[band].astype(kind)) for band in range(n_bands)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(data))


def write_wswq(path, matrices):
    """Write <W_i|S|W^Q_j> [spin][k-point][i, j] as VASP prints it: a line a pair, i fastest."""
    lines = []
    for s, ks in enumerate(matrices, 1):
        for k, matrix in enumerate(ks, 1):
            lines.append(f"   spin={s}, kpoint={k:6d}")
            for j in range(len(matrix)):
                for i in range(len(matrix)):
                    lines.append(f"i={i + 1:6d}, j={j + 1:6d} :{matrix[i, j].real:16.8f}{matrix[i, j].imag:16.8f}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def write_eigenval(path, spins, weights=None):
    """Write an EIGENVAL with occupations (VASP 5.2.12 and later); the fourth number of a k-point is its weight."""
    n_bands = len(spins[0][0].energies)
    lines = [f"    2    2    1    {len(spins)}", "  0.1E+02  0.4E-09", "  1.0E-004", "  CAR ", " model"]
    lines.append(f"     8 {len(spins[0]):6d} {n_bands:6d}")
    for k, one in enumerate(spins[0]):
        lines += ["", " ".join(f"{x:15.7E}" for x in (*one.kpoint, 1.0 if weights is None else weights[k]))]
        for band in range(n_bands):
            numbers = [ks[k].energies[band] for ks in spins] + [ks[k].occupations[band] for ks in spins]
            lines.append(f"{band + 1:5d} " + " ".join(f"{x:14.6f}" for x in numbers))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def write_poscar(path, time, cell=CELL):
    """Write the atoms of the model at a time."""
    rows = [" ".join(f"{x:.16f}" for x in row) for row in (*cell, *atoms_at(time))]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["model", "1.0", *rows[:3], "Si Ge", "1 1", "Direct", *rows[3:]]) + "\n")


SCHEMA = """<?xml version="1.0" encoding="UTF-8"?>
<qes:espresso xmlns:qes="http://www.quantum-espresso.org/ns/qes/qes-1.0">
<input><control_variables><calculation>{calculation}</calculation><prefix>{prefix}</prefix></control_variables></input>
<output>
<convergence_info><scf_conv><convergence_achieved>{converged}</convergence_achieved></scf_conv></convergence_info>
<algorithmic_info><uspp>{uspp}</uspp><paw>false</paw></algorithmic_info>
<atomic_structure nat="2" alat="{alat!r}"><atomic_positions>{atoms}</atomic_positions><cell>{cell}</cell></atomic_structure>
<basis_set><gamma_only>{gamma}</gamma_only><ecutwfc>{cutoff!r}</ecutwfc></basis_set>
<band_structure><lsda>{lsda}</lsda><noncolin>{noncolin}</noncolin>
{bands}
</band_structure></output></qes:espresso>
"""


def _words(values):
    return " ".join(f"{float(x)!r}" for x in np.ravel(values))


def write_save(
    folder,
    spins,
    *,
    time=0.0,
    cell=CELL,
    cutoff=CUTOFF,
    gamma=False,
    spinor=False,
    hdf5=False,
    uspp=False,
    calculation="scf",
    converged=True,
    bohr=0.529177210903,
    weights=None,
):
    """Write a prefix.save of [spin][k-point] channels: the XML, and a file of wavefunctions for each."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    alat = float(np.linalg.norm(cell[0]) / bohr)
    reciprocal = np.linalg.inv(cell / bohr).T * alat
    bands = []
    for k, one in enumerate(spins[0]):
        energies = np.concatenate([ks[k].energies for ks in spins]) / HARTREE
        occupations = np.concatenate([ks[k].occupations for ks in spins])
        bands.append(
            f'<ks_energies><k_point weight="{1.0 if weights is None else weights[k]!r}">{_words(np.array(one.kpoint) @ reciprocal)}</k_point><npw>{len(one.indices)}</npw>'
            f'<eigenvalues size="{energies.size}">{_words(energies)}</eigenvalues>'
            f'<occupations size="{energies.size}">{_words(occupations)}</occupations></ks_energies>'
        )
    places = atoms_at(time) @ cell / bohr
    text = SCHEMA.format(
        prefix=folder.name.removesuffix(".save"),
        calculation=calculation,
        converged=str(converged).lower(),
        uspp=str(uspp).lower(),
        alat=alat,
        gamma=str(gamma).lower(),
        cutoff=cutoff / HARTREE,
        lsda=str(len(spins) == 2).lower(),
        noncolin=str(spinor).lower(),
        bands="\n".join(bands),
        atoms="".join(
            f'<atom name="{name}" index="{i}">{_words(place)}</atom>'
            for i, (name, place) in enumerate(zip(("Si1", "Ge"), places, strict=True), 1)
        ),
        cell="".join(f"<a{i}>{_words(row)}</a{i}>" for i, row in enumerate(cell / bohr, 1)),
    )
    (folder / "data-file-schema.xml").write_text(text)
    for s, ks in enumerate(spins):
        for k, one in enumerate(ks):
            name = f"wfc{('up', 'dw')[s] if len(spins) == 2 else ''}{k + 1}"
            # pw.x sorts plane waves by length
            length = np.einsum("gi,gi->g", *[(one.indices + np.array(one.kpoint)) @ reciprocal] * 2)
            order = np.argsort(length, kind="stable")
            if gamma:
                half = {tuple(index) for index in planewaves(half="z")}
                order = [at for at in order if tuple(one.indices[at]) in half]
            miller = one.indices[order]
            n = len(one.indices)
            columns = np.concatenate([order, n + np.array(order)]) if spinor else np.array(order)
            coefficients = one.states[:, columns]
            _write_wfc(
                folder / name,
                k + 1,
                one.kpoint @ reciprocal,
                s + 1,
                gamma,
                2 if spinor else 1,
                reciprocal,
                miller,
                coefficients,
                hdf5,
            )


def _write_wfc(stem, ik, xk, ispin, gamma, npol, vectors, miller, coefficients, hdf5):
    n_bands, n = len(coefficients), len(miller)
    if hdf5:
        with h5py.File(f"{stem}.hdf5", "w") as file:
            file.attrs.update(
                ik=np.int32(ik), xk=xk, ispin=np.int32(ispin), scale_factor=1.0, ngw=np.int32(n), igwx=np.int32(n)
            )
            file.attrs.update(npol=np.int32(npol), nbnd=np.int32(n_bands))
            file.attrs["gamma_only"] = np.bytes_(".TRUE." if gamma else ".FALSE.")
            table = file.create_dataset("MillerIndices", data=miller.astype(np.int32))
            for i in range(3):
                table.attrs[f"bg{i + 1}"] = vectors[i]
            file.create_dataset("evc", data=np.ascontiguousarray(coefficients).view(float))
        return
    head = np.int32(ik).tobytes() + np.asarray(xk, float).tobytes() + np.int32(ispin).tobytes()
    head += np.int32(gamma).tobytes() + np.float64(1.0).tobytes()
    bodies = [head, np.array([n, n, npol, n_bands], np.int32).tobytes(), np.asarray(vectors, float).tobytes()]
    bodies.append(miller.astype(np.int32).tobytes())
    bodies += [row.astype(complex).tobytes() for row in coefficients]
    marked = [np.int32(len(body)).tobytes() + body + np.int32(len(body)).tobytes() for body in bodies]
    Path(f"{stem}.dat").write_bytes(b"".join(marked))
