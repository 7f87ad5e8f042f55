"""What users call frames and states: ``500:800``, ``VBM``, ``CBM+1``."""

from __future__ import annotations

import re

from hopcast.core.errors import ConfigError, InputError
from hopcast.core.hamiltonian import VibronicHamiltonian


def counted(number: int, noun: str) -> str:
    """Return how many there are in words: ``1 frame``, ``6 frames``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def frame_range(text: str, n_frames: int, name: str) -> slice:
    """Return the frames that a text like ``500:800`` names, from 0, the last left out.

    Parameters
    ----------
    text
        Either end may be missing.
    n_frames
        Of the data.
    name
        What messages call the text: an option or a key.

    Raises
    ------
    ConfigError
        If the text is nothing like that.
    InputError
        If it names fewer than two frames, or more than there are.
    """
    if not re.fullmatch(r"\d*:\d*", text):
        raise ConfigError(f"{name} must be like 500:800 (the last is left out), but is `{text}`.")
    start, stop = (int(end) if end else None for end in text.split(":"))
    if len(range(*slice(start, stop).indices(n_frames))) < 2 or (stop or 0) > n_frames:
        raise InputError(f"{name} must name at least two of the {n_frames} frames, from 0, but is `{text}`.")
    return slice(start, stop)


def edge_state(hamiltonian: VibronicHamiltonian, name: str) -> int | None:
    """Return the number of the state ``VBM``, ``CBM``, ``VBM-1``, ``CBM+2``; None where the name is another.

    Raises
    ------
    InputError
        If the band edges are not known, or there is no such state.
    """
    hit = re.fullmatch(r"(VBM|CBM)([+-]\d+)?", name.strip(), re.IGNORECASE)
    if hit is None:
        return None
    edges = hamiltonian.frontier().state_labels
    edge = edges[0] if hit.group(1).upper() == "VBM" else edges[-1]
    state = hamiltonian.state_labels.index(edge) + int(hit.group(2) or 0)
    if not 0 <= state < hamiltonian.n_states:
        raise InputError(
            f"State `{name.strip()}` lies outside the window: it would be state {state} of {hamiltonian.n_states}, from 0."
        )
    return state
