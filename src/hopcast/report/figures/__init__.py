"""The figures of the report, one file each; every function returns a matplotlib `Figure`, or None without data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from matplotlib.figure import Figure

from hopcast.report.figures.atoms import draw_information_atoms
from hopcast.report.figures.calibration import draw_calibration
from hopcast.report.figures.curves import draw_learning_curves
from hopcast.report.figures.dephasing import draw_dephasing
from hopcast.report.figures.electron_hole import draw_pair
from hopcast.report.figures.electrons import draw_gaps, draw_states
from hopcast.report.figures.forecast import draw_forecast
from hopcast.report.figures.information import draw_information_bars, draw_information_maps
from hopcast.report.figures.population import draw_fits, draw_populations
from hopcast.report.figures.rates import draw_rates
from hopcast.report.figures.relaxation import draw_relaxation
from hopcast.report.figures.series import draw_series, spectrum
from hopcast.report.figures.structure import draw_structure
from hopcast.report.figures.trust import draw_trust
from hopcast.report.study_report import StudyReport
from hopcast.report.style import style


@dataclass(frozen=True)
class FigureSpec:
    """A figure: name of its files, title, caption, and the function that draws it."""

    stem: str
    title: str
    caption: str
    function: Callable[[StudyReport], Figure | None]

    def draw(self, report: StudyReport) -> Figure | None:
        """Draw in the style of the report; None where the study has no data for it."""
        with style():
            return self.function(report)


FIGURES: Final = (
    FigureSpec(
        "trust", "Scores beside what needs no model",
        "R² on frames between the training frames (discs), beside interpolation in time from the same frames and the same model "
        "fed features of another time (grey bar: 2.5 to 97.5 %, tick: median). Squares: R² on held-out stretches of time. "
        "A disc that is not to the right of all grey marks shows that the score comes from the calendar.",
        draw_trust,
    ),
    FigureSpec(
        "figure-1-structure", "Figure 1. The cell",
        "First frame of the trajectory, atoms near a face repeated on the opposite one.", draw_structure,
    ),
    FigureSpec(
        "gap-and-coupling", "Gap and coupling over time, and their spectra",
        "Ab initio values along the trajectory and their power spectral density (Hann window, mean removed), where every frame is known.", draw_series,
    ),
    FigureSpec(
        "gap-distribution", "How the gap is distributed",
        "Ab initio gap of all known frames, beside the normal distribution of the same mean and width.", draw_gaps,
    ),
    FigureSpec(
        "figure-1-electrons", "Figure 1, continued. Density of states and band edges",
        "Averaged over the computed frames; energies from the valence band maximum of each frame, weights of atoms from Löwdin "
        "orbitals. Localisation: sum of the squared shares of the atoms, 1 on one atom; dashed: spread evenly over all.",
        draw_states,
    ),
    FigureSpec(
        "information-bars", "Information by element",
        "Sum over an element's features and atoms, divided by the number of its atoms. The null is the raw estimate on features "
        "shifted in time; corrected: estimated on decimated series.",
        draw_information_bars,
    ),
    FigureSpec(
        "information-atoms", "Information by atom",
        "Corrected information of each atom's symmetry functions, summed; first frame, along the shortest lattice vector. Where "
        "like atoms differ as much as elements do, the picture shows the noise of the estimate.",
        draw_information_atoms,
    ),
    FigureSpec(
        "information-maps-gap", "Information on the gap by symmetry function",
        "Mutual information of one symmetry function with the gap, averaged over the element's atoms. Framed: the largest.",
        partial(draw_information_maps, target="gap"),
    ),
    FigureSpec(
        "information-maps-nac", "Information on the coupling by symmetry function",
        "As above, for the coupling.", partial(draw_information_maps, target="nac"),
    ),
    FigureSpec(
        "figure-2-forecast", "Figure 2. Forecast against ab initio",
        "Top: a stretch of the trajectory and the error of each forecast there (dashed: the one best feature). Bottom: test frames, discs for all features "
        "and circles for the best one, with the number of features an atom and R². Of a sparse Hamiltonian errors and discs are those of computed "
        "pairs in stretches of time that were held out.",
        draw_forecast,
    ),
    FigureSpec(
        "dephasing", "Pure dephasing", "Dephasing function of the ab initio gap, with the Gaussian of its dephasing time.",
        draw_dephasing,
    ),
    FigureSpec(
        "figure-3-population", "Figure 3. Ground-state population",
        "Averaged over initial times; grey band: 95 % interval of the ab initio curve. Dashed: models of the one best feature.",
        draw_populations,
    ),
    FigureSpec(
        "figure-s3-fits", "Figure S3. Straight lines through the populations",
        "Gradient and intercept of the least-squares line over the stated window.", draw_fits,
    ),
    FigureSpec(
        "carriers", "Carriers relaxing through the bands",
        "Left: populations of the bands by the method named. Right: energy above the edge, averaged over trajectories, with the "
        "95 % interval of the sampling.",
        draw_relaxation,
    ),
    FigureSpec(
        "pair", "Electron and hole together",
        "Left: populations by who is cool (in the band at the edge) or hot (in any other). Right: mean energy of each carrier above its edge, "
        "with the 95 % interval of the sampling; dashed: the carrier alone.",
        draw_pair,
    ),
    FigureSpec(
        "rates", "The mean rate from the computed pairs",
        "Second-order rates with 95 % intervals. Grey band: the plain average over the computed pairs, which needs no model. Discs: the "
        "forecast along the whole trajectory (interval of the finite trajectory only), circles: its posterior variance added. Diamonds: "
        "the average with the forecast of held-out stretches as control variate; a forecast helps where these are narrower than the band.",
        draw_rates,
    ),
    FigureSpec(
        "learning-curves", "From which training stride on does the model know more than the calendar?",
        "Against the time between training frames: R² (axis: logarithm of 1 − R², better upwards; dashed: the mean) and the "
        "second-order rate over the ab initio one. Top: frames between the training frames; bottom: held-out stretches of time. "
        "A model knows more than the calendar where it runs above every grey line and the band.",
        draw_learning_curves,
    ),
    FigureSpec(
        "learning-curves-frames", "Scores against the number of frames",
        "As above, on the first part of the trajectory, at the study's training stride.",
        partial(draw_learning_curves, axis="frames"),
    ),
    FigureSpec(
        "calibration", "Error bars on held-out blocks",
        "Share of held-out values inside intervals of each nominal level: lines as the posterior gives them, points recalibrated "
        "on blocks that the test never meets (circles: models of the one best feature). On the dashed line an interval holds "
        "what it promises. Grey bar: 95 % interval of the share at 90 %, first model.",
        draw_calibration,
    ),
)  # fmt: skip
"""All figures in the order of the report."""

__all__ = [
    "FIGURES", "FigureSpec", "draw_calibration", "draw_dephasing", "draw_fits", "draw_forecast", "draw_gaps", "draw_information_atoms",
    "draw_information_bars", "draw_information_maps", "draw_learning_curves", "draw_pair", "draw_populations", "draw_rates", "draw_relaxation", "draw_series", "draw_states", "draw_structure", "draw_trust", "spectrum",
]  # fmt: skip
