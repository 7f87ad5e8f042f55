"""Plain values: what JSON holds. Nouns become them for a file, and are made of them again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeAlias, TypeVar, cast

from hopcast.core.errors import ConfigError, nearest

Plain: TypeAlias = "bool | int | float | str | Sequence[Plain] | Mapping[str, Plain] | None"
"""A value that JSON can hold."""

PlainMap: TypeAlias = Mapping[str, Plain]
"""An object of JSON."""

Noun = TypeVar("Noun")


def to_plain(noun: Any) -> PlainMap:
    """Return the fields of a dataclass of numbers, text and tuples of them."""
    values = {field.name: getattr(noun, field.name) for field in fields(noun)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def part(values: PlainMap, key: str) -> PlainMap:
    """Return the object that stands under a key.

    Raises
    ------
    KeyError
        If there is none.
    """
    found = values[key]
    if not isinstance(found, Mapping):
        raise KeyError(key)
    return found


def parts(values: PlainMap, key: str) -> list[PlainMap]:
    """Return the list of objects that stands under a key.

    Raises
    ------
    KeyError
        If there is none.
    """
    found = values[key]
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise KeyError(key)
    return cast(list[PlainMap], found)


def from_plain(noun: Callable[..., Noun], values: PlainMap, what: str, needed: Collection[str] = ()) -> Noun:
    """Return a dataclass made of what `to_plain` gave.

    Parameters
    ----------
    noun
        The class.
    values
        By the name of the field.
    what
        Plural that messages call it by, e.g. "Symmetry functions".
    needed
        Fields that must be there.

    Raises
    ------
    ConfigError
        If a key is unknown or missing.
    """
    names = [field.name for field in fields(noun)]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            raise ConfigError(f"{what} have no parameter `{key}`.{nearest(key, names)}")
    for key in needed:
        if key not in values:
            raise ConfigError(f"{what} need the parameter `{key}`, but it is missing.")
    return noun(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
