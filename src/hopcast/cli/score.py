"""`hopcast score`: a forecast against what was computed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

States = Annotated[
    str | None,
    typer.Option("--states", help="The two states of the truth, e.g. 7,8; VBM and CBM by default.", show_default=False),
]


def score(
    forecast: Annotated[
        str, typer.Argument(help="Forecast Hamiltonian, as `hopcast predict` writes it.", show_default=False)
    ],
    truth: Annotated[
        str,
        typer.Argument(help="Hamiltonian that was computed, or the name of a shipped data set.", show_default=False),
    ],
    states: States = None,
    timestep: Annotated[
        float | None, typer.Option("--timestep", help="fs, for files that do not say it.", show_default=False)
    ] = None,
) -> None:
    """Hold a forecast against a known Hamiltonian of the same frames. Compared are gap, coupling and local rate."""
    from hopcast.core.errors import ConfigError
    from hopcast.datasets.shipped import find_shipped
    from hopcast.evaluation import score_hamiltonian
    from hopcast.io import read_hamiltonian

    pair = None
    if states is not None:
        parts = states.split(",")
        if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
            raise ConfigError(
                f"Argument `--states` must be two numbers of states separated by a comma, counted from 0, but is `{states}`."
            )
        pair = (int(parts[0]), int(parts[1]))
    shipped = find_shipped(truth)
    known = read_hamiltonian(Path(truth), timestep=timestep) if shipped is None else shipped.hamiltonian
    found = score_hamiltonian(read_hamiltonian(Path(forecast), timestep=timestep), known, pair=pair)
    typer.echo(str(found))
