"""Which element, and which symmetry function of it, knows most of a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike

from hopcast.core.errors import InputError
from hopcast.information.kernels import Floats, Ints
from hopcast.information.significance import Information, information


@dataclass(frozen=True, eq=False)
class ElementInformation:
    """Information of the atoms of one element with a target, nat.

    Element values are the paper's "mean MI": the sum over all features of all its atoms, over the number of
    its atoms. With one function kept (`best`), that is `raw_map[best]`.

    Attributes
    ----------
    element
        Symbol.
    atoms
        Indices of its atoms.
    mean_mi
        Raw. Stands beside `mean_null`.
    mean_null
        The same with the features shifted circularly in time: the size of the artefact.
    mean_corrected, mean_corrected_null
        Decimated, not clipped, and its mean under circular shifts.
    mean_windowed, mean_windowed_null
        With Theiler window, and its mean under circular shifts.
    p
        Share of the shifts (unshifted included) whose `mean_corrected` is at least as large; NaN without shifts.
    per_feature, per_feature_corrected : array [n_atoms, n_functions]
        Raw and corrected, each feature.
    raw_map, raw_null_map, corrected_map : array [n_functions]
        Mean over the atoms, a function.
    best
        Function of the largest `raw_map` (the paper's choice).
    best_corrected
        Function of the largest `corrected_map`; None where that is NaN.
    """

    element: str
    atoms: Ints
    mean_mi: float
    mean_null: float
    mean_corrected: float
    mean_corrected_null: float
    mean_windowed: float
    mean_windowed_null: float
    p: float
    per_feature: Floats
    per_feature_corrected: Floats
    raw_map: Floats
    raw_null_map: Floats
    corrected_map: Floats
    best: int
    best_corrected: int | None


@dataclass(frozen=True, eq=False)
class ElementRanking:
    """Elements in the order of their symbols' first appearance, and the features they were computed from.

    Attributes
    ----------
    elements
        One entry an element.
    information
        All features, ``[n_atoms * n_functions]``, function fastest.
    """

    elements: tuple[ElementInformation, ...]
    information: Information

    def __getitem__(self, element: str) -> ElementInformation:
        for entry in self.elements:
            if entry.element == element:
                return entry
        raise KeyError(element)

    def __str__(self) -> str:
        lines = ["element  atoms     raw  (shifted)  corrected  (shifted)  windowed  (shifted)      p  best"]
        for e in self.elements:
            lines.append(
                f"{e.element:7s}  {len(e.atoms):5d}  {e.mean_mi:6.2f}  {e.mean_null:9.2f}  {e.mean_corrected:9.2f}  "
                f"{e.mean_corrected_null:9.2f}  {e.mean_windowed:8.2f}  {e.mean_windowed_null:9.2f}  {e.p:5.3f}  "
                f"{e.best} (corrected: {e.best_corrected})"
            )
        if self.information.reason:
            lines.append(f"inconclusive: {self.information.reason}")
        return "\n".join(lines)


class InformationOptions(TypedDict, total=False):
    """What `information` may be told, but for groups."""

    n_neighbors: int
    n_shifts: int | None
    decimate: int | None
    theiler_window: int | None
    shift_spacing: float | None
    random_state: int
    workers: int | None


def rank_elements(
    G: ArrayLike,
    symbols: Sequence[str],
    y: ArrayLike,
    timestep: float = 1.0,
    **options: Unpack[InformationOptions],
) -> ElementRanking:
    """Estimate what the atoms of each element know of a target, with every control of `information`.

    Parameters
    ----------
    G : array_like [n_frames, n_atoms, n_functions]
        Symmetry functions along one trajectory.
    symbols : sequence [n_atoms]
        Element of each atom; one null is pooled over the features of an element.
    y : array_like [n_frames]
        Target.
    timestep
        Between frames, fs.
    options
        As in `information`: ``n_neighbors``, ``n_shifts``, ``decimate``, ``theiler_window``, ``shift_spacing``, ``random_state``, ``workers``.

    Raises
    ------
    InputError
        As `information`, and symbols that do not match the atoms of `G`.
    """
    features = np.asarray(G, dtype=np.float64)
    if features.ndim != 3:
        raise InputError(f"Argument `G` must be [n_frames, n_atoms, n_functions], but has shape {features.shape}.")
    n_frames, n_atoms, n_functions = features.shape
    if len(symbols) != n_atoms:
        raise InputError(f"Argument `symbols` must have one entry for each of {n_atoms} atoms, but has {len(symbols)}.")
    info = information(
        features.reshape(n_frames, n_atoms * n_functions),
        y,
        timestep,
        groups=np.repeat(symbols, n_functions).tolist(),
        **options,
    )
    labels = np.asarray(symbols)
    elements = [_element(info, str(e), np.flatnonzero(labels == e), n_functions) for e in dict.fromkeys(symbols)]
    return ElementRanking(tuple(elements), info)


def _element(info: Information, element: str, atoms: Ints, n_functions: int) -> ElementInformation:
    def of_atoms(values: Floats) -> Floats:
        return values.reshape(len(values) // n_functions, n_functions, *values.shape[1:])[atoms]

    def mean(values: Floats) -> float:
        return float(np.sum(of_atoms(values)) / len(atoms))

    shifted = of_atoms(info.null).sum(axis=(0, 1)) / len(atoms)
    corrected = mean(info.corrected)
    known = len(shifted) > 0 and not np.isnan(corrected)
    corrected_map = of_atoms(info.corrected).mean(axis=0)
    raw_map = of_atoms(info.raw).mean(axis=0)
    return ElementInformation(
        element=element,
        atoms=atoms,
        mean_mi=mean(info.raw),
        mean_null=mean(info.raw_null_mean),
        mean_corrected=corrected,
        mean_corrected_null=float(shifted.mean()) if known else float("nan"),
        mean_windowed=mean(info.windowed),
        mean_windowed_null=mean(info.windowed_null_mean),
        p=float((1 + np.sum(shifted >= corrected)) / (1 + len(shifted))) if known else float("nan"),
        per_feature=of_atoms(info.raw),
        per_feature_corrected=of_atoms(info.corrected),
        raw_map=raw_map,
        raw_null_map=of_atoms(info.raw_null_mean).mean(axis=0),
        corrected_map=corrected_map,
        best=int(np.argmax(raw_map)),
        best_corrected=None if np.isnan(corrected_map).any() else int(np.argmax(corrected_map)),
    )
