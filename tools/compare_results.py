"""Compare two `results.json` key by key, every number to its last digit.

    python tools/compare_results.py before/results.json after/results.json

Rows of a list are matched by what names them (name, target, split, element, ...), so that a row that is new says so
and moves nothing else. Exit 1 where anything differs that does not name the run (times, command, machine).
"""

import json
import sys
from pathlib import Path

OF_THE_RUN = (
    "provenance.created",
    "provenance.command",
    "provenance.version",
    "provenance.machine",
    "provenance.packages",
    "timings",
)
NAMES = (
    "key",
    "name",
    "subject",
    "model",
    "target",
    "split",
    "kind",
    "element",
    "order",
    "axis",
    "stride",
    "n_frames",
    "band",
    "carrier",
    "way",
    "method",
    "state",
    "stage",
    "from",
    "to",
    "step",
)


def flat(value, path=""):
    """Yield (path, leaf) of everything."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flat(item, f"{path}.{key}" if path else key)
        if not value:
            yield path, {}
    elif isinstance(value, list):
        seen = {}
        for index, item in enumerate(value):
            label = name_of(item, index)
            seen[label] = seen.get(label, -1) + 1
            yield from flat(item, f"{path}[{label}{f' #{seen[label]}' if seen[label] else ''}]")
        if not value:
            yield path, []
    else:
        yield path, value


def name_of(item, index):
    if not isinstance(item, dict):
        return str(index)
    parts = []
    for key in NAMES:
        if key in item:
            one = item[key]
            parts.append(f"{one['frames']}" if isinstance(one, dict) and "frames" in one else str(one))
    return ", ".join(parts) or str(index)


def main():
    before, after = (dict(flat(json.loads(Path(one).read_text(encoding="utf-8")))) for one in sys.argv[1:3])
    keys = [one for one in dict.fromkeys([*before, *after]) if not one.startswith(OF_THE_RUN)]
    moved = [one for one in keys if one in before and one in after and before[one] != after[one]]
    gone = [one for one in keys if one not in after]
    new = [one for one in keys if one not in before]
    for words, found in (("differs", moved), ("gone", gone), ("new", new)):
        for key in found:
            print(f"{words:8} {key}: {before.get(key, '-')!r} -> {after.get(key, '-')!r}")
    equal = len(keys) - len(moved) - len(gone) - len(new)
    print(f"{equal} equal, {len(moved)} differ, {len(gone)} gone, {len(new)} new")
    sys.exit(1 if moved or gone or new else 0)


if __name__ == "__main__":
    main()
