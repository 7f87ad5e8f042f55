"""Files that are fine, in the shapes that other programs, editors and file systems give them."""

import gzip

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import hopcast as hc
from hopcast.io.streaming import open_trajectory

PLACES = np.random.default_rng(0).uniform(1, 4, size=(4, 2, 3)).round(6)


def cp2k(places=PLACES, symbols="Pb I", step=lambda k: 5 * k, between="", comment=""):
    frames = []
    for k, frame in enumerate(places):
        atoms = "".join(f"{s} {x:.6f} {y:.6f} {z:.6f}\n" for s, (x, y, z) in zip(symbols.split(), frame, strict=True))
        frames.append(f"2\n i = {step(k):8d}, time = {step(k) / 2:12.3f}, E = -1.0{comment}\n{atoms}")
    return between.join(frames)


def extended(places=PLACES, between="", comment=""):
    frames = []
    for frame in places:
        atoms = "".join(f"{s} {x:.6f} {y:.6f} {z:.6f}\n" for s, (x, y, z) in zip(("Pb", "I"), frame, strict=True))
        frames.append(f'2\nLattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3{comment}\n{atoms}')
    return between.join(frames)


def xdatcar(places=PLACES / 9):
    text = "PbI\n 1.0\n 9 0 0\n 0 9 0\n 0 0 9\n Pb I\n 1 1\n"
    for k, frame in enumerate(places):
        text += f"Direct configuration= {k + 1:5d}\n" + "".join(f"  {x:.8f}  {y:.8f}  {z:.8f}\n" for x, y, z in frame)
    return text


def check(path, places=PLACES, **options):
    """Hold a reader and its stretches against the places."""
    found = hc.read_trajectory(path, unwrap=False, **options)
    assert found.formula == "PbI"
    assert_allclose(found.positions, places, atol=1e-6)
    with open_trajectory(path, **options) as source:
        assert source.n_frames == len(places)
        for start, stop in ((0, 2), (1, 4), (3, 4)):
            assert_allclose(source.frames(start, stop).positions, places[start:stop], atol=1e-6)
    return found


CELL = {"cell": [9.0, 9.0, 9.0]}
STEP = {"timestep": 1.0}


class TestXyz:
    @pytest.mark.parametrize("between", ["\n", "\r\n", "  \n\n\n"])
    def test_blank_lines_between_frames(self, tmp_path, between):
        (tmp_path / "a.xyz").write_bytes(cp2k(between=between).encode())
        check(tmp_path / "a.xyz", **CELL)
        (tmp_path / "a.extxyz").write_bytes(extended(between=between).encode())
        check(tmp_path / "a.extxyz", **STEP)

    def test_blank_lines_and_a_mark_of_bytes_before_the_first_frame(self, tmp_path):
        for before in (b"\xef\xbb\xbf", b"\n\n", b"\xef\xbb\xbf\n"):
            (tmp_path / "a.xyz").write_bytes(before + cp2k().encode())
            check(tmp_path / "a.xyz", **CELL)
            (tmp_path / "a.extxyz").write_bytes(before + extended().encode())
            check(tmp_path / "a.extxyz", **STEP)

    def test_a_blank_comment_is_none_between_frames(self, tmp_path):
        frames = "".join(f"2\n\nPb {z:.3f} 0 0\nI 3 3 3\n" for z in (1, 2, 3))
        for end in ("", "\n", "\n\n\n\n\n"):
            (tmp_path / "a.xyz").write_text(frames + end)
            assert_allclose(hc.read_trajectory(tmp_path / "a.xyz", **STEP, **CELL).positions[:, 0, 0], [1, 2, 3])

    def test_windows_lines_with_an_empty_one(self, tmp_path):
        for text, name, options in (
            (cp2k(), "a.xyz", CELL),
            (extended(), "a.extxyz", STEP),
            (xdatcar(), "XDATCAR", STEP),
        ):
            (tmp_path / name).write_bytes((text + "\n").replace("\n", "\r\n").encode())
            check(tmp_path / name, **options)

    def test_long_comments(self, tmp_path):
        (tmp_path / "a.xyz").write_text(cp2k(comment=" " + "x" * 6000))
        check(tmp_path / "a.xyz", **CELL)
        (tmp_path / "a.extxyz").write_text(extended(comment=" energies=" + "1" * 6000))
        check(tmp_path / "a.extxyz", **STEP)

    def test_names_in_capitals(self, tmp_path):
        (tmp_path / "A.XYZ").write_text(cp2k())
        check(tmp_path / "A.XYZ", **CELL)

    @pytest.mark.parametrize("symbols", ["pb i", "PB I", "pb I"])
    def test_elements_in_any_case(self, tmp_path, symbols):
        (tmp_path / "a.xyz").write_text(cp2k(symbols=symbols))
        check(tmp_path / "a.xyz", **CELL)

    def test_exponents_of_fortran_and_glued_numbers(self, tmp_path):
        places = np.array([[[0.5, -10.632653, -20.112277], [1.0, 2.0, 3.0]]] * 4)
        for text, name, options in ((cp2k(places), "a.xyz", CELL), (extended(places), "a.extxyz", STEP)):
            text = text.replace("0.500000 -10.632653 -20.112277", "5.00000D-01 -10.632653-20.112277")
            assert "D-01" in text
            (tmp_path / name).write_text(text)
            check(tmp_path / name, places, **options)


class TestCp2kCells:
    def cells(self, steps):
        return "# Step Time Ax ...\n" + "".join(
            f"{k:8d} {k / 2:.3f} {9 + k / 100} 0 0 0 9 0 0 0 9 {81 * (9 + k / 100):.4f}\n" for k in steps
        )

    @pytest.mark.parametrize("steps", [range(0, 16, 5), range(16), [15, 0, 5, 10]])
    def test_rows_are_matched_by_the_numbers_of_steps(self, tmp_path, steps):
        (tmp_path / "run-pos-1.xyz").write_text(cp2k())
        (tmp_path / "run-1.cell").write_text(self.cells(steps))
        found = check(tmp_path / "run-pos-1.xyz")
        assert_allclose(found.cell[:, 0, 0], [9.0, 9.05, 9.1, 9.15])
        with open_trajectory(tmp_path / "run-pos-1.xyz") as source:
            assert_allclose(source.frames(2, 4).cell[:, 0, 0], [9.1, 9.15])

    def test_a_step_without_its_cell_is_named(self, tmp_path):
        (tmp_path / "run-pos-1.xyz").write_text(cp2k())
        (tmp_path / "run-1.cell").write_text(self.cells([0, 10, 20]))
        with pytest.raises(hc.InputError, match=r"that of step 5 \(2 in all\) is missing"):
            hc.read_trajectory(tmp_path / "run-pos-1.xyz")


class TestXdatcarAndPoscar:
    def test_glued_numbers(self, tmp_path):
        places = PLACES.copy() / 9
        places[2, 1] = [0.1, -0.63265286, -0.11227753]
        text = xdatcar(places).replace("-0.63265286  -0.11227753", "-0.63265286-0.11227753")
        assert "6-0.1122" in text
        (tmp_path / "XDATCAR").write_text(text)
        check(tmp_path / "XDATCAR", places * 9, **STEP)

    def test_vasp_4_is_named(self, tmp_path):
        header = "PbI\n 1.0\n 9 0 0\n 0 9 0\n 0 0 9\n 1 1\n"
        (tmp_path / "1").mkdir()
        (tmp_path / "1" / "POSCAR").write_text(header + "Direct\n 0 0 0\n 0.5 0.5 0.5\n")
        with pytest.raises(hc.InputError, match=r"is of VASP 4, .* Add a line of elements"):
            hc.read_trajectory(tmp_path, **STEP)
        (tmp_path / "XDATCAR").write_text(header + "Direct configuration=     1\n 0 0 0\n 0.5 0.5 0.5\n")
        with pytest.raises(hc.InputError, match=r"is of VASP 4, .* Add a line of elements"):
            hc.read_trajectory(tmp_path / "XDATCAR", **STEP)
        # the XDATCAR of VASP 4 itself: counts, volume and lengths, temperature, CAR, a name, then coordinates after blank lines
        (tmp_path / "XDATCAR").write_text(
            "   2   2   3\n  0.36450E+02  0.9E-09  0.9E-09  0.9E-09  0.1E-14\n  300.00\n  CAR\n PbI\n\n"
            + 3 * "   0.10000000  0.20000000  0.30000000\n   0.50000000  0.50000000  0.50000000\n\n"
        )
        with pytest.raises(hc.InputError, match="is of VASP 4, whose frames have no headlines"):
            hc.read_trajectory(tmp_path / "XDATCAR", **STEP)


@pytest.mark.parametrize("end", ["END\n", "END", ""])
def test_a_pdb_with_the_closing_end_of_the_standard(tmp_path, end):
    model = (
        "MODEL     {k:4d}\nCRYST1    9.000    9.000    9.000  90.00  90.00  90.00 P 1\n"
        + "".join(
            f"ATOM  {n + 1:5d}   {s:<2s} MOL     1    {{{n}x:8.3f}}{{{n}y:8.3f}}{{{n}z:8.3f}}  1.00  0.00          {s.upper():>2s}  \n".replace(
                f"{{{n}x:8.3f}}", f"{n + 1:8.3f}"
            )
            .replace(f"{{{n}y:8.3f}}", f"{2.0:8.3f}")
            .replace(f"{{{n}z:8.3f}}", f"{3.0:8.3f}")
            for n, s in enumerate(("Pb", "I"))
        )
        + "ENDMDL\n"
    )
    (tmp_path / "a.pdb").write_text("".join(model.format(k=k + 1) for k in range(3)) + end)
    found = hc.read_trajectory(tmp_path / "a.pdb", **STEP)
    assert (found.n_frames, found.formula) == (3, "PbI")
    assert_allclose(found.positions[:, :, 0], [[1, 2]] * 3)
    empty = "MODEL        9\nENDMDL\n"
    (tmp_path / "a.pdb").write_text(model.format(k=1) + empty + model.format(k=2) + end)
    with pytest.raises(hc.InputError, match="must hold atoms in every frame, but frame 1 holds none"):
        hc.read_trajectory(tmp_path / "a.pdb", **STEP)


@pytest.mark.parametrize(
    ("name", "text", "options"), [("XDATCAR", xdatcar(), STEP), ("a.xyz", cp2k(), CELL), ("a.extxyz", extended(), STEP)]
)
def test_compressed_files(tmp_path, name, text, options):
    with gzip.open(tmp_path / f"{name}.gz", "wt") as file:
        file.write(text)
    check(tmp_path / f"{name}.gz", **options)
    whole = (tmp_path / f"{name}.gz").read_bytes()
    (tmp_path / f"{name}.gz").write_bytes(whole[:-12])
    with pytest.raises(hc.InputError, match=rf"`.*/{name}.gz` cannot be unpacked"):
        hc.read_trajectory(tmp_path / f"{name}.gz", **options)
    with gzip.open(tmp_path / f"{name}.gz", "wt") as file:
        file.write(text[:-40])
    with pytest.raises(hc.InputError, match=rf"File `{tmp_path}/{name}.gz`"):
        hc.read_trajectory(tmp_path / f"{name}.gz", **options)


def test_files_beside_a_compressed_one_are_found(tmp_path):
    for name, text in (("run-pos-1.xyz.gz", cp2k()), ("run-vel-1.xyz.gz", cp2k(PLACES / 1000))):
        with gzip.open(tmp_path / name, "wt") as file:
            file.write(text)
    (tmp_path / "run-1.cell").write_text("0 0 9 0 0 0 9 0 0 0 9 729\n9 4.5 9 0 0 0 9 0 0 0 9 729\n")
    found = hc.read_trajectory(tmp_path / "run-pos-1.xyz.gz")
    assert found.velocities is not None
    assert_allclose(found.cell, 9 * np.eye(3))


class TestHefei:
    def put(self, folder, n_states, n_frames=5, width=3):
        rng = np.random.default_rng(n_states)
        energies = np.sort(rng.normal(size=(n_frames, n_states)), axis=1)
        difference = rng.normal(scale=0.01, size=(n_frames - 1, n_states, n_states))
        difference -= difference.swapaxes(1, 2)
        for name, rows in (("EIGTXT", energies), ("NATXT", difference.reshape(n_frames - 1, -1))):
            text = ""
            for row in rows:
                words = [f"  {x:.16E}" for x in row]
                text += "".join("".join(words[k : k + width]) + "\n" for k in range(0, len(words), width))
            (folder / name).write_text(text)
        return energies, difference

    @pytest.mark.parametrize("n_states", [2, 3, 4, 5, 6, 9, 11])
    def test_rows_broken_at_80_columns(self, tmp_path, n_states):
        """``write(unit, *)`` of gfortran puts three doubles on a line."""
        energies, difference = self.put(tmp_path, n_states)
        found = hc.read_hamiltonian(tmp_path, timestep=1.0)
        assert_allclose(found.energies, energies, rtol=1e-14)
        assert_allclose(found.nac, difference * 0.6582119569 / 2, rtol=1e-9, atol=1e-17)

    @pytest.mark.parametrize("width", [1, 100])
    @pytest.mark.parametrize("n_states", [2, 3, 4])
    def test_couplings_in_parentheses(self, tmp_path, n_states, width):
        """``src/dish`` reads complex numbers; list-directed output puts one of double precision on a line of 80 columns."""
        _, real = self.put(tmp_path, n_states, width=3 if width == 1 else 100)
        rng = np.random.default_rng(1)
        imaginary = rng.normal(scale=0.01, size=real.shape)
        difference = real + 1j * (imaginary + imaginary.swapaxes(1, 2))
        text = ""
        for row in difference.reshape(len(real), -1):
            words = [f" ({x.real:.16E},{x.imag:.16E})" for x in row]
            text += "".join("".join(words[k : k + width]) + "\n" for k in range(0, len(words), width))
        (tmp_path / "NATXT").write_text(text)
        found = hc.read_hamiltonian(tmp_path, timestep=1.0)
        assert_allclose(found.nac, difference * 0.6582119569 / 2, rtol=1e-9, atol=1e-17)

    def test_a_lone_eigtxt_says_what_is_missing(self, tmp_path):
        (tmp_path / "EIGTXT").write_text("0 1\n0 1\n")
        for path in (tmp_path, tmp_path / "EIGTXT"):
            with pytest.raises(hc.InputError, match=r"holds energies \(EIGTXT\) without couplings .*NATXT"):
                hc.read_hamiltonian(path, timestep=1.0)


def test_an_xyz_of_more_columns_is_not_told_to_become_what_it_is(tmp_path):
    (tmp_path / "a.xyz").write_text("1\ncharges\nPb 0 0 0 0.5\n")
    with pytest.raises(
        hc.InputError, match=r"must be named in the comment of its frame .`Properties=species:S:1:pos:R:3:...`."
    ):
        hc.read_trajectory(tmp_path / "a.xyz", **STEP, **CELL)


def test_a_long_banner_before_the_output_of_pwscf(tmp_path):
    output = (
        "     Program PWSCF v.7.2 starts on 25Nov2026\n     lattice parameter (alat)  =      10.0000  a.u.\n"
        "     number of atoms/cell      =            1\n     crystal axes: (cart. coord. in units of alat)\n"
        + "".join(f"               a({k + 1}) = (   {k == 0:.1f}   {k == 1:.1f}   {k == 2:.1f} )\n" for k in range(3))
        + "     site n.     atom                  positions (alat units)\n"
        "         1           Si  tau(   1) = (   0.1000000   0.2000000   0.3000000  )\n"
        "ATOMIC_POSITIONS (alat)\nSi   0.1 0.2 0.25\n"
    )
    (tmp_path / "md.out").write_text("a warning of the queue\n" * 1000 + output)
    assert hc.read_trajectory(tmp_path / "md.out", **STEP).n_frames == 2


def test_settings_with_a_mark_of_bytes(tmp_path):
    from hopcast.study.config import read_config

    text = tmp_path / "study.toml"
    text.write_bytes(b"\xef\xbb\xbf" + b'[data]\ndataset = "cspbi3"\n')
    read_config(text)


def test_our_files_and_xml_in_capitals(tmp_path):
    (tmp_path / "a.xyz").write_text(cp2k())
    found = hc.read_trajectory(tmp_path / "a.xyz", **CELL)
    hc.write_trajectory(found, tmp_path / "MD.H5")
    assert_array_equal(hc.read_trajectory(tmp_path / "MD.H5").positions, found.positions)


def test_tables_of_windows_with_empty_lines(tmp_path):
    (tmp_path / "EIGTXT").write_bytes(b"-1 0 1\r\n\r\n-1 0 1\r\n-1 0 1\r\n\r\n")
    (tmp_path / "NATXT").write_bytes(2 * b"0 0.01 0 -0.01 0 0 0 0 0\r\n\r\n")
    assert hc.read_hamiltonian(tmp_path, timestep=1.0).n_frames == 3
