r"""Surface-hopping methods for any number of states, one short file each behind one protocol.

A method is a function from a `Problem` to `Populations`. Two families share their engines:

- **Shared amplitudes** (`shared`): FSSH, GFSH, MSSH, BL-LZ. Hops do not act back on the amplitudes, so all trajectories
  of an initial time share them; a method is one function from a `Window` to hop probabilities
  [n_substeps, n_states, n_states]. Ehrenfest has no hops: its populations are :math:`|c_i|^2`.
- **Own amplitudes**: mSDM and ID-A (`decoherent`), DISH (`induced`). Every trajectory has its own amplitudes, because
  its hops or events change them.

States may be degenerate blocks. Then amplitudes are those of all partners, in one copy for each partner of the start (`partners`),
and populations and fluxes are sums over both: methods hop between blocks, and nothing depends on the bases within them.

The list `METHODS` is made of the modules here: one that names its own `METHODS`, a tuple of `Method`, adds them to
`run_dynamics`, the command line and every check, with the facts it states. Nothing else changes.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping

from hopcast.core.declared import list_declared
from hopcast.core.errors import check_choice
from hopcast.dynamics.methods.method import Dish, Method
from hopcast.dynamics.problem import Populations, Problem

__all__ = ["METHODS", "Dish", "Method", "Populations", "Problem", "find_method"]


class _Methods(Mapping[str, Method]):
    """Methods by name, found in the modules of this package when they are first asked for."""

    def __init__(self) -> None:
        self._found: dict[str, Method] = {}
        self._where: list[str] = []

    def _list(self) -> dict[str, Method]:
        where = list(__path__)
        if where != self._where:
            methods = itertools.chain.from_iterable(list_declared(sys.modules[__name__], "METHODS"))
            self._found, self._where = (
                {method.name: method for method in sorted(methods, key=lambda one: one.name)},
                where,
            )
        return self._found

    def __getitem__(self, name: str) -> Method:
        return self._list()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._list())

    def __len__(self) -> int:
        return len(self._list())


METHODS: Mapping[str, Method] = _Methods()
"""All methods by name."""


def find_method(name: str) -> Method:
    """Return the method of a name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    return METHODS[check_choice("method", name, tuple(METHODS))]
