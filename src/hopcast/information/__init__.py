"""Information."""

from hopcast.information.ksg import mutual_information

__all__ = ["mutual_information"]
