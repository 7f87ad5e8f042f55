"""What the options of `hopcast dynamics` name: Hamiltonians, states, dephasing times, initial conditions."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core import VibronicHamiltonian
from hopcast.core.errors import ConfigError, InputError
from hopcast.core.inputs import refuse_pipe
from hopcast.core.naming import edge_state
from hopcast.couplings import derive_couplings
from hopcast.datasets import load
from hopcast.dynamics import check_channels, warn_leaking
from hopcast.dynamics import scissor as shift_gap
from hopcast.io import read_hamiltonian, read_initial_conditions, read_pyxaid_rates
from hopcast.io.hefei_inputs import read_namelist
from hopcast.io.text import line_of_row


def read_any(name: str, timestep: float | None = None) -> VibronicHamiltonian:
    """Return the Hamiltonian of a shipped data set or a file, couplings derived where only overlaps are given."""
    if not refuse_pipe(name).exists() and Path(name).suffix == "":
        found = load(name).hamiltonian
        if found is None:
            raise InputError(f"Data set `{name}` has no Hamiltonian. Name another.")
        return found
    ham = read_hamiltonian(name, timestep=timestep)
    if ham.overlaps is not None and not ham.nac_known.any():
        ham = derive_couplings(ham)
    return ham


def read_states(ham: VibronicHamiltonian, wanted: str | None) -> list[int]:
    """Return the indices of the states named, of the band edges where none are; warn of those that leave the window.

    A degenerate block is named by its label, or by all of its states.
    """
    if wanted is None:
        if ham.n_blocks == 2:
            return list(range(ham.n_states))
        edges = ham.frontier().state_labels  # says what is missing
        return [ham.state_labels.index(label) for label in edges]
    index: list[int] = []
    for part in wanted.split(","):
        block = _find_block(ham, part) if ham.is_degenerate else None
        if block is not None:
            index += range(ham.blocks[block].start, ham.blocks[block].stop)
            continue
        edge = None if part in ham.state_labels or ham.is_degenerate else edge_state(ham, part)
        place = _find(ham, part) if edge is None else edge
        ends = [place] if place is not None else [_find(ham, end) for end in part.split("-", 1)]
        for end, text in zip(ends, part.split("-", 1), strict=False):
            if end is None:
                raise InputError(
                    f"Option --states must name states of the Hamiltonian ({ham.state_labels[0]} to "
                    f"{ham.state_labels[-1]}), but holds `{text}`."
                )
        index += range(ends[0] or 0, (ends[-1] or 0) + 1)
    warn_leaking(ham, index)
    return index


def read_channels(
    ham: VibronicHamiltonian,
    also: list[Path],
    weights: str | None,
    states: str | None,
    scissor: float | None,
    timestep: float | None,
) -> tuple[list[VibronicHamiltonian], list[float] | None]:
    """Return the other channels (spins, k-points) with the states of the first one, and the weights of all.

    Raises
    ------
    ConfigError
        If there are weights and no other channel, or they are no numbers.
    InputError
        If channels are not along the same trajectory, or weights do not fit.
    """
    if not also:
        if weights is not None:
            raise ConfigError("Option --weights needs other channels to weigh. Name them with --also.")
        return [], None
    channels = []
    for path in also:
        other = read_any(str(path), timestep)
        chosen = other.select(read_states(other, states))
        channels.append(chosen if scissor is None else shift_gap(chosen, target_gap=scissor))
    try:
        shares = None if weights is None else [float(word) for word in weights.split(",")]
    except ValueError:
        raise ConfigError(f"Option --weights must be numbers separated by commas, but is `{weights}`.") from None
    check_channels([ham, *channels], shares)
    return channels, shares


def _find(ham: VibronicHamiltonian, name: str) -> int | None:
    """Return the index of a state by its name or the last word of it ("62" for "band 62")."""
    for i, label in enumerate(ham.state_labels):
        if name.strip() in (label, label.split()[-1]):
            return i
    return None


def _find_block(ham: VibronicHamiltonian, name: str) -> int | None:
    """Return the number of a degenerate block (or single state) by its label: "VBM pair"."""
    labels = ham.block_labels
    return labels.index(name.strip()) if name.strip() in labels else None


def read_dephasing(text: str | None, n_states: int, index: list[int]) -> Any:
    """Return a dephasing time, or the matrix in a file, of the states that were chosen, in their order.

    The file is a DEPHTIME (or any matrix of times, fs) or PYXAID's rates, recognised by their name. One of all states of the Hamiltonian
    is cut to the chosen ones.

    Raises
    ------
    InputError
        If it is neither, of another number of states, or seems to hold rates.
    """
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    path = refuse_pipe(text)
    if not path.is_file():
        raise InputError(f"Option --dephasing must be a time in fs or a file, but `{text}` is neither.")
    if path.name.startswith("decoherence_rates"):
        times = read_pyxaid_rates(path)
    else:
        times = _read_numbers(path, "a matrix of times in fs,")
        pairs = times[~np.eye(len(times), times.shape[1], dtype=np.bool_)]
        if pairs.size and 0 < pairs.max() < 1.0:
            raise InputError(
                f"File `{text}` must hold times in fs, but all are below 1 ({pairs.max():.3g} at most), as rates in 1/fs are. "
                "PYXAID's rates are recognised by their name (decoherence_rates_icond0.txt); write times otherwise."
            )
    if times.shape == (n_states, n_states):
        return times[np.ix_(index, index)]
    if times.shape == (len(index), len(index)):
        return times
    raise InputError(
        f"File `{text}` must hold a matrix of times for the {n_states} states of the Hamiltonian, or for the {len(index)} that were chosen, "
        f"but holds {times.shape[0]} lines of {times.shape[1]} numbers."
    )


def _block_of(ham: VibronicHamiltonian, state: int | None) -> int | None:
    """Return the number of the block that holds a state."""
    return None if state is None else next(i for i, block in enumerate(ham.blocks) if state < block.stop)


def read_initial_state(ham: VibronicHamiltonian, text: str | None, carrier: str) -> Any:
    """Return the index of a state for the carrier, weights of all states, or "thermal"."""
    names = ham.block_labels
    labels = names[::-1] if carrier == "hole" else names
    if text is None:
        return len(labels) - 1
    if text == "thermal":
        return text
    weights = np.zeros(len(labels))
    for part in text.split(","):
        name, _, weight = part.rpartition(":") if ":" in part else (part, "", "1")
        found = _find_block(ham, name) if ham.is_degenerate else _find(ham, name)
        if found is None and ham.is_degenerate:
            found = _block_of(ham, _find(ham, name))
        if found is None:
            raise InputError(
                f"Option --initial-state must be one of {', '.join(labels)}, or thermal, but is `{name.strip()}`."
            )
        try:
            value = float(weight)
        except ValueError:
            value = -1.0
        if not (np.isfinite(value) and value >= 0):
            raise InputError(f"Option --initial-state must give weights of at least zero, but has `{part.strip()}`.")
        weights[labels.index(names[found])] += value
    if np.count_nonzero(weights) == 1:
        return int(weights.argmax())
    if not weights.any():
        raise InputError(f"Option --initial-state must give some state a weight, but is `{text}`.")
    return weights / weights.sum()


@dataclass(frozen=True)
class InitialTimes:
    """Where a run starts.

    Attributes
    ----------
    frames
        Frames, each once; None: those of `run_dynamics`.
    weights
        Of the frames; None: all alike.
    states
        Weights of the chosen states at each frame [n_initial, n_states], as the carrier counts them; None where a file names none.
    """

    frames: Any = None
    weights: Any = None
    states: Any = None


def read_initial_times(
    ham: VibronicHamiltonian, index: list[int], text: str | None, every: int | None, carrier: str
) -> InitialTimes:
    """Return the frames to start at, their weights, and the states where an INICON names them.

    Parameters
    ----------
    ham
        The whole window.
    index
        States that were chosen of it.
    text, every
        Options.
    carrier
        "electron" or "hole".

    Raises
    ------
    ConfigError
        If options exclude each other.
    InputError
        If the file is no list of frames, may be of two kinds, or names a band that was not chosen.
    """
    if every is not None and every < 1:
        raise ConfigError(f"Option --every must be at least 1, but is {every}.")
    if every is not None and text is not None:
        raise ConfigError("Options --every and --initial-times exclude each other: choose one.")
    if text is None:
        return InitialTimes() if every is None else InitialTimes(list(range(0, ham.n_steps, every)))
    path = refuse_pipe(text)
    if not path.is_file():
        try:
            return InitialTimes([int(word) for word in text.split(",")])
        except ValueError:
            raise InputError(
                f"Option --initial-times must hold frames, or name a file with one a line, but is `{text}`."
            ) from None
    if path.name.upper().startswith("INICON"):
        return _of_inicon(path, ham, index, carrier)
    table = _read_numbers(path, "one frame a line, and its weight,")
    if table.shape[1] > 2:
        raise InputError(f"File `{text}` must hold one frame a line, and its weight, but has {table.shape[1]} columns.")
    if table.shape[1] == 1:
        return InitialTimes(table[:, 0])
    if b"." not in path.read_bytes() and (table == np.rint(table)).all() and table.min() >= 1:
        raise InputError(
            f"File `{text}` may be Hefei-NAMD's INICON (steps and bands, from 1) or hold frames (from 0) and their weights, and hopcast does "
            "not guess. Call it INICON, or write the weights with a decimal point."
        )
    return InitialTimes(table[:, 0], table[:, 1])


def _read_numbers(path: Path, what: str) -> NDArray[np.float64]:
    """Return the table of a file, in which comments may stand and numbers be infinite."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an empty file is refused below
            table = np.loadtxt(path, comments=("#", "!"), ndmin=2)
    except ValueError:
        table = np.zeros((0, 0))
    if not table.size:
        raise InputError(
            f"File `{path}` must hold {what} but is empty, or has rows of different lengths or something that is no number."
        )
    return table


def _of_inicon(path: Path, ham: VibronicHamiltonian, index: list[int], carrier: str) -> InitialTimes:
    """Return the starts of an INICON: a step and a band a line, both from 1; lines may repeat.

    Bands are counted as BMIN of an `inp` beside it says, else by the names of the states, else from 1.
    """
    pairs = read_initial_conditions(path)
    lowest = read_namelist(path.parent / "inp").get("BMIN") if (path.parent / "inp").is_file() else None
    names = [label.split()[-1] for label in ham.state_labels]
    own = names != [str(i) for i in range(ham.n_states)]
    states = np.zeros(len(pairs), dtype=np.int64)
    for line, band in enumerate(pairs[:, 1].tolist()):
        if lowest is not None and lowest.isdecimal():
            state = band - int(lowest)
        else:
            state = (names.index(str(band)) if str(band) in names else -1) if own else band - 1
        if state not in index:
            chosen = ", ".join(ham.state_labels[i] for i in index)
            what = (
                f"is state {ham.state_labels[state]}" if 0 <= state < ham.n_states else "the Hamiltonian does not have"
            )
            raise InputError(
                f"File `{path}`, line {line_of_row(path, line)} must start in one of the states {chosen}, but names band {band}, which "
                f"{what}. Choose states with --states, or check BMIN in `inp`."
            )
        states[line] = index.index(state)
    chosen_ham = ham.select(index)
    if chosen_ham.is_degenerate:
        states = np.array([_block_of(chosen_ham, state) for state in states.tolist()], dtype=np.int64)
    if carrier == "hole":
        states = chosen_ham.n_blocks - 1 - states
    frames, place, counts = np.unique(pairs[:, 0] - 1, return_inverse=True, return_counts=True)
    weights = np.zeros((len(frames), chosen_ham.n_blocks))
    np.add.at(weights, (place, states), 1.0)
    return InitialTimes(frames, counts.astype(float), weights / counts[:, None])
