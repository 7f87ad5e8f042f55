r"""Surface-hopping methods for any number of states, one short file each behind one protocol.

A method is a function from a `Problem` to `Populations`. Two families share their engines:

- **Shared amplitudes** (`shared`): FSSH, GFSH, MSSH, BL-LZ. Hops do not act back on the amplitudes, so all trajectories
  of an initial time share them; a method is one function from a `Window` to hop probabilities
  [n_substeps, n_states, n_states]. Ehrenfest has no hops: its populations are :math:`|c_i|^2`.
- **Own amplitudes**: mSDM and ID-A (`decoherent`), DISH (`induced`). Every trajectory has its own amplitudes, because
  its hops or events change them.

States may be degenerate blocks. Then amplitudes are those of all partners, in one copy for each partner of the start (`partners`),
and populations and fluxes are sums over both: methods hop between blocks, and nothing depends on the bases within them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from hopcast.dynamics.methods import (
    decoherent,
    ehrenfest,
    flux,
    global_flux,
    induced,
    induced_blocks,
    landau_zener,
    markov,
)
from hopcast.dynamics.problem import Populations, Problem

Method = Callable[[Problem], Populations]


def solve_dish(problem: Problem) -> Populations:
    """Return sampled populations of DISH, between states or degenerate blocks."""
    return (induced_blocks if problem.is_degenerate else induced).solve(problem)


METHODS: Final[Mapping[str, Method]] = {
    "dish": solve_dish,
    "fssh": flux.solve,
    "gfsh": global_flux.solve,
    "mssh": markov.solve,
    "msdm": decoherent.solve_msdm,
    "ida": decoherent.solve_ida,
    "ehrenfest": ehrenfest.solve,
    "bl-lz": landau_zener.solve,
}
