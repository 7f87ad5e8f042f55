"""The documentation is run: Python blocks in a folder of their own, study files through the parser."""

import re
import tomllib
from pathlib import Path

import pytest

from hopcast.study.config import StudyConfig, parse_config

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)


def blocks(language):
    for page in PAGES:
        for number, (found, text) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8"))):
            if found == language:
                yield pytest.param(text, id=f"{page.name}-{number}")


@pytest.mark.parametrize("text", list(blocks("python")))
def test_python_blocks_run(text, tmp_path, monkeypatch):
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


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
