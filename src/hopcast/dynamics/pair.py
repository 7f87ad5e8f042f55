"""What the kernels of two states take: the loop, a batch of trajectories, and where their hops are counted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hopcast.dynamics.arrays import Complexes, Floats, Ints, leaf
from hopcast.dynamics.jumps import record


class Loop(NamedTuple):
    """The loop, the same for all trajectories.

    Attributes
    ----------
    a, b
        Of the propagator of each sub-step, or of its prefix products (`propagation.prefix_products`).
    boltzmann
        Probability with which a hop upwards is accepted at each sub-step.
    """

    a: Complexes
    b: Complexes
    boltzmann: Floats


class Batch(NamedTuple):
    """Trajectories `first` to `last` of a start; their random numbers are keyed by `seed`, `unit` and trajectory."""

    start: int
    seed: int
    unit: int
    first: int
    last: int
    state: int
    absorbing: bool


class Tally(NamedTuple):
    """Sub-steps of the outputs, and changes of the excited counts between them [n_groups, n_outputs + 1]."""

    outputs: Ints
    steps: Ints


@leaf
def count_hop(tally: Tally, trajectory: int, elapsed: int, new: int) -> None:
    """Count the hop of a trajectory to a state."""
    record(tally.steps, trajectory % tally.steps.shape[0], tally.outputs, elapsed, 1 if new == 1 else -1)


@leaf
def count_start(tally: Tally, trajectory: int, state: int) -> None:
    """Count a trajectory where it begins."""
    if state == 1:
        tally.steps[trajectory % tally.steps.shape[0], 0] += 1


def new_tally(outputs: Ints, n_groups: int) -> Tally:
    """Return a tally of nothing."""
    return Tally(outputs, np.zeros((n_groups, outputs.size + 1), dtype=np.int64))
