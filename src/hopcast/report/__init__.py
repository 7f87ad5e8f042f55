"""The report of a study: tables, figures, `results.json` and one self-contained page.

The report is independent of how the numbers were made: a study hands over a `StudyReport`, that is `results`
(the dictionary that becomes `results.json`, built with `number` and `estimate`) and `Series` (the arrays behind
the figures); `write_report` does the rest.

Three rules hold everywhere:

- *A number is finite or null, and a null says why.* A key that is null has the sibling ``<key>_reason``
  (`results_schema`, `validate_results`, `to_json`).
- *No number stands alone.* A score stands beside the mean, interpolation in time from the same training frames,
  the same model on features of another time, and held-out blocks; raw mutual information beside that of shifted
  features; a rate beside the ab initio one, with an interval whose parts are told apart.
- *Judgements are computed.* `hopcast.report.verdicts` holds every threshold and every sentence of judgement; the
  page's template only prints them.

R2 is drawn on an axis of log(1 - R2), the unexplained share of the variance, because interpolation along a
densely sampled trajectory makes every score look like 1. Spectra are one-sided power spectral densities (Hann
window, mean removed) against THz and 1/cm. Published numbers shown beside ours are ratios of gradients to the ab
initio one from How, Wang, Chu, Tkatchenko, Prezhdo, J. Phys. Chem. Lett. 2021, 12, 12026
(doi 10.1021/acs.jpclett.1c03469), for CsPbI3 only.
"""

from hopcast.report.claims import claims
from hopcast.report.evaluation_tables import (
    calibrated_rate_table,
    calibration_table,
    claim_table,
    learning_table,
)
from hopcast.report.figures import FIGURES, FigureSpec
from hopcast.report.html import render_html, write_report
from hopcast.report.paper import CITATIONS, PAPER_RATIOS, paper_ratio
from hopcast.report.records import estimate, number
from hopcast.report.schema import SCHEMA_VERSION, results_schema, to_json, validate_results
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
from hopcast.report.summary import with_verdicts
from hopcast.report.table import Cell, Column, Table
from hopcast.report.tables import (
    best_feature_table,
    hamiltonian_table,
    information_table,
    model_table,
    study_tables,
    trust_table,
)
from hopcast.report.verdicts import Verdict

__all__ = [
    "CHOSEN", "CITATIONS", "FIGURES", "PAPER_RATIOS", "SCHEMA_VERSION", "Cell", "Column", "Dephasing", "ElectronHole", "FigureSpec", "Forecast",
    "InformationMap", "Populations", "Relaxation", "Series", "Structure", "StudyReport", "Table", "Verdict", "best_feature_table",
    "calibrated_rate_table", "calibration_table", "claim_table", "claims", "estimate", "hamiltonian_table", "information_table", "learning_table", "model_table", "number", "paper_ratio", "render_html",
    "results_schema", "save_figure", "study_tables", "to_json", "trust_table", "validate_results", "with_verdicts",
    "write_report",
]  # fmt: skip
