"""`hopcast formats`: what can be read and written."""

from __future__ import annotations

import typer


def formats() -> None:
    """List the formats that can be read and written."""
    from hopcast.io import list_formats

    known = list_formats()
    width = max(len(each.name) for each in known)
    for kind in ("hamiltonian", "trajectory"):
        typer.echo(f"{kind.capitalize()} formats")
        for each in known:
            if each.kind == kind:
                ways = "read, write" if each.write is not None else "read"
                also = f"; also called {each.code}" if each.code else ""
                typer.echo(f"  {each.name:<{width}}  {ways:<11}  {each.title} ({each.files}){also}")
