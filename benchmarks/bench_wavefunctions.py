"""Overlaps of a 40-band window from WAVECARs of 200 MB: against the disk, against memory, and against pymatgen's reader.

    python benchmarks/bench_wavefunctions.py [--quick] [--folder FOLDER]

The files are made (random coefficients, 120 bands of 208,000 plane waves, single precision) and deleted. What the system keeps of them in memory is
dropped before each reading. pymatgen is compared on one file, where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

import hopcast as hc
from hopcast.io.wavefunctions import Wavecar
from hopcast.io.wavefunctions.planewaves import sphere

N_BANDS, WINDOW = 120, (40, 80)


def make(folder: Path, n_files: int, length: float, cutoff: float) -> list[Path]:
    """Write WAVECARs of a cubic cell; return their names."""
    cell = np.eye(3) * length
    count = len(sphere(cell, cutoff, np.zeros(3)))
    record = 8 * count
    rng = np.random.default_rng(0)
    bands = rng.normal(size=(N_BANDS, 2 * count)).astype(np.float32) / np.float32(np.sqrt(2 * count))

    def padded(values: np.ndarray) -> bytes:
        return values.tobytes().ljust(record, b"\0")

    head = [padded(np.array([record, 1, 45200.0])), padded(np.array([1, N_BANDS, cutoff, *cell.ravel(), 0.0]))]
    levels = np.stack([np.arange(N_BANDS) * 0.1, np.zeros(N_BANDS), (np.arange(N_BANDS) < 60).astype(float)], axis=1)
    files = []
    for number in range(n_files):
        file = folder / f"{number:03d}" / "WAVECAR"
        file.parent.mkdir()
        with file.open("wb") as out:
            out.write(b"".join(head))
            out.write(padded(np.array([count, 0, 0, 0, *levels.ravel()])))
            for band in bands:
                out.write(np.roll(band, 2 * number).tobytes())
            out.flush()
            os.fsync(out.fileno())
        files.append(file)
    return files


def forget(files: list[Path]) -> None:
    """Drop what the system keeps of files in memory."""
    for file in files:
        handle = os.open(file, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def sequential(files: list[Path]) -> float:
    """Return how fast whole files are read one after the other, MB/s."""
    forget(files)
    buffer = bytearray(1 << 24)
    size, start = 0, time.perf_counter()
    for file in files:
        with file.open("rb", buffering=0) as source:
            while n := source.readinto(buffer):
                size += n
    return size / (time.perf_counter() - start) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path, default=None, help="on the disk that is measured")
    options = parser.parse_args()
    n_files, length, cutoff = (4, 12.0, 300.0) if options.quick else (20, 26.1, 300.0)
    folder = Path(tempfile.mkdtemp(prefix="hopcast-waves-", dir=options.folder))
    try:
        files = make(folder, n_files, length, cutoff)
        whole = files[0].stat().st_size
        count = int(Wavecar.open(files[0]).n_planewaves[0, 0])
        window = 8 * count * (WINDOW[1] - WINDOW[0])
        print(
            f"{n_files} WAVECARs of {whole / 1e6:.0f} MB ({N_BANDS} bands, {count} plane waves); window of 40 bands: {window / 1e6:.1f} MB a frame"
        )
        hc.read_hamiltonian(folder, timestep=1.0, bands=(59, 61), workers=1)  # compiles and imports
        for workers in (1, None):
            for loewdin in (False, True):
                ratios, speeds, costs = [], [], []
                for _ in range(1 if options.quick else 3):  # in pairs: the machine may do other things
                    disk = sequential(files)
                    forget(files)
                    start, cpu = time.perf_counter(), time.process_time()
                    hc.read_hamiltonian(folder, timestep=1.0, bands=WINDOW, loewdin=loewdin, workers=workers)
                    speeds.append(n_files * window / (time.perf_counter() - start) / 1e6)
                    costs.append((time.process_time() - cpu) / n_files)
                    ratios.append(speeds[-1] / disk)
                print(
                    f"  {'one thread' if workers == 1 else 'all cores':<10} {'with' if loewdin else 'without':<7} Löwdin: {np.median(speeds):4.0f} MB/s of the window, "
                    f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) of the disk's sequential speed; {np.median(costs):.3f} s of processor a frame",
                    flush=True,
                )
        tracemalloc.start()
        hc.read_hamiltonian(folder, timestep=1.0, bands=WINDOW, workers=1)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(f"  memory of one thread: {peak / 1e6:.0f} MB, {peak / window:.2f} windows of a frame")
        if importlib.util.find_spec("pymatgen") is None:
            print("  pymatgen is not installed: pip install pymatgen")
            return
        from pymatgen.io.vasp.outputs import Wavecar as Theirs

        start = time.perf_counter()
        theirs = Theirs(str(files[0]), vasp_type="std")
        bands = np.array(theirs.coeffs[0][WINDOW[0] : WINDOW[1]])
        slow = time.perf_counter() - start
        start = time.perf_counter()
        ours = Wavecar.open(files[0]).coefficients(range(*WINDOW), 0, 0)
        fast = time.perf_counter() - start
        print(
            f"  one window: pymatgen {slow:.2f} s (reads all bands, lists plane waves), hopcast {fast:.3f} s: {slow / fast:.0f} times; same: {np.array_equal(bands, ours)}"
        )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
