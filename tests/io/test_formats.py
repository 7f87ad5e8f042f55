"""The registry, round trips through every writer and reader, the reading rules, and the parser of numbers."""

import os
import re
import sys
import textwrap

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import hopcast as hc
import hopcast.io.formats
from hopcast.io import losses, read_dephasing_times, read_initial_conditions, text, write_dephasing_times
from hopcast.io.hefei_inputs import read_namelist
from hopcast.io.registry import find_format
from hopcast.io.unwrap import unwrap_fractional, unwrap_positions

WRITTEN = [each.name for each in hc.list_formats("hamiltonian") if each.write is not None]


def random_hamiltonian(n_states, n_frames, seed=0, is_complex=False, timestep=0.75):
    rng = np.random.default_rng(seed)
    nac = rng.normal(size=(n_frames - 1, n_states, n_states)) * 1e-2
    if is_complex:
        nac = nac + 1j * rng.normal(size=nac.shape) * 1e-2
    nac = nac - nac.conj().swapaxes(1, 2)
    nac[:, range(n_states), range(n_states)] = 0
    energies = np.sort(rng.normal(size=(n_frames, n_states)), axis=1)
    return hc.VibronicHamiltonian(energies, nac, timestep, n_occupied=1)


@pytest.mark.parametrize("name", WRITTEN)
@settings(max_examples=20, deadline=None)
@given(n_states=st.integers(2, 12), n_frames=st.integers(2, 50), seed=st.integers(0, 99), is_complex=st.booleans())
def test_round_trip(tmp_path_factory, name, n_states, n_frames, seed, is_complex):
    ham = random_hamiltonian(n_states, n_frames, seed, is_complex)
    path = tmp_path_factory.mktemp("trip") / ("ham.h5" if name == "hopcast" else "ham")
    holds = find_format(name, "hamiltonian").holds
    if n_frames == 2 and not holds.last:
        with pytest.raises(hc.InputError, match="at least three frames"):
            hc.write_hamiltonian(ham, path, format=name)
        return
    hc.write_hamiltonian(ham, path, format=name)
    back = hc.read_hamiltonian(path, timestep=None if holds.timestep else ham.timestep)
    kept = back.n_steps
    assert kept == ham.n_steps - (not holds.last)
    expected = ham.nac[:kept]
    if is_complex and not holds.complex:
        expected = np.triu(np.abs(expected) * np.sign(expected.real), 1)
        expected = expected - expected.swapaxes(1, 2)
        assert any("Complex couplings" in sentence for sentence in losses(ham, find_format(name, "hamiltonian")))
    assert_allclose(back.nac, expected, rtol=1e-12, atol=1e-16)
    if holds.grid == "midpoint":
        assert back.energy_grid == "midpoint"
        assert_allclose(back.energies, ham.midpoint_energies, rtol=1e-12, atol=1e-14)
        assert any("become averages" in sentence for sentence in losses(ham, find_format(name, "hamiltonian")))
    else:
        assert_allclose(back.energies, ham.energies[: kept + 1], rtol=1e-13, atol=1e-15)
    if name != "hopcast":
        assert {"format", "sign", "units", "alignment"} <= set(back.provenance)


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("grid", ["frame", "midpoint"])
@pytest.mark.parametrize("kind", ["real", "complex", "diagonal"])
def test_what_is_lost_is_listed_and_nothing_else(tmp_path, name, grid, kind):
    """Everything of a Hamiltonian that does not come back has its sentence, and what comes back has none."""
    ham = random_hamiltonian(3, 7, 1, kind != "real")
    nac = ham.nac.copy()
    if kind == "diagonal":
        nac[:, range(3), range(3)] = 0.01j
    ham = hc.VibronicHamiltonian(
        ham.energies if grid == "frame" else ham.midpoint_energies,
        nac,
        0.75,
        n_occupied=1,
        energy_grid=grid,
        overlaps=np.eye(3) + nac.real,
        provenance={"source": "a test"},
        frame_numbers=np.arange(20, 27),
    )
    form = find_format(name, "hamiltonian")
    path = tmp_path / ("ham.h5" if name == "hopcast" else "ham")
    hc.write_hamiltonian(ham, path, format=name)
    back = hc.read_hamiltonian(path, timestep=None if form.holds.timestep else 0.75, couplings="source")
    raw = back if name == "hopcast" else hc.read_hamiltonian(path, timestep=0.75)
    n = back.n_steps
    off = ~np.eye(3, dtype=bool)
    differs = {
        "become averages": back.energy_grid != grid and grid == "frame",
        "half a step later": back.energy_grid != grid and grid == "midpoint",
        "the phase is lost": not np.allclose(back.nac[:, off], ham.nac[:n, off], atol=1e-15),
        "imaginary diagonal": np.allclose(back.nac[:, off], ham.nac[:n, off], atol=1e-15)
        and not np.allclose(back.nac, ham.nac[:n], atol=1e-15),
        "Raw overlaps": raw.overlaps is None or not np.allclose(raw.overlaps, ham.overlaps[:n], atol=1e-14),
        "last (frame|coupling)": n != ham.n_steps,
        "time step is not stored": not form.holds.timestep,
        "number of occupied": back.n_occupied != 1,
        "provenance": back.provenance.get("source") != "a test",
        "numbers that the source gave": back.frame_numbers is None or back.frame_numbers[0] != 20,
    }
    told = losses(ham, form)
    for words, lost in differs.items():
        assert any(re.search(words, sentence) for sentence in told) == lost, (words, told)


def test_raw_overlaps_travel_through_libra(tmp_path):
    ham = random_hamiltonian(3, 6)
    overlaps = np.eye(3) + 0.1 * np.random.default_rng(2).normal(size=(5, 3, 3))
    hc.write_hamiltonian(
        hc.VibronicHamiltonian(ham.energies, ham.nac, 1.0, overlaps=overlaps), tmp_path, format="libra-npz"
    )
    assert_allclose(hc.read_hamiltonian(tmp_path, timestep=1.0).overlaps, overlaps, rtol=1e-14)
    assert_allclose(
        hc.read_hamiltonian(tmp_path, timestep=1.0, couplings="source").nac, ham.nac, rtol=1e-12, atol=1e-16
    )


NAMELISTS = {  # of `getUserInp` in src/namd, in the DEV code before and after MPI, and in src/dish
    "original": "bmin bmax nsw nbands potim ntraj nelm temp rundir lhole lshp lcpext namdtime nsample tbinit",
    "dev": "bmin bmax nsample ntraj nsw nelm temp namdtime potim lhole lshp algo algo_int lcptxt lspace nacbasis nacele "
    "rundir tbinit diinit spinit debuglevel",
    "dish": "bmin bmax nsw nbands potim ntraj nelm temp rundir lhole ldish lcpext namdtime realtime nsample tbinit diinit",
}
TIMES = np.array([[0, 5, 6], [5, 0, 7], [6, 7, 0.0]])


@pytest.mark.parametrize("flavour", list(NAMELISTS))
def test_hefei_inputs_start_as_they_stand(tmp_path, flavour):
    ham = random_hamiltonian(3, 41)  # 41 energies, 40 couplings
    hc.write_hamiltonian(ham, tmp_path, format="hefei", flavour=flavour, duration=15.0, n_samples=5, dephasing=TIMES)
    entries = read_namelist(tmp_path / "inp")
    assert {key.lower() for key in entries} <= set(NAMELISTS[flavour].split())
    assert (tmp_path / "COUPCAR").read_bytes() == b""  # there, and empty: read the text
    steps, bands = read_initial_conditions(tmp_path / "INICON").T
    assert_array_equal(bands, 2)  # the lowest unoccupied state, counted from 1
    nsw, namdtime = int(entries["NSW"]), int(entries["NAMDTIME"])
    rows = {name: len((tmp_path / name).read_text().splitlines()) for name in ("EIGTXT", "NATXT")}
    assert rows == {"EIGTXT": 41, "NATXT": 40}
    if flavour == "dev":  # reads NSW rows of both, starts at 2, FSSH ends with the data
        assert nsw == 40
        assert steps[0] == 2
        assert steps[-1] + namdtime - 1 <= nsw
    else:  # reads NSW - 1 rows of NATXT; src/namd takes rows NAMDTINI to NAMDTINI + NAMDTIME - 1 of both
        assert nsw == 41
        assert steps[0] == 1
        assert steps[-1] + namdtime - 1 <= nsw - 1
    first = (tmp_path / "NATXT").read_text().split()
    if flavour == "dish":  # list-directed complex numbers
        assert len(first) == 40 * 9
        assert all(re.fullmatch(r"\(\S+,\S+\)", word) for word in first)
        assert entries["REALTIME"] == entries["NAMDTIME"]
        back = hc.read_hamiltonian(tmp_path, timestep=0.75, couplings="source")
        assert_allclose(back.nac[:, 0, 1], ham.nac[:, 0, 1], rtol=1e-12)
    else:
        assert len(np.loadtxt(tmp_path / "NATXT")) == 40
    assert_allclose(read_dephasing_times(tmp_path / "DEPHTIME"), TIMES)


def test_hefei_durations_beyond_the_data(tmp_path):
    ham = random_hamiltonian(3, 41)
    for flavour in ("dev", "dish"):  # DISH repeats the data
        hc.write_hamiltonian(ham, tmp_path, format="hefei", flavour=flavour, duration=7500.0, dephasing=TIMES)
        assert read_namelist(tmp_path / "inp")["NAMDTIME"] == "10000"
        steps = read_initial_conditions(tmp_path / "INICON")[:, 0]
        assert steps[0] == (2 if flavour == "dev" else 1)
        assert steps[-1] <= 40
    for options in ({"flavour": "original", "dephasing": TIMES}, {"flavour": "dev"}):  # FSSH does not
        with pytest.raises(hc.ConfigError, match="must leave room for one start"):
            hc.write_hamiltonian(ham, tmp_path, format="hefei", duration=40.0, **options)
    with pytest.raises(hc.ConfigError, match="`dish` needs dephasing times"):
        hc.write_hamiltonian(ham, tmp_path, format="hefei", flavour="dish")
    with pytest.raises(hc.ConfigError, match="symmetric"):
        write_dephasing_times(tmp_path / "DEPHTIME", [[0, 1], [2, 0]])


def test_hefei_bands_come_from_the_source(tmp_path):
    hc.write_hamiltonian(random_hamiltonian(3, 41), tmp_path / "a", format="hefei")
    inp = tmp_path / "a/inp"
    text = inp.read_text().replace("BMIN     = 1", "BMIN = 297").replace("BMAX     = 3", "BMAX = 299")
    inp.write_text(text.replace(".FALSE.", ".T."))
    ham = hc.read_hamiltonian(tmp_path / "a", n_occupied=1)
    assert ham.state_labels == ("297", "298", "299")
    hc.write_hamiltonian(ham.select([1, 2]), tmp_path / "b", format="hefei", initial_state=1)
    entries = read_namelist(tmp_path / "b/inp")
    assert (entries["BMIN"], entries["BMAX"], entries["LHOLE"]) == ("298", "299", ".TRUE.")
    assert_array_equal(read_initial_conditions(tmp_path / "b/INICON")[:, 1], 299)
    hc.write_hamiltonian(ham.select([0, 2]), tmp_path / "c", format="hefei")  # no bands in a row
    assert read_namelist(tmp_path / "c/inp")["BMIN"] == "1"
    inp.write_text(text.replace("BMAX = 299", "BMAX = 305"))  # speaks of other data
    assert hc.read_hamiltonian(tmp_path / "a").state_labels == ("0", "1", "2")


def test_pyxaid_script_is_python(tmp_path):
    hc.write_hamiltonian(random_hamiltonian(3, 11), tmp_path, format="pyxaid", n_samples=3)
    script = (tmp_path / "run_pyxaid.py").read_text()
    compile(script, "run_pyxaid.py", "exec")
    assert '"active_space": [1, 2, 3]' in script


def test_a_format_is_one_file(tmp_path, monkeypatch):
    """A new format needs its file and nothing else: it is listed, recognised, read and written."""
    (tmp_path / "rows.py").write_text(
        textwrap.dedent(
            """
            import numpy as np
            from hopcast import VibronicHamiltonian
            from hopcast.io.registry import Format, Holds

            def read(path, options):
                energies, coupling = np.loadtxt(path, unpack=True)
                nac = np.array([[[0, c], [-c, 0]] for c in coupling[:-1]])
                return VibronicHamiltonian(np.stack([0 * energies, energies], 1), nac, options.timestep)

            def write(ham, path, options):
                np.savetxt(path, np.stack([ham.gap(), np.append(ham.coupling(), 0)], 1))

            FORMAT = Format("rows", "gap and coupling", "hamiltonian", "*.rows", lambda path: path.suffix == ".rows", read, write, Holds())
            """
        )
    )
    monkeypatch.setattr(hopcast.io.formats, "__path__", [*hopcast.io.formats.__path__, str(tmp_path)])
    ham = random_hamiltonian(2, 5).select([0, 1])
    try:
        hc.write_hamiltonian(ham, tmp_path / "a.rows", format="rows")
        back = hc.read_hamiltonian(tmp_path / "a.rows", timestep=0.75)
        assert "rows" in {each.name for each in hc.list_formats()}
    finally:
        sys.modules.pop("hopcast.io.formats.rows", None)
    assert_allclose(back.gap(), ham.gap())
    assert_allclose(back.nac, ham.nac)


@pytest.fixture
def hefei(tmp_path):
    ham = random_hamiltonian(2, 6)
    hc.write_hamiltonian(ham, tmp_path, format="hefei")
    for name in ("NATXT_RE", "NATXT_IM"):
        (tmp_path / name).unlink()
    return tmp_path


def edit(path, change):
    lines = path.read_text().splitlines()
    path.write_text("\n".join(change(lines)) + "\n")


class TestReadingRules:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda r: [*r[:2], r[2] + " 0.5", *r[3:]], r"NATXT`, line 3 must hold 4 numbers, but holds 5"),
            (lambda r: [*r[:2], "0.0 0.1", *r[3:]], r"NATXT`, line 3 must hold 4 numbers, but holds 2"),
            (lambda r: [*r[:2], "0.0 NaN -0.1 0.0", *r[3:]], r"line 3, column 2 must hold a finite number, but holds `NaN`"),
            (lambda r: [*r[:2], "0.0 ******** -0.1 0.0", *r[3:]], r"line 3, column 2 .*`\*\*\*\*"),
            (lambda r: [*r[:2], "0.0 1e999 -0.1 0.0", *r[3:]], r"line 3, column 2 must hold a finite"),
            (lambda r: [*r[:2], "0.0 0.1 0.1 0.0", *r[3:]], r"NATXT`, line 3 must hold antisymmetric couplings .* step 2 deviates"),
            (lambda r: r[:2], r"must hold 5 couplings for its 6 energies \(or one more\), but holds 2"),
            (lambda r: [*r, *r], r"must hold 5 couplings for its 6 energies .* but holds 10"),
            (lambda r: [], r"NATXT` holds no numbers"),
            (lambda r: [row + " 0 0 0 0 0" for row in r], r"line 1 must hold 4 numbers, but holds 9"),
        ],
    )  # fmt: skip
    def test_text(self, hefei, change, message):
        edit(hefei / "NATXT", change)
        with pytest.raises(hc.InputError, match=message):
            hc.read_hamiltonian(hefei)

    def test_large_files_say_the_same(self, hefei, monkeypatch):
        monkeypatch.setattr(text, "SMALL", 0)
        monkeypatch.setattr(text, "CHUNK", 100)
        clean = hc.read_hamiltonian(hefei)
        edit(hefei / "NATXT", lambda rows: [*rows[:3], "", *rows[3:]])
        assert_array_equal(hc.read_hamiltonian(hefei).nac, clean.nac)
        edit(hefei / "NATXT", lambda rows: [*rows[:4], "0.0 x -0.1 0.0", *rows[5:]])
        with pytest.raises(hc.InputError, match=r"line 5, column 2 must hold a finite number, but holds `x`"):
            hc.read_hamiltonian(hefei)

    def test_numbered_files(self, tmp_path):
        hc.write_hamiltonian(random_hamiltonian(2, 6), tmp_path, format="libra-text")
        with pytest.raises(hc.InputError, match="Give `timestep` in fs"):
            hc.read_hamiltonian(tmp_path)
        (tmp_path / "Hvib_2_re").rename(tmp_path / "Hvib_02_re")
        assert hc.read_hamiltonian(tmp_path, timestep=1.0).n_steps == 5
        (tmp_path / "Hvib_02_re").unlink()
        with pytest.raises(hc.InputError, match="that of step 2 is missing"):
            hc.read_hamiltonian(tmp_path, timestep=1.0)
        (tmp_path / "Hvib_2_re").write_text("1 2 3\n4 5 6\n7 8 9\n")
        with pytest.raises(hc.InputError, match=r"Hvib_2_re`, line 1 must hold 2 numbers, but holds 3"):
            hc.read_hamiltonian(tmp_path, timestep=1.0)
        (tmp_path / "Hvib_2_re").write_text("1 2\n")
        with pytest.raises(hc.InputError, match="square matrix of 2 states, but holds 1 lines"):
            hc.read_hamiltonian(tmp_path, timestep=1.0)
        (tmp_path / "Hvib_4_im").unlink()
        with pytest.raises(hc.InputError, match="step 4 has only one"):
            hc.read_hamiltonian(tmp_path, timestep=1.0)

    def test_coupcar(self, tmp_path):
        hc.write_hamiltonian(random_hamiltonian(3, 6), tmp_path, format="hefei-coupcar")
        data = (tmp_path / "COUPCAR").read_bytes()
        (tmp_path / "COUPCAR").write_bytes(data[:-96])
        with pytest.raises(hc.InputError, match=r"must hold 6 records of 96 bytes \(NSW\), but has 480 bytes"):
            hc.read_hamiltonian(tmp_path)
        (tmp_path / "COUPCAR").write_bytes(data[:8] + np.float64(4).tobytes() + data[16:])
        with pytest.raises(hc.InputError, match="records of 160 bytes for its 4 bands, but states 96"):
            hc.read_hamiltonian(tmp_path)
        (tmp_path / "COUPCAR").write_bytes(data[:200] + np.float64(np.nan).tobytes() + data[208:])
        with pytest.raises(hc.InputError, match=r"record 3 \(step 1\) must hold finite numbers"):
            hc.read_hamiltonian(tmp_path)

    def test_nothing_is_unpickled(self, tmp_path):
        class Bomb:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "exploded"),)

        folder = tmp_path / "steps" / "0001"
        folder.mkdir(parents=True)
        np.save(folder / "nac_ae.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
        np.save(folder / "eig_ae.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
        with pytest.raises(hc.InputError, match="without Python objects"):
            hc.read_hamiltonian(tmp_path / "steps", timestep=1.0)
        for name in ("E_ks_0", "St_ks_0"):
            np.savez(
                tmp_path / f"{name}.npz", format="csc", shape=np.array([2, 2]), data=np.array([Bomb()], dtype=object)
            )
        with pytest.raises(hc.InputError, match="cannot be read as a sparse matrix"):
            hc.read_hamiltonian(tmp_path, timestep=1.0)
        with pytest.raises(hc.ConfigError, match="formats of ASE that hold data only"):
            hc.read_trajectory(folder / "nac_ae.npy", timestep=1.0, format="bundletrajectory")
        assert not (tmp_path / "exploded").exists()

    def test_indices_outside_a_sparse_matrix(self, tmp_path):
        for name in ("E_ks_0", "St_ks_0"):
            np.savez(
                tmp_path / f"{name}.npz",
                format="csc",
                shape=np.array([2, 2]),
                data=np.ones(1),
                indices=np.array([7]),
                indptr=np.array([0, 1, 1]),
            )
        with pytest.raises(hc.InputError, match="an index lies outside its matrix"):
            hc.read_hamiltonian(tmp_path, timestep=1.0)

    def test_files_cannot_point_elsewhere(self, tmp_path):
        with h5py.File(tmp_path / "secret.h5", "w") as file:
            file["x"] = np.zeros((2, 1, 2))
        with h5py.File(tmp_path / "NAC.h5", "w") as file:
            file["eigs"] = h5py.ExternalLink("secret.h5", "x")
            file["olaps_r"] = file["olaps_i"] = np.zeros((2, 1, 2, 2))
            file["potim"] = 1.0
        with pytest.raises(hc.InputError, match="in another file, which hopcast does not follow"):
            hc.read_hamiltonian(tmp_path / "NAC.h5")

    @pytest.mark.parametrize("link", ["group", "array", "storage"])
    def test_our_own_file_cannot_point_elsewhere(self, tmp_path, link):
        ham = random_hamiltonian(2, 5)
        ham.write(tmp_path / "secret.h5")
        ham.write(tmp_path / "a.h5")
        with h5py.File(tmp_path / "a.h5", "a") as file:
            name = "hamiltonian" if link == "group" else "hamiltonian/energies"
            del file[name]
            if link == "storage":
                (tmp_path / "raw").write_bytes(bytes(80))
                file.create_dataset(name, (5, 2), "f8", external=[(str(tmp_path / "raw"), 0, 80)])
            else:
                file[name] = h5py.ExternalLink("secret.h5", name)
        with pytest.raises(hc.InputError, match="elsewhere, which hopcast does not follow"):
            hc.read_hamiltonian(tmp_path / "a.h5")

    def test_xml_cannot_define_entities(self, tmp_path):
        (tmp_path / "vasprun.xml").write_text('<!DOCTYPE x [<!ENTITY e SYSTEM "/etc/passwd">]><modeling>&e;</modeling>')
        with pytest.raises(hc.InputError, match="defines entities, which VASP never does"):
            hc.read_trajectory(tmp_path / "vasprun.xml", format="vasprun", timestep=1.0)

    def test_ambiguous_and_unknown(self, tmp_path, hefei):
        (hefei / "CAeig_x.txt").write_text("0 1\n")
        with pytest.raises(hc.InputError, match="may be `canac` or `hefei`, and hopcast does not guess"):
            hc.read_hamiltonian(hefei)
        with pytest.raises(hc.ConfigError, match="Did you mean `hefei`"):
            hc.read_hamiltonian(hefei, format="hefeii")
        with pytest.raises(hc.ConfigError, match="`namd-lmi` is only read"):
            hc.write_hamiltonian(random_hamiltonian(2, 5), tmp_path, format="namd-lmi")

    @pytest.mark.parametrize(
        ("name", "option"),
        [("hefei", {"unit": "Ha"}), ("canac", {"spin": 1}), ("libra-text", {"scheme": "levine"}), ("pyxaid", {"energy_grid": "frame"})],
    )  # fmt: skip
    def test_what_a_reader_does_not_heed_is_refused(self, tmp_path, name, option):
        ((key, value),) = option.items()
        hc.write_hamiltonian(random_hamiltonian(2, 5), tmp_path, format=name)
        with pytest.raises(
            hc.ConfigError, match=f"`{key}` must be left out for the format `{name}`.* is `{value}`. It is for `"
        ):
            hc.read_hamiltonian(tmp_path, timestep=0.75, **option)

    def test_unknown_numbers_are_not_written_as_nan(self, tmp_path):
        ham = random_hamiltonian(2, 5)
        nac = ham.nac.copy()
        nac[2] = np.nan
        with pytest.raises(hc.InputError, match="the coupling of step 2 is unknown"):
            hc.write_hamiltonian(hc.VibronicHamiltonian(ham.energies, nac, 1.0), tmp_path, format="hefei")
        overlaps = np.tile(np.eye(2), (4, 1, 1))
        overlaps[3] = np.nan
        ham = hc.VibronicHamiltonian(ham.energies, ham.nac, 1.0, overlaps=overlaps)
        with pytest.raises(hc.InputError, match="the overlaps of step 3 are unknown"):
            hc.write_hamiltonian(ham, tmp_path, format="libra-npz")
        hc.write_hamiltonian(ham, tmp_path, format="hefei")

    def test_xdatcar(self, tmp_path):
        header = "x\n1.0\n4 0 0\n0 4 0\n0 0 4\nO H\n1 1\n"
        frames = "".join(f"Direct configuration= {k:5d}\n 0.1 0.2 0.3\n 0.{k} 0.5 0.5\n" for k in range(1, 5))
        file = tmp_path / "XDATCAR"
        file.write_text(header + frames[:-12])
        with pytest.raises(hc.InputError, match="frame 3, atom 1 must have three finite coordinates"):
            hc.read_trajectory(file, timestep=1.0)
        file.write_text(header + frames + header.replace("O H", "H O") + frames)
        with pytest.raises(hc.InputError, match="header before frame 4 names H O"):
            hc.read_trajectory(file, timestep=1.0)
        file.write_text(header + frames.replace("=     3", "=     7"))
        with pytest.warns(hc.QualityWarning, match=r"number 2 \(frame 1\) is followed by 7"):
            hc.read_trajectory(file, timestep=1.0)

    def test_xyz_atoms_change(self, tmp_path):
        frame = "2\n\nO 0 0 0\nH 0 0 1\n"
        (tmp_path / "a.xyz").write_text(frame + frame.replace("O 0", "H 0"))
        with pytest.raises(hc.InputError, match="in frame 1 atom 0 is H instead of O"):
            hc.read_trajectory(tmp_path / "a.xyz", timestep=1.0, cell=[5, 5, 5])
        (tmp_path / "a.xyz").write_text(frame + frame[:-8])
        with pytest.raises(hc.InputError, match="ends after line 3 of frame 1"):
            hc.read_trajectory(tmp_path / "a.xyz", timestep=1.0, cell=[5, 5, 5])


class TestNumbers:
    @settings(max_examples=150, deadline=None)
    @given(st.floats(-1e308, 1e308), st.sampled_from(["%r", "%.15e", "%.18e", "%.25e", "%12.6f", "%.3g"]))
    def test_every_number_is_the_nearest_double(self, number, form):
        token = (form % number).encode()
        out = np.empty((1, 2))
        assert text.parse_rows(token + b" -0\n", out, "x") == 1
        assert out[0, 0] == float(token)
        assert np.signbit(out[0, 0]) == np.signbit(float(token))

    def test_chunks_and_threads_do_not_change_a_table(self, tmp_path, monkeypatch):
        table = np.random.default_rng(0).normal(size=(500, 7)) * 10.0 ** np.arange(-9, 5, 2)
        np.savetxt(tmp_path / "t", table)
        expected = np.loadtxt(tmp_path / "t")
        assert_array_equal(text.read_table(tmp_path / "t"), expected)
        monkeypatch.setattr(text, "SMALL", 0)
        for chunk in (64, 1000, 10**6):
            monkeypatch.setattr(text, "CHUNK", chunk)
            for workers in (1, 2):
                ranges = text.line_chunks(tmp_path / "t", (tmp_path / "t").stat().st_size)
                assert ranges[-1][1] == (tmp_path / "t").stat().st_size
                assert_array_equal(text.read_table(tmp_path / "t", workers=workers), expected)
        # lines of one length take another way; so does a file whose size only looks like it
        np.savetxt(tmp_path / "even", np.abs(table), fmt="%.12e")
        assert text._read_even(tmp_path / "even", (tmp_path / "even").stat().st_size, 7, 2) is not None
        assert_array_equal(text.read_table(tmp_path / "even"), np.loadtxt(tmp_path / "even"))
        (tmp_path / "odd").write_text("1 2\n" * 40 + "1 222\n1 2\n" + "1 2\n\n" + "12 2\n" * 2 + "1\t2\n" * 3 + "0 0")
        monkeypatch.setattr(text, "CHUNK", 64)
        assert_array_equal(text.read_table(tmp_path / "odd"), np.loadtxt(tmp_path / "odd"))

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.floats(-1e40, 1e40), min_size=6, max_size=6),
        st.sampled_from(["%15.7E", "%24.16e", "%14.6e", "% .8e", "%20.1E"]),
        st.sampled_from(["", " "]),
    )
    def test_numbers_at_fixed_places(self, numbers, form, blank):
        """The kernel of fixed places gives what `float` gives, or says that the places are not fixed."""
        rows = [[form % x for x in numbers[k : k + 3]] for k in (0, 3)]
        data = "".join(blank.join(row) + "\n" for row in rows).encode()
        layout = text._fixed_layout(data[: data.index(b"\n") + 1])
        if layout is None:
            return
        out = np.empty((2, 3))
        from hopcast.io.kernels import parse_fixed_kernel

        if parse_fixed_kernel(np.frombuffer(data, dtype=np.uint8), *layout, out):
            assert_array_equal(out, [[float(token) for token in row] for row in rows])
            assert_array_equal(np.signbit(out), [[token.strip()[0] == "-" for token in row] for row in rows])

    def test_fixed_places_are_taken_and_every_fault_in_them_is_seen(self, tmp_path, monkeypatch):
        from hopcast.io.kernels import parse_fixed_kernel

        monkeypatch.setattr(text, "SMALL", 1)
        table = np.random.default_rng(0).normal(size=(40, 5)) * 10.0 ** np.arange(-9, 6, 3)
        for form in ("%15.7E", "%24.16e"):
            np.savetxt(tmp_path / "t", table, fmt=form)
            data = (tmp_path / "t").read_bytes()
            layout = text._fixed_layout(data[: data.index(b"\n") + 1])
            out = np.empty((40, 5))
            assert parse_fixed_kernel(np.frombuffer(data, dtype=np.uint8), *layout, out)
            assert_array_equal(out, np.loadtxt(tmp_path / "t"))
            assert_array_equal(text.read_table(tmp_path / "t"), out)
            line = data.index(b"\n") + 1
            for at in range(
                line, 2 * line
            ):  # any byte of the second line that is replaced is seen, or is part of a number
                for byte in b"x /:\t5\xff":
                    changed = data[:at] + bytes([byte]) + data[at + 1 :]
                    expected = None
                    try:
                        numbers = [
                            [float(token) for token in row.split()] for row in changed.decode("latin-1").splitlines()
                        ]
                        expected = np.array(numbers)
                    except ValueError:
                        pass
                    fine = parse_fixed_kernel(np.frombuffer(changed, dtype=np.uint8), *layout, out)
                    if fine:
                        assert_array_equal(out, expected)

    def test_fortran(self):
        out = np.empty((1, 4))
        text.parse_rows(b"1.5D-03 2.5d2 1.0-103 +.5E+1", out, "x")
        assert_array_equal(out, [[1.5e-3, 250.0, 1e-103, 5.0]])
        for bad in (b"1.0-2 1 1 1", b"1.2.3 1 1 1", b"- 1 1 1", b"1e 1 1 1", b"1_0 1 1 1", b"0x1 1 1 1"):
            with pytest.raises(hc.InputError, match="line 1, column 1 must hold a finite number"):
                text.parse_rows(bad, out, "x")


def test_trajectories_do_not_depend_on_chunks(tmp_path, monkeypatch):
    import ase.io

    rng = np.random.default_rng(1)
    cell = np.array([[5.0, 0, 0], [1, 6, 0], [0.5, -1, 7]])
    images = [ase.Atoms("PbI2", rng.random((3, 3)) @ cell, cell=cell, pbc=True) for _ in range(40)]
    ase.io.write(tmp_path / "XDATCAR", images, format="vasp-xdatcar")
    ase.io.write(tmp_path / "a.xyz", images, format="xyz")
    read = [ase.io.read(tmp_path / name, index=":") for name in ("XDATCAR", "a.xyz")]
    for chunk in (150, 1 << 20):
        monkeypatch.setattr(text, "CHUNK", chunk)
        for name, expected in zip(("XDATCAR", "a.xyz"), read, strict=True):
            path = hc.read_trajectory(tmp_path / name, timestep=1.0, unwrap=False, cell=cell, workers=2)
            assert_allclose(path.positions, [image.positions for image in expected], atol=1e-12)


@pytest.mark.parametrize("block", [2, 5, 10**6])
def test_unwrapping_in_blocks(monkeypatch, block):
    from hopcast.io import unwrap

    monkeypatch.setattr(unwrap, "_frames_a_block", lambda n_atoms: block)
    path = np.cumsum(np.random.default_rng(0).uniform(-0.4, 0.4, (30, 2, 3)), axis=0)
    wrapped = path % 1.0
    expected = path - path[0] + wrapped[0]
    fractional = wrapped.copy()
    unwrap_fractional(fractional, (True, True, True))
    assert_allclose(fractional, expected, atol=1e-12)
    cell = np.array([[5.0, 0, 0], [1, 6, 0], [0.5, -1, 7]])
    positions = wrapped @ cell
    unwrap_positions(positions, cell, (True, True, True))
    assert_allclose(positions, expected @ cell, atol=1e-11)
