"""Small valid data sets, one for every reader (and for every layout of a reader that has several)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import ase
import ase.io
import h5py
import numpy as np
from scipy.sparse import csc_matrix, save_npz

import hopcast as hc
from hopcast.dynamics import read_determinants
from hopcast.io import (
    read_dephasing_times,
    read_initial_conditions,
    read_psict,
    read_pyxaid_energies,
    read_pyxaid_populations,
    read_pyxaid_rates,
    read_recomb,
    read_shprop,
    write_native,
)
from hopcast.io.streaming import open_trajectory
from hopcast.io.wavefunctions import Wfn

sys.path.insert(0, str(Path(__file__).parents[1] / "io"))
import plane_wave_files


@dataclass(frozen=True)
class Seed:
    """A folder with a data set, and what reads it.

    Attributes
    ----------
    folder
        Where it lies; every file in it is mutated.
    read
        Reads it, as a user who names the format would; options of the reader replace those of the seed.
    unread
        Files that the reader does not look at.
    """

    folder: Path
    read: Callable[..., object]
    unread: tuple[str, ...] = ()


SEEDS: dict[str, Callable[[Path], Seed]] = {}


def seed(name: str) -> Callable[[Callable[[Path], Seed]], Callable[[Path], Seed]]:
    """Register what writes a data set under a name."""

    def register(function: Callable[[Path], Seed]) -> Callable[[Path], Seed]:
        SEEDS[name] = function
        return function

    return register


def hamiltonian() -> hc.VibronicHamiltonian:
    """Return three frames of two states, with raw overlaps."""
    rng = np.random.default_rng(0)
    nac = rng.normal(size=(2, 2, 2))
    nac = 0.01 * (nac - nac.swapaxes(1, 2))
    energies = np.sort(rng.normal(size=(3, 2)), axis=1)
    return hc.VibronicHamiltonian(energies, nac, 1.0, n_occupied=1, overlaps=np.eye(2) + nac, provenance={"a": "b"})


def of_hamiltonian(
    path: Path, form: str, *, unread: tuple[str, ...] = (), timestep: float | None = 1.0, scheme: str | None = None
) -> Seed:
    """Return the seed of a Hamiltonian in a file or folder."""
    folder = path if path.is_dir() else path.parent
    known = {"timestep": timestep, "scheme": scheme}
    return Seed(folder, lambda **options: hc.read_hamiltonian(path, format=form, **(options or known)), unread)


def written(form: str, unread: tuple[str, ...] = (), timestep: float | None = 1.0) -> Callable[[Path], Seed]:
    """Return what writes our Hamiltonian in a format."""

    def make(folder: Path) -> Seed:
        path = folder / "ham.h5" if form == "hopcast" else folder
        hc.write_hamiltonian(hamiltonian(), path, format=form)
        return of_hamiltonian(path, form, unread=unread, timestep=timestep)

    return make


SEEDS |= {
    "hopcast": written("hopcast", timestep=None),
    "hefei-coupcar": written("hefei-coupcar", timestep=None),
    "hefei-complex": written("hefei", ("NATXT", "INICON", "COUPCAR"), timestep=None),
    "canac": written("canac"),
    "pyxaid": written("pyxaid", ("run_pyxaid.py",)),
    "libra-text": written("libra-text"),
    "libra-overlaps": written("libra-npz"),
}


@seed("hefei")
def hefei(folder: Path) -> Seed:
    hc.write_hamiltonian(hamiltonian(), folder, format="hefei")
    for name in ("NATXT_RE", "NATXT_IM", "INICON"):
        (folder / name).unlink()
    return of_hamiltonian(folder, "hefei", timestep=None, unread=("COUPCAR",))


@seed("canac-arrays")
def canac_arrays(folder: Path) -> Seed:
    for step in range(3):
        (folder / str(step)).mkdir()
        np.save(folder / str(step) / "eig_ps.npy", [0.0, 1.0])
        np.save(folder / str(step) / "nac_ps.npy", np.array([0, 0.3 + 0.4j, -0.3 + 0.4j, 0]))
    return of_hamiltonian(folder, "canac")


def numbered_pairs(name: str, inside: bool) -> Callable[[Path], Seed]:
    """Return what writes numbered real and imaginary parts, each step in a folder of its own or not."""

    def make(folder: Path) -> Seed:
        for step in range(3):
            place = folder / f"{step + 1:04d}" if inside else folder
            place.mkdir(exist_ok=True)
            (place / f"{name}{step}_re").write_text("-1.00000e+00 0.00000e+00\n0.00000e+00 5.00000e-01\n")
            (place / f"{name}{step}_im").write_text("0.00000e+00 2.00000e-03\n-2.00000e-03 0.00000e+00\n")
        if inside:
            return of_hamiltonian(folder, "pyxaid")
        return of_hamiltonian(folder, "nanoqmflows", scheme="3points")

    return make


SEEDS |= {"pyxaid-of-canac": numbered_pairs("Ham", True), "nanoqmflows": numbered_pairs("Ham_", False)}


def libra_many(kind: str) -> Callable[[Path], Seed]:
    """Return what writes Libra's archives of the vibronic Hamiltonian."""

    def make(folder: Path) -> Seed:
        block = np.array([[0, 0.002], [-0.002, 0]])
        for step in range(3):
            if kind == "ks":
                save_npz(folder / f"E_ks_{step}.npz", csc_matrix(np.diag([-0.1, 0.2, -0.1, 0.2]).astype(complex)))
                save_npz(folder / f"Hvib_ks_{step}_im.npz", csc_matrix(np.kron(np.eye(2), block)))
            else:
                save_npz(folder / f"Hvib_{kind}_{step}_re.npz", csc_matrix(np.diag([0, 0.3])))
                save_npz(folder / f"Hvib_{kind}_{step}_im.npz", csc_matrix(block))
        return of_hamiltonian(folder, "libra-npz")

    return make


SEEDS |= {"libra-ks": libra_many("ks"), "libra-ci": libra_many("ci")}


@seed("libra-ci-overlaps")
def libra_ci_overlaps(folder: Path) -> Seed:
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    for step in range(3):
        save_npz(folder / f"St_ci_{step}_re.npz", csc_matrix(turn))
    return libra_many("ci")(folder)


@seed("libra-spinors")
def libra_spinors(folder: Path) -> Seed:
    for step in range(3):
        save_npz(folder / f"E_ks_{step}.npz", csc_matrix(np.diag([-0.1, 0.2])))
        if step < 2:
            save_npz(folder / f"St_ks_{step}.npz", csc_matrix(np.array([[0.8, 0.6j], [0.6j, 0.8]])))
    return of_hamiltonian(folder, "libra-npz")


@seed("libra-overlaps-text")
def libra_overlaps_text(folder: Path) -> Seed:
    for step in range(3):
        (folder / f"E_ks_{step}_re").write_text("-0.1 0.0\n0.0 0.2\n")
        (folder / f"S_ks_{step}_re").write_text("1.0 0.0\n0.0 1.0\n")
        if step < 2:
            (folder / f"St_ks_{step}_re").write_text("0.8 0.1\n0.1 0.9\n")
    return of_hamiltonian(folder, "libra-overlaps")


@seed("hefei-broken-rows")
def hefei_broken_rows(folder: Path) -> Seed:
    """Four states, three doubles a line as list-directed output puts them."""
    energies = [f"  {x:.16E}" for x in (-1, -0.5, 0.5, 1)]
    zero, up, down = (f"  {x:.16E}" for x in (0, 0.01, -0.01))
    couplings = [zero, up, zero, zero, down, zero, zero, zero, zero, zero, zero, up, zero, zero, down, zero]
    for name, words, rows in (("EIGTXT", energies, 3), ("NATXT", couplings, 2)):
        row = "".join("".join(words[k : k + 3]) + "\n" for k in range(0, len(words), 3))
        (folder / name).write_text(row * rows)
    return of_hamiltonian(folder, "hefei")


@seed("nanoqmflows-hdf5")
def nanoqmflows_hdf5(folder: Path) -> Seed:
    with h5py.File(folder / "nano.hdf5", "w") as file:
        for k in range(3):
            file[f"eigenvalues/point_{k}"] = np.array([-0.1, 0.2])
            if k < 2:
                file[f"overlaps_{k}/mtx_sji_t0"] = np.eye(2)
                file[f"coupling_{k}"] = np.zeros((2, 2))
    return of_hamiltonian(folder / "nano.hdf5", "nanoqmflows-hdf5")


@seed("namd-lmi")
def namd_lmi(folder: Path) -> Seed:
    with h5py.File(folder / "NAC.h5", "w") as file:
        file["eigs"] = np.zeros((2, 1, 2))
        file["olaps_r"] = file["olaps_i"] = np.zeros((2, 1, 2, 2))
        file["potim"], file["brange"] = 1.0, [1, 2]
    return of_hamiltonian(folder / "NAC.h5", "namd-lmi", timestep=None)


def of_trajectory(path: Path, form: str | None, cell: list[float] | None = None) -> Seed:
    """Return the seed of a trajectory in a file or folder."""
    folder = path if path.is_dir() else path.parent
    known = {"timestep": 1.0, "cell": cell}
    return Seed(folder, lambda **options: hc.read_trajectory(path, format=form, **(options or known)))


HEADER = "x\n1.0\n5 0 0\n0 5 0\n0 0 5\nO H\n1 1\n"
PLACES = np.random.default_rng(1).random((4, 2, 3))


def text_of(name: str, content: str, form: str | None, cell: list[float] | None = None) -> Callable[[Path], Seed]:
    """Return what writes a trajectory of one text file."""

    def make(folder: Path) -> Seed:
        (folder / name).write_text(content)
        return of_trajectory(folder / name, form, cell)

    return make


def direct(k: int) -> str:
    """Return a frame of an XDATCAR."""
    return f"Direct configuration= {k}\n 0.1 0.2 0.{k}\n 0.4 0.5 0.6\n"


SEEDS |= {
    "xdatcar": text_of("XDATCAR", HEADER + "".join(direct(k) for k in (1, 2, 3)), "xdatcar"),
    "xdatcar-headers": text_of("XDATCAR", "".join(HEADER + direct(k) for k in (1, 2, 3)), "xdatcar"),
}


@seed("xyz")
def cp2k(folder: Path) -> Seed:
    for name, scale in (("pos", 5.0), ("vel", 1e-3)):
        lines = [
            f"2\n i = {k}, time = {k}.000, E = -1\n"
            + "".join(f"{s} {x:.6f} {y:.6f} {z:.6f}\n" for s, (x, y, z) in zip("OH", scale * PLACES[k], strict=True))
            for k in range(4)
        ]
        (folder / f"run-{name}-1.xyz").write_text("".join(lines))
    rows = [f"{k} {k}.0 5.0 0.0 0.0 0.0 5.0 0.0 0.0 0.0 5.0 125.0\n" for k in range(4)]
    (folder / "run-1.cell").write_text("# Step Time\n" + "".join(rows))
    return of_trajectory(folder / "run-pos-1.xyz", "xyz")


@seed("hopcast-trajectory")
def hopcast_trajectory(folder: Path) -> Seed:
    write_native(folder / "t.h5", trajectory=hc.Trajectory(PLACES, 5 * np.eye(3), [1, 8], 1.0, velocities=PLACES))
    return of_trajectory(folder / "t.h5", "hopcast")


def through_ase(name: str) -> Callable[[Path], Seed]:
    """Return what writes a trajectory with ASE."""

    def make(folder: Path) -> Seed:
        images = [ase.Atoms("OH", 5 * places, cell=[5, 5, 5], pbc=True) for places in PLACES]
        ase.io.write(folder / name, images)
        return of_trajectory(folder / name, None)

    return make


LAMMPS = "ITEM: TIMESTEP\n{k}\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp pp\n0 5\n0 5\n0 5\nITEM: ATOMS id element x y z\n"
SEEDS |= {
    "extxyz": through_ase("a.extxyz"),
    "ase-traj": through_ase("a.traj"),
    "ase-pdb": through_ase("a.pdb"),
    "ase-xsf": through_ase("a.xsf"),
    "lammps": text_of(
        "a.lammpstrj", "".join(LAMMPS.format(k=k) + f"1 O 1 2 3.{k}\n2 H 4 4 4\n" for k in range(3)), "lammps"
    ),
    "lammps-units": text_of(
        "a.dump",
        "ITEM: UNITS\nmetal\n"
        + "".join(
            f"ITEM: TIME\n{0.001 * k}\nITEM: TIMESTEP\n{k}\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS xy xz yz pp pp pp\n0 6 1\n0 6 0.5\n0 5 0\n"
            f"ITEM: ATOMS id element xs ys zs ix iy iz vx vy vz\n2 H .5 .5 .5 0 0 1 1 2 3\n1 O .1 .2 .{k} 0 0 0 1 2 3\n"
            for k in range(3)
        ),
        "lammps",
    ),
    "xyz-blank-lines": text_of(
        "a.xyz",
        "\n\n".join(f"2\n i = {k}, time = {k}.0\nO 1 2 3.{k}\nH -1.0-2.0 {k}.0D0" for k in range(3)),
        "xyz",
        [5.0, 5.0, 5.0],
    ),
}


def structure(k: int) -> str:
    """Return a structure of vasprun.xml."""
    basis = '<varray name="basis"><v> 5 0 0 </v><v> 0 5 0 </v><v> 0 0 5 </v></varray>'
    places = f'<varray name="positions"><v> 0.1 0.2 0.{k} </v><v> 0.5 0.5 0.5 </v></varray>'
    return f"<structure><crystal>{basis}</crystal>{places}</structure>"


VASPRUN = (
    '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n<incar><i type="int" name="IBRION"> 0</i><i name="POTIM"> 1.0</i></incar>\n'
    '<atominfo><atoms>2</atoms><array name="atoms"><dimension dim="1">ion</dimension><set><rc><c>O </c><c>1</c></rc>\n'
    "<rc><c>H </c><c>2</c></rc></set></array></atominfo>\n"
    + "".join(
        f'<calculation><scstep><energy><i name="e_0_energy">-1.0</i></energy></scstep>{structure(k)}</calculation>\n'
        for k in (1, 2, 3)
    )
    + "</modeling>\n"
)
PWSCF = (
    "     Program PWSCF v.7.2 starts\n     lattice parameter (alat)  =       9.4486  a.u.\n     number of atoms/cell      =            2\n"
    "     crystal axes: (cart. coord. in units of alat)\n               a(1) = (   1.000000   0.000000   0.000000 )\n"
    "               a(2) = (   0.000000   1.000000   0.000000 )\n               a(3) = (   0.000000   0.000000   1.000000 )\n"
    "     site n.     atom                  positions (alat units)\n         1           O   tau(   1) = (   0.1000000   0.2000000   0.3000000  )\n"
    "         2           H   tau(   2) = (   0.5000000   0.5000000   0.5000000  )\n"
    "     Time step             =      20.67 a.u.,      1.0000 femto-seconds\n"
    "CELL_PARAMETERS (angstrom)\n 5.0 0.0 0.0\n 0.0 5.0 0.0\n 0.0 0.0 5.0\n"
    + "".join(
        f"ATOMIC_POSITIONS ({unit})\nO    0.1 0.2 0.3{k}\nH    0.5 0.5 0.5  0 0 0\n"
        for k, unit in enumerate(("crystal", "alat", "bohr", "angstrom"))
    )
)
SEEDS |= {"vasprun": text_of("vasprun.xml", VASPRUN, "vasprun"), "espresso": text_of("md.out", PWSCF, "espresso")}


@seed("poscars")
def poscars(folder: Path) -> Seed:
    for step in (1, 2):
        (folder / f"{step}").mkdir()
        (folder / f"{step}" / "POSCAR").write_text(HEADER + "Direct\n0.1 0.2 0.3\n0.4 0.5 0.6\n")
    return of_trajectory(folder, "poscars")


def one_file(name: str, content: str, read: Callable[[Path], object]) -> Callable[[Path], Seed]:
    """Return what writes one file for a reader of its own."""

    def make(folder: Path) -> Seed:
        (folder / name).write_text(content)
        return Seed(folder, lambda: read(folder / name))

    return make


AMPLITUDES = " {k}.0 -0.5 (0.3,0.4) (-0.5,0.1)\n"
STRINGS = "         {k}.00  -0.500000   0.300000+0.400000i  -0.500000-0.100000i\n"
SEEDS |= {
    "hefei-shprop": one_file("SHPROP.1", "#\n 1.0 -0.5 0.25 0.75\n 2.0 -0.5 0.25 0.75\n", read_shprop),
    "hefei-shprop-broken-rows": one_file(
        "SHPROP.1",
        "# BMIN = 1\n# BMAX = 3\n" + "".join(f"  {k:.16E}  -5.0E-01  2.5E-01\n  2.5E-01  5.0E-01\n" for k in (1, 2)),
        read_shprop,
    ),
    "hefei-psict": one_file("PSICT.1", "# BMIN = 1\n" + AMPLITUDES.format(k=1) + AMPLITUDES.format(k=2), read_psict),
    "hefei-psict-dev": one_file("PSICT.1", STRINGS.format(k=1) + STRINGS.format(k=2), read_psict),
    "hefei-recomb": one_file("RECOMB.1", " 1.0 -0.5 0.0 0.0\n 2.0 -0.5 0.01 0.02\n", read_recomb),
    "hefei-inicon": one_file("INICON", "  1  2\n  5  2\n", read_initial_conditions),
    "hefei-dephtime": one_file("DEPHTIME", " 0.0 5.5\n 5.5 0.0\n", read_dephasing_times),
    "pyxaid-out": one_file("out0", "time 0 P(0)= 0 P(1)= 1 \ntime 1 P(0)= 0.25 P(1)= 0.75 \n", read_pyxaid_populations),
    "pyxaid-me-pop": one_file(
        "me_pop0", "time 0 P(0)= 0  P(1)= 1  Total= 1\ntime 1 P(0)= 0.2  P(1)= 0.8  Total= 1\n", read_pyxaid_populations
    ),
    "pyxaid-me-energies": one_file(
        "me_energies0", 2 * "t= 0  E[0]= -1.5  E[0]-E[0]= 0  E[1]-E[0]= 1.5  \n", read_pyxaid_energies
    ),
    "pyxaid-rates": one_file("decoherence_rates_icond0.txt", "0 0.05 \n0.05 0 \n", read_pyxaid_rates),
    "determinants": one_file(
        "ACSPACE", '# active space\n6 7\n6 8 ! one up\n["S2", [6, -8], 0.0],\n', read_determinants
    ),
}


def wavefunctions(form: str, **options: bool) -> Callable[[Path], Seed]:
    """Return what writes two frames of wavefunctions in numbered folders."""

    def make(folder: Path) -> Seed:
        frames = [
            plane_wave_files.channel(float(time), n_bands=4, n_occupied=2, real=True, cutoff=20.0) for time in range(2)
        ]
        for number, one in enumerate(frames):
            place = folder / str(number)
            if form == "qe-save":
                plane_wave_files.write_save(place / "a.save", [[one]], cutoff=20.0, **options)
                continue
            if options.get("wavecar", True):
                plane_wave_files.write_wavecar(place / "WAVECAR", [[one]], cutoff=20.0)
            if form == "vasp-wswq":
                plane_wave_files.write_eigenval(place / "EIGENVAL", [[one]])
            if form == "vasp-wswq" and number:
                plane_wave_files.write_wswq(place / "WSWQ", [[plane_wave_files.direct_overlaps(one, frames[0])]])
        unread = ("EIGENVAL",) if form == "vasp-wswq" and options.get("wavecar", True) else ()
        return of_hamiltonian(folder, form, unread=unread)

    return make


@seed("cp2k-wfn")
def cp2k_wfn(folder: Path) -> Seed:
    """Two functions s of one atom, two orbitals."""
    bodies = [np.array(numbers, np.int32) for numbers in ([1, 1, 2, 1, 2], [1], [2], [1, 1], [2, 1, 1, 2])]
    bodies += [np.array([-0.5, 0.5, 2.0, 0.0]), np.array([0.8, 0.6]), np.array([-0.6, 0.8])]
    marked = [np.int32(body.nbytes).tobytes() + body.tobytes() + np.int32(body.nbytes).tobytes() for body in bodies]
    path = folder / "a.wfn"
    path.write_bytes(b"".join(marked))

    def read(**_: object) -> object:
        file = Wfn.open(path)
        return file.coefficients(range(file.n_bands), 0, 0)

    return Seed(folder, read)


SEEDS |= {
    "vasp-wavecar": wavefunctions("vasp-wavecar"),
    "vasp-wswq": wavefunctions("vasp-wswq"),
    "vasp-wswq-eigenval": wavefunctions("vasp-wswq", wavecar=False),
    "qe-save": wavefunctions("qe-save"),
    "qe-save-hdf5": wavefunctions("qe-save", hdf5=True),
}


def streamed(name: str, form: str) -> Callable[[Path], Seed]:
    """Return what writes the same files and reads them two frames at a time."""

    def make(folder: Path) -> Seed:
        whole = SEEDS[name](folder)
        path = next(file for file in sorted(folder.iterdir()) if file.suffix != ".cell" and "-vel-" not in file.name)

        def read(**options: object) -> None:
            with open_trajectory(path, format=form, **(options or {"timestep": 1.0})) as source:
                for start in range(0, source.n_frames, 2):
                    source.frames(start, min(start + 2, source.n_frames))

        return replace(whole, read=read)

    return make


SEEDS |= {
    "xdatcar-streamed": streamed("xdatcar", "xdatcar"),
    "xdatcar-headers-streamed": streamed("xdatcar-headers", "xdatcar"),
    "xyz-streamed": streamed("xyz", "xyz"),
    "extxyz-streamed": streamed("extxyz", "extxyz"),
    "lammps-units-streamed": streamed("lammps-units", "lammps"),
}
