"""A trajectory and a Hamiltonian belong together by the numbers of their frames; what contradicts is refused, with the right cut."""

import re

import numpy as np
import pytest
from typer.testing import CliRunner

import hopcast as hc
from hopcast.cli.app import app
from hopcast.core.matching import check_same_frames, frames_differ

ALL = np.arange(1300)


def nuclei(numbers=None, n_frames=None, timestep=1.0):
    numbers = None if numbers is None else np.asarray(numbers)
    n_frames = len(numbers) if numbers is not None else n_frames
    positions = np.zeros((n_frames, 2, 3)) + 0.01 * np.arange(n_frames)[:, None, None]
    return hc.Trajectory(positions, 9 * np.eye(3), [3, 9], timestep, frame_numbers=numbers)


def states(numbers=None, n_frames=None, timestep=1.0):
    numbers = None if numbers is None else np.asarray(numbers)
    n_frames = len(numbers) if numbers is not None else n_frames
    gap = 1.5 + 0.1 * np.sin(np.arange(n_frames) / 7.0) + 0.01 * np.cos(np.arange(n_frames) / 3.0)
    nac = np.zeros((n_frames - 1, 2, 2))
    nac[:, 0, 1], nac[:, 1, 0] = 0.01, -0.01
    return hc.VibronicHamiltonian(np.stack([0 * gap, gap], axis=1), nac, timestep, n_occupied=1, frame_numbers=numbers)


@pytest.mark.parametrize(
    ("of_nuclei", "of_states"),
    [
        (ALL[500:800], ALL[500:800]),
        (ALL[1:301], ALL[:300]),  # XDATCAR counts from 1, Libra from 0: both begin at their first frame
        (ALL[:300], ALL[1:301]),
        (10 * ALL[500:800], ALL[500:800]),  # LAMMPS counts steps of the dynamics, of which each tenth was written
        (10 * ALL[500:800], 10 * ALL[500:800]),
        (ALL[7:300:2], ALL[7:300:2]),
        (None, ALL[500:800]),  # one without numbers: as many must do
        (ALL[500:800], None),
        (np.r_[ALL[1:206], ALL[1:96]], ALL[500:800]),  # a seam: no even count, and the doctor names it
    ],
)
def test_the_same_frames(of_nuclei, of_states):
    assert frames_differ(nuclei(of_nuclei, 300), states(of_states, 300)) == ""


@pytest.mark.parametrize(
    ("of_nuclei", "of_states", "cut_nuclei", "cut_states"),
    [
        (ALL[:1000], ALL[500:800], (500, 800), None),
        (ALL[1:1001], ALL[500:800], (499, 799), None),
        (ALL[500:800], ALL[:1000], None, (500, 800)),
        (ALL[100:400], ALL[300:600], (200, 300), (0, 100)),
        (ALL[300:600], ALL[100:400], (0, 100), (200, 300)),
        (ALL[1:401], ALL[:399], (0, 399), None),  # both from their first frame
        (10 * ALL[:1000], ALL[500:800], (500, 800), None),
        (ALL[500:801], ALL[500:800], (0, 300), None),
    ],
)
def test_the_cut_that_is_offered_is_the_right_one(of_nuclei, of_states, cut_nuclei, cut_states):
    path, ham = nuclei(of_nuclei), states(of_states)
    said = frames_differ(path, ham)
    for name, part, expected in (("trajectory", path, cut_nuclei), ("hamiltonian", ham, cut_states)):
        offered = re.search(rf"`{name}\[(\d*):(\d+)\]`", said)
        assert (offered is not None) == (expected is not None), said
        if offered:
            start, stop = int(offered.group(1) or 0), int(offered.group(2))
            assert (start, stop) == expected
            assert f"--frames {start}:{stop}" in said
            part = part[start:stop]
        path, ham = (part, ham) if name == "trajectory" else (path, part)
    check_same_frames(path, ham)  # what was advised does


@pytest.mark.parametrize(
    ("of_nuclei", "of_states"),
    [
        (ALL[1000:1300], ALL[500:800]),
        (ALL[500:800], ALL[1000:1300]),
        (ALL[:300], ALL[500:800]),
        (ALL[1:301], ALL[500:800]),
        (10 * ALL[500:800] + 5, 10 * ALL[500:800]),
    ],
)
def test_numbers_that_contradict_are_refused_however_many_there_are(of_nuclei, of_states):
    with pytest.raises(hc.InputError, match=r"they have none in common|Cut the trajectory to") as raised:
        check_same_frames(nuclei(of_nuclei), states(of_states))
    assert f"numbered {of_nuclei[0]} to {of_nuclei[-1]}" in str(raised.value)
    assert f"{of_states[0]} to {of_states[-1]}" in str(raised.value)


def test_without_numbers_the_longer_one_is_to_be_cut():
    assert "cut the longer one, the Hamiltonian to `hamiltonian[:399]`" in frames_differ(
        nuclei(None, 399), states(None, 400)
    )
    assert "cut the longer one, the trajectory to `trajectory[:399]`" in frames_differ(
        nuclei(None, 400), states(None, 399)
    )
    assert "must be the same, but are 1 fs and 2 fs" in frames_differ(nuclei(None, 9), states(None, 9, 2.0))


def command(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    error = result.exception
    code = error.exit_code if hasattr(error, "exit_code") else result.exit_code
    return code, result.output + ("" if error is None or isinstance(error, SystemExit) else str(error))


@pytest.fixture
def files(tmp_path):
    """CP2K frames 0 to 99, states 50 to 79 in the numbered files of another code."""
    frames = "".join(f"2\ni = {k}, time = {k / 2:.3f}\nLi {k / 100} 0 0\nF 3 3 {3 - k / 90}\n" for k in range(100))
    (tmp_path / "md-pos-1.xyz").write_text(frames)
    states(ALL[50:80], timestep=0.5).write(tmp_path / "ham", format="libra-text")
    (tmp_path / "study.toml").write_text(
        '[data]\ntrajectory = "md.h5"\nhamiltonian = "ham.h5"\n[dynamics]\nduration = 1e3\n'
    )
    code, said = command("convert", tmp_path / "md-pos-1.xyz", tmp_path / "md.h5", "--cell", "9,9,9")
    assert code == 0, said
    code, said = command("convert", tmp_path / "ham", tmp_path / "ham.h5", "--timestep", 0.5)
    assert code == 0, said
    return tmp_path


def test_every_command_refuses_and_offers_the_same_cut(files):
    """`check`, `convert`, `run` and `fit`: one sentence, one place; and what it advises is what they take."""
    xyz, h5, ham = files / "md-pos-1.xyz", files / "md.h5", files / "ham.h5"
    cut = "`trajectory[50:80]` (`hopcast convert IN OUT --frames 50:80`)"
    for words in (
        ("check", ham, "--trajectory", xyz, "--cell", "9,9,9"),
        ("convert", ham, files / "both.h5", "--trajectory", h5),
        ("run", files / "study.toml", "-o", files / "out"),
        ("fit", h5, ham, "-o", files / "model.h5"),
    ):
        code, said = command(*words)
        assert code == (4 if words[0] == "check" else 3), said
        assert "numbered 0 to 99 (100) and 50 to 79 (30)" in said
        assert cut in said
    code, said = command("convert", h5, files / "part.h5", "--frames", "50:80")
    assert code == 0, said
    np.testing.assert_array_equal(hc.read_trajectory(files / "part.h5").frame_numbers, ALL[50:80])
    code, said = command("convert", ham, files / "both.h5", "--trajectory", files / "part.h5")
    assert code == 0, said
    # the same number of frames, numbered elsewhere: refused, unless somebody says that they are the same
    command("convert", h5, files / "other.h5", "--frames", "60:90")
    code, said = command("convert", ham, files / "both2.h5", "--trajectory", files / "other.h5")
    assert code == 3
    code, said = command("convert", h5, files / "other2.h5", "--frames", "0:30", "--first-number", 50)
    assert command("convert", ham, files / "both3.h5", "--trajectory", files / "other2.h5")[0] == 0
    for words, message in (
        ("5-9", "must be like 500:800"),
        ("90:120", "at least two of the 100 frames"),
        ("7:8", "at least two"),
    ):
        code, said = command("convert", h5, files / "no.h5", "--frames", words)
        assert code in (2, 3)
        assert message in said


def test_what_contradicts_does_not_get_into_one_file(tmp_path):
    """So that `run`, `fit` and `dynamics` never meet such a file."""
    from hopcast.io import write_native

    with pytest.raises(hc.InputError, match="they have none in common"):
        write_native(tmp_path / "both.h5", trajectory=nuclei(ALL[1000:1300]), hamiltonian=states(ALL[500:800]))
    assert not (tmp_path / "both.h5").exists()
    write_native(tmp_path / "both.h5", trajectory=nuclei(ALL[500:800]), hamiltonian=states(ALL[500:800]))


def test_a_plan_keeps_the_numbers_of_its_trajectory(tmp_path):
    """So that what was computed for frames 1000 on is not learnt beside frames 500 on."""
    from hopcast.abinitio import read_plan, write_plan

    for name, numbers in (
        ("plain", None),
        ("even", ALL[1000:1100]),
        ("steps", 10 * ALL[:100]),
        ("seam", np.r_[ALL[:50], ALL[40:90]]),
    ):
        write_plan(tmp_path / name, nuclei(numbers, 100), [3, 20, 77], strategy="stride")
        found = read_plan(tmp_path / name).frame_numbers
        if name in ("plain", "seam"):
            assert found is None
        else:
            np.testing.assert_array_equal(found, numbers)
