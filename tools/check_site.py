"""Look at the site that `make docs` built: words that users search for are found, links within it lead somewhere, it asks nobody for anything.

python tools/check_site.py [docs/_build]
"""

from __future__ import annotations

import json
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

WORDS = {"WAVECAR": "formats/vasp", "INICON": "dynamics", "dephasing": "dynamics"}
"""Words that users search for, and a page that must be among the answers."""
ASKING = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
"""Elements that a browser fetches by itself."""


class Page(HTMLParser):
    """Links, anchors and what is fetched of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what one element says."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if ASKING.get(tag, "") in values and values.get("rel") not in ("canonical",):
            self.fetched.append(values[ASKING[tag]])


def find_word(word: str, index: dict[str, object]) -> list[str]:
    """Return the pages whose text or titles hold a word, as the search of the site stores it (stems)."""
    import snowballstemmer

    stem = snowballstemmer.stemmer("english").stemWord(word.lower())
    names, found = index["docnames"], set()
    for part in ("terms", "titleterms"):
        places = index[part].get(stem, [])  # type: ignore[attr-defined]
        found |= {places} if isinstance(places, int) else set(places)
    return [names[number] for number in sorted(found)]  # type: ignore[index]


def main(folder: Path) -> int:
    """Print what is wrong; return 1 where something is."""
    text = (folder / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text[text.index("(") + 1 : text.rindex(")")])
    wrong = [
        f"search for {word} does not find {page}" for word, page in WORDS.items() if page not in find_word(word, index)
    ]
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}
    for path, page in pages.items():
        wrong += [f"{path.name} fetches {one}" for one in page.fetched if urlsplit(one).netloc]
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not goal.exists():
                wrong.append(f"{path.name} links to {link}")
            elif parts.fragment and goal in pages and unquote(parts.fragment) not in pages[goal].anchors:
                wrong.append(f"{path.name} links to {link}, where there is no such heading")
    print("\n".join(wrong) or f"{len(pages)} pages: search finds {', '.join(WORDS)}, every link leads somewhere")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/_build")))
