"""What a small `hopcast dynamics` spends its processor on, part by part, in a fresh process.

    python benchmarks/bench_startup.py [--quick]

Two states, 500 frames, 1,000 trajectories over 1 ns, one thread: CPU time (user and system) of each part, and what of it an empty program would
spend that imports Numba and runs one of its kernels from the cache, or imports matplotlib. The least of several processes: what else the
machine does makes CPU time longer, never shorter.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import machine, table

import hopcast as hc

PARTS = (
    "command line (typer)",
    "imports (NumPy, SciPy, Numba)",
    "reading the Hamiltonian (h5py)",
    "kernels from Numba's cache",
    "the run",
    "models of the decay (SciPy's optimisation)",
    "files and figure (matplotlib)",
)
OURS = """
import sys, time
from pathlib import Path
at = [time.process_time()]
def now(): at.append(time.process_time())
import hopcast.cli.app, hopcast.cli.dynamics; now()
import hopcast.cli.dynamics_inputs, hopcast.dynamics as d; now()
import hopcast as hc
ham = hc.read_hamiltonian(sys.argv[1]); now()
d.run_dynamics(ham, duration=100.0, n_trajectories=1, workers=1); now()
result = d.run_dynamics(ham, duration=1e6, n_trajectories=1000, workers=1); now()
d.fit_decays(result.times, 1 - result.ground_population); now()
from hopcast.cli.dynamics_outputs import write_run
write_run(result, Path(sys.argv[2]), str(result), d.result_record(result)); now()
print(*at)
"""
FLOORS = {
    "Python and NumPy": "import numpy",
    "Numba and one kernel": "import numba, sys; sys.path.insert(0, sys.argv[2]); import one_kernel; one_kernel.double(1.0)",
    "matplotlib": "import matplotlib.figure",
}
KERNEL = "from numba import njit\n\n\n@njit(cache=True)\ndef double(x):\n    return 2 * x\n"


def material(path: Path) -> None:
    """Write a small Hamiltonian."""
    t = np.arange(500.0)
    energies = np.stack([0 * t, 1.5 + 0.05 * np.sin(0.04 * t)], axis=1)
    nac = np.zeros((499, 2, 2))
    nac[:, 0, 1] = 0.003 * np.cos(0.03 * t[:-1])
    hc.VibronicHamiltonian(energies=energies, nac=nac - nac.swapaxes(1, 2), timestep=1.0, n_occupied=1).write(path)


def seconds(code: str, folder: Path, runs: int) -> np.ndarray:
    """Return CPU times that a program prints, less the first of each, of several processes [runs, n]."""
    found = []
    for _ in range(runs):
        command = [sys.executable, "-W", "ignore", "-c", code, str(folder / "small.h5"), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append([float(word) for word in done.stdout.split()])
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    runs = 3 if parser.parse_args().quick else 9
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        material(folder / "small.h5")
        (folder / "one_kernel.py").write_text(KERNEL)
        seconds(OURS, folder, 1)  # kernels are compiled and kept
        at = seconds(OURS, folder, runs)
        parts = np.concatenate([at[:, 1:] - at[:, :-1]], axis=1).min(axis=0)
        whole = "import time\n{}\nprint(time.process_time())"
        floors = {what: seconds(whole.format(code), folder, runs).min() for what, code in FLOORS.items()}
    rows = [[part, f"{1e3 * value:.0f} ms"] for part, value in zip(PARTS, parts, strict=True)]
    rows += [
        ["until the run begins", f"{1e3 * (at[:, 4]).min():.0f} ms"],
        ["together", f"{1e3 * at[:, -1].min():.0f} ms"],
    ]
    rows += [[f"floor: {what}", f"{1e3 * value:.0f} ms"] for what, value in floors.items()]
    print(machine())
    print(table("CPU time of a small `hopcast dynamics`", ["part", "CPU"], rows))


if __name__ == "__main__":
    main()
