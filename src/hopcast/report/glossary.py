"""The glossary: what the words of the house mean, for the page of the documentation and for the words of a report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from markupsafe import Markup, escape

_NOT_EXPLAINED: Final = frozenset(
    {"pair", "useful", "agrees", "calibrated", "blocks", "outside", "coupling", "overlap"}
)
"""Words that every line of a report holds, or that stand there in their plain sense too."""
_MODEL_NAMES: Final = "all-18"
_MARK: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_TEX: Final = ((r"\hbar", "ħ"), (r"\langle", "⟨"), (r"\rangle", "⟩"), (r"\partial", "∂"), (r"\Delta ", "Δ"))


@lru_cache(maxsize=1)
def read_glossary() -> Mapping[str, str]:
    """Return every term of ``glossary.md`` (a definition list of Markdown) with what it means, as plain text."""
    text = Path(__file__).with_name("glossary.md").read_text(encoding="utf-8")
    found = {}
    for entry in text.strip().split("\n\n"):
        names, _, meaning = entry.partition("\n: ")
        for name in names.split(", "):
            found[name] = _plain(meaning)
    return found


def _plain(markdown: str) -> str:
    text = _MARK.sub(r"\1", " ".join(markdown.split()))
    for command, sign in _TEX:
        text = text.replace(command, sign)
    return re.sub(r"[$*{}]", "", text)


class Terms:
    """Marks house words in texts of a page with what they mean, each once until `start` is called again.

    Parameters
    ----------
    models
        Names of the models of the report ("Pb-18"), explained as those of the glossary are.
    """

    def __init__(self, models: Iterable[str] = ()) -> None:
        glossary = read_glossary()
        names = {name for name in models if re.fullmatch(r"[\w+]+-\d+", name)}
        meanings = dict.fromkeys(names, glossary[_MODEL_NAMES])
        meanings |= {
            name: meaning for name, meaning in glossary.items() if name not in _NOT_EXPLAINED and "-18" not in name
        }
        self._meanings = {name.lower(): meaning for name, meaning in meanings.items()}
        longest_first = sorted(map(re.escape, self._meanings), key=len, reverse=True)
        self._pattern = re.compile(rf"(?<![\w-])({'|'.join(longest_first)})s?(?![\w-])", re.IGNORECASE)
        self._said: set[str] = set()

    def start(self) -> str:
        """Begin a new part of the page, where every word is explained once more; return nothing to print."""
        self._said.clear()
        return ""

    def mark(self, escaped: str) -> Markup:
        """Return a text that is HTML already, its first occurrence of every term marked."""

        def explained(hit: re.Match[str]) -> str:
            name = hit.group(1).lower()
            if name in self._said:
                return hit.group()
            self._said.add(name)
            return f'<abbr tabindex="0" title="{escape(self._meanings[name])}">{hit.group()}</abbr>'

        return Markup(self._pattern.sub(explained, escaped))
