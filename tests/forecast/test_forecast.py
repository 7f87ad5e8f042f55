"""A forecaster keeps its bits through its file, along streams of any chunks, and after a kill."""

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time

import ase.io
import h5py
import numpy as np
import pytest
from ase import Atoms
from forecast_material import contents, make_material, same

import hopcast as hc
from hopcast.core import hdf5
from hopcast.core.units import HBAR
from hopcast.forecast import Representation, fit_forecaster, load_forecaster, predict_stream, save_forecaster
from hopcast.forecast.options import PUBLISHED, options
from hopcast.forecast.protocol import doubt
from hopcast.io import read_hamiltonian, write_native


@pytest.fixture(scope="module")
def material():
    return make_material()


@pytest.fixture(scope="module")
def forecaster(material):
    return fit_forecaster(*material[:2], model=PUBLISHED, workers=1)


@pytest.fixture(scope="module")
def averaging(material):
    """A forecaster that sees averages over atoms, and so cells of any size."""
    return fit_forecaster(*material[:2], model="radial means, kernel", workers=1)


def test_a_forecaster_finds_what_it_can_see(forecaster, material, tmp_path):
    trajectory, _, gap = material
    assert forecaster.scores["gap"] > 0.8
    assert doubt(forecaster) == ""
    numbered = dataclasses.replace(trajectory, frame_numbers=500 + np.arange(trajectory.n_frames))
    found = predict_stream(forecaster, numbered, tmp_path / "f.h5", chunk_frames=150)
    ham = read_hamiltonian(found.path)
    np.testing.assert_array_equal(ham.frame_numbers, numbered.frame_numbers)
    assert np.corrcoef(ham.gap(), gap)[0, 1] > 0.95
    assert not found.extrapolation.extrapolates
    with h5py.File(found.path) as file:
        mean, spread = file["forecast/coupling"][()], file["forecast/coupling_std"][()]
    np.testing.assert_allclose(ham.coupling(), np.sqrt(mean**2 + spread**2), rtol=1e-12)
    assert not found.path.with_name("f.h5.parts").exists()


def test_the_dephasing_time_is_that_of_the_data_where_they_show_it(forecaster, material):
    """A gap that turns within hbar/sigma dephases more slowly; samples alone cannot show it."""
    trajectory, sparse, gap = material
    times = np.arange(len(gap)) * trajectory.timestep
    fast = gap + 0.15 * np.cos(2 * np.pi * times / 16)
    nac = np.zeros((len(gap) - 1, 2, 2))
    nac[:, 0, 1], nac[:, 1, 0] = 2e-3, -2e-3
    dense = hc.VibronicHamiltonian(np.stack([0 * fast, fast], axis=1), nac, 2.0, n_occupied=1)
    found = fit_forecaster(trajectory, dense, model="radial means, kernel", stride=20.0, workers=1)
    assert found.dephasing_time == hc.dephasing_time(dense) > 1.2 * HBAR / fast.std()
    assert found.provenance["dephasing time"] == "from the gap of all 400 frames"
    static = HBAR / np.nanstd(sparse.midpoint_energies[sparse.nac_known, 1])
    assert forecaster.dephasing_time == pytest.approx(static, rel=1e-12)
    assert forecaster.provenance["dephasing time"].startswith("hbar / sigma")


def test_what_knows_nothing_says_so(material):
    trajectory, hamiltonian, _ = material
    noise = np.random.default_rng(0).normal(size=trajectory.n_frames)
    energies = hamiltonian.energies.copy()
    energies[:, 1] += 0.5 * (noise - noise.min())
    poor = fit_forecaster(trajectory, dataclasses.replace(hamiltonian, energies=energies), model=PUBLISHED, workers=1)
    assert poor.scores["gap"] <= 0.3
    blind = dataclasses.replace(
        poor, gap=dataclasses.replace(poor.gap, r2=-0.1), coupling=dataclasses.replace(poor.coupling, r2=0.4)
    )
    assert "gap (R² -0.1) is no better than the mean" in doubt(blind)


def test_a_file_keeps_every_bit(forecaster, material, tmp_path):
    save_forecaster(forecaster, tmp_path / "model.h5")
    again = load_forecaster(tmp_path / "model.h5")
    assert again.gap.representation == forecaster.gap.representation
    assert (again.symbols, again.scores, again.provenance) == (
        forecaster.symbols,
        forecaster.scores,
        forecaster.provenance,
    )
    one = predict_stream(forecaster, material[0], tmp_path / "one.h5")
    other = predict_stream(again, material[0], tmp_path / "other.h5")
    same(contents(one.path), contents(other.path))


@pytest.mark.parametrize(("chunk", "workers"), [(7, 1), (64, 2), (5000, 1)])
def test_chunks_workers_and_sources_change_nothing(forecaster, material, tmp_path, chunk, workers):
    whole = predict_stream(forecaster, material[0], tmp_path / "whole.h5", workers=1)
    write_native(tmp_path / "md.h5", trajectory=material[0])
    cut = predict_stream(forecaster, tmp_path / "md.h5", tmp_path / "cut.h5", chunk_frames=chunk, workers=workers)
    same(contents(whole.path), contents(cut.path))


def test_an_executor_gets_plain_work(forecaster, material, tmp_path):
    import pickle

    class Elsewhere:
        """Everything travels, as to another machine; a few chunks are taken ahead of those that come back."""

        n_ahead = 0

        def map(self, fn, /, *iterables):
            function, waiting = pickle.dumps(fn), []
            for item in zip(*iterables, strict=True):
                waiting.append(pickle.dumps(item))
                self.n_ahead = max(self.n_ahead, len(waiting))
                if len(waiting) > 3:
                    yield pickle.loads(function)(*pickle.loads(waiting.pop(0)))
            for item in waiting:
                yield pickle.loads(function)(*pickle.loads(item))

    whole = predict_stream(forecaster, material[0], tmp_path / "whole.h5", workers=1)
    elsewhere = Elsewhere()
    away = predict_stream(forecaster, material[0], tmp_path / "away.h5", chunk_frames=16, executor=elsewhere)
    same(contents(whole.path), contents(away.path))
    assert elsewhere.n_ahead == 4  # of 25: memory is that of the chunks under way


def test_chunks_are_work_for_one_thread_each(forecaster, material, tmp_path, monkeypatch):
    seen, real = [], type(forecaster.gap).predict

    def noted(model, columns, symbols, workers):
        seen.append(workers)
        return real(model, columns, symbols, workers)

    monkeypatch.setattr(type(forecaster.gap), "predict", noted)
    predict_stream(forecaster, material[0][:20], tmp_path / "f.h5", workers=2)
    assert set(seen) == {1}


def test_finished_chunks_between_lost_ones_are_taken(forecaster, material, tmp_path, monkeypatch):
    import hopcast.forecast.stream as module

    whole = predict_stream(forecaster, material[0], tmp_path / "whole.h5", workers=1)
    monkeypatch.setattr(module, "_write", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        predict_stream(forecaster, material[0], tmp_path / "f.h5", chunk_frames=16, workers=1)
    monkeypatch.undo()
    kept = sorted((tmp_path / "f.h5.parts").glob("*.h5"))
    for number in (0, 1, 5, 11, 24):
        kept[number].unlink()
    kept[7].write_bytes(kept[7].read_bytes()[:900])  # half of it reached the disk
    seen = []
    found = predict_stream(
        forecaster,
        material[0],
        tmp_path / "f.h5",
        chunk_frames=16,
        workers=2,
        resume=True,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert (found.n_found, found.n_chunks) == (25 - 6, 25)
    assert seen == [(done, 25) for done in range(1, 26)]
    same(contents(whole.path), contents(found.path))


def test_processes_of_dask_give_the_same_bits(forecaster, material, tmp_path):
    pytest.importorskip("distributed", reason="Dask is not installed (extra `dask`)")
    from hopcast.core.scheduler import open_scheduler

    whole = predict_stream(forecaster, material[0], tmp_path / "whole.h5", workers=1)
    with open_scheduler("local", workers=1) as executor:
        far = predict_stream(forecaster, material[0], tmp_path / "far.h5", chunk_frames=90, executor=executor)
    same(contents(whole.path), contents(far.path))


SCRIPT = """
import sys
from hopcast.forecast import load_forecaster, predict_stream
predict_stream(load_forecaster(sys.argv[1]), sys.argv[2], sys.argv[3], chunk_frames=4, workers=1, resume=True,
               progress=lambda done, total: print(done, flush=True))
"""


def test_killed_at_random_it_goes_on_with_the_same_bits(forecaster, material, tmp_path):
    save_forecaster(forecaster, tmp_path / "model.h5")
    write_native(tmp_path / "md.h5", trajectory=material[0])
    whole = predict_stream(forecaster, material[0], tmp_path / "whole.h5", workers=1)
    dice = random.Random(1)
    command = [sys.executable, "-c", SCRIPT, *(str(tmp_path / name) for name in ("model.h5", "md.h5", "cut.h5"))]
    n_done = 0
    for _ in range(3):
        run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert run.stdout is not None
        run.stdout.readline()  # it is at work
        time.sleep(dice.uniform(0.0, 0.02))
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        run.stdout.close()
        n_done = len(list((tmp_path / "cut.h5.parts").glob("*.h5")))
        assert n_done > 0
    assert not (tmp_path / "cut.h5").exists()
    found = predict_stream(forecaster, tmp_path / "md.h5", tmp_path / "cut.h5", chunk_frames=4, workers=1, resume=True)
    assert found.n_found == n_done
    same(contents(whole.path), contents(found.path))


def test_a_full_disk_says_so_and_keeps_finished_chunks(forecaster, material, tmp_path, monkeypatch):
    import hopcast.forecast.stream as module

    real, written = hdf5.write_file, []

    def full(path, fill):
        if len(written) == 5:
            raise hc.OutputError(f"Cannot write `{path}`: No space left on device. Free space or choose another place.")
        written.append(path)
        real(path, fill)

    monkeypatch.setattr(module.hdf5, "write_file", full)
    with pytest.raises(hc.OutputError, match="No space left on device"):
        predict_stream(forecaster, material[0], tmp_path / "f.h5", chunk_frames=16, workers=1)
    assert not (tmp_path / "f.h5").exists()
    monkeypatch.setattr(module.hdf5, "write_file", real)
    with pytest.raises(hc.OutputError, match="Continue it with --resume"):
        predict_stream(forecaster, material[0], tmp_path / "f.h5", chunk_frames=16, workers=1)
    found = predict_stream(forecaster, material[0], tmp_path / "f.h5", chunk_frames=16, workers=1, resume=True)
    assert found.n_found == 5


def test_other_kinds_of_trajectories_are_refused(forecaster, material, tmp_path):
    trajectory = material[0]
    other = dataclasses.replace
    swapped = np.arange(8)[::-1]
    cases = [
        (other(trajectory, numbers=np.full(8, 14)), "the same atoms in the same order .* but the trajectory has 8 Si"),
        (other(trajectory, numbers=trajectory.numbers[swapped]), "in another order"),
        (other(trajectory, timestep=1.0), "fitted at 2 fs between frames"),
        (other(trajectory, cell=1.1 * trajectory.cell), "must see a like one"),
        (other(trajectory, positions=trajectory.positions[:, :4], numbers=trajectory.numbers[:4]), "the same atoms"),
        (trajectory[:1], "at least two frames"),
    ]  # fmt: skip
    for wrong, words in cases:
        with pytest.raises(hc.InputError, match=words):
            predict_stream(forecaster, wrong, tmp_path / "f.h5", overwrite=True)


def test_a_cell_that_changes_on_the_way_is_refused_there(forecaster, material, tmp_path):
    trajectory = material[0]
    cells = np.array(trajectory.cells())
    cells[200:] *= 1.05
    swelling = dataclasses.replace(trajectory, cell=cells)
    with pytest.raises(hc.InputError, match=r"Frames 192 to 256: A forecaster of the cell .* must see a like one"):
        predict_stream(forecaster, swelling, tmp_path / "f.h5", chunk_frames=64)


def test_what_was_there_stays_until_the_new_forecast_is_whole(forecaster, material, tmp_path):
    trajectory = material[0]
    write_native(tmp_path / "md.h5", trajectory=trajectory)
    before = (tmp_path / "md.h5").read_bytes()
    with pytest.raises(hc.OutputError, match="is the trajectory itself"):
        predict_stream(forecaster, tmp_path / "md.h5", tmp_path / "md.h5", overwrite=True)
    assert (tmp_path / "md.h5").read_bytes() == before
    predict_stream(forecaster, trajectory, tmp_path / "f.h5", workers=1)
    before = (tmp_path / "f.h5").read_bytes()
    with pytest.raises(hc.InputError, match="must see a like one"):
        predict_stream(
            forecaster, dataclasses.replace(trajectory, cell=1.1 * trajectory.cell), tmp_path / "f.h5", overwrite=True
        )
    assert (tmp_path / "f.h5").read_bytes() == before
    predict_stream(forecaster, trajectory[:50], tmp_path / "f.h5", overwrite=True, workers=1)
    assert len(contents(tmp_path / "f.h5")["forecast/gap"]) == 50


def test_killed_while_it_clears_its_chunks_it_goes_on(forecaster, material, tmp_path, monkeypatch):
    import hopcast.forecast.stream as module

    def killed(folder, **_):
        next(folder.iterdir()).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            predict_stream(forecaster, material[0], tmp_path / "f.h5", chunk_frames=64, workers=1)
    whole = contents(tmp_path / "f.h5")
    found = predict_stream(forecaster, material[0], tmp_path / "f.h5", chunk_frames=64, workers=1, resume=True)
    assert (found.n_found, found.n_chunks) == (6, 7)
    same(whole, contents(tmp_path / "f.h5"))
    assert not (tmp_path / "f.h5.parts").exists()


def test_files_of_trajectories_that_cannot_be_used(forecaster, material, tmp_path, monkeypatch):
    import hopcast.io.streaming as module

    trajectory = material[0]
    write_native(tmp_path / "md.h5", trajectory=trajectory)
    with pytest.raises(hc.InputError, match="has frames 2 fs apart, but `timestep` is 1 fs"):
        predict_stream(forecaster, tmp_path / "md.h5", tmp_path / "f.h5", timestep=1.0)
    with h5py.File(tmp_path / "md.h5", "a") as file:
        file["trajectory/positions"][70, 3, 1] = np.nan
    with pytest.raises(hc.InputError, match=r"frames counted from 64: .* frame 6, atom 3"):
        predict_stream(forecaster, tmp_path / "md.h5", tmp_path / "f.h5", chunk_frames=64, overwrite=True)
    with h5py.File(tmp_path / "md.h5", "a") as file:
        del file["trajectory/positions"]
    with pytest.raises(hc.InputError, match="is damaged"):
        predict_stream(forecaster, tmp_path / "md.h5", tmp_path / "f.h5", overwrite=True)
    ase.io.write(tmp_path / "md.traj", as_ase(trajectory[:60]))
    monkeypatch.setattr(module, "LARGE", 1000)
    with pytest.warns(hc.QualityWarning, match="is read whole .* `hopcast convert`"):
        predict_stream(forecaster, tmp_path / "md.traj", tmp_path / "f.h5", timestep=2.0, overwrite=True)


def as_ase(trajectory):
    return [
        Atoms(numbers=trajectory.numbers, positions=one, cell=trajectory.cell, pbc=True) for one in trajectory.positions
    ]


@pytest.mark.parametrize("form", ["xyz", "extxyz", "vasp-xdatcar"])
def test_text_is_read_a_stretch_at_a_time(forecaster, material, tmp_path, form, monkeypatch):
    """Larger than memory, without a conversion first: the bits do not depend on the stretches."""
    import hopcast.io.streaming as module

    # the rock salt of ASE's cell is sorted already
    trajectory = material[0][:150]
    order = np.argsort(trajectory.numbers, kind="stable")
    frames = [atoms[order] for atoms in as_ase(trajectory)]
    forecaster = dataclasses.replace(
        forecaster, symbols=tuple(frames[0].get_chemical_symbols())
    )  # of another order of atoms: what it says is nonsense, the same nonsense each time
    path = tmp_path / {"xyz": "md-pos-1.xyz", "extxyz": "md.xyz", "vasp-xdatcar": "XDATCAR"}[form]
    ase.io.write(path, frames, format=form)
    options = {"timestep": 2.0, "cell": trajectory.cell if form == "xyz" else None}
    whole = predict_stream(forecaster, path, tmp_path / "whole.h5", **options)
    monkeypatch.setattr(module, "read_trajectory", None)  # would read it whole
    cut = predict_stream(forecaster, path, tmp_path / "cut.h5", chunk_frames=16, workers=2, **options)
    same(contents(whole.path), contents(cut.path))
    monkeypatch.undo()
    at_once = hc.io.read_trajectory(path, **options)
    memory = predict_stream(forecaster, at_once, tmp_path / "memory.h5")
    for key, values in contents(memory.path).items():
        # a rough kernel feels the last printed digit of an unwrapped position
        np.testing.assert_allclose(contents(cut.path)[key], values, rtol=1e-9, atol=1e-12)


def test_frames_far_from_the_training_set_are_marked(forecaster, material, tmp_path):
    trajectory = material[0]
    rng = np.random.default_rng(5)
    hot = dataclasses.replace(
        trajectory, positions=trajectory.positions + rng.normal(0, 0.2, trajectory.positions.shape)
    )
    found = predict_stream(forecaster, hot, tmp_path / "hot.h5")
    assert found.extrapolation.share > 0.9
    assert found.extrapolation.extrapolates


def repeated(trajectory, n=2):
    """The same geometries in a cell `n` times as long."""
    shifts = np.repeat(np.arange(n), trajectory.n_atoms)[:, None] * trajectory.cell[0]
    return hc.Trajectory(
        np.tile(trajectory.positions, (1, n, 1)) + shifts,
        trajectory.cell * np.array([n, 1, 1])[:, None],
        np.tile(trajectory.numbers, n),
        trajectory.timestep,
    )


@pytest.mark.parametrize(
    "model", ["radial means, kernel", "angular functions, exchangeable", "numbers of all bonds, line"]
)
def test_replicas_have_the_gap_of_their_cell_and_other_sizes_are_flagged(material, tmp_path, model):
    trajectory = material[0]
    forecaster = fit_forecaster(*material[:2], model=model, workers=1)
    one = predict_stream(forecaster, trajectory[:30], tmp_path / "one.h5")
    two = predict_stream(forecaster, repeated(trajectory[:30]), tmp_path / "two.h5")
    small, large = contents(one.path), contents(two.path)
    for key in ("forecast/gap", "forecast/coupling"):
        np.testing.assert_allclose(large[key], small[key], rtol=1e-10)
    # a small difference of variances
    np.testing.assert_allclose(large["forecast/gap_std"], small["forecast/gap_std"], rtol=1e-6)
    assert not one.size_doubt
    assert "extrapolation in size: the models saw 8 atoms and are applied to 16" in two.size_doubt


def test_cells_of_another_material_or_density_are_refused(averaging, material, tmp_path):
    twice = repeated(material[0])
    missing = dataclasses.replace(twice, positions=twice.positions[:, 1:], numbers=twice.numbers[1:])
    with pytest.raises(hc.InputError, match="same elements in the same ratio, but the trajectory has 8 O, 7 Mg"):
        predict_stream(averaging, missing, tmp_path / "f.h5")
    with pytest.raises(hc.InputError, match=r"see a like density .* but the trajectory has"):
        predict_stream(averaging, dataclasses.replace(twice, cell=1.1 * twice.cell), tmp_path / "f.h5")


def test_every_option_goes_through_a_file(material, tmp_path):
    trajectory, hamiltonian, _ = material
    for option in options(trajectory, hc.SymmetryFunctions.from_trajectory(trajectory)):
        assert Representation.from_dict(option.representation.to_dict()) == option.representation
        fitted = fit_forecaster(trajectory, hamiltonian, model=option.name, workers=1)
        save_forecaster(fitted, tmp_path / "model.h5")
        again = load_forecaster(tmp_path / "model.h5")
        one = predict_stream(fitted, trajectory[:20], tmp_path / "one.h5", overwrite=True)
        other = predict_stream(again, trajectory[:20], tmp_path / "other.h5", overwrite=True)
        same(contents(one.path), contents(other.path))
        assert again.provenance["model of the gap"] == option.name


def test_the_choice_is_the_best_inside_the_training_blocks(material):
    chosen = fit_forecaster(*material[:2])
    assert chosen.gap.name in {
        one.name for one in options(material[0], hc.SymmetryFunctions.from_trajectory(material[0]))
    }
    assert chosen.scores["gap"] > 0.99  # one mode of two phonons, and functions that see it
    with pytest.raises(hc.ConfigError, match=r"must be `chosen` or one of .* but is `radial means`"):
        fit_forecaster(*material[:2], model="radial means")


def test_many_samples_go_through_landmarks(material, tmp_path, monkeypatch):
    import hopcast.forecast.fit_pair as module

    exact = fit_forecaster(*material[:2], model="radial means, kernel", workers=1)
    monkeypatch.setattr(module, "EXACT", 50)
    monkeypatch.setattr(module, "MOST_PAIRS_OF_ATOMS", 50)
    few = fit_forecaster(*material[:2], model="radial means, kernel", workers=1)  # every sample a landmark
    monkeypatch.setattr(module, "N_LANDMARKS", 30)
    fewer = fit_forecaster(*material[:2], workers=1)
    assert type(fewer.gap.learner).__name__ == "LowRankRidge"
    assert "exchangeable" not in fewer.gap.name
    save_forecaster(fewer, tmp_path / "model.h5")
    files = []
    for number, one in enumerate((exact, few, fewer, load_forecaster(tmp_path / "model.h5"))):
        files.append(contents(predict_stream(one, material[0], tmp_path / f"{number}.h5").path))
    np.testing.assert_allclose(files[1]["forecast/gap"], files[0]["forecast/gap"], rtol=1e-6)
    assert np.corrcoef(files[2]["forecast/gap"], files[0]["forecast/gap"])[0, 1] > 0.99
    same(files[2], files[3])
    line = fit_forecaster(*material[:2], model="numbers of all bonds, line", workers=1)
    assert (len(line.gap.learner.X_fit_), line.n_samples) == (50, 60)
    monkeypatch.setattr(module, "COMPARED", 40)
    scored = fit_forecaster(*material[:2], model="radial means, kernel", workers=1)
    assert 0.9 < scored.scores["gap"] < 1.0
    assert scored.scores["gap"] != fewer.scores["gap"]
    with pytest.raises(hc.ConfigError, match="learns from at most 50 samples, but there are 60"):
        fit_forecaster(*material[:2], model="angular functions, exchangeable")


def test_what_cannot_be_learnt_from_is_refused(material):
    trajectory, hamiltonian, _ = material
    with pytest.raises(hc.InputError, match="but 9 are known"):
        fit_forecaster(trajectory, hamiltonian, stride=80.0)
    with pytest.raises(hc.InputError, match="must be the same, but are 100 and 400"):
        fit_forecaster(trajectory[:100], hamiltonian)
    clustered = hamiltonian.nac.copy()
    known = np.flatnonzero(hamiltonian.nac_known)
    near = np.r_[0:20, 370:390]
    clustered[:] = np.nan
    clustered[near] = hamiltonian.nac[known[0]]
    energies = np.full_like(hamiltonian.energies, np.nan)
    energies[np.r_[0:21, 370:391]] = [0.0, 1.0]
    energies[np.r_[0:21, 370:391], 1] += 0.01 * np.random.default_rng(0).normal(size=42)
    with pytest.raises(hc.InputError, match=r"must lie outside of any two of them, but \d do"):
        fit_forecaster(trajectory, hc.VibronicHamiltonian(energies, clustered, 2.0, n_occupied=1))
    with pytest.raises(hc.ConfigError, match="`stride` must be a positive time"):
        fit_forecaster(trajectory, hamiltonian, stride=0.0)


def test_files_that_hold_no_forecaster(tmp_path, material, forecaster):
    write_native(tmp_path / "md.h5", trajectory=material[0])
    with pytest.raises(hc.InputError, match="must hold a forecaster"):
        load_forecaster(tmp_path / "md.h5")
    save_forecaster(forecaster, tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "a") as file:
        file["forecaster/gap/learner"].attrs["learner"] = "Popen"
    with pytest.raises(hc.InputError, match="holds a learner `Popen`"):
        load_forecaster(tmp_path / "model.h5")
    save_forecaster(forecaster, tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "a") as file:
        file["forecaster"].attrs["definition"] = 1
    with pytest.raises(hc.InputError, match=r"of definition 2, .*is of definition 1. Fit the forecaster again"):
        load_forecaster(tmp_path / "model.h5")


def test_the_commands(material, tmp_path):
    trajectory, hamiltonian, _ = material
    write_native(tmp_path / "md.h5", trajectory=trajectory)
    write_native(tmp_path / "ham.h5", hamiltonian=hamiltonian)

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "hopcast", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    done = run("fit", "md.h5", "ham.h5", "-o", "model.h5", "--model", "radial means, kernel")
    assert done.returncode == 0, done.stderr
    assert "gap: radial means, kernel, R²" in done.stdout
    done = run("predict", "model.h5", "md.h5", "-o", "f.h5", "--strict")
    assert done.returncode == 0, done.stderr
    assert "--dephasing" in done.stdout
    for command in (
        ("predict", "model.h5", "md.h5", "-o", "model.h5", "--overwrite"),
        ("fit", "md.h5", "ham.h5", "-o", "ham.h5", "--overwrite"),
    ):
        refused = run(*command)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert "Choose another name" in refused.stderr
    again = run("predict", "model.h5", "md.h5", "-o", "f.h5")
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    rng = np.random.default_rng(5)
    hot = dataclasses.replace(
        trajectory, positions=trajectory.positions + rng.normal(0, 0.2, trajectory.positions.shape)
    )
    write_native(tmp_path / "hot.h5", trajectory=hot)
    strict = run("predict", "model.h5", "hot.h5", "-o", "hot-f.h5", "--strict")
    assert strict.returncode == 4
    assert "the forecast extrapolates" in strict.stderr
