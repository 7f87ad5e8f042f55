"""`Table`: columns with units, rows of cells, rendered as CSV, plain text, for a terminal, or for HTML."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from hopcast.evaluation.verdicts import shown_r2

if TYPE_CHECKING:
    from rich.table import Table as RichTable

MISSING = "–"
_MOST_NARROW = 7  # columns
_LONG_TEXT = 80  # characters of a cell
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def shown_number(value: float, digits: int = 3) -> str:
    """Return a number with `digits` significant digits, without an exponent from 1e-3 to 1e5.

    Examples
    --------
    >>> shown_number(0.0123456), shown_number(-1234.5), shown_number(1.5e-7)
    ('0.0123', '−1230', '1.50 × 10⁻⁷')
    """
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if -4 < exponent < 5:
        rounded = round(value, digits - 1 - exponent)
        text = f"{rounded:.{max(digits - 1 - exponent, 0)}f}"
    else:
        mantissa, power = f"{value:.{digits - 1}e}".split("e")
        text = f"{mantissa} × 10{str(int(power)).translate(_SUPERSCRIPT)}"
    return text.replace("-", "−")


def shown_fixed(value: float, decimals: int) -> str:
    """Return a number with a fixed number of decimals, without a sign on zero."""
    text = f"{value:.{decimals}f}"
    return (text.removeprefix("-") if float(text) == 0 else text).replace("-", "−")


@dataclass(frozen=True)
class Column:
    """A column: its key (CSV), its label and unit (readers), and how its numbers are shown.

    Parameters
    ----------
    key
        Name in the CSV file, where an interval adds ``<key>_low`` and ``<key>_high``.
    label
        Heading.
    unit
        Unit, empty for text and pure numbers.
    style
        "text", "number" (significant digits), "fixed" (decimals), "r2" (digits that tell it from 1) or "interval"
        (number, low, high).
    digits
        Significant digits or decimals.
    display
        Unit that readers see instead, and the factor to it: a file keeps its unit whatever the numbers are.
    """

    key: str
    label: str
    unit: str = ""
    style: Literal["text", "number", "fixed", "r2", "interval"] = "number"
    digits: int = 3
    display: tuple[str, float] | None = None

    @property
    def shown_unit(self) -> str:
        """Unit that readers see."""
        return self.unit if self.display is None else self.display[0]

    @property
    def factor(self) -> float:
        """From the unit of the cells to the one that readers see."""
        return 1.0 if self.display is None else self.display[1]

    @property
    def heading(self) -> str:
        """Label with unit."""
        return f"{self.label} ({self.shown_unit})" if self.shown_unit else self.label


@dataclass(frozen=True)
class Cell:
    """A value, for an interval also its ends; `reason` says why a value is missing, `tone` marks a verdict."""

    value: str | float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """A small table of the report.

    Parameters
    ----------
    name
        File name without ending.
    title
        One line.
    columns, rows
        Each row has one cell a column.
    notes
        Sentences below the table.
    groups
        For each row the index of its group: renderers rule a line where it changes. Empty: one group.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"Table `{self.name}`: every row must have {len(self.columns)} cells.")

    @property
    def is_wide(self) -> bool:
        """Whether the table needs more room than a column of text has."""
        long = (cell.value for row in self.rows for cell in row if isinstance(cell.value, str))
        return len(self.columns) > _MOST_NARROW or any(len(value) > _LONG_TEXT for value in long)

    def without_empty_columns(self) -> Table:
        """Return the table as a reader wants it: columns that no row fills are left out, and named with the reason below it.

        (A file keeps them all: a column that comes and goes is a trap for a script.)
        """
        filled = [any(row[i].value is not None for row in self.rows) for i in range(len(self.columns))]
        if all(filled) or not self.rows:
            return self
        said = []
        for i, column in enumerate(self.columns):
            if not filled[i]:
                why = next((row[i].reason for row in self.rows if row[i].reason), "")
                said.append(f"{column.label} ({why.rstrip('.')})" if why else column.label)
        kept = tuple(i for i, full in enumerate(filled) if full)
        return replace(
            self,
            columns=tuple(self.columns[i] for i in kept),
            rows=tuple(tuple(row[i] for i in kept) for row in self.rows),
            notes=(*self.notes, f"Left out, because the study holds no value: {'; '.join(said)}."),
        )

    def starts_group(self, index: int) -> bool:
        """Whether a line is ruled above the row."""
        return bool(self.groups) and index > 0 and self.groups[index] != self.groups[index - 1]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why values are missing, each reason once, in the order of the rows."""
        return tuple(
            dict.fromkeys(cell.reason for row in self.rows for cell in row if cell.value is None and cell.reason)
        )

    def text_of(self, column: Column, cell: Cell) -> str:
        """Return a cell as a reader sees it; an interval reads ``0.91 [0.85, 0.97]``."""
        return f"{self.value_text(column, cell)} {self.interval_text(column, cell)}".rstrip()

    def value_text(self, column: Column, cell: Cell) -> str:
        """Return the value of a cell without its interval."""
        if cell.value is None:
            return MISSING
        if isinstance(cell.value, str):
            return cell.value
        if column.style == "fixed":
            return shown_fixed(column.factor * cell.value, column.digits)
        if column.style == "r2":
            return shown_r2(cell.value)
        return shown_number(column.factor * cell.value, column.digits)

    def interval_text(self, column: Column, cell: Cell) -> str:
        """Return the interval of a cell with the decimals of its value, or an empty string."""
        if (
            column.style != "interval"
            or not isinstance(cell.value, float | int)
            or cell.low is None
            or cell.high is None
        ):
            return ""
        text = shown_number(column.factor * cell.value, column.digits)
        low, high = column.factor * cell.low, column.factor * cell.high
        if "10" in text and "×" in text:
            ends = (shown_number(low, column.digits), shown_number(high, column.digits))
        else:
            decimals = len(text.partition(".")[2])
            ends = (shown_fixed(low, decimals), shown_fixed(high, decimals))
        return f"[{ends[0]}, {ends[1]}]"

    def to_csv(self) -> str:
        """Return the table as CSV: one line of keys with units, full precision, missing values empty."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        header: list[str] = []
        for column in self.columns:
            unit = f" [{column.unit}]" if column.unit else ""
            ends = ("", "_low", "_high") if column.style == "interval" else ("",)
            header += [f"{column.key}{end}{unit}" for end in ends]
        writer.writerow(header)
        for row in self.rows:
            line: list[str] = []
            for column, cell in zip(self.columns, row, strict=True):
                values = (cell.value, cell.low, cell.high) if column.style == "interval" else (cell.value,)
                line += ["" if value is None else value if isinstance(value, str) else repr(value) for value in values]
            writer.writerow(line)
        return buffer.getvalue()

    def to_text(self) -> str:
        """Return the table as aligned plain text (for logs and files)."""
        heads = [column.heading for column in self.columns]
        body = [[self.text_of(c, cell) for c, cell in zip(self.columns, row, strict=True)] for row in self.rows]
        widths = [max(map(len, texts)) for texts in zip(heads, *body, strict=True)]
        rule = "  ".join("-" * width for width in widths)
        lines = [self.title, "", self._line(heads, widths), rule]
        for index, texts in enumerate(body):
            if self.starts_group(index):
                lines.append(rule)
            lines.append(self._line(texts, widths))
        lines += ["", *self.notes] if self.notes else []
        lines += [f"{MISSING} {reason}" for reason in self.reasons]
        return "\n".join(lines) + "\n"

    def _line(self, texts: Sequence[str], widths: Sequence[int]) -> str:
        cells = (
            text.ljust(width) if column.style == "text" else text.rjust(width)
            for column, text, width in zip(self.columns, texts, widths, strict=True)
        )
        return "  ".join(cells).rstrip()

    def to_rich(self) -> RichTable:
        """Return the table for a terminal (`rich.console.Console.print`)."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        shown = self.without_empty_columns()
        if shown is not self:
            return shown.to_rich()
        table = RichTable(
            title=Text(self.title),
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            caption=Text("\n".join([*self.notes, *(f"{MISSING} {reason}" for reason in self.reasons)])),
            caption_justify="left",
            pad_edge=False,
            collapse_padding=True,
        )
        for column in self.columns:
            unit = f"\n({column.shown_unit})" if column.shown_unit else ""
            table.add_column(Text(column.label + unit), justify="left" if column.style == "text" else "right")
        for index, row in enumerate(self.rows):
            if self.starts_group(index):
                table.add_section()
            cells = zip(self.columns, row, strict=True)
            table.add_row(
                *(Text(f"{self.value_text(c, cell)}\n{self.interval_text(c, cell)}".rstrip()) for c, cell in cells)
            )
        return table
