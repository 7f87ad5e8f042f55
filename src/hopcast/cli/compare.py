"""`hopcast compare`: two studies side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    first: Annotated[Path, typer.Argument(help="Folder of a run, or its results.json.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Another one.", show_default=False)],
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values instead of a table.")] = False,
) -> None:
    """Show the numbers of two studies beside each other. Intervals that do not overlap are marked."""
    from rich.table import Table

    from hopcast.cli.present import output_console
    from hopcast.results.comparison import compare_results, read_results

    lines = compare_results(read_results(first), read_results(second))
    marks = {True: "same", False: "differs", None: ""}
    if csv:
        import csv as writer
        import sys

        out = writer.writer(sys.stdout, lineterminator="\n")
        out.writerow(["quantity", str(first), str(second), "comparison"])
        out.writerows([line.quantity, line.first, line.second, marks[line.same]] for line in lines)
        return
    table = Table(box=None, pad_edge=False)
    for head in ("", str(first), str(second), ""):
        table.add_column(head, overflow="fold")
    for line in lines:
        table.add_row(line.quantity, line.first, line.second, marks[line.same])
    output_console().print(table)
