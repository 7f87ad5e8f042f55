"""Mutated files for every reader: an `InputError` or a result, never another exception, a hang or a blow-up of memory.

Run as ``make fuzz`` (1e5 files a reader), or ``python tests/fuzz/fuzz_readers.py --files 1000 hefei xyz``. The seeds are
small valid data sets (`seeds.py`); a mutation cuts, repeats, overwrites or swaps bytes of one file, or puts a nasty number
into it. Readers of tables alternate between the parser of small files and the compiled one with chunks of 64 bytes.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import hopcast as hc
from hopcast.io import text

sys.path.insert(0, str(Path(__file__).parent))
from seeds import SEEDS, Seed

NASTY = (
    b"nan",
    b"inf",
    b"-1",
    b"0",
    b"1e999",
    b"1e-999",
    b"99999999999",
    b"-99999999999999999999",
    b"********",
    b"1.0D+300",
    b"\x00",
    b"\xff\xff",
    b"(",
    b"1_000",
    b"4294967296",
    b"\n\n",
    b"Direct configuration=     1\n",
    b"2\n\n",
    b",",
    b"1.0-200",
    b"<",
    b"&",
    b"../../",
)
LIMIT_S = 10
"""Of CPU time: a busy machine is no hang."""
GROWTH = 256 << 20
"""A file of a few kB that makes the process grow by more (bytes) is a blow-up."""
MEMORY = 4 << 30


class HangError(BaseException):
    """A reader took too long; no `Exception`, for a reader that catches what its parser raises would call it a refusal."""


def mutate(data: bytes, dice: random.Random) -> bytes:
    """Return the data with one to four faults."""
    data = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(data) + 1)
        span = dice.randint(1, 1 + min(64, len(data)))
        kind = dice.randrange(8)
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
        elif kind == 7:
            # in place of a whole number of a text
            begin = at
            while begin < len(data) and not 48 <= data[begin] <= 57:
                begin += 1
            end = begin
            while end < len(data) and 48 <= data[end] <= 57:
                end += 1
            data[begin:end] = dice.choice(NASTY)
    return bytes(data)


def peak() -> int:
    """Return the most memory that this process has held, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fuzz(name: str, seed: Seed, n_files: int, number: int, *, watch: bool = False) -> tuple[int, int]:
    """Read `n_files` mutated copies; return how many were read and how many refused.

    Raises
    ------
    AssertionError
        If a reader raised anything else, hung or filled the memory (the mutated file is kept and named).
    """
    files = sorted(file for file in seed.folder.rglob("*") if file.is_file() and file.name not in seed.unread)
    content = {file: file.read_bytes() for file in files}
    dice = random.Random(f"{name} {number}")
    seed.read()  # compiles and imports
    fine = refused = 0
    limits = text.SMALL, text.CHUNK
    previous = signal.signal(signal.SIGPROF, _hang)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for count in range(n_files):
                if watch and count % 100 == 0:
                    # a hang in compiled code hears no signal: this names its place and ends the process
                    faulthandler.dump_traceback_later(30 * LIMIT_S, exit=True)
                file = dice.choice(files)
                file.write_bytes(mutate(content[file], dice))
                text.SMALL, text.CHUNK = dice.choice([limits, (1, 64)])
                complaint = _complaint(seed)
                if complaint is None:
                    fine += 1
                elif complaint == "":
                    refused += 1
                else:
                    kept = Path(tempfile.mkdtemp(prefix="fuzz-")) / file.name
                    shutil.copy(file, kept)
                    raise AssertionError(f"{name}, file {count} ({kept}): {complaint}")
                file.write_bytes(content[file])
    finally:
        if watch:
            faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGPROF, previous)
        text.SMALL, text.CHUNK = limits
        for file in files:
            file.write_bytes(content[file])
    return fine, refused


def _complaint(seed: Seed) -> str | None:
    """Return None where the data are read, an empty string where they are refused well, else what is wrong."""
    before = peak()
    complaint: str | None = None
    signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
    try:
        seed.read()
    except hc.InputError as error:
        complaint = ""
        if "MemoryError" in str(error) or isinstance(error.__cause__, MemoryError):
            complaint = f"out of memory: {error}"
        elif str(seed.folder) not in str(error):
            complaint = f"a message that names no file: {error}"
    except BaseException as error:
        complaint = f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if peak() - before > GROWTH:
        complaint = f"the memory grew to {peak() >> 20} MiB"
    return complaint


def _hang(*_: object) -> None:
    raise HangError(f"longer than {LIMIT_S} s")


def main() -> int:
    """Fuzz the readers named, or all; exit 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", help="where the files are written (a file system in memory is faster)")
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(SEEDS))
    arguments = parser.parse_args()
    faulthandler.enable()
    # a blow-up becomes a MemoryError, and so a failure
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    failed = 0
    for name in arguments.names or SEEDS:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            start = time.perf_counter()
            try:
                fine, refused = fuzz(name, SEEDS[name](Path(folder)), arguments.files, arguments.seed, watch=True)
            except AssertionError as error:
                failed = 1
                print(error, flush=True)
                continue
            seconds = time.perf_counter() - start
            print(f"{name:<22} {fine:>8} read {refused:>8} refused {seconds:8.1f} s", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
