"""Where a molecular dynamics run stands: kept in a file, so that a killed run goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core import hdf5
from hopcast.core.errors import ConfigError, InputError
from hopcast.core.plain import PlainMap


@dataclass
class Frames:
    """The frames stored so far: Å, Å/fs, K and eV."""

    positions: list[NDArray[np.float64]] = field(default_factory=list)
    velocities: list[NDArray[np.float64]] = field(default_factory=list)
    temperatures: list[float] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.energies)

    def arrays(self, count: int) -> dict[str, NDArray[np.float64]]:
        """Return the first `count` frames as arrays by name."""
        return {name: np.array(values[:count]) for name, values in vars(self).items()}


@dataclass(frozen=True, eq=False)
class MdState:
    """Everything the next step depends on.

    Attributes
    ----------
    step
        Steps done, the thermostat's included.
    n_frames
        Frames stored up to there.
    positions, momenta
        [n_atoms, 3], in ASE's units.
    random
        State of NumPy's `RandomState`.
    """

    step: int
    n_frames: int
    positions: NDArray[np.float64]
    momenta: NDArray[np.float64]
    random: tuple[Any, ...]


def save_state(path: Path, settings: PlainMap, state: MdState, frames: Frames) -> None:
    """Write the state and the frames up to it, atomically.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    kind, keys, position, has_gauss, cached = state.random

    def fill(file: Any) -> None:
        hdf5.put_attributes(
            file,
            {
                "settings": json.dumps(dict(settings), sort_keys=True),
                "step": state.step,
                "random_kind": kind,
                "random_position": position,
                "random_has_gauss": has_gauss,
                "random_cached": cached,
            },
        )
        for name, values in (
            ("at", state.positions),
            ("momenta", state.momenta),
            ("random", keys),
            *frames.arrays(state.n_frames).items(),
        ):
            file.create_dataset(name, data=values, track_times=False)

    hdf5.write_file(path, fill)


def load_state(path: Path, settings: PlainMap) -> tuple[MdState, Frames] | None:
    """Return the state and the frames of a file, or None where there is none.

    Raises
    ------
    ConfigError
        If it belongs to a run with other settings.
    InputError
        If it cannot be read.
    """
    if not path.exists():
        return None
    with hdf5.open_file(path) as file:
        if "settings" not in file.attrs:
            raise InputError(f"File `{path}` keeps no unfinished molecular dynamics. Move it away.")
        before = json.loads(file.attrs["settings"])
        changed = sorted(key for key in {*before, *settings} if before.get(key) != settings.get(key))
        if changed:
            raise ConfigError(
                f"`{path}` keeps an unfinished run with other settings ({', '.join(changed)} differ). Give the same ones to go on, "
                "or delete it."
            )
        state = MdState(
            int(file.attrs["step"]),
            len(file["energies"]),
            file["at"][()],
            file["momenta"][()],
            (
                str(file.attrs["random_kind"]),
                file["random"][()],
                int(file.attrs["random_position"]),
                int(file.attrs["random_has_gauss"]),
                float(file.attrs["random_cached"]),
            ),
        )
        return state, Frames(**{name: list(file[name][()]) for name in vars(Frames())})
