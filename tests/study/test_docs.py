"""The documentation is run: Python blocks in a folder of their own, study files through the parser."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from hopcast.study.config import StudyConfig, parse_config

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
# the pages of formats run on fixtures of their own, in tests/io/test_pages.py
RUN = [page for page in PAGES if page.parent.name != "formats"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)


def blocks(language):
    for page in RUN:
        for number, (found, text) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8"))):
            if found == language:
                yield pytest.param(text, id=f"{page.name}-{number}")


@pytest.mark.parametrize("text", list(blocks("python")))
def test_python_blocks_run(text, tmp_path, monkeypatch):
    if "tblite" in text:
        pytest.importorskip("tblite")  # an extra without wheels for some systems
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.chdir(tmp_path)
    exec(compile(text, "block", "exec"), {"__name__": "docs"})


@pytest.mark.parametrize("text", list(blocks("toml")))
def test_study_files_parse(text):
    parse_config(tomllib.loads(text))


def keys(model, prefix=""):
    for name, entry in model.model_fields.items():
        if hasattr(entry.annotation, "model_fields"):
            yield from keys(entry.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_every_key_is_documented_and_no_other():
    text = (ROOT / "docs" / "study-file.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `([\w.]+)` \|", text, re.M))
    assert documented == set(keys(StudyConfig))


def anchors(page):
    """Names that links within a page may have: its headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", text):
        goal = page if not target else page.parent / target
        assert goal.exists(), f"{page.name} links to {target}"
        if anchor and goal.suffix == ".md":
            assert anchor in anchors(goal), f"{page.name} links to {target}#{anchor}"
    for target in re.findall(r"\{download\}`[^`<]*<([^>]+)>`", text):
        assert (page.parent / target).exists(), f"{page.name} offers {target}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path, tmp_path, monkeypatch):
    """As a reader runs them: cell after cell, in one session; they are kept without output."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    session = {"__name__": "notebook"}
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for number, cell in enumerate(one for one in cells if one["cell_type"] == "code"):
        assert cell["outputs"] == []
        exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), session)
    matplotlib.pyplot.close("all")


def test_there_are_three_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["first-lifetime", "forecasting", "own-data"]
