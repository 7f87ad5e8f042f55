"""The report of a study: tables, figures, `results.json` and one self-contained page.

The report is independent of how the numbers were made: a study hands over a `StudyReport`, that is `results`
(the records of `hopcast.results`, which become `results.json`) and `Series` (the arrays behind the figures);
`write_report` does the rest. Judgements are computed there; the page's template only prints them.

R2 is drawn on an axis of log(1 - R2), the unexplained share of the variance, because interpolation along a
densely sampled trajectory makes every score look like 1. Spectra are one-sided power spectral densities (Hann
window, mean removed) against THz and 1/cm. Published numbers shown beside ours are ratios of gradients to the ab
initio one from How, Wang, Chu, Tkatchenko, Prezhdo, J. Phys. Chem. Lett. 2021, 12, 12026
(doi 10.1021/acs.jpclett.1c03469), for CsPbI3 only.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hopcast.report.html import render_html, write_report
    from hopcast.report.section import FigureSpec, Section, list_sections, study_tables
    from hopcast.report.study_report import (
        CHOSEN,
        Dephasing,
        ElectronHole,
        Forecast,
        InformationMap,
        Populations,
        Relaxation,
        Series,
        Structure,
        StudyReport,
    )
    from hopcast.report.style import save_figure
    from hopcast.report.table import Cell, Column, Table

    FIGURES: tuple[FigureSpec, ...]
    """All figures in the order of the report."""

__all__ = [
    "CHOSEN",
    "FIGURES",
    "Cell",
    "Column",
    "Dephasing",
    "ElectronHole",
    "FigureSpec",
    "Forecast",
    "InformationMap",
    "Populations",
    "Relaxation",
    "Section",
    "Series",
    "Structure",
    "StudyReport",
    "Table",
    "list_sections",
    "render_html",
    "save_figure",
    "study_tables",
    "write_report",
]

_PLACES = {
    "html": ("render_html", "write_report"),
    "section": ("FigureSpec", "Section", "list_sections", "study_tables"),
    "study_report": (
        "CHOSEN",
        "Dephasing",
        "ElectronHole",
        "Forecast",
        "InformationMap",
        "Populations",
        "Relaxation",
        "Series",
        "Structure",
        "StudyReport",
    ),
    "style": ("save_figure",),
    "table": ("Cell", "Column", "Table"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: `hopcast dynamics` draws with `style` and needs nothing else."""
    if name == "FIGURES":
        return tuple(importlib.import_module("hopcast.report.section").list_figures())
    for module, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(f"hopcast.report.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
