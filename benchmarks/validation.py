"""Print docs/validation.md: what every control says of trajectories whose answer is known, and how often it errs.

Run as ``python benchmarks/validation.py [--quick] [PART ...]``, e.g. ``python benchmarks/validation.py > docs/validation.md``: all parts take
some ten minutes of one core, with ``--quick`` (a fifth of the draws) two. Progress goes to the error stream.
"""

from __future__ import annotations

import datetime
import sys
import time

import known_worlds as worlds
import numpy as np

HEAD = """# Validation on trajectories whose answer is known

`python benchmarks/validation.py{quick}` printed this page on {today}{only}; the tests run the same measurements on smaller numbers
(`benchmarks/known_worlds.py`). A share of {draws} draws has a standard error of up to {error:.1f} points.

<!-- numbers: python benchmarks/validation.py{quick} | {today} | 10 min -->"""


def percent(share, digits=0):
    """Return a share as a reader wants it; a dash where nothing was counted."""
    return "–" if np.isnan(share) else f"{100 * share:.{digits}f} %"


def rows(*lines):
    """Return lines of a table of markdown, the first of them its head."""
    cells = ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]
    return "\n".join([cells[0], "|" + "---|" * len(lines[0]), *cells[1:]])


def controls(scale):
    """Three worlds."""
    found = [worlds.controls(kind) for kind in ("independent", "half", "determining")]

    def line(name, form, *keys):
        return [name, *(form(*(one[key] for key in keys)) for one in found)]

    def r2(value):
        return f"{value:.4f}" if value > 0.995 else f"{value:.3f}".replace("-", "−")

    table = rows(
        ["", "independent", "half", "determining"],
        line("R², a training frame every 40 fs", r2, "interleaved R2, 40 fs"),
        line("verdict there", str, "verdict, 40 fs"),
        line(
            "R², every 300 fs (the same on shifted features)",
            lambda a, b: f"{r2(a)} ({r2(b)})",
            "interleaved R2, 300 fs",
            "shifted R2, 300 fs",
        ),
        line("verdict there", str, "verdict, 300 fs"),
        line("R² on held-out blocks", r2, "blocked R2"),
        line("verdict there", str, "blocked verdict"),
        line("raw information, nat a feature (mean of the three that may count)", lambda x: f"{x:.2f}", "raw MI"),
        line("corrected", lambda x: f"{x:.3f}".replace("-", "−"), "corrected MI"),
        line("least adjusted p", lambda x: f"{x:.2g}", "least p adjusted"),
        line("verdict", str, "verdict, information"),
    )
    return f"""## Three worlds

Twelve features, Gaussian noise with a flat spectrum from 0.2 to 2 THz, 60 ps at 10 fs. The target moves in the same
band: *independent* of the features, a smooth function of three of them (*determining*), or *half* of its variance.
Model: the paper's (Laplacian kernel ridge, α = 1e-4, γ = 1/n).

{table}

Features that know nothing reach R² {r2(found[0]["interleaved R2, 40 fs"])} between frames 40 fs apart. At so short a stride even a model that knows
everything is beaten by a spline; it earns its verdict where the calendar ends, and the half-and-half mix lies between."""


def rates(scale):
    """Errors of the information test."""
    n, few = round(1000 * scale), round(200 * scale)

    def cells(kind, duration, spacing=None, tail=None, rhos=(0.0, 0.6, 0.9)):
        shares = [worlds.power(kind, duration, rho, few if rho else n, spacing, tail) for rho in rhos]
        return [percent(shares[0], 1), *(percent(share) for share in shares[1:])] + [""] * (3 - len(shares))

    lines = [["series", "shifts", "ρ = 0", "0.6", "0.9"]]
    for picoseconds in (6, 12):
        for spacing in (None, 100.0, 200.0, 400.0):
            lines.append(
                [
                    f"band-limited (0.2 to 2 THz), {picoseconds} ps" if spacing is None else "",
                    "default" if spacing is None else f"{spacing:g} fs apart",
                    *cells("band-limited", 1e3 * picoseconds, spacing),
                ]
            )
    for picoseconds in (8, 20):
        lines.append([f"Ornstein-Uhlenbeck, 200 fs, {picoseconds} ps", "default", *cells("OU", 1e3 * picoseconds)])
    for name, tail in (("sinh 2z", lambda z: np.sinh(2 * z)), ("exp 1.5z", lambda z: np.exp(1.5 * z))):
        lines.append(
            [f"band-limited, 6 ps, both {name}", "default", *cells("band-limited", 6e3, None, tail, (0.0, 0.6))]
        )
    for kind, name in (("white", "white noise"), ("AR(1)", "AR(1) with coefficient 0.8")):
        lines.append([f"{name}, 500 samples", "default", percent(worlds.false_positives(n, kind=kind), 1), "", ""])
    fast, slow = worlds.mixed_speeds(n // 2)
    return f"""## Errors of the information test

Share of draws whose corrected information has p ≤ 0.05; one feature and one target of correlation ρ, {n} draws without information (standard
error of 5 %: {100 * np.sqrt(0.05 * 0.95 / n):.1f} points) and {few} with, frames 20 fs apart. By default shifts lie a decimated sample (half the first zero
crossing) apart, and two from where they started.

{rows(*lines)}

Four fast features (1 to 4 THz) and a slow one (0.1 to 0.6 THz) beside them, 12 ps, {n // 2} draws: {percent(fast, 1)} false positives of the fast,
{percent(slow, 1)} of the slow one. Shifts nearer to each other repeat each other and keep the errors of the first kind; shifts a
correlation time apart leave so few that no p can fall below 5 %."""


def claims(scale):
    """Small studies."""
    n = round(100 * scale)
    found = {kind: worlds.studies(kind, n) for kind in ("independent", "informed")}

    def line(name, pick):
        return [name, *(percent(pick(*one)) for one in found.values())]

    table = rows(
        ["", *found],
        line("any p ≤ 0.05 (six are shown)", lambda raw, after, survived: raw),
        line("any significant after Benjamini and Hochberg", lambda raw, after, survived: after),
        line(
            'claim "structure knows less of the coupling than of the gap" survives',
            lambda raw, after, survived: survived["coupling_below_gap"],
        ),
        line(
            'claim "information ranks the elements as the states do" survives',
            lambda raw, after, survived: survived["ranking"],
        ),
    )
    return f"""## Small studies

Three elements of four features each, a gap, and a coupling that moves twice as fast; 20 ps, {n} studies each. *Independent*: nothing
tells anything. *Informed*: Pb and I tell most of the gap, Pb a little of the coupling.

{table}

The first claim asks it of every element, and Cs knows of neither; the second needs Pb and I above Cs beyond the intervals, which 20 ps do not
always give."""


def decays(scale):
    """Decay models."""
    n = round(200 * scale)
    names = {
        "exponential": "exponential",
        "stretched": "stretched (β = 0.6)",
        "biexponential": "bi-exponential (40 % of 2 ps, the rest 12 ps)",
    }
    lines = [
        [
            "truth",
            "exponential chosen",
            "stretched",
            "bi-exponential",
            "lifetime over the true one, 0 / 5 / 50 / 95 / 100 %",
            "with a note",
        ]
    ]
    for truth, (chosen, ratios, notes) in worlds.decays(n).items():
        lines.append([names[truth], *chosen.values(), " / ".join(f"{one:.3f}" for one in ratios), percent(notes)])
    return f"""## Decay models

Survival curves of 2000 decay times at 300 output times up to three lifetimes (of the exponential), {n} draws each.

{rows(*lines)}

The note of the stretched decay says that more than a tenth of its lifetime lies beyond the window."""


def coverage(scale):
    """Intervals of forecasts."""
    n = max(3, round(60 * scale))
    raw, better = worlds.coverage(n)
    return f"""## Intervals of forecasts

Nominal 90 % intervals on held-out blocks, {n} trajectories of 60 correlation times: {percent(raw.mean(), 1)} as the posterior gives them,
{100 * better.mean():.1f} ± {100 * better.std(ddof=1) / np.sqrt(n):.1f} % recalibrated on blocks disjoint from the test."""


def lifetime(scale):
    """Intervals of lifetimes."""
    n, lengths = round(1000 * scale), (3, 5, 10, 30, 60)
    motions = {"OU": "OU", "squared OU": "squared", "log-normal": "log-normal", "band-limited": "band-limited"}
    found = {motion: [worlds.lifetimes(n, length, motion=motion) for length in lengths] for motion in motions}

    def cell(silent, holds, _):
        count, right = silent.sum(), (silent & holds).sum()
        of = f" ({right} of {count})" if 0 < count < 100 else ""
        share = right / count if count else np.nan
        return f"{percent(silent.mean())} · {percent(share)}{of} · {percent((silent & ~holds).mean(), 1)} · {percent(holds.mean())}"

    lines = [["correlation times", *motions.values()]]
    for place, length in enumerate(lengths):
        lines.append([length, *(cell(*found[motion][place]) for motion in motions)])
    lines[1][0] = f"{lengths[0]}: without the note · hold · without it and wrong · all hold"
    together = {motion: [np.concatenate(parts) for parts in zip(*each, strict=True)] for motion, each in found.items()}
    lines.append(["any of these", *(cell(*each) for each in together.values())])
    silent, holds, looks = found["squared OU"][lengths.index(30)]
    higher = looks >= 60
    return f"""## Intervals of lifetimes

95 % intervals, {n} trajectories each, whose rate is an Ornstein-Uhlenbeck process, the square of one (*squared*), its exponential
(*log-normal*), or comes from band-limited gap and coupling; lengths in correlation times of the rate. The correlation time is found from the
trajectory, as a user's is. *Without the note* "interval at least this wide: trajectory too short": which share; how many of these hold the
long-run lifetime; which share of all is without the note and wrong; and how many of all hold.

{rows(*lines)}

A short trajectory shows least of its slow motion where it looks safest, so the correlation time is corrected for the length of the series,
the note stands up to forty correlation times, and intervals are wider than their own blocks say by 1 + 40 correlation times over the length (at most
twice): they err on the wide side. A user does not know how many correlation times there are: over all lengths (last row) intervals without the note
hold as promised. Of those few runs of five to fifteen correlation times that look several times as long as they are, fewer do, and no rule read from
the same series mends it: they are chosen for not having shown their rare high rates. A higher bar makes them rarer and the rest of them worse: with the
note up to sixty, squared rates of thirty correlation times are without it {percent(higher.mean())} of the time instead of {percent(silent.mean())}, and hold
{percent(holds[higher].mean())} instead of {percent(holds[silent].mean())}."""


def dephasing(scale):
    """Dephasing times of the same trajectory."""
    n = round(200 * scale)
    lines = [["correlation times of the gap", "dephasing time over the true one", "its excess taken off", "95 % intervals that hold", "dephasing taken as known"]]  # fmt: skip
    for n_times in (3, 5, 10, 30, 60):
        ratio, corrected, holds, known = worlds.own_dephasing(n, n_times)
        lines.append([n_times, f"{ratio:.2f}", f"{corrected:.2f}", percent(holds), percent(known)])
    return f"""## Dephasing times of the same trajectory

A gap of 2 ± 0.1 eV (Ornstein-Uhlenbeck, 60 fs), a constant coupling, {n} trajectories each: the median dephasing time over that of a long series,
as it is and divided by one plus the excess that hopcast says beside it; and how many 95 % intervals of the mean rate hold the long-run one, with
the dephasing time resampled along with the blocks (as hopcast does), and taken as known.

{rows(*lines)}"""


def powered(scale):
    """Prediction-powered means."""
    n_draws = round(1000 * scale)
    lines, shares, ratios = [["target", "n", *worlds.FORECASTS]], {}, []
    for tail in worlds.TAILS:
        for n in (2, 4, 6, 8, 10, 12, 24, 50, 100, 200):
            found = worlds.powered(tail, n, n_draws, seed=n)
            lines.append(
                [
                    tail if n == 2 else "",
                    n,
                    *(f"{100 * share:.1f} · {ratio:.3f}" for _, share, ratio in found.values()),
                ]
            )
            ratios += [ratio for _, _, ratio in found.values()]
            if n >= 6:
                shares.setdefault(tail, []).extend(share for _, share, _ in found.values())
    said = ", ".join(f"{100 * min(each):.1f} to {100 * max(each):.1f} % for {tail}" for tail, each in shares.items())
    return f"""## Prediction-powered means

Samples of 2000 frames, {n_draws} draws (standard error of a coverage: {100 * np.sqrt(0.09 / n_draws):.1f} points). The target is normal, the square of a normal as a
squared coupling is (*squared*), or log-normal with a width of 1.5. The forecast is *useless* (independent), tells *half* (0.7 of the variance of the
normal behind the target), is *biased* (0.9, but 0.4 of it plus 1), or *perfect*. Each cell: share of 90 % intervals that hold the mean of all
frames, % · mean squared error over the plain average's.

{rows(*lines)}

With fewer than twelve samples a forecast gets no weight. The largest mean squared error over the plain average's is {max(ratios):.3f}.
Coverage from n = 6 on: {said}. The tails pull in opposite directions: what is
wide enough for few log-normal values is wide for squared ones, whose intervals hold up to a point more often than the 94 % asked for. The price of few
skew samples is the width: the upper end for six log-normal values lies far above their mean, since six values do not say how rare the rarest are."""


def regular(scale):
    """Regular samples."""
    n_draws = round(300 * scale)
    lines = [["target", "samples of correlation times", "trajectory", "long run"]]
    for tail in worlds.TAILS:
        for n, memory in ((12, 20), (12, 100), (40, 100), (40, 400), (150, 100), (150, 400)):
            found = worlds.regular(n, memory, tail, n_draws)
            cells = (f"{percent(share)}, {width:.2f}" for share, width in found.values())
            lines.append([tail if (n, memory) == (12, 20) else "", f"{n} of {4000 // memory}", *cells])
    return f"""**Regular samples** of 4000 frames of a function of an Ornstein-Uhlenbeck series, the forecast telling 0.7 of the normal's variance, {n_draws} draws: share
of 90 % intervals that hold the mean along the trajectory and the long-run mean, and their median width over the ideal one (3.29 standard
deviations of the error).

{rows(*lines)}"""


def reuse(scale):
    """Shared factors."""
    shared, naive = worlds.reuse(1500 if scale == 1 else 600)
    return f"""## Shared factors

All shifted models share distances and factors with the model itself; intervals of the information share its
neighbours. Twenty shifts, five folds, {1500 if scale == 1 else 600} frames, 60 features: {shared:.2f} s of CPU with shared factors, {naive:.2f} s when each shift is
fitted anew, a ratio of {naive / shared:.0f} (the scores agree to 1e-8)."""


PARTS = {
    part.__name__: part
    for part in (controls, rates, claims, decays, coverage, lifetime, dephasing, powered, regular, reuse)
}


def main(arguments):
    """Print the page, or the parts named."""
    quick = "--quick" in arguments
    wanted = [word for word in arguments if word != "--quick"]
    unknown = [word for word in wanted if word not in PARTS]
    if unknown:
        sys.exit(f"Part `{unknown[0]}` is unknown. Parts: {', '.join(PARTS)}.")
    scale = 0.2 if quick else 1.0
    draws = round(200 * scale)
    only = f" (parts: {', '.join(wanted)})" if wanted else ""
    today = datetime.datetime.now(datetime.UTC).date()
    page = HEAD.format(
        quick=" --quick" if quick else "", today=today, only=only, draws=draws, error=50 / np.sqrt(draws)
    )
    print(page, flush=True)
    for name, part in PARTS.items():
        if not wanted or name in wanted:
            start = time.process_time()
            print(f"\n{part(scale)}", flush=True)
            print(f"{name}: {time.process_time() - start:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
