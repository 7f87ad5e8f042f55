"""Temporary copies of a user's files, which the readers read in their place and call by the user's names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar


class Copy(type(Path())):  # type: ignore[misc]
    """The path of a temporary copy: text for people names the file it stands for, the system is told where it is.

    Paths made from it (its folder, files beside it) do the same.
    """

    names: ClassVar[dict[str, str]] = {}
    """What stands for what, the longest first match counts."""

    def __str__(self) -> str:
        place = self.__fspath__()
        for true in sorted(self.names, key=len, reverse=True):
            if place == true or place.startswith(f"{true}/"):
                return self.names[true] + place[len(true) :]
        return place

    def __fspath__(self) -> str:
        return str(super().__str__())


@contextmanager
def standing_for(copy: Path, shown: Path) -> Iterator[Copy]:
    """Yield the path of a copy that calls itself, and its folder, as the user does.

    Parameters
    ----------
    copy
        Where it is, in a folder of its own.
    shown
        The user's file.
    """
    places = {str(copy): str(shown), str(copy.parent): str(shown.parent)}
    Copy.names.update(places)
    try:
        yield Copy(copy)
    finally:
        for place in places:
            del Copy.names[place]
