"""Every table of numbers in the documentation names the command that prints it, and a stale one is found."""

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("docs_numbers", ROOT / "tools" / "docs_numbers.py")
tool = importlib.util.module_from_spec(SPEC)
sys.modules["docs_numbers"] = tool
SPEC.loader.exec_module(tool)

PAGE = """# Title

| a | b |
|---|---|
| 1.0 | 2.0 |

<!-- numbers: python benchmarks/any.py | 2026-11-28 | 5 s -->

| a | ps |
|---|---|
| one | 1.76 [1.03, 2.73] |
| two | −0.50 |
"""


@pytest.mark.parametrize("page", tool.PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_tables_of_numbers_name_their_command(page):
    markers, bare = tool.read_markers(page)
    assert not bare, "a table of numbers without a marker"
    assert len(markers) == page.read_text(encoding="utf-8").count("<!-- numbers:"), "a marker that is not read"
    for marker in markers:
        words = shlex.split(marker.command)
        assert words[0] in ("python", "hopcast", "make", "sh")
        if words[0] in ("python", "sh"):
            assert (ROOT / words[1]).is_file()
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M)


def test_a_stale_number_is_found(tmp_path):
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    (marker,), bare = tool.read_markers(tmp_path / "page.md")
    assert marker.is_short
    assert (len(marker.tables), bare) == (1, [])
    assert tool.find_stale(marker, "one 1.7623 [1.03, 2.731]\ntwo -0.5") == []
    assert tool.find_stale(marker, "one 1.80 [1.03, 2.73] two 0.50") == ["1.76", "-0.50"]


def test_a_table_without_a_command_is_found(tmp_path):
    (tmp_path / "page.md").write_text("| a |\n|---|\n" + "| 1.5 |\n" * 6, encoding="utf-8")
    assert tool.read_markers(tmp_path / "page.md") == ([], [1])
