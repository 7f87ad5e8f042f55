"""What a method of surface hopping is, for the list of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hopcast.dynamics.problem import Populations, Problem

Solver = Callable[[Problem], Populations]


@dataclass(frozen=True)
class Method:
    """A method and its facts. A module of `hopcast.dynamics.methods` that names its `METHODS` adds them to the list.

    Attributes
    ----------
    name
        As in ``run_dynamics(ham, method=name)``.
    what
        In a few words.
    solve
        Populations of a problem of any number of states.
    two_states
        A quicker solver for two states that are not degenerate.
    only_two_states
        Whether there is no other.
    needs_order
        Whether states must stay in energy order.
    has_rule
        Whether `rule`, `waiting` and `decisions` mean anything.
    all_starts
        Whether all frames are initial times by default.
    check
        Raises ConfigError where (rule, waiting, decisions) do not apply.
    """

    name: str
    what: str
    solve: Solver
    two_states: Solver | None = None
    only_two_states: bool = False
    needs_order: bool = False
    has_rule: bool = False
    all_starts: bool = False
    check: Callable[[str, str, str], None] | None = None

    def __call__(self, problem: Problem) -> Populations:
        """Solve a problem of any number of states."""
        return self.solve(problem)

    def solver(self, problem: Problem) -> Solver:
        """Return the quickest solver of a problem."""
        plain = problem.n_states == 2 and not problem.is_degenerate
        return self.two_states if plain and self.two_states is not None else self.solve


@dataclass(frozen=True)
class Dish:
    """Decoherence-induced surface hopping with its choices, for ``run_dynamics(ham, method=Dish(rule="hefei"))``.

    Attributes
    ----------
    rule
        What an event does: "consistent", "hefei" or "pyxaid".
    waiting
        When it happens: "exponential" or "deterministic" clocks.
    decisions
        When events are looked for: each "sub-step" or "nuclear step".
    """

    rule: str = "consistent"
    waiting: str = "exponential"
    decisions: str = "sub-step"
