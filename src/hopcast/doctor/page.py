"""The HTML page of a diagnosis: verdicts and figures, nothing loaded from elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jinja2 import Environment
from markupsafe import Markup
from matplotlib.figure import Figure

from hopcast.core.hdf5 import write_text
from hopcast.doctor.verdict import Diagnosis
from hopcast.report.style import AB_INITIO, ALL, INK, MUTED, WIDE, inline_svg, style, svg_text

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>hopcast check: {{ title }}</title>
<style>
body { font: 16px/1.45 system-ui, sans-serif; color: #1b1b1b; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; } table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top;
padding: .4rem .6rem; border-bottom: 1px solid #d9d9d9; } .bad { color: #a11; font-weight: 600; } .warn { color: #8a5a00;
font-weight: 600; } .good { color: #186a3b; } .skipped { color: #6b6b6b; } .evidence { color: #6b6b6b; font-size: .85rem; }
figure { margin: 2rem 0; } figcaption { color: #6b6b6b; font-size: .9rem; } svg { max-width: 100%; height: auto; }
</style></head><body>
<h1>hopcast check</h1><p>{{ title }}</p>
<table><thead><tr><th>Verdict</th><th>Check</th><th>Finding</th></tr></thead><tbody>
{% for v in verdicts %}<tr><td class="{{ v.level }}">{{ v.level }}</td><td>{{ v.name }}</td><td>{{ v.finding }}
{% if v.frames and v.level in ("bad", "warn") %}<br>At {{ v.frames | join(", ") }}.{% endif %}
{% if v.fix %}<br><strong>Do:</strong> {{ v.fix }}{% endif %}
{% if v.evidence %}<br><span class="evidence">{% for k, x in v.evidence.items() %}{{ k }} = {{ "%.4g" | format(x) }}{{ "" if loop.last else ", " }}{% endfor %}</span>{% endif %}
</td></tr>
{% endfor %}</tbody></table>
{% for caption, svg in figures %}<figure>{{ svg }}<figcaption>{{ caption }}</figcaption></figure>
{% endfor %}</body></html>
"""


def render(diagnosis: Diagnosis) -> str:
    """Return the page of a diagnosis."""
    order = {"bad": 0, "warn": 1, "good": 2, "skipped": 3}
    drawn = [
        (caption, Markup(inline_svg(svg_text(figure), f"f{number}", caption)))
        for number, (caption, figure) in enumerate(figures(diagnosis))
    ]
    template = Environment(autoescape=True).from_string(_PAGE)
    return template.render(
        title=diagnosis.title, verdicts=sorted(diagnosis.verdicts, key=lambda v: order[v.level]), figures=drawn
    )


def write_page(diagnosis: Diagnosis, path: str | Path) -> None:
    """Write the page atomically.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_text(path, render(diagnosis))


def figures(diagnosis: Diagnosis) -> list[tuple[str, Figure]]:
    """Return the figures that the data allow, with their captions."""
    series = diagnosis.series
    step = float(series["timestep"]) if "timestep" in series else 1.0
    drawn = []
    panels = [
        ("gap", "Gap (eV)", "Gap along the trajectory; frames named by a verdict are marked."),
        ("coupling", "|Coupling| (eV)", "Size of the coupling; a jumping line means inconsistent phases or spikes."),
        ("temperature", "Temperature (K)", "Kinetic temperature of the nuclei."),
    ]
    marked = sorted({frame for v in diagnosis.verdicts if v.level in ("bad", "warn") for frame in v.frames})
    with style():
        for name, label, caption in panels:
            if name not in series:
                continue
            values = series[name]
            stride = max(1, len(values) // 4000)
            figure = Figure(figsize=(WIDE, 1.8), layout="constrained")
            axes = figure.subplots()
            axes.plot(np.arange(len(values))[::stride] * step / 1000, values[::stride], color=AB_INITIO, lw=0.8)
            inside = [frame for frame in marked if frame < len(values)]
            if inside and name != "temperature":
                axes.plot(np.array(inside) * step / 1000, values[inside], "o", ms=4, mfc="none", mec=ALL)
            axes.set(xlabel="Time (ps)", ylabel=label)
            drawn.append((caption, figure))
        if "lags" in series:
            figure = Figure(figsize=(WIDE, 1.8), layout="constrained")
            axes = figure.subplots()
            axes.plot(series["lags"], series["lag_errors"], "o-", color=ALL, ms=3)
            axes.axvline(0, color=MUTED, lw=0.7)
            axes.set(xlabel="Lag of the positions (steps)", ylabel="Error / variance")
            axes.tick_params(colors=INK)
            drawn.append(
                (
                    "Error of a quick regression of the gap on positions shifted in time: the least must be at lag 0 or +0.5.",
                    figure,
                )
            )
    return drawn
