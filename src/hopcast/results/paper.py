"""What the published study printed, and what a user of our numbers should cite."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

PAPER: Final = "How, Wang, Chu, Tkatchenko, Prezhdo, J. Phys. Chem. Lett. 2021, 12, 12026"
"""The study whose pipeline is followed, in short."""

PAPER_ELEMENTS: Final = frozenset({"Cs", "Pb", "I"})
"""Its material; for any other the published numbers are not shown."""

PAPER_RATIOS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "all-18": 0.911,
        "I-1": 0.902,
        "Pb-18": 0.893,
        "all-1": 0.875,
        "I-18": 0.866,
        "Cs-18": 0.839,
        "Pb-1": 0.813,
        "Cs-1": 1.509,
    }
)
"""Gradient of a forecast over the ab initio one (its Table 4; the absolute unit there is ambiguous)."""

PAPER_INFORMATION: Final = 1.5
"""Mutual information of a feature and a target, nat: about this for every element (its Table 1)."""


PAPER_STATES: Final[Mapping[frozenset[str], tuple[str, ...]]] = MappingProxyType({PAPER_ELEMENTS: ("Pb", "I")})
"""Elements that carry the two states, by the elements of the material, where the published study says so."""


class Citation(NamedTuple):
    """A reference: what it is used for, its text, its DOI (or an empty string)."""

    purpose: str
    text: str
    doi: str


CITATIONS: Final = (
    Citation("the pipeline", PAPER, "10.1021/acs.jpclett.1c03469"),
    Citation(
        "mutual information",
        "Kraskov, Stögbauer, Grassberger, Phys. Rev. E 2004, 69, 066138",
        "10.1103/PhysRevE.69.066138",
    ),
    Citation(
        "the window that excludes neighbours in time",
        "Theiler, Phys. Rev. A 1986, 34, 2427",
        "10.1103/PhysRevA.34.2427",
    ),
    Citation("decoherence-induced surface hopping", "Jaeger, Fischer, Prezhdo, J. Chem. Phys. 2012, 137, 22A545", ""),
)
"""Built-in references of every report; a study adds its own under `provenance.citations`."""


def paper_ratio(name: str, elements: Collection[str]) -> float | None:
    """Return the published ratio to ab initio of the forecast `name`, or None where the material is another."""
    return PAPER_RATIOS.get(name) if frozenset(elements) == PAPER_ELEMENTS else None
