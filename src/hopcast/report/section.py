"""What a section of the report is: its title, and what it shows, in order.

A section is one file in `hopcast.report.sections` that names its `SECTION`. To add one, put a module there; the page, its
list of contents, ``tables/*.csv`` and ``figures/*`` follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from matplotlib.figure import Figure

from hopcast.core.declared import list_declared
from hopcast.evaluation.verdicts import Verdict
from hopcast.report.study_report import StudyReport
from hopcast.report.style import style
from hopcast.report.table import Table


@dataclass(frozen=True)
class FigureSpec:
    """A figure: name of its files, title, caption, the function that draws it; `quiet` ones are left out without a word."""

    stem: str
    title: str
    caption: str
    function: Callable[[StudyReport], Figure | None]
    quiet: bool = False

    def draw(self, report: StudyReport) -> Figure | None:
        """Draw in the style of the report; None where the study has no data for it."""
        with style():
            return self.function(report)


@dataclass(frozen=True)
class TableSpec:
    """A table: the function that makes it."""

    make: Callable[[StudyReport], Table]


class _Items:
    """Words that are a list; an empty one is not shown."""

    items: Sequence[Any]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not self.items


@dataclass(frozen=True)
class Verdicts(_Items):
    """Verdicts, each with what it is about; `folded` under a line that opens them."""

    kind: ClassVar[str] = "verdicts"
    items: Sequence[tuple[str, Verdict]]
    folded: str = ""


@dataclass(frozen=True)
class Asked:
    """A claim or a question, what is answered, the label that colours it, and why."""

    claim: str
    answer: str
    label: str
    sentence: str


@dataclass(frozen=True)
class Claims(_Items):
    """Published claims with their verdicts; on another material than the published one the same questions."""

    kind: ClassVar[str] = "claims"
    items: Sequence[Asked]


@dataclass(frozen=True)
class Details(_Items):
    """Sentences under a line that opens them: what each is about, and what is said."""

    kind: ClassVar[str] = "details"
    summary: str
    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Terms(_Items):
    """Labels with their values."""

    kind: ClassVar[str] = "terms"
    items: Sequence[tuple[str, str]]
    heading: str = ""


@dataclass(frozen=True)
class Lines(_Items):
    """Sentences, each by itself; `style` is a class of the page's style."""

    kind: ClassVar[str] = "lines"
    items: Sequence[str]
    heading: str = ""
    style: str = "plain"


@dataclass(frozen=True)
class Dump:
    """Text as it is, under a line that opens it."""

    kind: ClassVar[str] = "dump"
    summary: str
    text: str

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not self.text


@dataclass(frozen=True)
class Absent:
    """Why something is not shown."""

    kind: ClassVar[str] = "absent"
    text: str
    is_empty: ClassVar[bool] = False


@dataclass(frozen=True)
class References(_Items):
    """What to cite: purpose and text, and a DOI where there is one."""

    kind: ClassVar[str] = "references"
    items: Sequence[tuple[str, str]]


Words = Verdicts | Claims | Details | Terms | Lines | Dump | Absent | References
Content = FigureSpec | TableSpec | Callable[[StudyReport], Words | None]


@dataclass(frozen=True)
class Section:
    """A section of the report.

    Attributes
    ----------
    key
        Its place in the page, for links.
    link, title
        In the list of contents, and above it; the title may depend on the study.
    place
        Sections stand in ascending order.
    content
        Figures, tables, and functions that return words or nothing, in the order they are shown.
    style
        Class of the page's style.
    appendix
        What of it stands in the appendix, which is folded and not printed.
    """

    key: str
    link: str
    title: str | Callable[[StudyReport], str]
    place: int
    content: tuple[Content, ...] = ()
    style: str = ""
    appendix: tuple[Content, ...] = ()

    @property
    def everything(self) -> tuple[Content, ...]:
        """What stands in front, then what stands in the appendix."""
        return (*self.content, *self.appendix)

    def heading(self, report: StudyReport) -> str:
        """Return the title for a study."""
        return self.title if isinstance(self.title, str) else self.title(report)


@lru_cache(maxsize=1)
def list_sections() -> tuple[Section, ...]:
    """Return all sections in their order."""
    from hopcast.report import sections

    return tuple(sorted(list_declared(sections, "SECTION"), key=lambda section: section.place))


def list_figures() -> Iterator[FigureSpec]:
    """Yield all figures, section by section."""
    for section in list_sections():
        yield from (one for one in section.everything if isinstance(one, FigureSpec))


def study_tables(report: StudyReport) -> dict[str, Table]:
    """Return all tables of the report by name, section by section."""
    tables = (
        one.make(report) for section in list_sections() for one in section.everything if isinstance(one, TableSpec)
    )
    return {table.name: table for table in tables}
