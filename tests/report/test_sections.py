"""A section is one file: the page, its list of contents, the tables and the figures find it by themselves."""

from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure

from hopcast.report import list_sections, render_html, sections, study_tables
from hopcast.report.section import list_figures
from hopcast.report.sections.dynamics import dephasing

SECTION = '''
"""The atoms, counted."""

from matplotlib.figure import Figure

from hopcast.report.section import FigureSpec, Lines, Section, TableSpec
from hopcast.report.table import Cell, Column, Table


def said(report):
    return Lines([f"There are {report.data.n_atoms} atoms & no more."], "How many")


def counted(report):
    columns = (Column("element", "Element", style="text"), Column("n", "Atoms"))
    rows = tuple((Cell(element), Cell(1.0)) for element in report.elements)
    return Table("atoms-counted", "Atoms by element", columns, rows)


def drawn(report):
    fig = Figure(figsize=(2, 2))
    fig.subplots().plot([0, 1])
    return fig


SECTION = Section(
    "atoms", "Atoms", "The atoms", 35, (said, TableSpec(counted), FigureSpec("atoms", "Atoms", "A line.", drawn))
)
'''


@pytest.fixture
def added(tmp_path, monkeypatch):
    """A user's section, put where sections are looked for; nothing of hopcast is changed."""
    (tmp_path / "atoms.py").write_text(SECTION)
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(tmp_path)])
    list_sections.cache_clear()
    yield
    monkeypatch.undo()
    list_sections.cache_clear()


def test_a_section_in_one_file_is_found(added, make_study):
    study = make_study(n_frames=100, bare=True)
    keys = [section.key for section in list_sections()]
    assert keys.index("system") < keys.index("atoms") < keys.index("information")
    assert "atoms-counted" in study_tables(study)
    assert isinstance({spec.stem: spec for spec in list_figures()}["atoms"].draw(study), Figure)
    page = render_html(study)
    assert '<a href="#atoms">Atoms</a>' in page
    assert "There are 20 atoms &amp; no more." in page
    assert "Atoms by element" in page


def test_sections_have_keys_and_places_of_their_own():
    found = list_sections()
    assert [section.key for section in found[:2]] == ["answer", "system"]
    assert len({section.key for section in found}) == len({section.place for section in found}) == len(found)


def test_a_dephasing_time_from_a_short_trajectory_says_by_how_much_it_is_too_long(study):
    record = study.results.dephasing
    for excess, said in ((None, False), (0.05, False), (0.58, True)):
        of = SimpleNamespace(results=SimpleNamespace(dephasing=record.model_copy(update={"excess": excess})))
        lines = dict(dephasing(of).items)
        assert lines["tau, gaussian"] == "5.60 fs"
        assert (lines.get("Likely too long by") == "58 %: the trajectory is short") is said
