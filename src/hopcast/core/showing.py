"""How nouns and results show themselves: one line as `repr`, a box in notebooks, tables and figures on request."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hopcast.core.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BOX = "font-family:monospace;white-space:pre;line-height:1.35;border-left:3px solid #4477aa;padding:.3em .8em;margin:.2em 0;overflow-x:auto"
"""Style of the box in a notebook: inherits the colours of the page, light or dark."""


class Shown:
    """A noun or result with a headline: `repr` is one line, a notebook shows what `print` does."""

    def headline(self) -> str:
        """Return the one line that says what this is."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.headline()})"

    def _repr_html_(self) -> str:
        return f'<div style="{BOX}">{html.escape(str(self))}</div>'


def make_table(columns: Mapping[str, Any], index: str) -> Any:
    """Return a pandas table of columns of equal length, one of them its index.

    Raises
    ------
    InputError
        If pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise InputError("Tables need pandas, which is not installed. Type: pip install 'hopcast[tables]'") from None
    return pandas.DataFrame(dict(columns)).set_index(index)


def make_dataset(
    variables: Mapping[str, tuple[tuple[str, ...], Any, str]], coordinates: Mapping[str, tuple[str, Any, str]]
) -> Any:
    """Return an xarray dataset.

    Parameters
    ----------
    variables
        By name: axes, values, unit.
    coordinates
        By name: axis, values, unit.

    Raises
    ------
    InputError
        If xarray is not installed.
    """
    try:
        import xarray
    except ImportError:
        raise InputError("Datasets need xarray, which is not installed. Type: pip install 'hopcast[tables]'") from None
    return xarray.Dataset(
        {name: (axes, values, {"units": unit}) for name, (axes, values, unit) in variables.items()},
        {name: (axis, values, {"units": unit} if unit else {}) for name, (axis, values, unit) in coordinates.items()},
    )


COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5f4b8b", "#1b1b1b")
"""Of curves, told apart by the colour-blind as well (Okabe and Ito)."""


def take_axes(axes: Axes | None, *, width: float = 6.0, height: float = 3.6) -> Axes:
    """Return the axes to draw into: those given, or those of a new figure (inches)."""
    if axes is not None:
        return axes
    import matplotlib.pyplot as plt

    made: Axes = plt.subplots(figsize=(width, height), layout="constrained")[1]
    made.set_prop_cycle(color=COLOURS)
    made.spines[["top", "right"]].set_visible(False)
    return made
