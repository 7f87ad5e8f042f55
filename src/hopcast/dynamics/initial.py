"""Initial conditions: at which frames and in which states trajectories start, and with which weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.errors import ConfigError, InputError, check_array
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import KB

THERMAL = "thermal"


@dataclass(frozen=True, eq=False)
class Starts:
    """Groups of trajectories that start together, in arrays.

    Attributes
    ----------
    time
        Index among the initial times [n_starts].
    frame, state
        Where [n_starts].
    share
        Of all, adding up to one [n_starts].
    n_trajectories
        How many of a sampled run [n_starts]: the share rounded to whole ones, so that all together have what was asked for.
    key
        Of their random numbers [n_starts].
    """

    time: NDArray[np.int64]
    frame: NDArray[np.int64]
    state: NDArray[np.int64]
    share: NDArray[np.float64]
    n_trajectories: NDArray[np.int64]
    key: NDArray[np.int64]

    def __len__(self) -> int:
        return self.time.size

    @property
    def time_shares(self) -> NDArray[np.float64]:
        """Share of each initial time [n_initial]."""
        return np.asarray(np.bincount(self.time, self.share), dtype=np.float64)


def state_weights(
    ham: VibronicHamiltonian,
    initial_state: int | str | ArrayLike,
    frames: NDArray[np.int64],
    temperature: float | None,
    absorbing: bool,
) -> NDArray[np.float64]:
    r"""Return the weight of each state at each initial time [n_initial, n_states].

    Parameters
    ----------
    ham
        Hamiltonian of the carrier.
    initial_state
        A state (a degenerate block counts as one), weights of all states (of each initial time: [n_initial, n_states]), or "thermal": :math:`e^{-E_i/kT}` at each initial
        frame, of the states that do not absorb (times the multiplicity of a degenerate block).
    frames
        Initial times.
    temperature
        K.
    absorbing
        Whether state 0 absorbs.

    Raises
    ------
    ConfigError
        If the word is unknown, or "thermal" has no temperature.
    InputError
        If a state does not exist or absorbs, or weights are negative or do not add up to one.
    """
    n = ham.n_blocks
    if isinstance(initial_state, str):
        if initial_state != THERMAL:
            raise ConfigError(
                f'Argument `initial_state` must be a state, weights, or "thermal", but is `{initial_state}`.'
            )
        if temperature is None:
            raise ConfigError(
                "A thermal start needs a `temperature`, but it is None. Give one, or weights of the states."
            )
        at = np.minimum(frames, len(ham.energies) - 1)
        energies = ham.block_energies[at].copy()
        if absorbing:
            energies[:, 0] = np.inf
        weights = np.exp(-(energies - energies.min(axis=1, keepdims=True)) / (KB * temperature))
        weights = weights * ham.multiplicities if ham.is_degenerate else weights
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))
    given = check_array("initial_state", initial_state, "a state, its name, or weights")
    if given.ndim == 0:
        if given not in range(n):
            raise InputError(
                f"Argument `initial_state` must be a whole number between 0 and {n - 1}, but is {initial_state}."
            )
        given = np.eye(n)[int(given)]
    fits = given.shape in ((n,), (frames.size, n))
    if not fits or not (given >= 0).all() or np.abs(given.sum(axis=-1) - 1.0).max() > 1e-9:
        raise InputError(
            f"Argument `initial_state` must be a state or {n} weights that add up to one (or such weights for each of the {frames.size} "
            f"initial times), but is {initial_state!r}."
        )
    if absorbing and np.any(given[..., 0] > 0):
        raise InputError(
            "Argument `initial_state` must not be 0 while state 0 absorbs: nothing would happen. "
            "Start above it or set `absorbing=False`."
        )
    return np.broadcast_to(given, (frames.size, n)).copy()


def time_weights(initial_weights: ArrayLike | None, n_initial: int) -> NDArray[np.float64]:
    """Return the weights of the initial times, adding up to one [n_initial].

    Raises
    ------
    InputError
        If there are not as many as initial times, or one is negative or not finite, or all are zero.
    """
    if initial_weights is None:
        return np.full(n_initial, 1.0 / n_initial)
    given = check_array("initial_weights", initial_weights, "a weight for each initial time")
    if given.shape != (n_initial,) or not (np.isfinite(given).all() and (given >= 0).all() and given.sum() > 0):
        raise InputError(
            f"Argument `initial_weights` must hold a weight of at least zero for each of the {n_initial} initial times, "
            f"but is {initial_weights!r}."
        )
    return np.asarray(given / given.sum())


def make_starts(
    frames: NDArray[np.int64],
    times: NDArray[np.float64],
    states: NDArray[np.float64],
    n_trajectories: int,
    n_steps: int,
) -> Starts:
    """Return the starts of a run: every initial time in every state with a weight.

    Numbers of trajectories are rounded along the cumulated weight, so that neither frames nor states are favoured.

    Parameters
    ----------
    frames
        Initial times [n_initial].
    times, states
        Their weights [n_initial], and those of the states at each [n_initial, n_states].
    n_trajectories
        For each initial time, on average.
    n_steps
        Of the loop.
    """
    shares = times[:, None] * states
    total = n_trajectories * frames.size
    edges = np.floor(np.cumsum(shares.ravel()) * total + 0.5).astype(np.int64)
    numbers = np.diff(edges, prepend=0).reshape(shares.shape)
    rank = np.cumsum(states.any(axis=0)) - 1
    time, state = np.nonzero(shares)
    return Starts(
        time, frames[time], state, shares[time, state], numbers[time, state], frames[time] + n_steps * rank[state]
    )
