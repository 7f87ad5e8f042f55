"""The line under the report's title."""

from __future__ import annotations

from hopcast.core.naming import counted
from hopcast.evaluation.verdicts import shown_length
from hopcast.report.study_report import StudyReport
from hopcast.report.table import shown_number

_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def facts(report: StudyReport) -> list[tuple[str, str]]:
    """Return the line under the report's title: label and value."""
    data = report.data
    lines = [
        ("cell", f"{data.formula.translate(_SUBSCRIPT)}, {counted(data.n_atoms, 'atom')}"),
        ("trajectory", f"{shown_length(data.duration)}, {counted(data.n_frames, 'frame')} every {data.timestep:g} fs"),
    ]
    if data.states:
        lines.append(("states", " and ".join(data.states)))
    if data.gap_mean is not None:
        spread = f" ± {data.gap_std:.2f}" if data.gap_std is not None else ""
        lines.append(("gap", f"{data.gap_mean:.2f}{spread} eV"))
    if data.nac_rms is not None:
        lines.append(("coupling", f"{shown_number(1e3 * data.nac_rms)} meV rms"))
    if data.correlation_time is not None:
        lines.append(("correlation time", shown_length(data.correlation_time)))
    if data.temperature is not None:
        lines.append(("temperature", f"{data.temperature:.0f} K"))
    samples, stride = report.results.samples, data.train_stride
    if samples is not None:
        share = f"{100 * samples.share:.2g} % of all"
        lines.append(
            ("computed pairs", f"{samples.n_pairs}, typically {shown_length(samples.spacing)} apart ({share})")
        )
    elif stride is not None:
        lines.append(("training frames", f"every {stride.fs:g} fs ({counted(stride.frames, 'frame')})"))
    return lines
