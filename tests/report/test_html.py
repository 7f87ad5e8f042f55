"""The page: self-contained, safe against odd names, with one script that is named by its hash."""

import base64
import copy
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from hopcast.core import OutputError
from hopcast.report import Cell, Column, StudyReport, Table, render_html, write_report

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Collects tags, ids and addresses; checks that tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.tags, self.loads, self.links, self.open, self.text = [], [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value)
            if key in ("src", "href", "xlink:href", "data", "srcset", "action", "poster"):
                (self.links if tag == "a" else self.loads).append(value)
            assert not key.startswith("on")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def html(folder):
    return (folder[0] / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_the_page_loads_nothing(html, page):
    assert page.tags.count("script") == 1
    script = re.search("<script>(.*)</script>", html, re.S).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'" in html
    assert all(address.startswith(("#", "data:")) for address in page.loads)
    assert all(address.startswith(("#", "https://doi.org/")) for address in page.links)
    assert "@import" not in html
    assert "url(http" not in html
    assert "font-face" not in html


def test_ids_are_unique_and_every_link_has_its_target(page):
    assert len(page.ids) == len(set(page.ids))
    assert {a[1:] for a in (*page.loads, *page.links) if a.startswith("#")} <= set(page.ids)


def test_the_page_stays_small(html):
    assert len(html.encode()) < 5_000_000


def test_the_story_runs_from_the_answer_to_the_appendix(study, page):
    words = re.sub(r"\s+", " ", "".join(page.text).replace("\u00a0", " "))
    order = ["Figure 1.", "Ground-state population.", "What to do next", "Table 1.", "How far to trust the forecast"]
    order += ["The published claims", "Appendix:", "Table A1."]
    places = [words.index(one) for one in order]
    assert places == sorted(places)
    for verdict in study.results.to_dict()["verdicts"]:
        assert verdict["sentence"] in words
    for text in ("2417 of 12080 diagonal overlaps", "No steps were masked", "19 of 20"):
        assert text in words


def test_figures_and_tables_are_numbered_as_they_appear(page):
    words = "".join(page.text)
    for kind in ("Figure", "Table"):
        for mark in ("", "A"):
            numbers = [int(n) for n in re.findall(rf"\b{kind} {mark}(\d+)\. ", words)]
            assert numbers == list(range(1, len(numbers) + 1))
            assert numbers


def test_published_claims_are_those_of_the_published_material_only(make_study):
    words = "".join(Page(render_html(make_study({"Si": 4, "C": 4}, n_frames=60, bare=True))).text)
    assert "published" not in words.lower()
    assert "Does the environment of one element suffice?" in words
    assert "What is physics, and what is the calendar" in words


def test_columns_that_no_row_fills_are_left_out_with_their_reason():
    columns = (Column("a", "A"), Column("b", "B"), Column("c", "C", style="text"))
    rows = ((Cell(1.0), Cell(None, reason="not run."), Cell("x")), (Cell(2.0), Cell(None), Cell(None)))
    table = Table("t", "T", columns, rows)
    kept = table.without_empty_columns()
    assert [column.key for column in kept.columns] == ["a", "c"]
    assert kept.notes == ("Left out, because the study holds no value: B (not run).",)
    assert table.to_csv().startswith("a,b,c\n")
    assert kept.without_empty_columns() is kept


def test_house_words_are_explained_once_in_a_section(html):
    section = html[html.index('id="system"') : html.index('id="dynamics"')]
    for part in (section, html[html.index('id="how-far"') : html.index('id="claims"')]):
        names = [name.lower() for name in re.findall(r"<abbr [^>]*>([^<]*)</abbr>", part)]
        assert len(names) == len(set(names))
    meanings = dict(reversed(one) for one in re.findall(r'<abbr tabindex="0" title="([^"]*)">([^<]*)</abbr>', html))
    assert meanings["calendar"].startswith("The control that knows the time and no geometry")
    assert "\\hbar" not in html


def test_hostile_names_are_only_text(make_study):
    hostile = '<script>alert("x")</script><img src=x onerror=alert(1)>'
    study = make_study(n_frames=100, bare=True)
    results = copy.deepcopy(study.results.to_dict())
    results["data"]["name"] = results["data"]["formula"] = hostile
    for model in results["models"]:
        if model["name"] == "all-18":
            model["name"] = hostile
    results["hamiltonians"][1]["name"] = hostile
    results["hamiltonians"][1]["ratio"]["note"] = hostile
    results["provenance"] |= {"command": hostile, "config": {"key": hostile}, "citations": [hostile]}
    for entry in results["information"]:
        entry["p_reason"] = hostile
    results["corrections"] = {"notes": [hostile], "leaking_bands": [{"band": hostile, "row_norm": 0.1}]}
    text = render_html(StudyReport(results))
    page = Page(text)
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert hostile not in text
    assert hostile in "".join(page.text)


def test_a_study_of_little_data_still_makes_a_page(make_study):
    page = Page(render_html(make_study({"Si": 1}, n_frames=60, bare=True)))
    words = " ".join(page.text)
    assert "Not drawn, because the study holds no data for it:" in words
    assert "The study gives no record of corrections." in words
    assert "less than 10 % decay" in words.replace("\u00a0", " ")
    assert "None" not in words
    assert "nan" not in words


def test_a_study_of_nothing_but_data_makes_a_page(study):
    empty = {"information": [], "best_features": [], "models": [], "hamiltonians": []}
    kept = {key: study.results.to_dict()[key] for key in ("schema_version", "provenance", "data")}
    words = "".join(Page(render_html(StudyReport(kept | empty))).text)
    assert "Table 1" not in words
    assert "The trajectory holds 4.0 correlation times" in words


def test_the_folder_holds_everything_the_page_names(study, folder):
    base, written = folder
    found = {path.relative_to(base).as_posix() for path in base.rglob("*") if path.is_file()}
    assert found == set(written)
    assert {
        "report.html",
        "results.json",
        "tables/hamiltonians.csv",
        "figures/trust.svg",
        "figures/trust.png",
    } <= found
    assert json.loads((base / "results.json").read_text(encoding="utf-8")) == study.results.to_dict()


def test_the_page_is_the_same_written_or_returned(make_study, tmp_path):
    study = make_study({"Si": 8}, n_frames=60, bare=True)
    write_report(study, tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render_html(study)


def test_a_place_that_cannot_be_written_is_named(study, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot write"):
        write_report(study, tmp_path / "file" / "out")
