"""Symmetry functions."""

from hopcast.descriptors.columns import element_columns, flatten
from hopcast.descriptors.shells import Shells, find_shells
from hopcast.descriptors.symmetry_functions import SymmetryFunctions

__all__ = ["Shells", "SymmetryFunctions", "element_columns", "find_shells", "flatten"]
