"""Many-electron bases: Slater determinants built from orbital energies and couplings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian

Determinant = tuple[int, ...]
"""Occupied spin orbitals: positive numbers spin up, negative ones spin down (PYXAID's notation)."""


def read_determinants(source: str | Path | Iterable[Sequence[int]]) -> list[Determinant]:
    """Return determinants from a file or from lists.

    A file holds one determinant a line, as orbital numbers: all of one spin (Hefei-NAMD's basis of an active space), or
    with a minus sign for spin down (PYXAID). Commas, brackets and quoted names (``["S1", [6, -7], 0.0]``: what follows the inner
    list is ignored) are understood; text after ``#`` or ``!`` is a comment.

    Raises
    ------
    InputError
        If a line holds no orbitals, or something that is no number.
    """
    if not isinstance(source, (str, Path)):
        return [tuple(int(orbital) for orbital in each) for each in source]
    path = Path(source)
    if not path.is_file():
        raise InputError(f"File `{path}` does not exist or is not a file. Check the path.")
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        text = line.split("#")[0].split("!")[0].strip()
        if not text:
            continue
        if text.count("[") > 1:
            text = text[text.index("[", text.index("[") + 1) + 1 :].split("]")[0]
        words = text.replace("[", " ").replace("]", " ").replace(",", " ").split()
        try:
            found.append(tuple(int(word) for word in words))
        except ValueError as error:
            raise InputError(
                f"File `{path}`, line {number} must hold orbital numbers, but holds `{line.strip()[:60]}`. Write one determinant a line."
            ) from error
    if not found:
        raise InputError(f"File `{path}` must hold one determinant a line, but holds none. Is it an ACSPACE?")
    return found


def determinant_hamiltonian(
    ham: VibronicHamiltonian,
    determinants: str | Path | Iterable[Sequence[int]],
    *,
    corrections: Sequence[float] | None = None,
) -> VibronicHamiltonian:
    r"""Return the Hamiltonian of Slater determinants of independent electrons.

    .. math:: E_I = \sum_{a\in I}\varepsilon_a + \Delta_I,\qquad D_{IJ} = (-1)^{p+q}\,d_{ab}

    where `I` and `J` differ by one orbital, `a` at place `p` of `I` and `b` at place `q` of `J` (orbitals ascending, spin up
    first), both of the same spin; determinants that differ by more do not couple, and each is its own state where they
    do not differ. State 0 must be the ground state.

    Parameters
    ----------
    ham
        Orbitals; a determinant names them by their label or its last word ("68" for "band 68").
    determinants
        See `read_determinants`.
    corrections
        :math:`\Delta_I`, eV, e.g. of the exchange energy.

    Raises
    ------
    InputError
        If a determinant names an orbital that is not there, one twice, or as many electrons as no other; or two are equal.

    References
    ----------
    A. V. Akimov, O. V. Prezhdo, J. Chem. Theory Comput. 2013, 9, 4959, 10.1021/ct400641n.
    """
    if ham.is_degenerate:
        raise InputError(
            f"Determinants need states that are single, but {ham.block_labels[int(np.argmax(ham.multiplicities))]} is degenerate. Use "
            "`merged()`, one state a block."
        )
    listed = read_determinants(determinants)
    names = {label: i for i, label in enumerate(ham.state_labels)}
    names |= {label.split()[-1]: i for label, i in names.items()}
    orbitals: list[list[tuple[int, int]]] = []
    for each in listed:
        unknown = [orbital for orbital in each if str(abs(orbital)) not in names]
        if unknown:
            raise InputError(
                f"Determinant {list(each)} names orbital {abs(unknown[0])}, but there are {ham.state_labels[0]} to "
                f"{ham.state_labels[-1]}."
            )
        occupied = sorted((int(orbital < 0), names[str(abs(orbital))]) for orbital in each)
        if len(set(occupied)) != len(occupied):
            raise InputError(f"Determinant {list(each)} occupies an orbital twice with the same spin.")
        if orbitals and len(occupied) != len(orbitals[0]):
            raise InputError(
                f"Determinant {list(each)} has {len(occupied)} electrons, but the first has {len(orbitals[0])}."
            )
        if occupied in orbitals:
            raise InputError(f"Determinant {list(each)} is there twice.")
        orbitals.append(occupied)
    shift = np.zeros(len(listed)) if corrections is None else np.asarray(corrections, dtype=np.float64)
    if shift.shape != (len(listed),) or not np.isfinite(shift).all():
        raise InputError(f"Argument `corrections` must hold {len(listed)} energies, but is {corrections!r}.")
    n = len(listed)
    energies: NDArray[np.float64] = (
        np.stack([ham.energies[:, [i for _, i in each]].sum(axis=1) for each in orbitals], axis=1) + shift
    )
    nac = np.zeros((ham.n_steps, n, n), dtype=ham.nac.dtype)
    for i, first in enumerate(orbitals):
        if np.iscomplexobj(nac):
            for _, a in first:
                nac[:, i, i] += ham.nac[:, a, a]
        for j, second in enumerate(orbitals):
            left = [orbital for orbital in first if orbital not in second]
            right = [orbital for orbital in second if orbital not in first]
            if len(left) == 1 and left[0][0] == right[0][0]:
                sign = (-1) ** (first.index(left[0]) + second.index(right[0]))
                nac[:, i, j] = sign * ham.nac[:, left[0][1], right[0][1]]
    labels = tuple("|" + " ".join(str(orbital) for orbital in each) + ">" for each in listed)
    return VibronicHamiltonian(
        energies=energies,
        nac=nac,
        timestep=ham.timestep,
        state_labels=labels,
        energy_grid=ham.energy_grid,
        energy_known=ham.energy_known,
        nac_known=ham.nac_known,
        frame_numbers=ham.frame_numbers,
        provenance={**ham.provenance, "basis": f"{n} Slater determinants of {ham.n_states} orbitals"},
    )


def electron_hole_hamiltonian(
    ham: VibronicHamiltonian, holes: Sequence[int], electrons: Sequence[int]
) -> VibronicHamiltonian:
    r"""Return the Hamiltonian of an electron and a hole together: the ground state and all single excitations.

    One spin, independent particles: :math:`E_{ha} = \varepsilon_a - \varepsilon_h` above the ground state but for the sum of the
    occupied bands. A step of either particle couples as it does alone, recombination couples :math:`|h\,a\rangle` to the ground state
    with :math:`d_{ha}`, and determinants in which both differ do not couple.

    Parameters
    ----------
    ham
        Bands.
    holes
        Occupied bands in which the hole may be, the edge first.
    electrons
        Empty bands in which the electron may be, the edge first.

    Returns
    -------
    VibronicHamiltonian
        State 0 is the ground state, state ``1 + i * len(electrons) + j`` has the hole in ``holes[i]`` and the electron in
        ``electrons[j]``.

    Raises
    ------
    InputError
        If a band is there twice, or one of the lists is empty.
    """
    bands = [*holes, *electrons]
    if not holes or not electrons or len(set(bands)) != len(bands):
        raise InputError(
            f"Arguments `holes` and `electrons` must hold different bands, at least one each, but are {list(holes)} "
            f"and {list(electrons)}."
        )
    numbered = dataclasses.replace(ham, state_labels=tuple(str(i + 1) for i in range(ham.n_states)))
    ground = [h + 1 for h in holes]
    excited = [[*(h + 1 for h in holes if h != hole), electron + 1] for hole in holes for electron in electrons]
    names = ham.state_labels
    labels = [f"{names[hole]} → {names[electron]}" for hole in holes for electron in electrons]
    found = determinant_hamiltonian(numbered, [ground, *excited])
    return dataclasses.replace(found, state_labels=("ground state", *labels))
