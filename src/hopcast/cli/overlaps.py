"""Couplings from raw overlaps on the command line: the options, and what is said and logged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Tracking = Annotated[
    str | None,
    typer.Option(
        "--tracking",
        help="Order of states: energy (default), or trivial: follow their character through crossings.",
        show_default=False,
    ),
]
Derivative = Annotated[
    str | None,
    typer.Option(
        "--derivative",
        help="log (default) of the orthonormalised overlap, or difference (S - S^T)/2dt (HST).",
        show_default=False,
    ),
]


def derived(
    hamiltonian: Any,
    tracking: str | None,
    derivative: str | None,
    *,
    orthonormalise: bool,
    degenerate: list[str] | None,
    log: Path | None,
) -> Any:
    """Return the Hamiltonian with couplings derived from its overlaps, print what was done, and write its log.

    Couplings that hopcast derived before are kept where nothing else is asked for.

    Raises
    ------
    ConfigError
        If an option is unknown.
    """
    from hopcast.core.errors import ConfigError
    from hopcast.core.hdf5 import write_text
    from hopcast.couplings import DERIVED, coupling_log, derive_couplings, diagnose_overlaps, log_to_csv, summary

    before = hamiltonian.provenance.get("couplings", "")
    asked = tracking is not None or derivative is not None or orthonormalise or degenerate or log is not None
    if before.startswith(DERIVED) and not asked:
        typer.echo(f"Kept the couplings, which are {before}, tracking {hamiltonian.provenance.get('tracking')}.")
        return hamiltonian
    try:
        groups = [[int(state) for state in group.split(",")] for group in degenerate or []]
    except ValueError:
        raise ConfigError(
            f"Argument `--degenerate` must be states separated by commas, but is `{' '.join(degenerate or [])}`."
        ) from None
    options: dict[str, Any] = {"tracking": tracking or "energy", "derivative": derivative or "log"}
    result = derive_couplings(hamiltonian, orthonormalise=orthonormalise, degenerate=groups, **options)
    done = coupling_log(hamiltonian, **options)
    typer.echo(
        f"Derived couplings from raw overlaps ({options['derivative']}, tracking {options['tracking']}, phases made consistent): "
        f"{summary(done)}"
    )
    leaking = diagnose_overlaps(hamiltonian).leaking
    if leaking:
        listed = ", ".join(f"{label} ({norm:.2g})" for label, norm in leaking.items())
        typer.echo(
            f"States that leave the window (least norm of their row of S): {listed}. Leave them out of couplings."
        )
    if log is not None:
        numbers = hamiltonian.frame_numbers
        first = 0 if numbers is None else int(numbers[0])
        write_text(log, log_to_csv(done, first=first, timestep=hamiltonian.timestep))
    return result
