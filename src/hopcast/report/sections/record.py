"""The run record."""

from __future__ import annotations

import json

from hopcast.report.section import Dump, Lines, Section, Terms
from hopcast.report.study_report import StudyReport


def run(report: StudyReport) -> Terms:
    """Return versions, command, inputs, machine."""
    provenance = report.results.provenance
    lines = [("hopcast", provenance.version), ("Written", provenance.created)]
    for value, label in ((provenance.command, "Command"), (provenance.seed, "Seed")):
        if value is not None:
            lines.append((label, str(value)))
    for entry in provenance.inputs:
        digest = f", sha256 {entry.sha256}" if entry.sha256 is not None else ""
        source = f", {entry.source}" if entry.source is not None else ""
        lines.append(("Input", f"{entry.name}{source}{digest}"))
    if provenance.machine:
        lines.append(("Machine", ", ".join(f"{key} {value}" for key, value in provenance.machine.items())))
    return Terms(lines)


def remarks(report: StudyReport) -> Lines:
    """Return the quality warnings of the run."""
    return Lines(report.results.notes, "Remarks of the run")


def wall_time(report: StudyReport) -> Terms:
    """Return how long each stage took."""
    return Terms([(one.stage, f"{one.seconds:.1f} s") for one in report.results.timings], "Wall time")


def configuration(report: StudyReport) -> Dump:
    """Return the resolved configuration."""
    return Dump("Resolved configuration", _dumped(report.results.provenance.config))


def packages(report: StudyReport) -> Dump:
    """Return the versions of the packages."""
    return Dump("Packages", _dumped(report.results.provenance.packages))


def folders(report: StudyReport) -> Lines:
    """Say where the numbers are."""
    return Lines(["Every number of this page is in results.json; its tables are in tables/, its figures in figures/."])


def _dumped(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) if value else ""


SECTION = Section(
    "record", "Run record", "Run record", 100, appendix=(run, remarks, wall_time, configuration, packages, folders)
)
