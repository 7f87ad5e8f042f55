"""How to cite."""

from __future__ import annotations

from hopcast.report.section import References, Section
from hopcast.report.study_report import StudyReport
from hopcast.results.paper import CITATIONS


def references(report: StudyReport) -> References:
    """Return what to cite for this study."""
    provenance = report.results.provenance
    items = [(f"This software: hopcast {provenance.version} (see its CITATION.cff).", "")]
    for one in CITATIONS:
        end = "" if one.doi else "."
        items.append((f"{one.purpose[0].upper()}{one.purpose[1:]}: {one.text}{end}", one.doi or ""))
    return References([*items, *((text, "") for text in provenance.citations or ())])


SECTION = Section("cite", "How to cite", "How to cite", 110, (references,))
