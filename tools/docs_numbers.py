"""Where the numbers of the documentation come from: each table, the command that prints it, when it was printed, what it takes.

python tools/docs_numbers.py           run what takes less than a minute, hold the tables against what it prints, list the rest
python tools/docs_numbers.py --list    list all of it and run nothing

A marker ``<!-- numbers: COMMAND | DATE | COST -->`` stands before its tables and holds until the next one
or ``<!-- end of numbers -->``. COST is a time (``30 s``,
``10 min``), ``long`` where nobody timed it, or ``timings`` where the numbers are times of the machine they were printed on.
A table is stale where a decimal number in it is not, to its own digits, among those that the command prints.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MARKER = re.compile(
    r"<!-- numbers: (?P<command>[^|]+) \| (?P<date>\d{4}-\d\d-\d\d) \| (?P<cost>\d+ s|\d+ min|long|timings) -->"
)
DECIMAL = re.compile(r"(?<![\w.])-?\d+\.\d+(?![\w.]*\d)")
MANY = 6
"""Decimal numbers of a table that is a measurement, not a definition."""
SHORT = 60
"""Seconds of a command that is run."""


@dataclass(frozen=True)
class Marker:
    """What one marker says, and the tables it stands for."""

    page: Path
    line: int
    command: str
    date: str
    cost: str
    tables: list[str] = field(default_factory=list)

    @property
    def is_short(self) -> bool:
        """Whether it is run."""
        return self.cost.endswith(" s") and int(self.cost.split()[0]) <= SHORT

    @property
    def place(self) -> str:
        """Page and line."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def read_markers(page: Path) -> tuple[list[Marker], list[int]]:
    """Return the markers of a page, and the lines of tables with many numbers that have none."""
    found: list[Marker] = []
    bare: list[int] = []
    current: Marker | None = None
    table: list[str] = []
    for number, line in enumerate([*page.read_text(encoding="utf-8").splitlines(), ""], 1):
        if line.startswith("|"):
            table.append(line)
            continue
        if table and current is not None:
            current.tables.append("\n".join(table))
        elif len(DECIMAL.findall("\n".join(table))) >= MANY:
            bare.append(number - len(table))
        table = []
        if line == "<!-- end of numbers -->":
            current = None
        hit = MARKER.fullmatch(line.strip())
        if hit:
            current = Marker(page, number, **hit.groupdict())
            found.append(current)
    return found, bare


def is_printed(number: str, printed: list[str]) -> bool:
    """Whether one of the numbers printed is this one, to its own digits."""
    digits = len(number.partition(".")[2])
    return any(abs(float(one) - float(number)) <= 0.5000001 * 10**-digits for one in printed)


def find_stale(marker: Marker, output: str) -> list[str]:
    """Return the decimal numbers of the tables of a marker that its command does not print."""
    printed = re.findall(r"-?\d+(?:\.\d+)?", output)
    return [
        number
        for table in marker.tables
        for number in DECIMAL.findall(table.replace("−", "-"))
        if not is_printed(number, printed)
    ]


def run(command: str) -> str:
    """Return what a command of a marker prints."""
    words = shlex.split(command)
    words = [sys.executable, *words[1:]] if words[0] == "python" else words
    return subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def main(arguments: list[str]) -> int:
    """Print every marker and what became of it; return 1 where a number is stale or a table has no marker."""
    bad = 0
    for page in PAGES:
        markers, bare = read_markers(page)
        for line in bare:
            bad += 1
            print(f"{page.relative_to(ROOT)}:{line}: a table of numbers without a marker")
        for marker in markers:
            said = f"{len(marker.tables)} tables, printed {marker.date} ({marker.cost}): {marker.command}"
            if marker.is_short and "--list" not in arguments:
                stale = find_stale(marker, run(marker.command))
                bad += bool(stale)
                said += f"  STALE: {', '.join(stale)}" if stale else "  holds today"
            print(f"{marker.place}: {said}", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
