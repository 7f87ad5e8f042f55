"""The list of methods: a method is one file; what only DISH understands travels with it."""

import sys
import textwrap

import numpy as np
import pytest

import hopcast.dynamics.methods
from hopcast.core import ConfigError
from hopcast.dynamics import Dish, run_dynamics
from hopcast.dynamics.methods import METHODS

OPTIONS = {
    "duration": 30.0,
    "dephasing_time": 6.0,
    "initial_state": 3,
    "initial_times": [0],
    "n_trajectories": 20,
    "n_times": 4,
}


def test_the_list() -> None:
    assert {"dish", "fssh", "gfsh", "mssh", "msdm", "ida", "ehrenfest", "bl-lz", "exact"} <= set(METHODS)
    assert [name for name, method in METHODS.items() if method.has_rule] == ["dish", "exact"]
    assert [name for name, method in METHODS.items() if method.only_two_states] == ["exact"]
    assert [name for name, method in METHODS.items() if method.needs_order] == ["bl-lz"]


def test_a_method_is_one_file(ladder, tmp_path, monkeypatch) -> None:
    """A new method needs its file and nothing else: it is listed, checked, run and reported."""
    (tmp_path / "sitting.py").write_text(
        textwrap.dedent(
            """
            import numpy as np
            from hopcast.dynamics.methods.method import Method
            from hopcast.dynamics.methods.shared import run_shared

            def stay(window):
                return np.zeros(window.nac.shape)

            METHODS = (Method("sitting", "nobody hops", lambda problem: run_shared(problem, stay), needs_order=True),)
            """
        )
    )
    where = [*hopcast.dynamics.methods.__path__, str(tmp_path)]
    with pytest.raises(ConfigError, match="`method` must be one of"):
        run_dynamics(ladder(), "sitting", **OPTIONS)
    monkeypatch.setattr(hopcast.dynamics.methods, "__path__", where)
    try:
        found = run_dynamics(ladder(), "sitting", **OPTIONS)
        assert METHODS["sitting"].what == "nobody hops"
        assert (found.method, found.rule, found.n_hops) == ("sitting", None, 0)
        np.testing.assert_array_equal(found.populations[-1], np.eye(4)[3])
    finally:
        sys.modules.pop("hopcast.dynamics.methods.sitting", None)
    monkeypatch.undo()
    assert "sitting" not in METHODS


def test_dish_is_an_object(ladder) -> None:
    choice = Dish(rule="hefei", waiting="deterministic", decisions="nuclear step")
    one = run_dynamics(ladder(), choice, **OPTIONS)
    two = run_dynamics(ladder(), "dish", rule="hefei", waiting="deterministic", decisions="nuclear step", **OPTIONS)
    np.testing.assert_array_equal(one.populations, two.populations)
    assert (one.rule, one.waiting, one.decisions) == ("hefei", "deterministic", "nuclear step")
    assert "decisions each nuclear step" in str(one)
    with pytest.raises(ConfigError, match="belong to the method here"):
        run_dynamics(ladder(), Dish(), rule="hefei", **OPTIONS)
    with pytest.raises(ConfigError, match="Did you mean `hefei`"):
        run_dynamics(ladder(), Dish(rule="hefie"), **OPTIONS)
