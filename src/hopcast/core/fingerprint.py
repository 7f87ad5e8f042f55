"""`fingerprint`: one hash of anything made of numbers, text, arrays, and what holds them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np


def fingerprint(*things: Any, leave_out: Collection[str] = ()) -> str:
    """Return the SHA-256 of things, the same on every machine, before and after a file.

    Arrays count with type, shape and bytes; mappings in the order of their keys; other objects as the name of their class
    and what their ``to_dict`` says, or their attributes. Lists, tuples and arrays of text with the same items are the same.

    Parameters
    ----------
    things
        None, numbers, text, arrays, sequences, mappings, objects of these.
    leave_out
        Names of attributes that do not count.
    """
    digest = hashlib.sha256()
    for thing in things:
        _add(digest, thing, leave_out)
    return digest.hexdigest()


def _add(digest: Any, thing: Any, leave_out: Collection[str]) -> None:
    if isinstance(thing, np.ndarray) and thing.dtype.kind != "U":
        digest.update(f"array {thing.dtype}{thing.shape}".encode())
        digest.update(np.ascontiguousarray(thing).data)
    elif isinstance(thing, list | tuple | np.ndarray):
        digest.update(f"sequence {len(thing)}".encode())
        for item in thing:
            _add(digest, item, leave_out)
    elif isinstance(thing, Mapping):
        digest.update(f"mapping {len(thing)}".encode())
        for key in sorted(thing, key=str):
            digest.update(f"key {key}".encode())
            _add(digest, thing[key], leave_out)
    elif isinstance(thing, np.generic):
        _add(digest, thing.item(), leave_out)
    elif thing is None or isinstance(thing, str | int | float | bool):
        digest.update(json.dumps(thing).encode())
    else:
        digest.update(f"object {type(thing).__name__}".encode())
        known = thing.to_dict() if hasattr(thing, "to_dict") else vars(thing)
        _add(digest, {name: value for name, value in known.items() if name not in leave_out}, leave_out)
