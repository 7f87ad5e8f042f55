"""Figures draw what the arrays say, the same every time, for any composition and for missing data."""

import dataclasses
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from hopcast.core import InputError
from hopcast.report import FIGURES, Forecast, InformationMap, Populations, Series, Structure, StudyReport, save_figure
from hopcast.report.figures.atoms import draw_information_atoms
from hopcast.report.figures.population import COMPUTED_PAIRS, draw_populations
from hopcast.report.figures.series import draw_series, spectrum
from hopcast.report.figures.structure import bonds_of, draw_structure, with_border_atoms
from hopcast.report.figures.trust import draw_trust
from hopcast.report.style import AB_INITIO, element_colour, inline_svg, model_colour, spread, style, svg_text, thin


@pytest.mark.parametrize("spec", FIGURES, ids=lambda spec: spec.stem)
def test_every_figure_is_the_same_each_time(spec, study, folder):
    written = (folder[0] / "figures" / f"{spec.stem}.svg").read_text(encoding="utf-8")
    assert ET.fromstring(written).tag.endswith("svg")
    assert "<metadata" not in written
    assert svg_text(spec.draw(study)) == written


@pytest.mark.parametrize(
    ("counts", "more"),
    [({"Si": 8}, {"rate": 3e-7}), ({"Cs": 2, "Sn": 2, "Br": 3, "I": 3}, {"prefix": "$x_{$"})],
    ids=["one element, tiny rate", "four elements, odd names"],
)
def test_every_figure_draws_for_other_studies(make_study, counts, more):
    report = make_study(counts, n_frames=120, **more)
    with style():
        for spec in FIGURES:
            figure = spec.draw(report)
            assert figure is not None, spec.stem
            figure.draw_without_rendering()
            if spec.stem == "population":
                ax = figure.axes[0]
    assert {text.get_text() for text in ax.texts} >= set(report.model_names)
    assert ("e−" in ax.yaxis.get_offset_text().get_text()) == ("rate" in more)


def test_a_study_without_arrays_leaves_figures_out(make_study):
    drawn = [spec.stem for spec in FIGURES if spec.draw(make_study({"Si": 8}, n_frames=60, bare=True)) is not None]
    assert drawn == ["information-bars", "trust"]


def test_of_pairs_the_lifetime_of_the_headline_is_drawn(study):
    values = study.results.to_dict() | {"samples": {"n_pairs": 40, "spacing": 400.0, "share": 0.01}}
    del values["rates"]
    values["hamiltonians"][0]["lifetime"] |= {"value": 40.0, "low": 20.0, "high": 80.0}
    ax = draw_populations(StudyReport(values, study.series)).axes[0]
    (line,) = (one for one in ax.get_lines() if one.get_label() == COMPUTED_PAIRS)
    np.testing.assert_allclose(line.get_ydata(), 1 - np.exp(-line.get_xdata() / 40.0))
    (band,) = ax.collections
    last = band.get_paths()[0].vertices[band.get_paths()[0].vertices[:, 0] == study.series.populations.times[-1], 1]
    end = study.series.populations.times[-1]
    np.testing.assert_allclose([last.min(), last.max()], 1 - np.exp(-end / np.array([80.0, 20.0])))


def test_on_a_phone_a_legend_is_cut_between_its_entries(study):
    from hopcast.report.panels import cuts_of

    with style():
        figure = draw_trust(study)
        dpi = figure.dpi
        cuts = cuts_of(figure)
    assert figure.dpi == dpi
    first, second, *columns, axis = cuts
    assert (first.top, second.top) == (0.0, 0.0)
    assert max(first.width, second.width) < 240  # of 374 points
    assert first.left + first.width <= second.left + 6
    assert second.left + second.width <= 72 * figure.get_figwidth()
    assert len(columns) == 2
    assert axis.left < 72 * figure.get_figwidth() / 2 < axis.left + axis.width


def test_arrays_with_holes_are_drawn(study):
    gap = dataclasses.replace(
        study.series.gap, ab_initio=np.where(study.series.gap.train, study.series.gap.ab_initio, np.nan)
    )
    short = Forecast(
        np.array([0.0, 4.0]), np.array([1.0, 1.1]), np.array([True, False]), {"all-18": np.array([1.0, 1.0])}
    )
    holey = [InformationMap("Cs", "gap", np.array([3.0]), np.array([1.0]), np.array([[np.nan]]))]
    series = dataclasses.replace(study.series, gap=gap, nac=short, maps=tuple(holey) + study.series.maps[:1])
    report = StudyReport(study.results.to_dict(), series)
    for spec in FIGURES[2:7]:  # those that draw these arrays
        figure = spec.draw(report)
        if figure is not None:
            figure.draw_without_rendering()


def test_a_spectrum_has_its_line_where_the_wave_is_and_the_power_of_the_wave():
    times = np.arange(1000) * 4.0
    frequencies, density = spectrum(times, 1.8 + 0.1 * np.cos(2 * np.pi * 2.5e-3 * times))
    assert frequencies[np.argmax(density)] == pytest.approx(2.5, abs=0.01)
    assert density.sum() * (frequencies[1] - frequencies[0]) == pytest.approx(0.1**2 / 2, rel=1e-3)
    assert frequencies[-1] == pytest.approx(1000 / 8)
    assert spectrum(times, np.where(times > 8, np.nan, 1.0)) is None
    assert spectrum(times[:10], times[:10]) is None
    assert spectrum(times**1.1, times) is None


def test_the_spectrum_s_upper_axis_is_in_wavenumbers(study):
    figure = draw_series(study)
    lower = figure.axes[1]
    assert "THz" in lower.get_xlabel()
    upper = lower.child_axes[0]
    figure.draw_without_rendering()
    assert upper.get_xlim() == pytest.approx(33.35641 * np.array(lower.get_xlim()), rel=1e-6)


def test_one_colour_an_element_and_a_model_everywhere(study):
    assert model_colour("ab initio", study) == AB_INITIO
    assert model_colour("Pb-18", study) == model_colour("Pb-1", study) == element_colour("Pb", study.elements)
    colours = {model_colour(name, study) for name in ("ab initio", "all-18", "Cs-18", "Pb-18", "I-18")}
    assert len(colours) == 5


def test_trust_draws_better_scores_further_right(study):
    ax = draw_trust(study).axes[0]
    discs = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in discs] == pytest.approx(
        [1 - study.model(name, "gap", "interleaved").r2 for name in study.model_names]
    )
    assert ax.get_xlim()[0] > ax.get_xlim()[1]


def test_populations_end_where_their_labels_point(study):
    ax = draw_populations(study).axes[0]
    ends = {text.get_text(): text.xy[1] for text in ax.texts if text.get_text() in study.series.populations.values}
    assert ends == {name: values[-1] for name, values in study.series.populations.values.items()}
    heights = sorted(text.xyann[1] for text in ax.texts if text.get_text() in ends)
    assert min(np.diff(heights)) > 0


def test_atoms_at_a_face_are_drawn_on_both_sides_and_bonds_join_neighbours():
    structure = Structure(np.zeros((1, 3)), 4.0 * np.eye(3), np.array([14]))
    points, _ = with_border_atoms(structure)
    assert sorted(map(tuple, points)) == sorted({(x, y, z) for x in (0.0, 4.0) for y in (0.0, 4.0) for z in (0.0, 4.0)})
    slab = dataclasses.replace(structure, pbc=(True, True, False))
    assert len(with_border_atoms(slab)[0]) == 4
    points = np.array([[0, 0, 0], [3.2, 0, 0], [0, 3.8, 0], [0, 0, 5.0]])
    assert bonds_of(points, np.array([82, 53, 55, 53])) == [(0, 1)]  # Pb-I; none to Cs, none that long


def test_a_triclinic_cell_of_many_atoms_is_drawn(study):
    rng = np.random.default_rng(0)
    cell = np.array([[20.0, 0, 0], [7, 18, 0], [3, 4, 19]])
    structure = Structure(rng.random((450, 3)) @ cell, cell, rng.choice([14, 8], 450))
    report = StudyReport(study.results.to_dict(), Series(structure=structure))
    assert len(svg_text(draw_structure(report))) < 2_000_000


@pytest.mark.parametrize(
    ("wanted", "gap"), [([1.0, 1.0, 1.0], 0.5), ([0.0, 0.1, 5.0], 1.0), ([9.9, 10.0], 3.0), ([3.0] * 9, 2.0)]
)
def test_labels_are_moved_apart_and_stay_inside(wanted, gap):
    placed = np.array(spread(wanted, gap, 0.0, 10.0))
    room = min(gap, 10.0 / max(len(wanted) - 1, 1))
    assert np.all(np.diff(placed) >= room - 1e-9)
    assert placed.min() >= -1e-9
    assert placed.max() <= 10 + 1e-9
    assert spread([2.0, 5.0], 1.0, 0.0, 10.0) == [2.0, 5.0]


def test_a_long_series_keeps_its_extremes_when_thinned():
    times = np.arange(100_000.0)
    values = np.sin(times / 300)
    values[54_321] = 9.0
    values[777] = np.nan
    x, y = thin(times, values, 1000)
    assert len(x) <= 1000
    assert y[x == 54_321] == [9.0]
    assert np.all(np.diff(x) > 0)


def test_long_data_make_small_files(make_study):
    report = make_study(n_frames=8_000, timestep=1.0, stride=25)
    shown = [spec for spec in FIGURES if spec.stem in ("gap-and-coupling", "forecast")]
    assert all(len(svg_text(spec.draw(report))) < 700_000 for spec in shown)


def test_the_user_s_matplotlib_is_left_alone(study):
    before = dict(mpl.rcParams)
    svg_text(FIGURES[0].draw(study))
    assert dict(mpl.rcParams) == before


def test_ids_of_an_inline_figure_are_its_own(study):
    text = inline_svg(svg_text(FIGURES[0].draw(study)), "trust", 'a "label" <b>')
    root = ET.fromstring(text)
    ids = {e.get("id") for e in root.iter() if e.get("id")}
    assert ids
    assert all(name.startswith("trust-") for name in ids)
    links = {v.lstrip("#") for e in root.iter() for k, v in e.attrib.items() if k.endswith("href")}
    assert links <= ids
    assert root.get("aria-label") == 'a "label" <b>'
    assert root.get("width") is None


def test_figures_are_saved_as_svg_and_png(study, tmp_path):
    vector, pixels = save_figure(FIGURES[0].draw(study), tmp_path / "figure.v1", dpi=40)
    assert vector.name == "figure.v1.svg"
    assert pixels.read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["figure.v1.png", "figure.v1.svg"]


def test_arrays_of_the_wrong_length_are_refused():
    with pytest.raises(InputError, match="`ab_initio` must have the shape"):
        Forecast(np.arange(3.0), np.arange(4.0), np.zeros(3, bool), {})
    with pytest.raises(InputError, match=r"`values\['a'\]` must have the shape"):
        Populations(np.arange(3.0), {"a": np.arange(2.0)})
    with pytest.raises(InputError, match="`null` must have the shape"):
        InformationMap("Cs", "gap", np.ones(3), np.ones(6), np.ones((3, 6)), np.ones((6, 3)))
    with pytest.raises(InputError, match="`positions` must have the shape"):
        Structure(np.zeros((2, 3)), np.eye(3), np.array([1]))


def test_a_molecule_without_a_cell_is_drawn(study):
    atoms = Structure(
        np.array([[5.0, 5, 5], [5.96, 5, 5], [4.76, 5.93, 5]]), np.zeros((3, 3)), np.array([55, 82, 53]), (False,) * 3
    )
    series = Series(structure=atoms, atoms={"gap": np.array([0.1, -0.1, 0.2])})
    report = StudyReport(study.results.to_dict(), series)
    with style():
        for draw in (draw_structure, draw_information_atoms):
            figure = draw(report)
            figure.draw_without_rendering()
            assert not figure.axes[0].lines or len(figure.axes[0].patches) >= 3
    assert not atoms.has_cell
    assert (atoms.corners.min(axis=0) < atoms.positions.min(axis=0)).all()
