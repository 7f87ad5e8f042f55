"""One small tree of exceptions; each is also a builtin, and each knows the exit code of the command line.

Messages follow one form: "Argument `x` must ..., but ..."; for files: name, line or frame, what was found,
what to do next. Backticks mark names, as in Markdown; those of arguments the command line shows as the option that the user
typed (`hopcast.cli.wording`).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


class HopcastError(Exception):
    """Base class of every error that hopcast raises on purpose."""

    exit_code: ClassVar[int] = 1


class ConfigError(HopcastError, ValueError):
    """A command line or a study file asks for something that does not exist or does not fit together."""

    exit_code = 2


class OutputError(HopcastError, OSError):
    """An output cannot be written where it was asked for (it exists, the disk is full, no permission)."""

    exit_code = 2


class InputError(HopcastError, ValueError):
    """An argument or a file holds data that cannot be used.

    Parameters
    ----------
    message
        One sentence.
    topic
        What is wrong, for those who sort faults (`hopcast check`): the files themselves ("reading"), "numbering", "antisymmetry",
        "order of atoms", "time step"; or "option": nothing is, but the user must say more.
    """

    exit_code = 3

    def __init__(self, message: str = "", *, topic: str = "reading") -> None:
        super().__init__(message)
        self.topic = topic


class ArgumentError(InputError):
    """Data that a noun (a trajectory, a Hamiltonian) cannot hold; a reader that has them from a file says which file."""


class GateError(HopcastError, RuntimeError):
    """A quality gate was not met (``--strict``)."""

    exit_code = 4


class QualityWarning(UserWarning):
    """Something that does not stop the work, but changes how far its result can be trusted."""


MAX_SEED: Final = 2**32 - 1
"""The largest seed of NumPy's `RandomState`, and of a command or a study."""


def check_number(
    name: str, value: object, *, whole: bool = False, least: int | None = None, most: int | None = None
) -> None:
    """Refuse what is no number, or not one of those that are allowed.

    Raises
    ------
    ConfigError
        Naming the argument and what it is.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise ConfigError(f"Argument `{name}` must be a number, but is {value!r}.")
    number: Any = value
    if whole and not (math.isfinite(number) and number == int(number)):
        raise ConfigError(f"Argument `{name}` must be a whole number, but is {value}.")
    if least is not None and number < least:
        raise ConfigError(f"Argument `{name}` must be at least {least}, but is {value}.")
    if most is not None and number > most:
        raise ConfigError(f"Argument `{name}` must be at most {most}, but is {value}.")


def check_array(name: str, value: ArrayLike, what: str) -> NDArray[np.float64]:
    """Return numbers as an array of floats.

    Raises
    ------
    ConfigError
        If they are none; `what` says in words what they must be.
    """
    import numpy as np

    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigError(f"Argument `{name}` must be {what}, but is {value!r}.") from None


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return ``" Did you mean `x`?"`` for the nearest of `choices`, or an empty string.

    Parameters
    ----------
    name
        What was found.
    choices
        What would have been accepted.
    """
    matches = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f" Did you mean `{matches[0]}`?" if matches else ""


def check_choice(name: str, value: str, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`.

    Raises
    ------
    ConfigError
        Naming the argument, the choices and the nearest match.
    """
    options = tuple(choices)
    if not isinstance(value, str) or value not in options:
        listed = ", ".join(f"`{option}`" for option in options)
        raise ConfigError(f"Argument `{name}` must be one of {listed}, but is `{value}`.{nearest(str(value), options)}")
    return value
