"""Data that ships with hopcast: real ab initio trajectories to learn on, to demonstrate and to test with."""

from hopcast.datasets.shipped import Dataset, find_shipped, load

__all__ = ["Dataset", "find_shipped", "load"]
