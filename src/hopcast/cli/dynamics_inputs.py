"""What the options of `hopcast dynamics` name: Hamiltonians, states, dephasing times, initial conditions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hopcast.core import VibronicHamiltonian
from hopcast.core.errors import ConfigError, InputError
from hopcast.couplings import derive_couplings
from hopcast.datasets import load
from hopcast.dynamics import warn_leaking
from hopcast.io import read_hamiltonian


def read_any(name: str, timestep: float | None = None) -> VibronicHamiltonian:
    """Return the Hamiltonian of a shipped data set or a file, couplings derived where only overlaps are given."""
    if not Path(name).exists() and Path(name).suffix == "":
        found = load(name).hamiltonian
        if found is None:
            raise InputError(f"Data set `{name}` has no Hamiltonian. Name another.")
        return found
    ham = read_hamiltonian(name, timestep=timestep)
    if ham.overlaps is not None and not ham.nac_known.any():
        ham = derive_couplings(ham)
    return ham


def read_states(ham: VibronicHamiltonian, wanted: str | None) -> VibronicHamiltonian:
    """Return the states named, the band edges where none are; warn of those that leave the window."""
    if wanted is None:
        return ham.frontier() if ham.n_states > 2 else ham
    index: list[int] = []
    for part in wanted.split(","):
        place = _find(ham, part)
        ends = [place] if place is not None else [_find(ham, end) for end in part.split("-", 1)]
        for end, text in zip(ends, part.split("-", 1), strict=False):
            if end is None:
                raise InputError(
                    f"Option --states must name states of the Hamiltonian ({ham.state_labels[0]} to "
                    f"{ham.state_labels[-1]}), but holds `{text}`."
                )
        index += range(ends[0] or 0, (ends[-1] or 0) + 1)
    warn_leaking(ham, index)
    return ham.select(index)


def _find(ham: VibronicHamiltonian, name: str) -> int | None:
    """Return the index of a state by its name or the last word of it ("62" for "band 62")."""
    for i, label in enumerate(ham.state_labels):
        if name.strip() in (label, label.split()[-1]):
            return i
    return None


def read_dephasing(text: str | None) -> Any:
    """Return a dephasing time, or the matrix in a file."""
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    if not Path(text).is_file():
        raise InputError(f"Option --dephasing must be a time in fs or a file, but `{text}` is neither.")
    try:
        return np.loadtxt(text, comments=("#", "!"))
    except ValueError:
        raise InputError(
            f"File `{text}` must hold a matrix of times in fs, but has rows of different lengths or something that is no number."
        ) from None


def read_initial_state(ham: VibronicHamiltonian, text: str | None, carrier: str) -> Any:
    """Return the index of a state for the carrier, weights of all states, or "thermal"."""
    labels = ham.state_labels[::-1] if carrier == "hole" else ham.state_labels
    if text is None:
        return len(labels) - 1
    if text == "thermal":
        return text
    weights = np.zeros(len(labels))
    for part in text.split(","):
        name, _, weight = part.rpartition(":") if ":" in part else (part, "", "1")
        found = _find(ham, name)
        if found is None:
            raise InputError(
                f"Option --initial-state must be one of {', '.join(labels)}, or thermal, but is `{name.strip()}`."
            )
        try:
            value = float(weight)
        except ValueError:
            value = -1.0
        if not (np.isfinite(value) and value >= 0):
            raise InputError(
                f"Option --initial-state must give weights of at least zero, but has `{part.strip()}`."
            )
        weights[labels.index(ham.state_labels[found])] += value
    if np.count_nonzero(weights) == 1:
        return int(weights.argmax())
    if not weights.any():
        raise InputError(f"Option --initial-state must give some state a weight, but is `{text}`.")
    return weights / weights.sum()


def read_initial_times(ham: VibronicHamiltonian, text: str | None, every: int | None) -> tuple[Any, Any]:
    """Return the frames to start at and their weights (None: those of `run_dynamics`, all alike)."""
    if every is not None and every < 1:
        raise ConfigError(f"Option --every must be at least 1, but is {every}.")
    if every is not None and text is not None:
        raise ConfigError("Options --every and --initial-times exclude each other: choose one.")
    if text is None:
        return None if every is None else list(range(0, ham.n_steps, every)), None
    if not Path(text).is_file():
        try:
            return [int(word) for word in text.split(",")], None
        except ValueError:
            raise InputError(
                f"Option --initial-times must hold frames, or name a file with one a line, but is `{text}`."
            ) from None
    try:
        table = np.loadtxt(text, comments=("#", "!"), ndmin=2)
    except ValueError:
        raise InputError(
            f"File `{text}` must hold one frame a line, and its weight, but has something that is no number."
        ) from None
    if table.shape[1] > 2 or not table.size:
        raise InputError(
            f"File `{text}` must hold one frame a line, and its weight, but has {table.shape[1]} columns."
        )
    return table[:, 0], table[:, 1] if table.shape[1] == 2 else None
