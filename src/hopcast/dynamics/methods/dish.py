"""Method `dish`: decoherence-induced surface hopping."""

from __future__ import annotations

from hopcast.dynamics import dish
from hopcast.dynamics.methods import induced, induced_blocks
from hopcast.dynamics.methods.method import Method
from hopcast.dynamics.problem import Populations, Problem


def solve(problem: Problem) -> Populations:
    """Return sampled populations of DISH, between states or degenerate blocks."""
    return (induced_blocks if problem.is_degenerate else induced).solve(problem)


METHODS = (Method("dish", "decoherence-induced hops", solve, two_states=dish.solve, has_rule=True),)
