"""Method `exact`: the ensemble of DISH for two states, without sampling."""

from __future__ import annotations

from hopcast.core.errors import ConfigError
from hopcast.dynamics import exact
from hopcast.dynamics.methods.method import Method


def check(rule: str, waiting: str, decisions: str) -> None:
    """Check that the ensemble of these choices obeys a linear equation.

    Raises
    ------
    ConfigError
        With the reason why not.
    """
    if decisions != "sub-step":
        raise ConfigError(
            'Method `exact` needs `decisions="sub-step"`: its maps are those of sub-steps. Use `method="dish"`.'
        )
    if waiting != "exponential":
        raise ConfigError(
            'Method `exact` needs `waiting="exponential"`: deterministic clocks remember the past, so no linear '
            'equation of the ensemble exists. Use `method="dish"`.'
        )
    if rule != "consistent":
        raise ConfigError(
            f'Method `exact` needs `rule="consistent"`, but is asked for `{rule}`, whose active state may differ from '
            'the collapsed one: its ensemble is not solved exactly here. Use `method="dish"`.'
        )


METHODS = (
    Method(
        "exact",
        "the ensemble of DISH for two states, without sampling",
        exact.solve,
        only_two_states=True,
        has_rule=True,
        all_starts=True,
        check=check,
    ),
)
