"""The structure as the script of the page turns it: balls, sticks and the edges of the cell."""

from __future__ import annotations

import itertools
import json

import numpy as np

from hopcast.report.figures.structure import bonds_of, radii_of, with_border_atoms
from hopcast.report.study_report import StudyReport
from hopcast.report.style import element_colour

_MOST_ATOMS = 1500
"""More would neither turn smoothly nor be told apart."""


def turnable_structure(report: StudyReport) -> str:
    """Return atoms [x, y, z, radius, kind], bonds and edges of the first frame as JSON, Å; empty without a structure, or with too many."""
    structure = report.series.structure
    if structure is None:
        return ""
    points, numbers = with_border_atoms(structure)
    if len(points) > _MOST_ATOMS:
        return ""
    from ase.data import chemical_symbols

    centre = structure.corners.mean(axis=0)
    kinds = sorted(set(numbers.tolist()))
    atoms = np.column_stack([points - centre, radii_of(numbers)]).round(3)
    edges = [
        [structure.corners[first] - centre, structure.corners[second] - centre]
        for first, second in itertools.combinations(range(8), 2)
        if structure.has_cell and (first ^ second).bit_count() == 1
    ]
    scene = {
        "kinds": [
            {"name": chemical_symbols[kind], "colour": element_colour(chemical_symbols[kind], report.elements)}
            for kind in kinds
        ],
        "atoms": [[*atom, kinds.index(kind)] for atom, kind in zip(atoms.tolist(), numbers.tolist(), strict=True)],
        "bonds": bonds_of(points, numbers),
        "edges": np.round(edges, 3).tolist(),
        "up": np.round(structure.box[int(np.argmax(np.linalg.norm(structure.box, axis=1)))], 3).tolist(),
    }
    return json.dumps(scene, separators=(",", ":"))
