"""Mutated files for every reader: an `InputError` or a result, never another exception, a hang or a blow-up of memory.

Run as ``make fuzz`` (1e5 files a reader), or ``python tests/fuzz/fuzz_readers.py --files 1000 hefei xyz``. The seeds are
small valid data sets; a mutation cuts, repeats, overwrites or swaps bytes of one file, or puts a nasty number into it.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import hopcast as hc

NASTY = (
    b"nan", b"inf", b"-1", b"0", b"1e999", b"1e-999", b"99999999999", b"-99999999999999999999", b"********", b"1.0D+300", b"\x00", b"\xff\xff",
    b"(", b"1_000", b"4294967296", b"\n\n", b"Direct configuration=     1\n", b"2\n\n", b",", b"1.0-200",
)  # fmt: skip
LIMIT_S = 10
MEMORY = 4 << 30


class HangError(Exception):
    """A reader took too long."""


def mutate(data: bytes, dice: random.Random) -> bytes:
    """Return the data with one to four faults."""
    data = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(data) + 1)
        span = dice.randint(1, 1 + min(64, len(data)))
        kind = dice.randrange(7)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            del data[at : at + span]
        elif kind == 2:
            data[at:at] = data[at : at + span]
        elif kind == 3 and at < len(data):
            data[at] = dice.randrange(256)
        elif kind == 4:
            data[at : at + dice.randint(0, 8)] = dice.choice(NASTY)
        elif kind == 5 and at < len(data):
            data[at] ^= 1 << dice.randrange(8)
        elif kind == 6 and len(data) > 16:
            data[at : at + 8] = np.float64(dice.choice([0, -1, 1e9, 1e300, np.nan, 3, 2**31])).tobytes()
    return bytes(data)


def seeds(folder: Path) -> dict[str, tuple[Path, str, dict]]:
    """Write a valid data set for every reader; return its path, kind and options."""
    rng = np.random.default_rng(0)
    nac = rng.normal(size=(4, 2, 2))
    nac = 0.01 * (nac - nac.swapaxes(1, 2))
    ham = hc.VibronicHamiltonian(
        np.sort(rng.normal(size=(5, 2)), axis=1),
        nac,
        1.0,
        n_occupied=1,
        overlaps=np.eye(2) + nac,
        provenance={"a": "b"},
    )
    path = hc.Trajectory(rng.random((4, 2, 3)), 5 * np.eye(3), [1, 8], 1.0)
    found = {}
    for each in hc.list_formats("hamiltonian"):
        place = folder / each.name
        if each.write is not None:
            place = place / "ham.h5" if each.name == "hopcast" else place
            each.name == "hopcast" and place.parent.mkdir()
            hc.write_hamiltonian(ham, place, format=each.name)
            found[each.name] = (place, "hamiltonian", {})
    import h5py

    nano = folder / "nanoqmflows"
    nano.mkdir()
    for step in range(3):
        (nano / f"Ham_{step}_re").write_text("-1.00000e+00 0.00000e+00\n0.00000e+00 5.00000e-01\n")
        (nano / f"Ham_{step}_im").write_text("0.00000e+00 2.00000e-03\n-2.00000e-03 0.00000e+00\n")
    found["nanoqmflows"] = (nano, "hamiltonian", {})
    for name, fill in (("nanoqmflows-hdf5", _nano), ("namd-lmi", _lmi)):
        (folder / name).mkdir()
        with h5py.File(folder / name / "NAC.h5", "w") as file:
            fill(file)
        found[name] = (folder / name / "NAC.h5", "hamiltonian", {})
    arrays = folder / "canac-arrays"
    for step in range(3):
        (arrays / str(step)).mkdir(parents=True)
        np.save(arrays / str(step) / "eig_ps.npy", [0.0, 1.0])
        np.save(arrays / str(step) / "nac_ps.npy", np.array([0, 0.3 + 0.4j, -0.3 + 0.4j, 0]))
    found["canac-arrays"] = (arrays, "hamiltonian", {})
    texts = {
        "xdatcar": ("XDATCAR", "x\n1.0\n5 0 0\n0 5 0\n0 0 5\nO H\n1 1\n" + "".join(f"Direct configuration= {k}\n 0.1 0.2 0.{k}\n 0.4 0.5 0.6\n" for k in (1, 2, 3))),
        "xyz": ("a.xyz", "".join(f"2\n i = {k}, time = {k}.000, E = -1\nO 0.1 0.2 0.{k}\nH 1 1 1\n" for k in range(4))),
    }  # fmt: skip
    for name, (file, content) in texts.items():
        (folder / name).mkdir()
        (folder / name / file).write_text(content)
        found[name] = (folder / name / file, "trajectory", {"cell": [5, 5, 5]})
    from hopcast.io import write_native

    (folder / "hopcast-trajectory").mkdir()
    write_native(folder / "hopcast-trajectory" / "t.h5", trajectory=path)
    found["hopcast-trajectory"] = (folder / "hopcast-trajectory" / "t.h5", "trajectory", {})
    import ase.io

    (folder / "ase").mkdir()
    ase.io.write(
        folder / "ase" / "a.extxyz", [ase.Atoms("OH", p, cell=[5, 5, 5], pbc=True) for p in path.positions]
    )
    found["ase"] = (folder / "ase" / "a.extxyz", "trajectory", {})
    poscars = folder / "poscars"
    for step in (1, 2):
        (poscars / f"{step}").mkdir(parents=True)
        (poscars / f"{step}" / "POSCAR").write_text(
            "x\n1.0\n5 0 0\n0 5 0\n0 0 5\nO H\n1 1\nDirect\n0.1 0.2 0.3\n0.4 0.5 0.6\n"
        )
    found["poscars"] = (poscars, "trajectory", {})
    outputs = folder / "outputs"
    outputs.mkdir()
    (outputs / "SHPROP.1").write_text("#\n 1.0 -0.5 0.25 0.75\n 2.0 -0.5 0.25 0.75\n")
    (outputs / "PSICT.1").write_text(" 1.0 -0.5 0.25 0.75 (0.3,0.4) (-0.5,0.1)\n")
    found["hefei-shprop"] = (outputs / "SHPROP.1", "shprop", {})
    found["hefei-psict"] = (outputs / "PSICT.1", "psict", {})
    return found


def _nano(file) -> None:
    for k in range(3):
        file[f"eigenvalues/point_{k}"] = np.array([-0.1, 0.2])
        if k < 2:
            file[f"overlaps_{k}/mtx_sji_t0"] = np.eye(2)


def _lmi(file) -> None:
    file["eigs"] = np.zeros((2, 1, 2))
    file["olaps_r"] = file["olaps_i"] = np.zeros((2, 1, 2, 2))
    file["potim"] = 1.0


def read(path: Path, kind: str, name: str, options: dict) -> None:
    """Read a data set by the name of its format, as a user who names it would."""
    if kind == "shprop":
        hc.read_shprop(path)
    elif kind == "psict":
        hc.read_psict(path)
    elif kind == "hamiltonian":
        form = {"canac-arrays": "canac"}.get(name, name)
        timestep = None if form in ("hopcast", "hefei", "hefei-coupcar", "namd-lmi") else 1.0
        hc.read_hamiltonian(path, format=form, timestep=timestep)
    else:
        form = {"hopcast-trajectory": "hopcast"}.get(name, name)
        hc.read_trajectory(path, format=None if form == "ase" else form, timestep=1.0, **options)


def fuzz(name: str, path: Path, kind: str, options: dict, n_files: int, seed: int) -> tuple[int, int]:
    """Read `n_files` mutated copies; return how many were read and how many refused.

    Raises
    ------
    AssertionError
        If a reader raised anything else, or hung (the mutated file is kept and named).
    """
    folder = path if path.is_dir() else path.parent
    files = sorted(
        file for file in folder.rglob("*") if file.is_file() and file.name not in ("run_pyxaid.py", "INICON")
    )
    content = {file: file.read_bytes() for file in files}
    dice = random.Random(f"{name} {seed}")
    fine = refused = 0
    previous = signal.signal(signal.SIGALRM, _hang)
    try:
        for number in range(n_files):
            file = dice.choice(files)
            file.write_bytes(mutate(content[file], dice))
            signal.alarm(LIMIT_S)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    read(path, kind, name, options)
                fine += 1
            except hc.InputError:
                refused += 1
            except BaseException as error:
                kept = Path(tempfile.mkdtemp(prefix="fuzz-")) / file.name
                kept.write_bytes(file.read_bytes())
                raise AssertionError(
                    f"{name}, file {number} ({kept}): {type(error).__name__}: {error}"
                ) from error
            finally:
                signal.alarm(0)
                file.write_bytes(content[file])
    finally:
        signal.signal(signal.SIGALRM, previous)
    return fine, refused


def _hang(*_: object) -> None:
    raise HangError(f"longer than {LIMIT_S} s")


def main() -> None:
    """Fuzz the readers named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    resource.setrlimit(
        resource.RLIMIT_AS, (MEMORY, MEMORY)
    )  # a blow-up becomes a MemoryError, and so a failure
    with tempfile.TemporaryDirectory() as folder:
        for name, (path, kind, options) in seeds(Path(folder)).items():
            if arguments.names and name not in arguments.names:
                continue
            start = time.perf_counter()
            fine, refused = fuzz(name, path, kind, options, arguments.files, arguments.seed)
            print(
                f"{name:<20} {fine:>8} read {refused:>8} refused {time.perf_counter() - start:8.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main())
