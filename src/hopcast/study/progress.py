"""Progress of long work: a live bar on a terminal, one plain line a stage in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


class Progress:
    """Of a stage under way; `advance` counts its units of work."""

    def __init__(self, note: str = "") -> None:
        self.note = note
        """What the closing line adds, e.g. "9 Hamiltonians"."""

    def advance(self, text: str = "") -> None:
        """Count one unit of work as done."""


class _LiveProgress(Progress):
    def __init__(self, progress: object, task: object, name: str) -> None:
        super().__init__()
        self._progress, self._task, self._name = progress, task, name

    def advance(self, text: str = "") -> None:
        self._progress.advance(self._task)  # type: ignore[attr-defined]
        self._progress.update(self._task, description=f"{self._name} [dim]{text}")  # type: ignore[attr-defined]


class Reporter:
    """Reports stages on a rich console.

    Parameters
    ----------
    console
        Where to write; None is silent.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, total: int = 1) -> Iterator[Progress]:
        """Show a stage of `total` units while its work is done, then one line with its time."""
        start = time.perf_counter()
        if self.console is not None and self.console.is_terminal:
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bars

            columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
            with Bars(*columns, console=self.console, transient=True) as progress:
                stage: Progress = _LiveProgress(progress, progress.add_task(name, total=total), name)
                yield stage
        else:
            stage = Progress()
            yield stage
        self.seconds[name] = time.perf_counter() - start
        if self.console is not None:
            note = f"  {stage.note}" if stage.note else ""
            self.console.print(f"{name:<12} {self.seconds[name]:7.1f} s{note}", highlight=False, markup=False)

    @contextmanager
    def counted(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Show work whose units are counted as they are done: a live bar, or a plain line every tenth of it."""
        start = time.perf_counter()
        if self.console is not None and self.console.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            columns = (TextColumn(name), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
            with Bars(*columns, console=self.console, transient=True) as progress:
                task = progress.add_task(name, total=None)
                yield lambda done, total: progress.update(task, completed=done, total=total)
        else:
            shown = 0

            def line(done: int, total: int) -> None:
                nonlocal shown
                if self.console is not None and (10 * done) // total > shown:
                    shown = (10 * done) // total
                    spent = time.perf_counter() - start
                    self.console.print(f"{name:<12} {spent:7.1f} s  {done} of {total}", highlight=False, markup=False)

            yield line
        self.seconds[name] = time.perf_counter() - start

    def note(self, text: str) -> None:
        """Print a remark that a reader of the result should know."""
        if self.console is not None:
            self.console.print(f"  note: {text}", highlight=False, markup=False)
