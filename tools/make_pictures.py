"""Make the pictures of the documentation: first screens of the reports of `hopcast demo` (with the gallery) and `hopcast demo --pairs`.

    hopcast demo
    hopcast demo --pairs
    python tools/make_pictures.py hopcast-demo hopcast-demo-pairs

The screen needs Chromium; without it the pictures of the gallery are made and the screen is left as it is.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).parents[1] / "docs"
GALLERY = DOCS / "images" / "gallery"
FIGURES = ("population", "structure", "gap-and-coupling", "carriers", "pair", "information-bars", "trust", "forecast")
WIDTH = 900
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SCREEN = (1280, 1000)


def make_gallery(demo: Path) -> None:
    """Shrink figures of the report to the width of a page."""
    GALLERY.mkdir(parents=True, exist_ok=True)
    for name in FIGURES:
        picture = Image.open(demo / "figures" / f"{name}.png").convert("RGB")
        if picture.width > WIDTH:
            picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS)
        save(picture, GALLERY / f"{name}.png")


def save(picture: Image.Image, path: Path) -> None:
    """Write a picture with 256 colours that cover those it has: small, and no hue turns into another, however few dots have it."""
    picture.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(DOCS.parent)}: {path.stat().st_size / 1024:.0f} KiB")


def photograph(page: Path, path: Path) -> None:
    """Write the first screen of a page."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        print("no Chromium: the picture of the report is left as it is")
        return
    with tempfile.TemporaryDirectory() as profile:
        shot = Path(profile) / "screen.png"
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"]
        size = f"--window-size={SCREEN[0]},{SCREEN[1]}"
        command = [browser, *flags, f"--user-data-dir={profile}", f"--screenshot={shot}", size, page.resolve().as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        save(Image.open(shot).convert("RGB"), path)


def draw_tutorial() -> None:
    """Draw what the last lines of the tutorial draw."""
    import matplotlib as mpl

    mpl.use("Agg")
    import hopcast as hc

    result = hc.run_dynamics(hc.load("cspbi3").hamiltonian.frontier(), method="exact", duration=1e8, n_times=100)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plot.png"
        result.plot().figure.savefig(path, dpi=120)
        save(Image.open(path).convert("RGB"), GALLERY / "plot.png")


if __name__ == "__main__":
    demo = Path(sys.argv[1] if len(sys.argv) > 1 else "hopcast-demo")
    make_gallery(demo)
    draw_tutorial()
    photograph(demo / "report.html", DOCS / "images" / "report.png")
    for pairs in map(Path, sys.argv[2:]):
        photograph(pairs / "report.html", DOCS / "images" / "report-pairs.png")
