"""The reading rules, one by one: a file with one fault, and what the message about it must say.

A file that is short, long, ragged, not finite, not antisymmetric, of another number of states, or of another number of
steps than its partner is refused with its name, its line or frame, what was found, what was expected, and what to do.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.sparse import csc_matrix, save_npz

import hopcast as hc

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
from seeds import SEEDS


@dataclass(frozen=True)
class Fault:
    """A data set with one fault.

    Attributes
    ----------
    rule
        Which rule is broken.
    seed
        Data set of `tests/fuzz/seeds.py`.
    file
        File that is changed, and that the message names.
    change
        Gets the path of the file.
    expected, found, advice
        Regular expressions: what must hold (with the line, frame or step where there is one), what is there, what to do.
    names
        What the message names instead of the file: its folder, or its partner.
    options
        Of the reader, where they are not those of the seed.
    """

    rule: str
    seed: str
    file: str
    change: Callable[[Path], object]
    expected: str
    found: str
    advice: str
    names: str | None = None
    options: dict = field(default_factory=dict)


def lines(edit):
    def change(path):
        rows = path.read_text().splitlines()
        path.write_text("".join(f"{row}\n" for row in edit(rows)))

    return change


def put(number, text):
    """Replace a line, counted from 1."""
    return lines(lambda rows: [*rows[: number - 1], text, *rows[number:]])


def drop(number):
    return lines(lambda rows: [*rows[: number - 1], *rows[number:]])


def twice(rows):
    return [*rows, *rows]


def replace(old, new):
    def change(path):
        text = path.read_text()
        assert old in text, text
        path.write_text(text.replace(old, new))

    return change


def last(old, new):
    def change(path):
        before, found, after = path.read_text().rpartition(old)
        assert found
        path.write_text(before + new + after)

    return change


def content(data):
    def change(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())

    return change


def remove(path):
    path.unlink()


def cut(n_bytes):
    return lambda path: path.write_bytes(path.read_bytes()[:-n_bytes])


def array(values, **options):
    def change(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.asarray(values), **options)

    return change


def sparse(values):
    return lambda path: save_npz(path, csc_matrix(np.asarray(values)))


def hdf5(**datasets):
    """Replace datasets of an HDF5 file (`__` for `/`); None deletes."""

    def change(path):
        with h5py.File(path, "a") as file:
            for name, values in datasets.items():
                where = name.replace("__", "/")
                if where in file:
                    del file[where]
                if values is not None:
                    file[where] = values

    return change


def doubles(*values):
    """Put doubles at places (counted in doubles) of a binary file."""

    def change(path):
        data = bytearray(path.read_bytes())
        for at, value in values:
            data[8 * at : 8 * at + 8] = np.float64(value).tobytes()
        path.write_bytes(bytes(data))

    return change


FINITE = "must hold a finite number"
ANEW = "Write the file again from its source"
COMPLETE = "Check that the file is complete"
SAME_RUN = "Check that both come from the same run and are complete"
COUPLINGS = "Check that they are S - S"
TWO = "must hold 2 couplings for its 3 energies"


def of_text(seed, file, n_states=2, flat=True):
    """The faults that all text of couplings may have; `flat` is a line a step, else a matrix a file."""
    width = n_states**2 if flat else n_states
    one = " ".join(["0.0"] * width)
    return [
        Fault(
            "ragged",
            seed,
            file,
            put(2, one + " 0.0"),
            f"line 2 must hold {width} numbers",
            f"but holds {width + 1}",
            COMPLETE,
        ),
        Fault(
            "not finite",
            seed,
            file,
            put(2, one[:-3] + "nan"),
            f"line 2, column {width} {FINITE}",
            "but holds `nan`",
            ANEW,
        ),
        Fault(
            "not finite",
            seed,
            file,
            put(2, one[:-3] + "****"),
            f"line 2, column {width} {FINITE}",
            r"but holds `\*\*\*\*`",
            "too wide",
        ),
        Fault(
            "not finite",
            seed,
            file,
            put(2, one[:-3] + "1e999"),
            f"line 2, column {width} {FINITE}",
            "but holds `1e999`",
            ANEW,
        ),
        Fault(
            "short", seed, file, content(""), "holds no numbers", "no numbers", "Check that it was written completely"
        ),
    ]


def of_matrices(seed, folder, real, imaginary):
    """The faults of numbered matrices of text; `real` and `imaginary` have a place for the step."""
    name = f"{folder}{imaginary}".format
    return [
        *of_text(seed, name(1), flat=False),
        Fault(
            "short",
            seed,
            name(1),
            drop(2),
            "must hold a square matrix of 2 states",
            "but holds 1 lines of 2",
            "Check that it is complete",
        ),
        Fault(
            "long",
            seed,
            name(1),
            lines(twice),
            "must hold a square matrix of 2 states",
            "but holds 4 lines of 2",
            "Check that it is complete",
        ),
        Fault(
            "states",
            seed,
            name(1),
            content("0 1 1\n-1 0 1\n-1 -1 0\n"),
            "line 1 must hold 2 numbers",
            "but holds 3",
            "of the right number of states",
        ),
        Fault(
            "not antisymmetric",
            seed,
            name(1),
            content("0 1\n1 0\n"),
            "antisymmetric",
            "holds 1 in line 1, column 2 and 1 across",
            "Calculate this step again",
        ),
        Fault(
            "not antisymmetric",
            seed,
            f"{folder}{real}".format(1),
            content("0 1\n-1 0\n"),
            "symmetric",
            "holds 1 in line 1, column 2 and -1 across",
            "Calculate this step again",
        ),
    ]


SAME_BANDS = "Calculate this step with the same"
FAULTS = [
    # Hefei-NAMD, text
    *of_text("hefei", "NATXT"),
    *of_text("hefei", "EIGTXT", 2, flat=False),
    Fault("short", "hefei", "NATXT", drop(1), TWO, "but holds 1", SAME_RUN),
    Fault("long", "hefei", "NATXT", lines(twice), TWO, "but holds 4", SAME_RUN),
    Fault("steps", "hefei", "EIGTXT", lines(twice), "must hold 5 couplings for its 6 energies", "but holds 2", SAME_RUN, "NATXT"),
    Fault("states", "hefei", "NATXT", lines(lambda rows: [row + " 0" * 5 for row in rows]), "line 1 must hold 4 numbers", "but holds 9", "right number of states"),
    Fault("states", "hefei", "EIGTXT", lines(lambda rows: [row + " 9" for row in rows]), "line 1 must hold 9 numbers", "but holds 4", "right number of states", "NATXT"),
    Fault("short", "hefei-broken-rows", "NATXT", drop(12), "must hold rows of 16 couplings", "but holds 31 numbers", COMPLETE),
    Fault("not antisymmetric", "hefei", "NATXT", put(2, "0 1 1 0"), "line 2 must hold antisymmetric couplings", "step 1 deviates by 2 of", COUPLINGS),
    Fault("not antisymmetric", "hefei", "NATXT", lines(lambda rows: ["", rows[0], "", "0 1 1 0"]), "line 4 must hold antisymmetric", "step 1 deviates by 2", COUPLINGS),
    Fault("partner", "hefei", "NATXT", remove, "holds energies .EIGTXT. without couplings", "without couplings beside them .NATXT", "Copy them here", ""),
    Fault("time step", "hefei", "inp", replace("POTIM    = 1", "POTIM    = x"), "must have a number as POTIM", "but has `x`", "Correct it"),
    Fault("time step", "hefei", "inp", lambda path: None, "has POTIM = 1 fs", "`timestep` is 2 fs", "Correct the wrong one", options={"timestep": 2.0}),
    Fault("time step", "hefei", "inp", remove, "does not say how far apart its frames are", "does not say", "Give `timestep` in fs", ""),
    Fault("time step", "hefei", "inp", replace("POTIM    = 1", "POTIM    = -1"), "must be a number of fs between", "but is -1", "Correct it", ""),
    *of_text("hefei-complex", "NATXT_RE"),
    Fault("steps", "hefei-complex", "NATXT_IM", drop(1), "must have the same number of lines", "but have 2 and 1", "Write both again", "NATXT_RE"),
    Fault("short", "hefei-complex", "NATXT_IM", lines(lambda rows: []), "holds no numbers", "no numbers", "written completely"),
    Fault("long", "hefei-complex", "NATXT_IM", lines(twice), "must have the same number of lines", "but have 2 and 4", "Write both again", "NATXT_RE"),
    Fault("states", "hefei-complex", "NATXT_IM", put(1, "0 0 0 0 0 0 0 0 0"), "line 1 must hold 4 numbers", "but holds 9", "right number of states"),
    Fault("not antisymmetric", "hefei-complex", "NATXT_IM", put(2, "0 1 -1 0"), "NATXT_RE`, line 2 must hold antisymmetric couplings", "step 1 deviates by", COUPLINGS, "NATXT_RE"),
    # COUPCAR: three records of 6 doubles
    Fault("short", "hefei-coupcar", "COUPCAR", cut(48), "must hold 3 records of 48 bytes", "has 96 bytes, 2 records", "write it again"),
    Fault("short", "hefei-coupcar", "COUPCAR", content(b""), "the text holds the data", "is empty or missing", "Read the format `hefei`"),
    Fault("long", "hefei-coupcar", "COUPCAR", lambda path: path.write_bytes(path.read_bytes() + bytes(8)), "must hold 3 records", "has 152 bytes", "write it again"),
    Fault("ragged", "hefei-coupcar", "COUPCAR", doubles((0, 47)), "must have records of 48 bytes for its 2 bands", "states 47", "Write it again with the same NBANDS"),
    Fault("ragged", "hefei-coupcar", "COUPCAR", doubles((1, 0.5)), "must begin with record length, NBANDS, NSW and POTIM", "begins with 48, 0.5, 3, 1", "byte order"),
    Fault("states", "hefei-coupcar", "COUPCAR", doubles((1, 3)), "must have records of 96 bytes for its 3 bands", "states 48", "Write it again with the same NBANDS"),
    Fault("steps", "hefei-coupcar", "COUPCAR", doubles((2, 4)), "must hold 4 records of 48 bytes", "has 144 bytes, 3 records", "another NBANDS"),
    Fault("steps", "hefei-coupcar", "COUPCAR", doubles((2, 1)), "NSW of at least 2", "states 1", "Write it again"),
    Fault("not finite", "hefei-coupcar", "COUPCAR", doubles((7, np.nan)), r"record 2 \(step 0\) must hold finite numbers", "but holds nan", "Calculate this step again"),
    Fault("not antisymmetric", "hefei-coupcar", "COUPCAR", doubles((7, 1), (8, 1)), "record 2 must hold antisymmetric couplings", "step 0 deviates by 2", COUPLINGS),
    Fault("time step", "hefei-coupcar", "COUPCAR", lambda path: None, "has POTIM = 1 fs", "`timestep` is 2 fs", "Correct the wrong one", options={"timestep": 2.0}),
    Fault("time step", "hefei-coupcar", "COUPCAR", doubles((3, 0)), "must be a number of fs between", "but is 0", "Correct it"),
    # CA-NAC
    *of_text("canac", "CAnac_hopcast_re.txt"),
    *of_text("canac", "CAnac_hopcast_im.txt"),
    *of_text("canac", "CAeig_hopcast.txt", flat=False),
    Fault("steps", "canac", "CAnac_hopcast_im.txt", drop(1), "_im.txt` must have the same number of lines", "but have 2 and 1", "Write both again", "CAnac_hopcast_re.txt"),
    Fault("steps", "canac", "CAeig_hopcast.txt", lines(twice), "must hold 5 couplings for its 6 energies", "but holds 2", SAME_RUN, "CAnac_hopcast_re.txt"),
    Fault("long", "canac", "CAnac_hopcast_re.txt", lines(twice), "must have the same number of lines", "but have 4 and 2", "Write both again"),
    Fault("states", "canac", "CAeig_hopcast.txt", lines(lambda rows: [row + " 9" for row in rows]), "line 1 must hold 9 numbers", "but holds 4", "right number of states", "CAnac_hopcast_re.txt"),
    Fault("not antisymmetric", "canac", "CAnac_hopcast_re.txt", put(2, "0 1 1 0"), "line 2 must hold antisymmetric couplings", "step 1 deviates by 2", COUPLINGS),
    Fault("partner", "canac", "CAnac_hopcast_im.txt", remove, "cannot be read", "No such file", "Check the path"),
    Fault("partner", "canac", "CAeig_other.txt", content("0 1\n"), "holds the files of several Hamiltonians", "`CAeig_hopcast`, `CAeig_other`", "Give `prefix`", ""),
    Fault("short", "canac-arrays", "1/nac_ps.npy", cut(8), "cannot be read as a NumPy array|must hold the array", "greater than|bytes only", "rite it again"),
    Fault("short", "canac-arrays", "1/nac_ps.npy", content(b""), "must hold the array that its header names", "holds 0 bytes", "write it again"),
    Fault("long", "canac-arrays", "1/nac_ps.npy", array(np.zeros(9)), "must hold 2 x 2 couplings", "but holds 9 numbers", SAME_BANDS),
    Fault("states", "canac-arrays", "1/eig_ps.npy", array([0.0, 1, 2]), "must hold 2 energies", "but holds 3", SAME_BANDS),
    Fault("ragged", "canac-arrays", "1/nac_ps.npy", array(np.zeros(3)), "must hold 2 x 2 couplings", "but holds 3 numbers", SAME_BANDS),
    Fault("not finite", "canac-arrays", "1/nac_ps.npy", array([0, np.nan, 0, 0]), "must hold finite numbers", r"but holds nan at \[1\]", "Calculate this step again"),
    Fault("not antisymmetric", "canac-arrays", "1/nac_ps.npy", array([0, 1, 1, 0]), "/1` must hold antisymmetric couplings", "step 1 deviates by 2", COUPLINGS, "1"),
    Fault("steps", "canac-arrays", "1/nac_ps.npy", remove, "nac_ps.npy` must be there", "but is missing", "Calculate this step", None),
    Fault("numbering", "canac-arrays", "01/nac_ps.npy", array(np.zeros(4)), "has step 1 twice", "01`", "Move one elsewhere", ""),
    Fault("partner", "canac-arrays", "0/nac_ae.npy", array(np.zeros(4)), "holds the files of several Hamiltonians", "`nac_ae`, `nac_ps`", "Give `prefix`", "0"),
    Fault("pickles", "canac-arrays", "1/nac_ps.npy", array(np.array([{}], dtype=object), allow_pickle=True), "cannot be read as a NumPy array", "ValueError|Array can't be memory-mapped", "without Python objects"),
    Fault("kind", "canac-arrays", "1/nac_ps.npy", array(["a"] * 4), "must hold numbers", "but holds <U1", "Write it again as numbers"),
    # PYXAID, and CA-NAC's form of it
    *of_matrices("pyxaid", "", "0_Ham_{}_re", "0_Ham_{}_im"),
    *of_matrices("pyxaid-of-canac", "0002/", "Ham{}_re", "Ham{}_im"),
    Fault("steps", "pyxaid", "0_Ham_1_im", remove, "a real and an imaginary part of every step", "step 1 has only one", "Check that both were written", ""),
    Fault("steps", "pyxaid-of-canac", "0002/Ham1_im", remove, "imaginary parts .* of every step from 0 to 2", "that of step 1 is missing", "Calculate it, or move", ""),
    Fault("numbering", "pyxaid", "0_Ham_01_re", content("0 0\n0 0\n"), "must have one file of step 1", "has `0_Ham_0?1_re` and `0_Ham_0?1_re`", "Remove one", ""),
    Fault("numbering", "pyxaid-of-canac", "0009/Ham1_re", content("0 0\n0 0\n"), "has step 1 twice", "0009", "Move|Remove", ""),
    Fault("partner", "pyxaid", "1_Ham_7_re", lambda path: [path.write_text("0"), path.with_name("1_Ham_7_im").write_text("0")], "holds the files of several Hamiltonians", "`0_Ham_`, `1_Ham_`", "Give `prefix`", ""),
    Fault("unit", "pyxaid", "0_Ham_0_re", lambda path: None, "must be one of eV, Ry, Ha", "but is `kcal`", "Give `unit`", "", options={"timestep": 1.0, "unit": "kcal"}),
    # Libra
    *of_matrices("libra-text", "", "Hvib_{}_re", "Hvib_{}_im"),
    Fault("steps", "libra-text", "Hvib_1_re", remove, "a real and an imaginary part of every step", "step 1 has only one", "Check that both", ""),
    Fault("numbering", "libra-text", "Hvib_3_re", content("0 0\n0 0\n"), "real parts .* of every step from 0 to 3", "that of step 2 is missing", "Calculate it", ""),
    Fault("time step", "libra-text", "Hvib_0_re", lambda path: None, "does not say how far apart", "does not say", "Give `timestep` in fs", "", options={"timestep": None}),
    Fault("short", "libra-overlaps", "St_ks_1.npz", cut(60), "cannot be read as a sparse matrix", "BadZipFile", "save_npz"),
    Fault("long", "libra-overlaps", "St_ks_1.npz", sparse(np.eye(6)), r"square matrix of alpha and beta states, \(4, 4\)", r"its shape is \(6, 6\)", SAME_BANDS),
    Fault("ragged", "libra-overlaps", "St_ks_1.npz", sparse(np.ones((4, 2))), "must hold a square matrix", r"its shape is \(4, 2\)", SAME_BANDS),
    Fault("states", "libra-overlaps", "E_ks_1.npz", sparse(np.eye(6)), r"square matrix of alpha and beta states, \(4, 4\)", r"its shape is \(6, 6\)", SAME_BANDS),
    Fault("states", "libra-overlaps", "E_ks_0.npz", lambda path: [sparse(np.eye(6))(path.with_name(f"E_ks_{k}.npz")) for k in range(3)], "must have the states of `E_ks`", r"its shape is \(4, 4\)", "come from the same run", "St_ks_0.npz"),
    Fault("states", "libra-overlaps", "S_ks_0.npz", lambda path: [sparse(np.eye(6))(path.with_name(f"S_ks_{k}.npz")) for k in range(3)], r"square matrix of alpha and beta states, \(4, 4\)", r"its shape is \(6, 6\)", SAME_BANDS),
    Fault("not finite", "libra-overlaps", "St_ks_1.npz", sparse(np.diag([1, np.inf, 1, 1])), "must hold finite numbers in `data`", r"but holds inf at \[1\]", "Calculate this step again"),
    Fault("steps", "libra-overlaps", "St_ks_0.npz", remove, "must number `E_ks` and `St_ks` alike", "begin with 0 and 1", "come from the same run", ""),
    Fault("steps", "libra-overlaps", "E_ks_3.npz", lambda path: [sparse(np.eye(4))(path.with_name(f"{kind}_ks_{k}.npz")) for k in (3, 4) for kind in "ES"], "must hold 4 couplings for its 5 energies", "but holds 2", SAME_RUN, ""),
    Fault("numbering", "libra-overlaps", "E_ks_1.npz", remove, "energies `E_ks_<step>.npz` of every step from 0 to 2", "that of step 1 is missing", "Calculate it", ""),
    Fault("partner", "libra-overlaps", "S_ks_1.npz", remove, "must hold `S_ks_<step>.npz` of every frame", "that of frame 1 is missing", "Copy it here", ""),
    Fault("spin", "libra-overlaps", "E_ks_1.npz", lambda path: [sparse(np.diag([1, 2, 0, 0]))(path.with_name(f"E_ks_{k}.npz")) for k in range(3)], "has no beta states", "all energies are zero", "Give `spin` 0", "", options={"timestep": 1.0, "spin": 1}),
    Fault("not antisymmetric", "libra-ks", "Hvib_ks_1_im.npz", sparse(np.kron(np.eye(2), [[0, 1], [1, 0]])), "must hold antisymmetric couplings", "step 1 deviates by 2", COUPLINGS),
    Fault("not finite", "libra-ks", "Hvib_ks_1_im.npz", sparse(np.diag([1, np.nan, 1, 1])), "must hold finite numbers", "but holds nan", "Calculate this step again"),
    Fault("states", "libra-ks", "Hvib_ks_1_im.npz", sparse(np.zeros((6, 6))), r"alpha and beta states, \(4, 4\)", r"its shape is \(6, 6\)", SAME_BANDS),
    Fault("steps", "libra-ks", "E_ks_0.npz", remove, "must number `E_ks` and `Hvib_ks` alike", "begin with 1 and 0", "come from the same run", ""),
    Fault("kind", "libra-ks", "Hvib_ks_1_im.npz", sparse(1j * np.eye(4)), "must hold real numbers", "an imaginary part of 1", "Write the imaginary part only"),
    Fault("short", "libra-ks", "Hvib_ks_1_im.npz", content(b""), "cannot be read as a sparse matrix", "BadZipFile", "save_npz"),
    Fault("long", "libra-ks", "Hvib_ks_3_im.npz", lambda path: [sparse(np.zeros((4, 4)))(path.with_name(f"Hvib_ks_{k}_im.npz")) for k in (3, 4)], "must hold 2 couplings for its 3 energies", "but holds 5", SAME_RUN, ""),
    Fault("partner", "libra-ks", "E_ks_0.npz", lambda path: [path.with_name(f"E_ks_{k}.npz").unlink() for k in range(3)], "must hold energies beside its couplings", "but holds ks_im only", "Copy them here", ""),
    Fault("steps", "libra-ci-overlaps", "St_ci_1_re.npz", remove, "must hold `St_ci_<step>_re.npz` of every coupling", "that of step 1 is missing", "Copy it here", ""),
    Fault("states", "libra-spinors", "St_ks_1.npz", sparse(np.eye(4)), r"square matrix of alpha and beta states, \(2, 2\)", r"its shape is \(4, 4\)", SAME_BANDS),
    Fault("kind", "libra-overlaps-text", "St_ks_1_re", content("0 0\n0 0\n"), "must hold overlaps", "those of step 1 are zero throughout", "Calculate it again"),
    Fault("states", "libra-ci", "Hvib_ci_1_im.npz", sparse(np.zeros((3, 3))), "must hold a matrix of 2 x 2", r"its shape is \(3, 3\)", SAME_BANDS),
    Fault("short", "libra-ci", "Hvib_ci_1_im.npz", content(b""), "cannot be read as a sparse matrix", "BadZipFile", "save_npz"),
    Fault("long", "libra-ci", "Hvib_ci_3_im.npz", lambda path: [sparse(np.zeros((2, 2)))(path.with_name(f"Hvib_ci_{k}_im.npz")) for k in (3, 4)], "must hold 3 couplings for its 3 energies", "but holds 5", SAME_RUN, ""),
    Fault("steps", "libra-ci", "Hvib_ci_0_im.npz", remove, "must number .* alike", "begin with 0 and 1", "come from the same run", ""),
    Fault("not finite", "libra-ci", "Hvib_ci_1_re.npz", sparse(np.diag([1, np.nan])), "must hold finite numbers", "but holds nan", "Calculate this step again"),
    Fault("not antisymmetric", "libra-ci", "Hvib_ci_1_im.npz", sparse([[0, 1], [1, 0]]), "must hold antisymmetric couplings", "step 1 deviates by 2", COUPLINGS),
    Fault("not antisymmetric", "libra-ci", "Hvib_ci_1_re.npz", sparse([[0, 0.5], [0.5, 1]]), "must be diagonal", "elements of 0.5 Ha off", "Write Hvib of adiabatic states"),
    Fault("spin", "libra-ci", "Hvib_ci_1_re.npz", lambda path: None, "must hold `E_ks_<step>.npz` to have spins", "holds `Hvib_ci` only", "Leave `spin` out", "", options={"timestep": 1.0, "spin": 1}),
    # nano-qmflows
    *of_matrices("nanoqmflows", "", "Ham_{}_re", "Ham_{}_im"),
    Fault("steps", "nanoqmflows", "Ham_2_im", remove, "a real and an imaginary part of every step", "step 2 has only one", "Check that both", ""),
    Fault("sign", "nanoqmflows", "Ham_0_im", lambda path: None, "does not say how its couplings were made", "does not say", "Give `scheme`", "", options={"timestep": 1.0}),
    Fault("short", "nanoqmflows-hdf5", "nano.hdf5", cut(3000), "cannot be read as HDF5|is damaged", "truncated file|at byte", "write it again|Write it again"),
    Fault("ragged", "nanoqmflows-hdf5", "nano.hdf5", hdf5(overlaps_1__mtx_sji_t0=np.zeros((2, 3))), r"step 1: `mtx_sji_t0` must have the shape \(2, 2\)", r"but has \(2, 3\)", SAME_BANDS),
    Fault("states", "nanoqmflows-hdf5", "nano.hdf5", hdf5(eigenvalues__point_1=np.zeros(3)), "step 1 must hold 2 eigenvalues", "but holds 3", SAME_BANDS),
    Fault("not finite", "nanoqmflows-hdf5", "nano.hdf5", hdf5(overlaps_1__mtx_sji_t0=np.full((2, 2), np.nan)), "must hold finite numbers in `/overlaps_1/mtx_sji_t0`", r"but holds nan at \[0, 0\]", "Calculate this step again"),
    Fault("long", "nanoqmflows-hdf5", "nano.hdf5", hdf5(overlaps_2__mtx_sji_t0=np.eye(2), overlaps_3__mtx_sji_t0=np.eye(2)), TWO, "but holds 4", SAME_RUN),
    Fault("steps", "nanoqmflows-hdf5", "nano.hdf5", hdf5(eigenvalues__point_1=None), "`eigenvalues/point_<step>` of every step", "that of step 1 is missing", "Calculate it"),
    Fault("steps", "nanoqmflows-hdf5", "nano.hdf5", hdf5(eigenvalues__point_1=None, eigenvalues__point_2=None), "eigenvalues of at least two steps", "but holds 1", "more of the trajectory"),
    Fault("steps", "nanoqmflows-hdf5", "nano.hdf5", hdf5(overlaps_0=None), "must number eigenvalues and couplings alike", "begins with 0 and 1", "come from the same run"),
    Fault("partner", "nanoqmflows-hdf5", "nano.hdf5", hdf5(overlaps_0=None, overlaps_1=None), "must hold `overlaps_<step>`", "holds neither", "Check that the run was complete"),
    Fault("partner", "nanoqmflows-hdf5", "nano.hdf5", hdf5(eigenvalues=None), "must hold `eigenvalues`", "but holds coupling_0", "Name nano-qmflows' HDF5"),
    Fault("not antisymmetric", "nanoqmflows-hdf5", "nano.hdf5", hdf5(coupling_1=[[0.0, 1], [1, 0]]), "must hold antisymmetric couplings", "step 1 deviates by 2", COUPLINGS, options={"timestep": 1.0, "couplings": "source", "scheme": "3points"}),
    # NAMD-LMI
    Fault("short", "namd-lmi", "NAC.h5", cut(1000), "cannot be read as HDF5|is damaged", "truncated file|at byte", "write it again|Write it again"),
    Fault("ragged", "namd-lmi", "NAC.h5", hdf5(olaps_i=np.zeros((2, 1, 2))), r"must hold `eigs` \[step, spin, i\]", r"shapes are \(2, 1, 2\), \(2, 1, 2, 2\) and \(2, 1, 2\)", "Write it again"),
    Fault("states", "namd-lmi", "NAC.h5", hdf5(eigs=np.zeros((2, 1, 3))), r"must hold `eigs` \[step, spin, i\]", r"\(2, 1, 3\)", "Write it again"),
    Fault("steps", "namd-lmi", "NAC.h5", hdf5(eigs=np.zeros((3, 1, 2))), "must hold as many `eigs` as `olaps`", "but holds 3 and 2", "Check that the run"),
    Fault("long", "namd-lmi", "NAC.h5", hdf5(olaps_r=np.zeros((4, 1, 2, 2)), olaps_i=np.zeros((4, 1, 2, 2))), "must hold as many `eigs` as `olaps`", "but holds 2 and 4", "Check that the run"),
    Fault("not finite", "namd-lmi", "NAC.h5", hdf5(eigs=np.full((2, 1, 2), np.inf)), "must hold finite numbers in `/eigs`", r"but holds inf at \[0, 0, 0\]", "Calculate this step again"),
    Fault("not antisymmetric", "namd-lmi", "NAC.h5", hdf5(olaps_r=np.ones((2, 1, 2, 2))), "must hold antisymmetric couplings", "step 0 deviates by 2", COUPLINGS),
    Fault("time step", "namd-lmi", "NAC.h5", hdf5(potim=[1.0, 2.0]), "must hold one time step `potim`", r"but holds \[1. 2.\]", "Write it again"),
    Fault("time step", "namd-lmi", "NAC.h5", lambda path: None, "has potim = 1 fs", "`timestep` is 2 fs", "Correct the wrong one", options={"timestep": 2.0}),
    Fault("spin", "namd-lmi", "NAC.h5", lambda path: None, "`spin` must lie between 0 and 0", "but is 1", "spins of", options={"spin": 1}),
    # our own
    Fault("short", "hopcast", "ham.h5", cut(3000), "cannot be read as HDF5|is damaged", "truncated file|at byte", "write it again|Write it again"),
    Fault("long", "hopcast", "ham.h5", hdf5(hamiltonian__nac=np.zeros((5, 2, 2))), "must hold a matrix at each of the 2 mid-points", r"but has the shape \(5, 2, 2\)", "write it again"),
    Fault("ragged", "hopcast", "ham.h5", hdf5(hamiltonian__energies=np.zeros(3)), r"must have the shape \[n_frames, n_states\]", r"but has \(3,\)", "write it again"),
    Fault("states", "hopcast", "ham.h5", hdf5(hamiltonian__nac=np.zeros((2, 3, 3))), r"\[2, 2, 2\]", r"but has the shape \(2, 3, 3\)", "write it again"),
    Fault("steps", "hopcast", "ham.h5", hdf5(hamiltonian__nac_known=np.ones(5, bool)), "must have one entry a mid-point, 2", r"but has the shape \(5,\)", "write it again"),
    Fault("not finite", "hopcast", "ham.h5", hdf5(hamiltonian__energies=[[0, 1], [0, np.nan], [0, 1]]), "must be finite where it is known", "frame 1 has nan at state 1", "write it again"),
    Fault("not antisymmetric", "hopcast", "ham.h5", hdf5(hamiltonian__nac=np.ones((2, 2, 2))), "must be anti-Hermitian", "mid-point 0 deviates by 2 eV", "write it again"),
    Fault("partner", "hopcast", "ham.h5", hdf5(hamiltonian__nac=None), "must hold `/hamiltonian/nac`", "but does not", "Write it again"),
    Fault("time step", "hopcast", "ham.h5", lambda path: None, "has frames 1 fs apart", "`timestep` is 2 fs", "Leave `timestep` out", options={"timestep": 2.0}),
]  # fmt: skip

DAMAGED = "damaged"
SORT = "Sort the frames alike"
ONE_BY_ONE = "Read runs of different atoms one by one"
FAULTS += [
    # XDATCAR: a header of 7 lines, then 3 a frame
    Fault("short", "xdatcar", "XDATCAR", drop(16), "frame 2, atom 1 must have three (finite )?coordinates", "but holds `nothing`", "remove this frame"),
    Fault("short", "xdatcar", "XDATCAR", drop(10), "frame 0, atom 1 must have three (finite )?coordinates", "but holds `Direct", "remove this frame"),
    Fault("long", "xdatcar", "XDATCAR", put(16, "0.4 0.5 0.6\n0.4 0.5 0.6"), "must end with frame 2", "text after it", "Remove it"),
    Fault("long", "xdatcar", "XDATCAR", put(10, "0.4 0.5 0.6\n0.4 0.5 0.6"), "must have a header before frame 1", "has none that can be read", "remove what stands there"),
    Fault("ragged", "xdatcar", "XDATCAR", put(13, "0.4 0.5"), "frame 1, atom 1 must have three (finite )?coordinates", "but holds `0.4 0.5`", "remove this frame"),
    Fault("not finite", "xdatcar", "XDATCAR", put(13, "0.4 nan 0.6"), "frame 1, atom 1 must have three finite", "but holds `0.4 nan 0.6`", "remove this frame"),
    Fault("atoms", "xdatcar-headers", "XDATCAR", last("O H", "H O"), "must hold the same atoms in every frame", "header before frame 2 names H O", ONE_BY_ONE),
    Fault("atoms", "xdatcar", "XDATCAR", replace("O H", "Oo H"), "must name chemical elements", "but names `Oo`", "Correct the names"),
    Fault("ragged", "xdatcar", "XDATCAR", put(7, "1 1 1"), "must name one element for each count", r"2 elements and the counts \[1, 1, 1\]", "Correct these lines"),
    Fault("ragged", "xdatcar", "XDATCAR", put(3, "5 0"), "scale and three vectors|must have a header before frame 0", "5 0|has none that can be read", "write the file again"),
    Fault("not finite", "xdatcar", "XDATCAR", put(3, "5 nan 0"), "must have a scale .or three positive ones. and three vectors of three numbers in the header before frame 0", "5 nan 0", "Write it again"),
    Fault("time step", "xdatcar", "XDATCAR", lambda path: None, "does not say how far apart", "does not say", "Give `timestep`", options={"timestep": None}),
    # CP2K: 4 lines a frame
    Fault("short", "xyz", "run-pos-1.xyz", drop(16), "must hold 4 lines a frame", "ends after line 3 of frame 3", "remove the last frame"),
    Fault("long", "xyz", "run-pos-1.xyz", put(16, "H 0 0 0\nH 0 0 0"), "frame 4 must begin with a number of atoms", "begins with `H 0 0 0`", "remove what follows"),
    Fault("ragged", "xyz", "run-pos-1.xyz", put(8, "H 1.0 2.0"), "frame 1, atom 1 must have three finite", "but holds `H 1.0 2.0`", "Remove this frame"),
    Fault("not finite", "xyz", "run-pos-1.xyz", put(8, "H 1.0 nan 2.0"), "frame 1, atom 1 must have three finite", "but holds `H 1.0 nan 2.0`", "Remove this frame"),
    Fault("atoms", "xyz", "run-pos-1.xyz", put(8, "O 1.0 2.0 2.0"), "must keep the order of the atoms", "frame 1 atom 1 is O instead of H", SORT),
    Fault("atoms", "xyz", "run-pos-1.xyz", put(5, "3"), "must hold the same atoms in every frame", "frame 1 begins with `3` instead of 2", ONE_BY_ONE),
    Fault("steps", "xyz", "run-vel-1.xyz", lines(lambda rows: rows[:-4]), "must hold the same frames of the same atoms", r"\(4, 2\) and \(3, 2\)", "Print both at the same steps"),
    Fault("steps", "xyz", "run-1.cell", lines(lambda rows: [rows[0], rows[1].replace(" 5", " 6"), *rows[3:]]), "must hold the cell of every step of the positions", r"that of step 1 \(1 in all\) is missing", "give `cell`"),
    Fault("ragged", "xyz", "run-1.cell", put(3, "1 1.0 5 0 0"), "line 3 must hold 12 numbers", "but holds 5", COMPLETE),
    Fault("time step", "xyz", "run-pos-1.xyz", lambda path: None, "frames 1 fs apart by its comments", "`timestep` is 2 fs", "Leave `timestep` out", options={"timestep": 2.0}),
    Fault("cell", "xyz", "run-1.cell", remove, "has no cell", "has no cell", "Give `cell`", "run-pos-1.xyz"),
    Fault("cell", "xyz", "run-pos-1.xyz", lambda path: None, r"must be three lengths or lattice vectors \[3, 3\] in Å", r"shape \(2,\)", "Give `cell`", options={"timestep": 1.0, "cell": [5, 5]}),
    # POSCAR: 7 lines, Direct, 2 atoms
    Fault("short", "poscars", "2/POSCAR", drop(10), "must hold 2 atoms|line 10 must hold three coordinates of atom 1", "holds", "rite it again"),
    Fault("ragged", "poscars", "2/POSCAR", put(10, "0.4 0.5"), "line 10 must hold three coordinates of atom 1", "but holds `0.4 0.5`", "Write it again"),
    Fault("not finite", "poscars", "2/POSCAR", put(10, "0.4 inf 0.1"), "line 10 must hold three coordinates of atom 1", "but holds `0.4 inf 0.1`", "Write it again"),
    Fault("kind", "poscars", "2/POSCAR", put(8, "direkt?"[::-1]), "line 8 must say Direct or Cartesian", "but says `", "Write it as VASP 5 does"),
    Fault("atoms", "poscars", "2/POSCAR", put(6, "H O"), "must keep the order of the atoms", "frame 1 atom 0 is H instead of O", SORT),
    Fault("atoms", "poscars", "2/POSCAR", lines(lambda rows: [*rows[:6], "1 2", *rows[7:], "0 0 0"]), "must hold the same atoms in every frame", "frame 1 has 3 instead of 2", ONE_BY_ONE),
    Fault("numbering", "poscars", "4/POSCAR", content("x\n1\n5 0 0\n0 5 0\n0 0 5\nO H\n1 1\nDirect\n0 0 0\n.1 .1 .1\n"), "of every step from 1 to 4", "that of step 3 is missing", "Calculate it", ""),
    Fault("numbering", "poscars", "02/POSCAR", content(""), "has step 2 twice", "02/POSCAR", "Move one elsewhere", ""),
    # vasprun.xml
    Fault("short", "vasprun", "vasprun.xml", cut(30), "cut short or damaged after 3 frames|cut short or damaged after 2 frames", "unclosed|no element|mismatched", "Read the XDATCAR"),
    Fault("ragged", "vasprun", "vasprun.xml", last("0.1 0.2 0.3", "0.1 0.2"), "frame 2 must hold 2 vectors of positions", "but holds 5 numbers in 2", "read the XDATCAR"),
    Fault("long", "vasprun", "vasprun.xml", last("<v> 0.5 0.5 0.5 </v>", "<v> 0.5 0.5 0.5 </v><v> 0 0 0 </v>"), "frame 2 must hold 2 vectors of positions", "but holds 9 numbers in 3", "read the XDATCAR"),
    Fault("not finite", "vasprun", "vasprun.xml", last("0.1 0.2 0.3", "0.1 0.2 nan"), "frame 2, atom 0 must have finite coordinates", "but has nan", "remove this frame"),
    Fault("atoms", "vasprun", "vasprun.xml", replace("<c>H </c>", "<c>Q </c>"), "must name chemical elements", "but names `Q`", "Correct the names"),
    Fault("atoms", "vasprun", "vasprun.xml", replace('name="atoms"', 'name="none"'), "must hold 0 vectors|must hold atoms and ionic steps", "holds", "read the XDATCAR|molecular dynamics"),
    Fault("time step", "vasprun", "vasprun.xml", lambda path: None, "has POTIM = 1 fs", "`timestep` is 1.5 fs", "Leave `timestep` out", options={"timestep": 1.5}),
    Fault("entities", "vasprun", "vasprun.xml", replace("<modeling>", "<!DOCTYPE x []><modeling>"), "defines entities, which VASP never does", "defines entities", "Copy it again"),
    # Quantum ESPRESSO
    Fault("short", "espresso", "md.out", cut(12), "frame 4 must hold 2 lines of ATOMIC_POSITIONS", "line 2 of them holds", "remove this frame"),
    Fault("ragged", "espresso", "md.out", last("0.1 0.2 0.33", "0.1 0.2"), "frame 4 must hold 2 lines of ATOMIC_POSITIONS", "line 1 of them holds `O 0.1 0.2`", "remove this frame"),
    Fault("not finite", "espresso", "md.out", last("0.33", "nan"), "frame 4 must hold 2 lines of ATOMIC_POSITIONS", "line 1 of them holds `O 0.1 0.2 nan`", "remove this frame"),
    Fault("unit", "espresso", "md.out", replace("(bohr)", "(inch)"), "frame 3 must give coordinates in angstrom, bohr, alat or crystal", "gives `inch`", "Print them in one of these"),
    Fault("atoms", "espresso", "md.out", last("O    0.1", "H    0.1"), "must keep the order of the atoms", "frame 4 atom 0 is H instead of O", SORT),
    Fault("cell", "espresso", "md.out", lines(lambda rows: [row for row in rows if "crystal axes" not in row]), "comes before the cell", "frame 0", "read it whole"),
    Fault("time step", "espresso", "md.out", lambda path: None, "has a time step of 1 fs", "`timestep` is 2 fs", "Leave `timestep` out", options={"timestep": 2.0}),
    # extended xyz
    Fault("short", "extxyz", "a.extxyz", drop(16), "frame 3, atom 1 must hold the columns", "but holds `nothing`", "remove this frame"),
    Fault("long", "extxyz", "a.extxyz", put(4, "H 0 0 0\nH 0 0 0"), "frame 1 must begin with a number of atoms", "begins with `H 0 0 0`", "remove what follows"),
    Fault("ragged", "extxyz", "a.extxyz", put(8, "H 0 0"), "frame 1, atom 1 must hold the columns", "but holds `H 0 0`", "remove this frame"),
    Fault("not finite", "extxyz", "a.extxyz", put(8, "H 0 0 nan"), "frame 1, atom 1", "nan", "Check how this frame|write it again|remove"),
    Fault("atoms", "extxyz", "a.extxyz", put(8, "O 0 0 0"), "must keep the order of the atoms", "frame 1 atom 1 is O instead of H", SORT),
    Fault("cell", "extxyz", "a.extxyz", last('Lattice="5.0 ', 'Lattice="x '), "frame 3 must have nine numbers as its Lattice", "but has `x 0.0", "Write it in all frames"),
    Fault("cell", "extxyz", "a.extxyz", last("Lattice=", "Lattuce="), "must have a Lattice in all of its frames or in none", "has it in 3 of 4", "Write it in all"),
    Fault("ragged", "extxyz", "a.extxyz", last("species:S:1:pos:R:3", "species:S:1:pos:R:2"), "frame 3 must name its columns", "but has `species:S:1:pos:R:2`", "Write the file with ASE"),
    Fault("time step", "extxyz", "a.extxyz", lambda path: None, "does not say how far apart", "does not say", "Give `timestep`", options={"timestep": None}),
    # through ASE
    Fault("short", "ase-traj", "a.traj", cut(40), "is damaged", "claims|requires", "rite it again"),
    Fault("short", "lammps", "a.lammpstrj", drop(27), r"line 27 \(frame 2\) must hold an item", "but holds `0 5`", "remove this frame and what follows"),
    Fault("atoms", "lammps", "a.lammpstrj", last("1 O", "1 H"), "must keep the order of the atoms", "frame 2 atom 0 is H instead of O", SORT),
    Fault("cell", "lammps-units", "a.dump", last("0 6 1", "0 6"), "must hold bounds of the box", "but holds `0 6`", "remove this frame and what follows"),
    Fault("atoms", "xyz-blank-lines", "a.xyz", last("O 1", "N 1"), "must keep the order of the atoms", "in frame 2 atom 0 is N instead of O", SORT),
    Fault("short", "ase-xsf", "a.xsf", content("ANIMSTEPS 2\nCRYSTAL\nPRIMVEC 1\n"), "cannot be read as a trajectory", r"\(\w+", "Check that it is complete"),
    Fault("atoms", "ase-pdb", "a.pdb", lines(lambda rows: [*rows[:-3], *rows[-2:]]), "must hold the same atoms in every frame", "frame 3 has 1 instead of 2", ONE_BY_ONE),
    # our own
    Fault("short", "hopcast-trajectory", "t.h5", cut(3000), "cannot be read as HDF5|is damaged", "truncated file|at byte", "write it again|Write it again"),
    Fault("not finite", "hopcast-trajectory", "t.h5", hdf5(trajectory__positions=np.full((4, 2, 3), np.nan)), "must be finite", r"frame 0, atom 0 \(H\) has nan", "write it again"),
    Fault("steps", "hopcast-trajectory", "t.h5", hdf5(trajectory__velocities=np.zeros((3, 2, 3))), "must have the shape", r"\(3, 2, 3\)", "write it again"),
    Fault("atoms", "hopcast-trajectory", "t.h5", hdf5(trajectory__numbers=[1, 8, 8]), "must", r"3|\(3,\)", "write it again"),
    Fault("time step", "hopcast-trajectory", "t.h5", lambda path: None, "has frames 1 fs apart", "`timestep` is 2 fs", "Leave `timestep` out", options={"timestep": 2.0}),
    # wavefunctions (their other rules: test_wavefunctions.py)
    *[Fault("short", seed, "1/WAVECAR", cut(300), "must hold 7 records of 200 bytes", "ends in record 6", "calculate this frame again") for seed in ("vasp-wavecar", "vasp-wswq")],
    Fault("short", "vasp-wswq-eigenval", "1/WSWQ", cut(20), "must hold 4 numbers|must hold", "but holds", "Check that the file is complete"),
    Fault("short", "qe-save", "1/a.save/wfc1.dat", cut(100), "cut short or no file of wavefunctions", "4 bands, which need 2096", "calculate this frame again"),
    Fault("short", "cp2k-wfn", "a.wfn", cut(6), "is cut short or no restart file of CP2K", "cut short", "Compute this frame again"),
    Fault("short", "qe-save-hdf5", "1/a.save/wfc1.hdf5", cut(500), "cannot be read as HDF5", "OSError", "write it again"),
    # outputs and inputs of Hefei-NAMD
    *[
        Fault(*fault)
        for seed, file, line in (("hefei-shprop", "SHPROP.1", 2), ("hefei-recomb", "RECOMB.1", 1), ("hefei-psict", "PSICT.1", 2), ("hefei-psict-dev", "PSICT.1", 1))
        for fault in (
            ("ragged", seed, file, put(line + 1, " 1.0"), f"line {line + 1} must hold \\d+ numbers", "but holds 1", COMPLETE),
            ("not finite", seed, file, put(line, " 1.0 ****"), f"line {line}, column 2 {FINITE}", r"but holds `\*\*\*\*`", ANEW),
            ("steps", seed, file, last("2.0", "0.5"), "row 1 must hold a time that is later", "holds 0.5 after 1", "Its lines may be parts of rows"),
            ("short", seed, file, content("#\n"), "holds no numbers", "no numbers", "Check that it was written completely"),
        )
    ],
    Fault("ragged", "hefei-shprop-broken-rows", "SHPROP.1", drop(6), "line 4 must hold 3 numbers|line 3 must hold 5", "but holds", COMPLETE),
    Fault("states", "hefei-shprop", "SHPROP.1", content("1 2\n"), "must hold time .fs., energy .eV. and a number", "has 2 columns", "Name another file"),
    Fault("states", "hefei-recomb", "RECOMB.1", content("1\n"), "must hold time .fs., energy .eV. and a number", "has 1 columns", "Name another file"),
    Fault("states", "hefei-psict", "PSICT.1", content("1 2 3 4\n"), "must hold time, energy and a complex number a state", "has 4 numbers a row, none of them complex", "read_shprop"),
    Fault("ragged", "hefei-inicon", "INICON", put(2, "5"), "line 2 must hold 2 numbers", "but holds 1", COMPLETE),
    Fault("kind", "hefei-inicon", "INICON", put(2, "5 0"), "line 2 must hold a step and a band, both whole numbers from 1", "but holds 5 and 0", "Correct it"),
    Fault("states", "hefei-dephtime", "DEPHTIME", drop(2), "must hold a square matrix", "but holds 1 lines of 2", "Give a time for each pair"),
    Fault("kind", "hefei-dephtime", "DEPHTIME", put(2, "6 0"), r"line 1, column 2 must fit a symmetric matrix of positive times", r"holds 5.5 \(and 6 across", "Correct it"),
    Fault("kind", "hefei-dephtime", "DEPHTIME", put(2, "5.5 1"), r"line 2, column 2 must fit a symmetric matrix .* zero diagonal", "holds 1", "Correct it"),
    Fault("not finite", "hefei-dephtime", "DEPHTIME", put(2, "inf 0"), f"line 2, column 1 {FINITE}", "but holds `inf`", ANEW),
    # outputs of PYXAID
    Fault("not finite", "pyxaid-out", "out0", replace("0.75", "nan"), f"line 2, column 3 {FINITE}", "but holds `nan`", ANEW),
    Fault("kind", "pyxaid-out", "out0", replace("0.75", "0.5"), "line 2 must hold populations that add up to 1", "up to 0.75", "Check `elec_dt`"),
    Fault("ragged", "pyxaid-me-pop", "me_pop0", replace("P(1)= 0.8", ""), "line 2 must hold 3 numbers", "but holds 2", COMPLETE),
    Fault("kind", "pyxaid-me-energies", "me_energies0", content("1\n2\n"), "must hold lines of a step and of numbers with the labels", "its first line has 0 labels", "Name another file"),
    Fault("kind", "pyxaid-rates", "decoherence_rates_icond0.txt", put(2, "0.07 0"), "line 1, column 2 must fit a symmetric matrix", r"holds 0.05 \(and 0.07", "of one initial condition"),
    Fault("kind", "pyxaid-rates", "decoherence_rates_icond0.txt", put(1, "0 0"), "line 1, column 2 must hold a positive rate", "but holds 0", "dephasing times of your own"),
    Fault("states", "pyxaid-rates", "decoherence_rates_icond0.txt", drop(2), "must hold a square matrix of at least two states", "but holds 1 lines of 2", "Check that it is complete"),
    Fault("kind", "determinants", "ACSPACE", put(2, "x 7"), "line 2 must hold orbital numbers", "but holds `x 7`", "Write one determinant a line"),
]  # fmt: skip


def key(fault):
    return f"{fault.seed}-{fault.rule}-{Path(fault.file).name}"


@pytest.mark.parametrize("fault", FAULTS, ids=key)
def test_a_fault_is_told(fault, tmp_path):
    seed = SEEDS[fault.seed](tmp_path)
    seed.read()  # without the fault it is fine
    path = tmp_path / fault.file
    fault.change(path)
    with pytest.raises(hc.InputError) as caught:
        seed.read(**fault.options)
    message = str(caught.value)
    assert str(path if fault.names is None else tmp_path / fault.names) in message
    for pattern in (fault.expected, fault.found, fault.advice):
        assert pattern, message
        assert re.search(pattern, message), (pattern, message)
    assert not re.search(r"Traceback|, but does not\.$", message)


HAMILTONIANS = [
    "hefei",
    "hefei-complex",
    "hefei-coupcar",
    "canac",
    "canac-arrays",
    "pyxaid",
    "pyxaid-of-canac",
    "libra-text",
    "libra-ks",
    "libra-ci",
    "nanoqmflows",
    "nanoqmflows-hdf5",
    "namd-lmi",
    "hopcast",
]
TRAJECTORIES = ["xdatcar", "xyz", "poscars", "vasprun", "espresso", "extxyz"]


@pytest.mark.parametrize("fault", [f for f in FAULTS if f"{f.seed}-streamed" in SEEDS and not f.options], ids=key)
def test_a_fault_is_told_by_stretches_too(fault, tmp_path):
    seed = SEEDS[f"{fault.seed}-streamed"](tmp_path)
    path = tmp_path / fault.file
    fault.change(path)
    if "-vel-" in path.name:
        seed.read()  # no stretch looks at velocities
        return
    with pytest.raises(hc.InputError) as caught:
        seed.read()
    message = str(caught.value)
    assert str(path if fault.names is None else tmp_path / fault.names) in message
    assert "hopcast-" not in message  # the folder of stretches is nobody's business
    # frames are found by counting lines, so that extended xyz is refused as plain xyz is
    told = (fault.expected, fault.advice, "lines a frame, but ends after line .* remove the last frame")
    assert any(re.search(pattern, message) for pattern in told), message


@pytest.mark.parametrize("seed", [name for name in SEEDS if not name.endswith("-streamed")])
def test_every_rule_has_its_fault(seed):
    """A new reader comes with its faults; those of the rules that hold for all are there for each layout."""
    rules = {fault.rule for fault in FAULTS if fault.seed == seed}
    assert rules
    if seed in HAMILTONIANS:
        assert {"short", "long", "not finite", "not antisymmetric", "states", "steps"} <= rules
    if seed in TRAJECTORIES:
        assert {"short", "ragged", "not finite", "atoms"} <= rules


def test_units_sign_and_alignment_are_kept_in_our_own_file(tmp_path):
    for name in ("hefei", "libra-ks", "nanoqmflows", "namd-lmi"):
        folder = tmp_path / name
        folder.mkdir()
        ham = SEEDS[name](folder).read()
        ham.write(tmp_path / f"{name}.h5")
        kept = hc.read_hamiltonian(tmp_path / f"{name}.h5").provenance
        assert kept == ham.provenance
        assert {"format", "units", "sign", "alignment"} <= set(kept)
