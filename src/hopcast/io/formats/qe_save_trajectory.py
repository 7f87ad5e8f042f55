"""The nuclei of numbered folders of Quantum ESPRESSO calculations, as their `prefix.save` has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hopcast.core.errors import InputError
from hopcast.core.trajectory import Trajectory
from hopcast.io.assemble import need_timestep
from hopcast.io.formats.qe_save import saves, sniff
from hopcast.io.numbered import consecutive
from hopcast.io.registry import Format, ReadOptions
from hopcast.io.trajectory_parts import atomic_number, check_same_atoms, from_cartesian
from hopcast.io.wavefunctions.espresso_schema import SCHEMA, read_schema


def read(path: Path, options: ReadOptions) -> Trajectory:
    """Read the positions and cells of all frames, in the order of their numbers."""
    timestep = need_timestep(path, options.timestep)
    found = saves(path)
    geometries, numbers = [], []
    for frame, number in enumerate(consecutive(path, found, "numbered folders with a `prefix.save`")):
        file = found[number] / SCHEMA
        geometry = read_schema(file).geometry
        if not geometry.species:
            raise InputError(
                f"File `{file}` must hold atoms, but holds none. It is damaged: calculate this frame again."
            )
        known = {name: atomic_number(name, file) for name in set(geometry.species)}
        geometries.append(geometry)
        numbers.append(np.array([known[name] for name in geometry.species]))
        check_same_atoms(file, frame, numbers[0], numbers[-1])
    return from_cartesian(
        path,
        np.array([each.positions for each in geometries]),
        np.array([each.cell for each in geometries]),
        numbers[0],
        timestep=timestep,
        velocities=None,
        periodic=None,
        options=options,
    )


FORMAT = Format(
    "qe-save", "Quantum ESPRESSO: positions in numbered folders", "trajectory", "<frame>/**/<prefix>.save", sniff, read
)
