"""`hopcast formats`, `convert` and `check` on fixtures."""

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

import hopcast as hc
from hopcast.cli.app import app


def run(*words, code=0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if code and result.exception is not None and not isinstance(result.exception, SystemExit):
        assert result.exception.exit_code == code
        return str(result.exception)
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    angle = 0.05 * np.sin(np.arange(60) / 5 + 1)
    overlaps = np.array([[[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]] for a in angle])
    signs = rng.choice([-1.0, 1.0], (61, 2))
    gap = 1.5 + 0.1 * np.sin(np.arange(61) / 4) + 0.05 * np.cos(np.arange(61) / 3)
    ham = hc.VibronicHamiltonian(
        np.stack([0 * gap, gap], axis=1),
        np.full((60, 2, 2), np.nan),
        0.5,
        overlaps=overlaps * signs[:-1, :, None] * signs[1:, None, :],
    )
    ham.write(tmp_path / "raw.h5")
    return tmp_path / "raw.h5"


def test_formats_lists_all():
    text = run("formats")
    assert all(each.name in text for each in hc.list_formats())


def test_convert_derives_couplings_and_says_what_is_lost(source, tmp_path):
    said = run("convert", source, tmp_path / "namd", "--to", "hefei", "--log", tmp_path / "log.csv", "--occupied", "1")
    assert "Derived couplings from raw overlaps" in said
    assert "Raw overlaps are left out" in said
    assert {"EIGTXT", "NATXT", "NATXT_RE", "NATXT_IM", "inp", "INICON", "DEPHTIME", "COUPCAR"} == {
        p.name for p in (tmp_path / "namd").iterdir()
    }
    ham = hc.read_hamiltonian(tmp_path / "namd")
    assert np.abs(ham.coupling()).max() == pytest.approx(0.05 * 0.6582119569 / 0.5, rel=1e-3)
    log = (tmp_path / "log.csv").read_text().splitlines()
    assert log[0] == "step,frame,time_fs,deviation,swapped,moved,turned,negative,weak,derivative,doubtful"
    assert len(log) == 61
    assert re.search(r"signs turned at \d+ of 60 steps, states swap at 0", said)
    back = run("convert", tmp_path / "namd", tmp_path / "back.h5")
    assert "Read " in back
    assert "hbar / (2 dt)" in back  # what was recognised is printed
    assert "Nothing is lost" in back
    assert "back.h5 (hopcast): " in run("convert", tmp_path / "back.h5", tmp_path / "copy.h5")
    assert "exists" in run("convert", source, tmp_path / "namd", "--to", "hefei", code=2)
    assert "must be one of" in run("convert", source, tmp_path / "x", "--to", "hefai", code=2)


def test_each_step_from_overlaps_to_couplings_has_an_option(source, tmp_path):
    said = run("convert", source, tmp_path / "log.h5", "--occupied", "1")
    assert "log, tracking energy, phases made consistent" in said
    made = hc.read_hamiltonian(tmp_path / "log.h5")
    assert made.n_occupied == 1
    run("convert", source, tmp_path / "hst.h5", "--derivative", "difference", "--tracking", "trivial")
    assert hc.read_hamiltonian(tmp_path / "hst.h5").provenance["couplings"] == "derived from overlaps: difference"
    run("convert", source, tmp_path / "both.h5", "--derivative", "difference", "--orthonormalise")
    assert "orthonormalised" in hc.read_hamiltonian(tmp_path / "both.h5").provenance["couplings"]
    # states that are degenerate throughout: nothing couples them in a parallel gauge
    run("convert", source, tmp_path / "kramers.h5", "--degenerate", "0,1")
    assert np.abs(hc.read_hamiltonian(tmp_path / "kramers.h5").nac).max() < 1e-12
    assert "must be states separated by commas" in run(
        "convert", source, tmp_path / "x.h5", "--degenerate", "0;1", code=2
    )
    # what hopcast derived is kept, however it was derived
    kept = run("convert", tmp_path / "hst.h5", tmp_path / "again.h5")
    assert "Kept the couplings, which are derived from overlaps: difference, tracking trivial" in kept
    np.testing.assert_array_equal(
        hc.read_hamiltonian(tmp_path / "again.h5").nac, hc.read_hamiltonian(tmp_path / "hst.h5").nac
    )


def test_the_couplings_of_the_source_are_trusted_or_asked_for(source, tmp_path):
    said = run("convert", source, tmp_path / "x.h5", "--couplings", "source", code=3)
    assert "must hold couplings to be trusted, but holds raw overlaps only" in said
    run("convert", source, tmp_path / "libra", "--to", "libra-npz")
    run("convert", tmp_path / "libra", tmp_path / "a.h5", "--timestep", "0.5", "--couplings", "source")
    run("convert", tmp_path / "libra", tmp_path / "b.h5", "--timestep", "0.5", "--log", tmp_path / "log.csv")
    trusted, derived = (hc.read_hamiltonian(tmp_path / name) for name in ("a.h5", "b.h5"))
    assert trusted.provenance["couplings"] == "as the source gives them"
    assert trusted.overlaps is None
    np.testing.assert_allclose(np.abs(trusted.nac), np.abs(derived.nac), atol=1e-12)
    words = [
        "convert",
        tmp_path / "libra",
        tmp_path / "c.h5",
        "--timestep",
        "0.5",
        "--couplings",
        "source",
        "--log",
        tmp_path / "c.csv",
    ]
    assert "trusts the couplings, so that nothing is done to overlaps" in run(*words, code=2)
    assert "has no raw overlaps" in run("convert", tmp_path / "a.h5", tmp_path / "c.h5", "--tracking", "energy", code=2)
    assert "has 1 occupied states, but `n_occupied` is 2" in run(
        "convert", _occupied(tmp_path), tmp_path / "d.h5", "--occupied", "2", code=3
    )


def _occupied(folder):
    ham = hc.VibronicHamiltonian(np.arange(6.0).reshape(3, 2), np.zeros((2, 2, 2)), 1.0, n_occupied=1)
    ham.write(folder / "occupied.h5")
    return folder / "occupied.h5"


def test_dephasing_times_can_be_left_out(source, tmp_path):
    run("convert", source, tmp_path / "namd", "--to", "hefei", "--no-dephasing")
    assert not (tmp_path / "namd" / "DEPHTIME").exists()
    said = run("convert", source, tmp_path / "pyxaid", "--to", "pyxaid", "--out-unit", "eV")
    assert "give unit eV when reading" in said


def test_convert_a_trajectory_with_its_hamiltonian(source, tmp_path):
    frames = "".join(f"1\ni = {k}, time = {k / 2:.3f}\nSi {k / 100} 0 0\n" for k in range(61))
    (tmp_path / "md-pos-1.xyz").write_text(frames)
    said = run("convert", tmp_path / "md-pos-1.xyz", tmp_path / "md.h5", "--cell", "5,5,5")
    assert "md-pos-1.xyz (xyz): Trajectory(" in said
    assert "Wrote" in said
    assert hc.read_trajectory(tmp_path / "md.h5").n_frames == 61
    run("convert", source, tmp_path / "both.h5", "--trajectory", tmp_path / "md-pos-1.xyz", "--cell", "5,5,5")
    assert hc.read_trajectory(tmp_path / "both.h5").n_frames == hc.read_hamiltonian(tmp_path / "both.h5").n_frames
    (tmp_path / "short-pos-1.xyz").write_text(frames[: len(frames) // 61 * 40].rpartition("1\ni")[0])
    said = run(
        "convert", source, tmp_path / "z.h5", "--trajectory", tmp_path / "short-pos-1.xyz", "--cell", "5,5,5", code=3
    )
    assert "short-pos-1.xyz` and of the Hamiltonian must be the same, but are 39 and 61" in said
    assert "cut the longer one, the Hamiltonian to `hamiltonian[:39]`" in said
    assert "three, six or nine numbers" in run(
        "convert", tmp_path / "md-pos-1.xyz", tmp_path / "y.h5", "--cell", "5,x", code=2
    )


def test_a_molecule_needs_no_cell(tmp_path):
    (tmp_path / "m.xyz").write_text("".join(f"2\n\nO 0 0 0\nH 0 0 {1 + k / 100}\n" for k in range(4)))
    assert "Give `cell`" in run("convert", tmp_path / "m.xyz", tmp_path / "m.h5", "--timestep", "1", code=3)
    run("convert", tmp_path / "m.xyz", tmp_path / "m.h5", "--timestep", "1", "--molecule")
    assert hc.read_trajectory(tmp_path / "m.h5").pbc == (False, False, False)
    assert "is not periodic" in run("check", tmp_path / "m.xyz", "--timestep", "1", "--molecule")


def test_check_exit_codes(source, tmp_path):
    text = run("check", source)
    assert "phases" in text
    assert "repairs this" in text
    said = run("check", source, "--duration", "10", "--html", tmp_path / "page.html", code=4)
    assert "will not decay" in said
    assert "<svg" in (tmp_path / "page.html").read_text()
    found = json.loads(run("check", source, "--json", "--duration", "10", code=4))
    assert found["bad"] is True
    assert "neither a file or folder nor a shipped data set" in run("check", tmp_path / "none", code=2)


def test_check_asks_for_an_option_that_is_missing(tmp_path):
    (tmp_path / "EIGTXT").write_text("0 1\n0 1\n0 1\n")
    (tmp_path / "NATXT").write_text("0 0.1 -0.1 0\n0 0.1 -0.1 0\n")
    assert "Give `timestep` in fs" in run("check", tmp_path, code=3)


def test_check_names_what_cannot_be_read(tmp_path):
    (tmp_path / "EIGTXT").write_text("0 1\n0 1\n0 1\n")
    (tmp_path / "NATXT").write_text("0 0.1 0.1 0\n0 0.1 0.1 0\n")
    text = run("check", tmp_path, "--timestep", "1", code=4)
    assert "BAD     antisymmetry" in text


def test_a_gap_in_the_numbering_of_frames_is_named(tmp_path):
    numbers = [*range(1, 20), *range(25, 40)]
    frames = "".join(f"Direct configuration= {k:5d}\n 0.1 0.2 {0.3 + k / 1e3:.4f}\n" for k in numbers)
    (tmp_path / "XDATCAR").write_text("x\n1.0\n4 0 0\n0 4 0\n0 0 4\nSi\n1\n" + frames)
    with pytest.warns(hc.QualityWarning, match="number 19"):
        text = run("check", tmp_path / "XDATCAR", "--timestep", "1", code=4)
    assert "BAD     numbering: Frames are numbered in steps of 1, but number 19 (frame 18) is followed by 25." in text


def test_the_energies_of_cp2k_are_looked_at(tmp_path):
    for name, slope in (("still", 0.0), ("drift", 0.01)):
        frames = "".join(
            f"1\n i = {k}, time = {k:.3f}, E = {-17 + slope * k + 1e-3 * np.sin(k):.9f}\nSi {0.3 * np.sin(k / 9):.4f} 0 0\n"
            for k in range(60)
        )
        (tmp_path / f"{name}-pos-1.xyz").write_text(frames)
        text = CliRunner().invoke(app, ["check", str(tmp_path / f"{name}-pos-1.xyz"), "--cell", "5,5,5"]).output
        # 0.01 Ha a frame over 45 frames
        expected = (
            "BAD     potential energy: The potential energy drifts by 1.22e+04 meV"
            if slope
            else "GOOD    potential energy"
        )
        assert expected in text


def test_data_known_at_few_frames(tmp_path):
    """Of the long shipped data one frame in eighty is known: what needs a series is skipped or refused, and says why."""
    ham = hc.load("cspbi3-long").hamiltonian[:1200]
    ham.write(tmp_path / "long.h5")
    text = run("check", tmp_path / "long.h5", "--occupied", "8")
    n_pairs = int(np.isfinite(ham.overlaps).all(axis=(1, 2)).sum())
    assert f"{n_pairs} pairs of neighbouring frames are computed, of 1200 frames; none is repeated" in text
    for name in ("dephasing", "decay", "energy drift", "autocorrelation"):
        assert f"SKIPPED {name}" in text
    for name in ("hefei", "libra-npz"):
        said = run("convert", tmp_path / "long.h5", tmp_path / name, "--to", name, code=3)
        assert f"Format `{name}` must know every number, but the energies of frame 2 (" in said
        assert not (tmp_path / name).exists()
    assert "Nothing is lost" in run("convert", tmp_path / "long.h5", tmp_path / "copy.h5")
    assert (
        hc.read_hamiltonian(tmp_path / "copy.h5").nac_known.sum()
        == ham.overlaps[:, 0, 0].size - np.isnan(ham.overlaps[:, 0, 0]).sum()
    )


def test_a_shipped_data_set_is_converted_by_its_name(tmp_path):
    text = run("convert", "cspbi3", tmp_path / "hefei", "--to", "hefei")
    assert "Read the shipped data set cspbi3: VibronicHamiltonian(16 states, 756 frames" in text
    back = hc.read_hamiltonian(tmp_path / "hefei", timestep=4.0)
    np.testing.assert_allclose(back.energies, hc.load("cspbi3").hamiltonian.energies, atol=1e-5)
    assert "no shipped data set is called so (cspbi3, cspbi3-long)" in run(
        "convert", "cspbi4", tmp_path / "h.h5", code=3
    )
