"""All benchmarks, one after the other: ``python benchmarks/run.py [--quick]`` (what ``make bench`` does)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def main() -> None:
    # one thread against one thread: the peers' linear algebra must not take the second core
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    failed = []
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        print(f"\n===== {path.stem} " + "=" * (90 - len(path.stem)), flush=True)
        done = subprocess.run([sys.executable, path, *sys.argv[1:]], env=environment, check=False)
        if done.returncode:
            failed.append(path.stem)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
