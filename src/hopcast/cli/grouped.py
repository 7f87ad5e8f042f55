"""Long lists of options, in groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from typer.core import TyperCommand

Groups = Mapping[str, Sequence[str]]
"""Names of parameters by the heading they stand under; the others come last."""


def grouped(groups: Groups) -> type[TyperCommand]:
    """Return a kind of command whose help lists its options under headings."""

    class Grouped(TyperCommand):
        def format_options(self, ctx: Any, formatter: Any) -> None:  # typer brings a click of its own
            of = {name: heading for heading, names in groups.items() for name in names}
            records: dict[str, list[tuple[str, str]]] = {heading: [] for heading in ("Arguments", *groups, "Options")}
            for parameter in self.get_params(ctx):
                record = parameter.get_help_record(ctx)
                if record is not None:
                    argument = parameter.param_type_name == "argument"
                    records["Arguments" if argument else of.get(parameter.name or "", "Options")].append(record)
            for heading, listed in records.items():
                if listed:
                    with formatter.section(heading):
                        formatter.write_dl(listed)

    return Grouped
