"""Readers of large text files beside `numpy.loadtxt` and `ase.io.read`, on the same file, with equal values.

The floor: a number of w bytes must be looked at once (about one byte a cycle or two), its digits joined by a chain of
multiplications, and one division: 10-20 ns. Memory is the peak of a process of its own that reads the file, less that of
one that only imports the reader.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import machine, median_of, table

MEMORY = """
from pathlib import Path
import hopcast, hopcast.io.kernels, ase.io
from hopcast.io.text import read_table, parse_rows
import numpy as np
parse_rows(b"1 2\\n", np.empty((1, 2)), "warm")
def field(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))
open("/proc/self/clear_refs", "w").write("5")  # forget the peak so far
before = field("VmRSS")
array = {call}
after = field("VmHWM")
print((after - before) * 1024 / array.nbytes)
"""


def peak(call: str) -> float:
    """Return the peak memory of a reader over the size of its array."""
    found = subprocess.run(
        [sys.executable, "-c", MEMORY.replace("{call}", call)], capture_output=True, text=True, check=True
    )
    return float(found.stdout)


def main() -> None:
    """Write the files, read them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the frames")
    parser.add_argument("--full", action="store_true", help="1e5 frames (several hundred MB)")
    arguments = parser.parse_args()
    n_frames = 100_000 if arguments.full else 500 if arguments.quick else 5000

    import ase.io

    from hopcast.io import read_trajectory
    from hopcast.io.text import read_table

    rng = np.random.default_rng(0)
    print(machine())
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        natxt = Path(folder) / "NATXT"
        for form in ("%15.7E", "%.18e"):
            block = rng.normal(size=(min(n_frames, 1000), 400)) * 1e-3
            with natxt.open("w") as file:
                for _ in range(n_frames // len(block)):
                    np.savetxt(file, block, fmt=form)
            peer_values = np.loadtxt(natxt)
            assert np.array_equal(peer_values, read_table(natxt))
            peer = median_of(lambda: np.loadtxt(natxt), 3)
            for workers in (1, 2):
                ours = median_of(lambda workers=workers: read_table(natxt, workers=workers))
                rate = ours.median / peer_values.size * 1e9
                rows.append(
                    [
                        f"NATXT {form}, {n_frames} x 400",
                        str(workers),
                        str(ours),
                        str(peer),
                        f"{peer.median / ours.median:.2f}",
                        f"{rate:.1f} ns/number",
                    ]
                )
            rows[-1].append(f"{peak(f'read_table(Path({str(natxt)!r}), workers=2)'):.2f}")
        n_atoms, n_images = 100, n_frames
        xdatcar = Path(folder) / "XDATCAR"
        with xdatcar.open("w") as file:
            file.write("bench\n 1.0\n 12 0 0\n 0 12 0\n 0 0 12\n Pb I\n 40 60\n")
            frame = "".join("".join(f"  {x:.8f}" for x in row) + "\n" for row in rng.random((n_atoms, 3)))
            for k in range(n_images):
                file.write(f"Direct configuration= {k + 1:5d}\n{frame}")
        n_peer = min(n_images, 500)
        small = Path(folder) / "small" / "XDATCAR"
        small.parent.mkdir()
        with xdatcar.open() as source, small.open("w") as target:
            for _ in range(7 + n_peer * (n_atoms + 1)):
                target.write(source.readline())
        images = ase.io.read(small, index=":", format="vasp-xdatcar")
        ours_small = read_trajectory(small, timestep=1.0, unwrap=False)
        assert np.allclose(ours_small.positions, [image.positions for image in images], rtol=0, atol=1e-13)
        peer = median_of(lambda: ase.io.read(small, index=":", format="vasp-xdatcar"), 3)
        scale = n_images / n_peer
        for workers in (1, 2):
            ours = median_of(lambda workers=workers: read_trajectory(xdatcar, timestep=1.0, workers=workers))
            rate = ours.median / (3 * n_atoms * n_images) * 1e9
            rows.append(
                [
                    f"XDATCAR {n_images} x {n_atoms} atoms (ASE: {n_peer} frames, scaled)",
                    str(workers),
                    str(ours),
                    f"{peer.median * scale * 1e3:.4g} ms",
                    f"{peer.median * scale / ours.median:.2f}",
                    f"{rate:.1f} ns/number",
                ]
            )
        rows[-1].append(f"{peak(f'hopcast.read_trajectory({str(xdatcar)!r}, timestep=1.0, workers=2).positions'):.2f}")
    rows = [[*row, *[""] * (7 - len(row))] for row in rows]
    print(
        table(
            "Reading text (median of 5; unwrapping included for XDATCAR)",
            ["file", "threads", "hopcast", "numpy.loadtxt / ase.io.read", "times faster", "rate", "memory / array"],
            rows,
        )
    )


if __name__ == "__main__":
    main()
