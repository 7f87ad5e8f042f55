"""Data that ships with hopcast: real ab initio trajectories to learn on, to demonstrate and to test with."""

from hopcast.datasets.shipped import Dataset, load

__all__ = ["Dataset", "load"]
