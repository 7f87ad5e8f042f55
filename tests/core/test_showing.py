"""How nouns and results show themselves in a session and in a notebook."""

import html
import importlib
import pkgutil
import sys

import matplotlib as mpl
import numpy as np
import pytest

import hopcast as hc
from hopcast.core import InputError

mpl.use("Agg")


@pytest.fixture(scope="module")
def data():
    return hc.load("cspbi3")


@pytest.fixture(scope="module")
def result(data):
    return hc.run_dynamics(data.hamiltonian.frontier(), method="exact", duration=1e5, temperature=300.0, n_times=50)


def test_reprs_are_one_line(data, result):
    for shown in (data.trajectory, data.hamiltonian, result):
        assert len(repr(shown)) < 250
        assert "\n" not in repr(shown)
        assert repr(shown).startswith(type(shown).__name__)


def test_notebooks_show_what_print_does_and_escape_it(data, result):
    states = hc.VibronicHamiltonian(
        np.zeros((3, 2)), np.zeros((2, 2, 2)), 1.0, state_labels=("<b>", "a&b"), provenance={"source": "<script>"}
    )
    page = states._repr_html_()
    assert "&lt;b&gt;" in page
    assert "<script>" not in page
    assert "lifetime" in result._repr_html_()
    assert "gap 1.8" in data.hamiltonian._repr_html_()


def test_plot_draws_what_the_arrays_hold(data, result):
    axes = result.plot()
    assert axes.get_xlabel() == "Time (ns)"
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), result.populations[:, 0])
    again = data.hamiltonian.plot()
    assert len(again.lines) == data.hamiltonian.n_states
    np.testing.assert_array_equal(again.lines[7].get_ydata(), data.hamiltonian.energies[:, 7])
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(scope="module")
def found(data):
    """What the library finds in the shipped data, small."""
    from hopcast.doctor import check
    from hopcast.evaluation import BlockedSplit

    pair = data.hamiltonian.frontier()[:200]
    lead = data.trajectory.positions[:200, 4:6].reshape(200, -1)
    score = hc.evaluate_model(
        hc.LaplacianRidge.paper(), lead, pair.gap(), BlockedSplit(4, 4.0, 40.0), 4.0, min_shift=100.0, n_shifts=3
    )
    return {
        "information": hc.information(lead, pair.gap(), timestep=4.0, groups=["Pb"] * 3 + ["I"] * 3),
        "evaluation": score,
        "diagnosis": check(pair),
        "overlaps": hc.diagnose_overlaps(data.hamiltonian[:50]),
        "scores": hc.score_hamiltonian(pair, pair),
        "mean": hc.prediction_powered_mean(pair.gap()[::10], pair.gap()[::10], pair.gap()),
    }


@pytest.mark.parametrize("name", ["information", "evaluation", "diagnosis", "overlaps", "scores", "mean"])
def test_results_show_themselves(found, name):
    one = found[name]
    assert repr(one).startswith(f"{type(one).__name__}(")
    assert "\n" not in repr(one)
    assert len(repr(one)) < 250
    assert html.escape(str(one)) in one._repr_html_()


def test_results_draw_themselves(found, data):
    import matplotlib.pyplot as plt

    axes = found["information"].plot()
    np.testing.assert_allclose(
        next(bar.get_height() for bar in axes.containers[2]), found["information"].corrected[:3].mean()
    )
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["Pb", "I"]
    axes = found["evaluation"].plot()
    (line,) = (one for one in axes.lines if one.get_label() == "model")
    np.testing.assert_allclose(line.get_xdata(), 1 - found["evaluation"].model.r2)
    axes = data.trajectory.plot(3)
    drawn = np.concatenate([one.get_offsets() for one in axes.collections])
    assert len(drawn) == data.trajectory.n_atoms
    # a projection along one direction: distances never grow, and those at right angles to it are kept
    flat = np.linalg.norm(drawn[:, None] - drawn, axis=2)
    order = np.concatenate([data.trajectory.atoms_of(element) for element in data.trajectory.elements])
    places = data.trajectory.positions[3]
    assert (
        np.sort(flat[:4, :4].ravel())[-1] <= np.linalg.norm(places[order[:4], None] - places[order[:4]], axis=2).max()
    )
    plt.close("all")


def test_tables_hold_the_known_rows(result):
    pandas = pytest.importorskip("pandas")
    table = result.to_dataframe()
    assert isinstance(table, pandas.DataFrame)
    np.testing.assert_array_equal(table.index, result.times)
    np.testing.assert_array_equal(table.to_numpy(), result.populations)
    sparse = hc.load("cspbi3-long").hamiltonian
    assert len(sparse.to_dataframe()) == sparse.energy_known.sum()


def test_datasets_have_named_axes_and_units(result):
    pytest.importorskip("xarray")
    found = result.to_xarray()
    assert dict(found.sizes) == {"time": result.times.size, "state": 2}
    assert found.time.attrs["units"] == "fs"
    np.testing.assert_array_equal(found.populations, result.populations)
    sparse = hc.load("cspbi3-long").hamiltonian[:50]
    known = sparse.to_xarray()
    np.testing.assert_array_equal(known.energies, sparse.energies)
    assert known.midpoint[0] == 0.5 * sparse.timestep
    assert known.nac.attrs["units"] == "eV"


def test_without_xarray_the_extra_is_named(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(InputError, match="hopcast\\[tables\\]"):
        result.to_xarray()


def test_sub_packages_are_attributes():
    names = {module.name for module in pkgutil.iter_modules(hc.__path__)} - {"cli"}
    for name in names:
        if not name.startswith("_"):
            assert getattr(hc, name) is importlib.import_module(f"hopcast.{name}")


def test_a_trajectory_writes_itself(data, tmp_path):
    data.trajectory[:5].write(tmp_path / "md.h5") if hasattr(data.trajectory, "__getitem__") else data.trajectory.write(
        tmp_path / "md.h5"
    )
    again = hc.read_trajectory(tmp_path / "md.h5")
    np.testing.assert_array_equal(again.positions, data.trajectory.positions[: again.n_frames])
