"""Wavefunctions of VASP and QE: every flavour against a direct sum, index orders, frames that do not belong together."""

import dataclasses
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import hopcast as hc
from hopcast.core.chunks import computing_on
from hopcast.core.units import HBAR
from hopcast.io.wavefunctions import Save, Wavecar
from hopcast.io.wavefunctions.frames import stretches
from hopcast.io.wavefunctions.planewaves import HBAR2_OVER_2M, expected_planewaves, sphere

sys.path.insert(0, str(Path(__file__).parent))
import plane_wave_files as files

TIMES = (0.0, 1.0, 2.0)
SKEWED_K = (0.25, 0.0, -0.125)
OTHER_K = (0.0, 0.125, 0.0)


def trajectory(**options):
    return [files.channel(time, **{"n_occupied": 2, "seed": 5, **options}) for time in TIMES]


def vasp(folder, runs, **options):
    """Write frames of [spin][k-point] channels into numbered folders."""
    for number, spins in enumerate(runs):
        files.write_wavecar(folder / f"{number:04d}" / "WAVECAR", spins, **options)
        files.write_poscar(folder / f"{number:04d}" / "POSCAR", TIMES[number])
    return folder


def qe(folder, runs, **options):
    for number, spins in enumerate(runs):
        files.write_save(folder / f"{number}" / "out" / "si.save", spins, time=TIMES[number], **options)
    return folder


def check(ham, frames, tolerance, bands=slice(None)):
    """Energies exact, raw overlaps those of a plain sum over plane waves."""
    assert_allclose(ham.energies, [one.energies[bands] for one in frames], rtol=1e-14)
    for step in range(len(frames) - 1):
        expected = files.direct_overlaps(frames[step], frames[step + 1])[bands, bands]
        found = ham.overlaps[step]
        if not np.iscomplexobj(found):  # states at Gamma: real, but for signs
            found, expected = np.abs(found), np.abs(expected)
        assert_allclose(found, expected, atol=tolerance)


class TestVasp:
    @pytest.mark.parametrize("double", [False, True])
    @pytest.mark.parametrize("half", [None, "x", "z"])
    def test_one_kpoint(self, tmp_path, double, half):
        frames = trajectory(real=True) if half else trajectory(kpoint=SKEWED_K)
        vasp(tmp_path, [[[one]] for one in frames], half=half, double=double)
        ham = hc.read_hamiltonian(tmp_path, timestep=1.0, loewdin=False)
        check(ham, frames, 1e-12 if double else 1e-6)
        assert np.iscomplexobj(ham.overlaps) == (half is None)
        assert ham.n_occupied == 2
        assert ham.state_labels[:4] == ("VBM-1", "VBM", "CBM", "CBM+1")
        basis = Wavecar.open(tmp_path / "0000" / "WAVECAR").basis(0, 0)
        assert (basis.flavour, basis.order) == (("half", half) if half else ("full", ""))

    @pytest.mark.parametrize("double", [False, True])
    def test_states_at_gamma_are_made_real(self, tmp_path, double):
        """A program with complex arithmetic gives them any phase: overlaps are those of real states, but for signs."""
        frames = trajectory()
        vasp(tmp_path, [[[one]] for one in frames], double=double)
        ham = hc.read_hamiltonian(tmp_path, timestep=1.0, loewdin=False)
        assert not np.iscomplexobj(ham.overlaps)
        assert "3 of 3 frames are real up to phases" in ham.provenance["gauge"]
        for step in range(2):
            expected = files.direct_overlaps(frames[step], frames[step + 1])
            assert np.abs(expected.imag).max() > 0.1
            assert_allclose(np.abs(ham.overlaps[step]), np.abs(expected), atol=1e-12 if double else 1e-6)

    def test_states_at_gamma_that_are_not_real_stay_complex(self, tmp_path):
        frames = trajectory()
        for one in frames:  # as of degenerate states, any mixture of two
            one.states[4:6] = np.array([[1, 1j], [1j, 1]]) / np.sqrt(2) @ one.states[4:6]
        vasp(tmp_path, [[[one]] for one in frames], double=True)
        ham = hc.read_hamiltonian(tmp_path, timestep=1.0, loewdin=False)
        check(ham, frames, 1e-12)
        assert np.iscomplexobj(ham.overlaps)
        assert "0 of 3 frames" in ham.provenance["gauge"]
        # a window without them is real
        assert not np.iscomplexobj(hc.read_hamiltonian(tmp_path, timestep=1.0, bands=(0, 4)).overlaps)

    def test_half_and_whole_spheres_give_the_same_couplings(self, tmp_path):
        frames = trajectory(real=True)
        found = []
        for half in ("x", "z", None):
            folder = vasp(tmp_path / str(half), [[[one]] for one in frames], half=half, double=True)
            found.append(hc.derive_couplings(hc.read_hamiltonian(folder, timestep=1.0)))
        assert_allclose(found[1].nac, found[0].nac, atol=1e-13)
        assert_allclose(found[2].nac, found[0].nac, atol=1e-12)
        assert np.abs(found[0].nac).max() > 1e-4

    def test_spinors(self, tmp_path):
        frames = trajectory(spinor=True, n_bands=12, n_occupied=4)
        vasp(tmp_path, [[[one]] for one in frames], double=True)
        ham = hc.read_hamiltonian(tmp_path, timestep=1.0, bands=(2, 10), loewdin=False)
        check(ham, frames, 1e-12, slice(2, 10))
        assert ham.n_occupied == 2
        assert ham.provenance["channel"].endswith("spinors")

    @pytest.mark.parametrize("kpoint", [0, 1])
    @pytest.mark.parametrize("spin", [0, 1])
    def test_two_spins_and_two_kpoints(self, tmp_path, spin, kpoint):
        runs = [
            [[files.channel(t, spin=s, kpoint=k, n_occupied=2, seed=7) for k in (OTHER_K, SKEWED_K)] for s in (0, 1)]
            for t in TIMES
        ]
        vasp(tmp_path, runs, double=True)
        ham = hc.read_hamiltonian(tmp_path, timestep=1.0, spin=spin, kpoint=kpoint, loewdin=False)
        check(ham, [run[spin][kpoint] for run in runs], 1e-12)
        assert np.iscomplexobj(ham.overlaps)

    def test_of_several_spins_or_kpoints_one_is_chosen(self, tmp_path):
        runs = [[[files.channel(t, kpoint=k, n_occupied=2) for k in (OTHER_K, SKEWED_K)]] for t in TIMES]
        vasp(tmp_path / "k", runs)
        with pytest.raises(
            hc.InputError, match=r"holds 2 k-points, and each is a Hamiltonian .* `kpoint` \(--kpoint\) from 0 to 1"
        ):
            hc.read_hamiltonian(tmp_path / "k", timestep=1.0)
        vasp(tmp_path / "s", [[[run[0][0]], [run[0][0]]] for run in runs])
        with pytest.raises(hc.InputError, match=r"holds 2 spin channels, .* `spin` \(--spin\) from 0 to 1"):
            hc.read_hamiltonian(tmp_path / "s", timestep=1.0)

    def test_a_header_of_several_records(self, tmp_path):
        """Many bands of few plane waves: energies and occupations need more than one record."""
        frames = trajectory(cutoff=12.0, n_bands=11, n_occupied=2)
        assert len(frames[0].indices) == 11
        vasp(tmp_path, [[[one]] for one in frames], cutoff=12.0, double=True)
        record = np.fromfile(tmp_path / "0000" / "WAVECAR", count=1)[0]
        for file in tmp_path.glob("*/WAVECAR"):
            # the same numbers in shorter records, the header spanning two
            data = file.read_bytes()
            old, new = int(record), 16 * 11
            parts = [data[i : i + old] for i in range(0, len(data), old)]
            assert len(parts[2].rstrip(b"\0")) > new
            first = np.array([new, 1, 45210.0]).tobytes()
            head = parts[2].ljust(2 * new, b"\0")[: 2 * new]
            body = [first.ljust(new, b"\0"), parts[1][:new], head, *(part[:new] for part in parts[3:])]
            file.write_bytes(b"".join(body))
        check(hc.read_hamiltonian(tmp_path, timestep=1.0, bands=(0, 11), loewdin=False), frames, 1e-12)

    def test_loewdin_in_the_window_and_the_norm_that_is_lost(self, tmp_path):
        frames = trajectory()
        rng = np.random.default_rng(3)
        lacking = []
        for one in frames:
            mixing = np.diag(1 - 0.02 * np.arange(8)) + 0.01 * rng.normal(size=(8, 8))
            lacking.append(dataclasses.replace(one, states=mixing @ one.states))
        vasp(tmp_path, [[[one]] for one in lacking], double=True)
        ham = hc.read_hamiltonian(tmp_path, timestep=1.0, bands=(1, 6))
        window = [dataclasses.replace(one, states=one.states[1:6]) for one in lacking]
        for step in range(2):
            left, right = window[step : step + 2]
            roots = [np.linalg.inv(scipy.linalg.sqrtm(files.direct_overlaps(one, one))) for one in (left, right)]
            expected = roots[0] @ files.direct_overlaps(left, right) @ roots[1]
            assert_allclose(np.abs(ham.overlaps[step]), np.abs(expected), atol=1e-12)
        assert "Löwdin" in ham.provenance["overlaps"]
        assert "approximation" in ham.provenance["overlaps"]
        norms = np.mean([np.diag(files.direct_overlaps(one, one)).real for one in window], axis=0)
        assert f"VBM {1 - norms[0]:.1%}, CBM {1 - norms[1]:.1%}" in ham.provenance["norm lost"]

    def test_gaps_make_sparse_pairs(self, tmp_path):
        frames = trajectory()
        for number, one in zip((5, 6, 9, 10, 12), [*frames, *frames[:2]], strict=True):
            files.write_wavecar(tmp_path / f"frame_{number}" / "WAVECAR", [[one]])
        ham = hc.read_hamiltonian(tmp_path, timestep=1.0)
        assert ham.n_frames == 8
        assert_array_equal(np.flatnonzero(np.isfinite(ham.overlaps).all(axis=(1, 2))), [0, 4])
        assert_array_equal(np.flatnonzero(ham.energy_known), [0, 1, 4, 5, 7])
        assert "from number 5" in ham.provenance["alignment"]
        derived = hc.derive_couplings(ham)
        assert_array_equal(np.flatnonzero(derived.nac_known), [0, 4])

    def test_cells_that_vary(self, tmp_path):
        cells = [files.CELL * scale for scale in (1.0, 1.01, 0.98)]
        frames = [files.channel(t, cell=cell, n_occupied=2) for t, cell in zip(TIMES, cells, strict=True)]
        for number, (one, cell) in enumerate(zip(frames, cells, strict=True)):
            files.write_wavecar(tmp_path / str(number) / "WAVECAR", [[one]], cell=cell, double=True)
        assert len({len(one.indices) for one in frames}) > 1
        with pytest.raises(
            hc.InputError,
            match=r"must have the same cell, but that of .*1/WAVECAR` \(4.646 4.9655 5.3654 Å\) differs by up to 0.053",
        ):
            hc.read_hamiltonian(tmp_path, timestep=1.0)
        ham = hc.read_hamiltonian(tmp_path, timestep=1.0, variable_cell=True, loewdin=False)
        check(ham, frames, 1e-12)
        assert "plane waves matched by index in 2 pairs" in ham.provenance["cell"]

    def test_the_same_bits_for_any_number_of_threads(self, tmp_path, monkeypatch):
        frames = [files.channel(0.5 * step, n_occupied=2) for step in range(7)]
        for number, one in enumerate(frames):
            files.write_wavecar(tmp_path / str(number) / "WAVECAR", [[one]])
        alone = hc.read_hamiltonian(tmp_path, timestep=1.0, workers=1)
        monkeypatch.setattr("hopcast.io.wavefunctions.frames.STRETCH", (1, 2))
        for workers in (1, 3):
            assert_array_equal(hc.read_hamiltonian(tmp_path, timestep=1.0, workers=workers).overlaps, alone.overlaps)

    def test_stretches_travel(self, tmp_path, monkeypatch):
        """On a scheduler what is read elsewhere must come back the same, through pickles."""
        frames = [files.channel(0.5 * step, n_occupied=2, real=True) for step in range(9)]
        for number, one in enumerate(frames):
            files.write_wavecar(tmp_path / "vasp" / str(number) / "WAVECAR", [[one]], half="x")
            files.write_save(tmp_path / "qe" / str(number) / "a.save", [[one]], gamma=True)

        class Elsewhere:
            calls = 0

            def map(self, function, items):
                for item in items:
                    self.calls += 1
                    there, what = pickle.loads(pickle.dumps((function, item)))
                    yield pickle.loads(pickle.dumps(there(what)))

        monkeypatch.setattr("hopcast.io.wavefunctions.frames.STRETCH", (1, 2))
        for code in ("vasp", "qe"):
            here = hc.read_hamiltonian(tmp_path / code, timestep=1.0)
            elsewhere = Elsewhere()
            with computing_on(elsewhere):
                there = hc.read_hamiltonian(tmp_path / code, timestep=1.0)
            assert elsewhere.calls >= 4
            assert_array_equal(there.overlaps, here.overlaps)

    @given(numbers=st.sets(st.integers(0, 60), min_size=1))
    def test_stretches_read_each_frame_once_and_each_pair(self, numbers):
        kept, pairs = [], []
        for run, begins in stretches(sorted(numbers)):
            assert run == list(range(run[0], run[-1] + 1))
            kept += run if begins else run[1:]
            pairs += run[:-1]
        assert kept == sorted(numbers)
        assert pairs == [number for number in sorted(numbers) if number + 1 in numbers]

    def test_default_window_is_around_the_gap(self, tmp_path):
        frames = trajectory(n_bands=30, n_occupied=12)
        vasp(tmp_path, [[[one]] for one in frames])
        ham = hc.read_hamiltonian(tmp_path, timestep=1.0)
        assert (ham.n_states, ham.n_occupied) == (16, 8)
        assert ham.provenance["bands"].startswith("4:20 from 0, 5 to 20 of 30")


class TestPlaneWaves:
    def test_the_constant_is_that_of_vasp(self):
        """WaveTrans and pymatgen use 2m/hbar^2 = 0.262465831 for VASP; CODATA's is 1e-5 larger, and its sphere another."""
        assert pytest.approx(0.262465831, rel=2e-7) == 1 / HBAR2_OVER_2M
        codata = 3.8099821161
        assert codata / HBAR2_OVER_2M == pytest.approx(1 - 1e-5, abs=1e-6)
        cell = np.array([[20.3, 0.2, 0], [0, 19.285, 0.1], [0.3, 0, 22.33]])
        counts = [len(sphere(cell, 300.0, np.zeros(3), constant=constant)) for constant in (HBAR2_OVER_2M, codata)]
        assert counts[1] == counts[0] + 2 > 100_000
        assert expected_planewaves(cell, 300.0) == pytest.approx(counts[0], rel=1e-3)

    @pytest.mark.parametrize("half", ["", "x", "z"])
    def test_order_and_halves(self, half):
        for kpoint in ((0, 0, 0), SKEWED_K)[: 1 if half else 2]:
            found = sphere(files.CELL, files.CUTOFF, np.array(kpoint), half)
            assert_array_equal(found, files.planewaves(kpoint=kpoint, half=half or None))

    def test_halves_have_one_of_each_pair(self):
        whole = {tuple(g) for g in sphere(files.CELL, 90.0, np.zeros(3))}
        for half in ("x", "z"):
            kept = {tuple(g) for g in sphere(files.CELL, 90.0, np.zeros(3), half)}
            assert kept | {(-a, -b, -c) for a, b, c in kept} == whole
            assert len(kept) == (len(whole) + 1) / 2


class TestPhysics:
    """The model is a solid: what its couplings must obey."""

    @staticmethod
    def couplings(folder, dt, sign=1.0):
        for number in range(3):
            one = files.channel(sign * (number - 1) * dt + 2.0, n_bands=6, n_occupied=2, real=True, seed=number)
            files.write_wavecar(folder / str(number) / "WAVECAR", [[one]], half="z", double=True)
        return hc.derive_couplings(hc.read_hamiltonian(folder, timestep=dt), derivative="difference")

    def test_second_order_in_the_time_step_and_time_reversal(self, tmp_path):
        # <i|d/dt|j> at a time from H itself: (i|dH/dt|j) / (E_j - E_i), with the derivative of the potential by differences
        indices = files.planewaves()
        energies, states = files.solve(indices, 2.0)
        states = files.make_real(indices, states)[:6]
        shift = 1e-3
        hams = []
        for sign in (-1, 1):
            values, vectors = files.solve(indices, 2.0 + sign * shift)
            hams.append(vectors.T @ np.diag(values) @ vectors.conj())
        slope = (hams[1] - hams[0]) / (2 * shift)
        exact = states.conj() @ slope @ states.T
        gaps = energies[None, :6] - energies[:6, None]
        exact = HBAR * (exact / (gaps + np.eye(6))).real * ~np.eye(6, dtype=bool)
        errors = []
        for dt in (1.0, 0.5, 0.25):
            ham = self.couplings(tmp_path / str(dt), dt)
            middle = 0.5 * (ham.nac[0] + ham.nac[1])
            assert_array_equal(middle, -middle.T)
            errors.append(np.abs(np.abs(middle) - np.abs(exact)).max())
        assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
        assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)
        forward = self.couplings(tmp_path / "forward", 0.5)
        back = self.couplings(tmp_path / "back", 0.5, sign=-1.0)
        signs = np.sign(
            np.diag(
                files.direct_overlaps(
                    files.channel(1.5, n_bands=6, real=True, seed=0), files.channel(2.5, n_bands=6, real=True, seed=0)
                ).real
            )
        )
        assert_allclose(back.nac[::-1], -forward.nac * np.outer(signs, signs), atol=1e-9)


class TestQuantumEspresso:
    @pytest.mark.parametrize("hdf5", [False, True])
    @pytest.mark.parametrize("kind", ["gamma", "full", "k", "spinor"])
    def test_flavours(self, tmp_path, kind, hdf5):
        options = {
            "gamma": {"real": True},
            "full": {},
            "k": {"kpoint": SKEWED_K},
            "spinor": {"spinor": True, "n_occupied": 4, "n_bands": 12},
        }[kind]
        frames = trajectory(**options)
        qe(tmp_path, [[[one]] for one in frames], gamma=kind == "gamma", spinor=kind == "spinor", hdf5=hdf5)
        ham = hc.read_hamiltonian(tmp_path, timestep=1.0)
        check(ham, frames, 1e-12)
        assert ham.provenance["format"] == "qe-save"
        assert "norm-conserving" in ham.provenance["overlaps"]
        assert np.iscomplexobj(ham.overlaps) == (kind in ("k", "spinor"))

    @pytest.mark.parametrize("spin", [0, 1])
    def test_spin_polarised_with_two_kpoints(self, tmp_path, spin):
        runs = [
            [[files.channel(t, spin=s, kpoint=k, n_occupied=2 - s) for k in (OTHER_K, SKEWED_K)] for s in (0, 1)]
            for t in TIMES
        ]
        qe(tmp_path, runs)
        ham = hc.read_hamiltonian(tmp_path, timestep=1.0, spin=spin, kpoint=1)
        check(ham, [run[spin][1] for run in runs], 1e-12)
        assert ham.n_occupied == 2 - spin
        assert_allclose(Save.open(tmp_path / "0" / "out" / "si.save").kpoints[1], SKEWED_K, atol=1e-14)

    def test_ultrasoft_is_orthonormalised(self, tmp_path):
        frames = [dataclasses.replace(one, states=0.9 * one.states) for one in trajectory(kpoint=SKEWED_K)]
        qe(tmp_path, [[[one]] for one in frames], uspp=True)
        ham = hc.read_hamiltonian(tmp_path, timestep=1.0)
        assert_allclose(ham.overlaps[0], files.direct_overlaps(*frames[:2]) / 0.81, atol=1e-12)
        assert "VBM 19.0%" in ham.provenance["norm lost"]

    def test_trajectory(self, tmp_path):
        qe(tmp_path, [[[one]] for one in trajectory()])
        found = hc.read_trajectory(tmp_path, timestep=1.0)
        assert_array_equal(found.numbers, [14, 32])
        assert_allclose(found.positions, [files.atoms_at(time) @ files.CELL for time in TIMES], atol=1e-12)
        assert_allclose(found.cells()[0], files.CELL, atol=1e-12)


class TestWswq:
    def write(self, folder, frames, *, wavecars=True, turn=None):
        for number, one in enumerate(frames):
            place = folder / str(number)
            if wavecars:
                files.write_wavecar(place / "WAVECAR", [[one]], double=True)
            files.write_eigenval(place / "EIGENVAL", [[one]])
            files.write_poscar(place / "POSCAR", TIMES[number])
            if number:
                matrix = files.direct_overlaps(one, frames[number - 1])
                files.write_wswq(place / "WSWQ", [[matrix if turn is None else turn(matrix)]])
        return folder

    @pytest.mark.parametrize("wavecars", [True, False])
    def test_the_order_of_indices_and_of_frames(self, tmp_path, wavecars):
        """<W_i|S|W^Q_j> with W the later frame, in lines of which i runs fastest: a matrix that is in no way symmetric."""
        frames = trajectory(kpoint=SKEWED_K)
        self.write(tmp_path, frames, wavecars=wavecars)
        ham = hc.read_hamiltonian(tmp_path, timestep=1.0)
        assert ham.provenance["format"] == "vasp-wswq"
        for step in range(2):
            expected = files.direct_overlaps(frames[step], frames[step + 1])
            assert np.abs(expected - expected.T).max() > 1e-3
            assert_allclose(ham.overlaps[step], expected, atol=1e-8)
        assert_allclose(ham.energies, [one.energies for one in frames], atol=1e-6)
        assert ham.n_occupied == 2

    def test_at_gamma_the_wavecars_tell_the_phases(self, tmp_path):
        frames = trajectory()
        for wavecars in (True, False):
            folder = self.write(tmp_path / str(wavecars), frames, wavecars=wavecars)
            ham = hc.read_hamiltonian(folder, timestep=1.0)
            assert np.iscomplexobj(ham.overlaps) != wavecars
            assert_allclose(np.abs(ham.overlaps[0]), np.abs(files.direct_overlaps(*frames[:2])), atol=2e-8)

    def test_lines_in_another_order_are_placed_by_their_numbers(self, tmp_path):
        self.write(tmp_path, trajectory())
        before = hc.read_hamiltonian(tmp_path, timestep=1.0).overlaps
        for file in tmp_path.glob("*/WSWQ"):
            head, *lines = file.read_text().splitlines()
            file.write_text("\n".join([head, *sorted(lines)]) + "\n")
        assert_array_equal(hc.read_hamiltonian(tmp_path, timestep=1.0).overlaps, before)

    def test_agrees_with_the_wavecars_where_these_are_whole(self, tmp_path):
        self.write(tmp_path, trajectory())
        exact = hc.derive_couplings(hc.read_hamiltonian(tmp_path, timestep=1.0))
        pseudo = hc.derive_couplings(hc.read_hamiltonian(tmp_path, format="vasp-wavecar", timestep=1.0))
        assert_allclose(exact.nac, pseudo.nac, atol=1e-7)

    def test_frames_exchanged(self, tmp_path):
        self.write(tmp_path, trajectory(real=True), turn=lambda matrix: matrix.conj().T)
        with pytest.raises(
            hc.InputError,
            match=r"1/WSWQ` must hold <W_i\|S\|W\^Q_j> with i of the present frame, .* the two frames are exchanged",
        ):
            hc.read_hamiltonian(tmp_path, timestep=1.0)

    def test_of_another_pair(self, tmp_path):
        frames = trajectory(real=True)
        self.write(tmp_path, frames)
        files.write_wswq(
            tmp_path / "2" / "WSWQ",
            [[files.direct_overlaps(frames[1], frames[0]) * np.outer(*[[1, 1, -1, 1] * 2, np.ones(8)])]],
        )
        with pytest.raises(
            hc.InputError, match=r"2/WSWQ` must hold the overlaps of .* has the opposite phase: it is of another pair"
        ):
            hc.read_hamiltonian(tmp_path, timestep=1.0)
        files.write_wswq(tmp_path / "2" / "WSWQ", [[np.eye(5)]])
        with pytest.raises(
            hc.InputError, match=r"2/WSWQ` must hold overlaps of the 8 bands of its frame, but holds those of 5"
        ):
            hc.read_hamiltonian(tmp_path, timestep=1.0)

    def test_without_the_second_step(self, tmp_path):
        self.write(tmp_path, trajectory())
        (tmp_path / "2" / "WSWQ").unlink()
        ham = hc.read_hamiltonian(tmp_path, timestep=1.0)
        assert_array_equal(np.isfinite(ham.overlaps).all(axis=(1, 2)), [True, False])
        assert "1 frames that follow another have no WSWQ (the first is 2:" in ham.provenance["overlaps"]
        for file in tmp_path.glob("*/WSWQ"):
            file.unlink()
        with pytest.raises(
            hc.InputError,
            match=r"Copy the WAVECAR of the frame before to WAVECAR\.qqq and run each frame once more with LWSWQ",
        ):
            hc.read_hamiltonian(tmp_path, format="vasp-wswq", timestep=1.0)
        assert hc.read_hamiltonian(tmp_path, timestep=1.0).provenance["format"] == "vasp-wavecar"


class TestBadInput:
    def test_cut_by_a_killed_job(self, tmp_path):
        vasp(tmp_path, [[[one]] for one in trajectory()])
        file = tmp_path / "0001" / "WAVECAR"
        data = file.read_bytes()
        record = int(np.frombuffer(data[:8])[0])
        file.write_bytes(data[: 5 * record + 17])
        with pytest.raises(
            hc.InputError,
            match=r"0001/WAVECAR` must hold 11 records of \d+ bytes .*but ends in record 6\. The run was killed",
        ):
            hc.read_hamiltonian(tmp_path, timestep=1.0)
        file.write_bytes(b"")
        with pytest.raises(hc.InputError, match=r"is empty\. Calculate this frame with LWAVE"):
            hc.read_hamiltonian(tmp_path, timestep=1.0)

    def test_precision_unknown(self, tmp_path):
        vasp(tmp_path, [[[one]] for one in trajectory()], tag=45300)
        with pytest.raises(hc.InputError, match=r"must say 45200 or 45210 .* but says 45300"):
            hc.read_hamiltonian(tmp_path, timestep=1.0)

    def test_a_count_of_plane_waves_that_is_no_sphere(self, tmp_path):
        vasp(tmp_path, [[[one]] for one in trajectory()], cutoff=30.0)
        with pytest.raises(
            hc.InputError,
            match=r"must hold the plane waves of a sphere of 30 eV .*\(full\).*\(spinor\).*\(half\), but holds 79",
        ):
            hc.read_hamiltonian(tmp_path, timestep=1.0)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"bands": (2, 9)}, "holds 8 bands, 0:8 counted from 0, but 2:9 are asked for"),
            ({"kpoint": 1}, r"must hold k-point 1 \(from 0\), but holds 1\."),
            ({"spin": 1}, r"must hold spin 1 \(from 0\), but holds 1 spin channel\."),
            ({"bands": (0, 4), "n_occupied": 3}, "says that 2 of the bands 0:4 are occupied, but `n_occupied` is 3"),
            ({"timestep": None}, "does not say how far apart its frames are"),
        ],
    )
    def test_what_is_not_there(self, tmp_path, options, words):
        vasp(tmp_path, [[[one]] for one in trajectory()])
        with pytest.raises(hc.InputError, match=words):
            hc.read_hamiltonian(tmp_path, **{"timestep": 1.0, **options})

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"n_bands": 7}, "same number of bands, but .*0002/WAVECAR` has 7 and .*0000/WAVECAR` has 8"),
            ({"cutoff": 50.0}, "same cutoff, but .*0002/WAVECAR` has 50 eV and .*0000/WAVECAR` has 43 eV"),
            ({"real": True}, "same kind of plane waves, but .*0002/WAVECAR` has half and .*0000/WAVECAR` has full"),
            ({"n_occupied": 3}, "same number of occupied bands, but .*0002/WAVECAR` has 3 and .*0000/WAVECAR` has 2"),
            ({"kpoint": (0.5, 0, 0)}, "same k-point, but .*0002/WAVECAR` has 0.5 0 0 and .*0000/WAVECAR` has 0 0 0"),
        ],
    )
    def test_frames_that_differ(self, tmp_path, change, words):
        frames = trajectory()
        vasp(tmp_path, [[[one]] for one in frames])
        other = files.channel(2.0, **{"n_occupied": 2, **change})
        files.write_wavecar(
            tmp_path / "0002" / "WAVECAR",
            [[other]],
            cutoff=change.get("cutoff", files.CUTOFF),
            half="z" if "real" in change else None,
        )
        with pytest.raises(hc.InputError, match=words):
            hc.read_hamiltonian(tmp_path, timestep=1.0)

    def test_half_spheres_of_two_programs(self, tmp_path):
        frames = trajectory(real=True)
        vasp(tmp_path, [[[one]] for one in frames], half="z")
        files.write_wavecar(tmp_path / "0001" / "WAVECAR", [[frames[1]]], half="x")
        with pytest.raises(
            hc.InputError,
            match="must halve the sphere of plane waves alike, but one keeps positive z, the other positive x",
        ):
            hc.read_hamiltonian(tmp_path, timestep=1.0)

    def test_metallic_and_partially_occupied(self, tmp_path):
        frames = trajectory()
        frames[1].occupations[2] = 0.3
        vasp(tmp_path, [[[one]] for one in frames])
        with pytest.raises(
            hc.InputError,
            match=r"0001/WAVECAR` must have a gap, but band 2 \(from 0\) at .* eV is occupied by 0.3: metallic",
        ):
            hc.read_hamiltonian(tmp_path, timestep=1.0)
        frames[0].occupations[2] = 0.3
        vasp(tmp_path, [[[one]] for one in frames])
        ham = hc.read_hamiltonian(tmp_path, timestep=1.0, bands=(0, 6), n_occupied=2)
        assert ham.n_occupied == 2

    def test_no_pair(self, tmp_path):
        frames = trajectory()
        for number in (1, 3):
            files.write_wavecar(tmp_path / str(number) / "WAVECAR", [[frames[0]]])
        with pytest.raises(
            hc.InputError,
            match=r"must hold two frames of consecutive numbers, a pair, but holds 2 with a WAVECAR \(1, 3\)",
        ):
            hc.read_hamiltonian(tmp_path, timestep=1.0)
        (tmp_path / "03").mkdir()
        files.write_wavecar(tmp_path / "03" / "WAVECAR", [[frames[0]]])
        with pytest.raises(hc.InputError, match="has frame 3 twice"):
            hc.read_hamiltonian(tmp_path, timestep=1.0)

    def test_save_of_another_prefix(self, tmp_path):
        frames = trajectory()
        qe(tmp_path, [[[one]] for one in frames])
        (tmp_path / "1" / "out" / "si.save").rename(tmp_path / "1" / "out" / "ge.save")
        with pytest.raises(
            hc.InputError, match=r"must hold frames of one prefix, but .*si\.save` and .*ge\.save` \(frame 1\)"
        ):
            hc.read_hamiltonian(tmp_path, timestep=1.0)
        files.write_save(tmp_path / "1" / "out" / "si.save", [[frames[1]]])
        with pytest.raises(hc.InputError, match=r"must hold one `\.save`, but holds `ge\.save` and `si\.save`"):
            hc.read_hamiltonian(tmp_path, timestep=1.0)

    def test_runs_that_did_not_converge(self, tmp_path):
        """Those on a fixed density (nscf) say so of their self-consistency, and have none."""
        frames = trajectory()
        for number, one in enumerate(frames):
            files.write_save(tmp_path / str(number) / "a.save", [[one]], calculation="nscf", converged=False)
        assert hc.read_hamiltonian(tmp_path, timestep=1.0).n_frames == 3
        files.write_save(tmp_path / "1" / "a.save", [[frames[1]]], converged=False)
        with pytest.raises(
            hc.InputError, match=r"1/a\.save/data-file-schema\.xml` says that the self-consistency did not converge"
        ):
            hc.read_hamiltonian(tmp_path, timestep=1.0)

    def test_wavefunctions_of_each_process(self, tmp_path):
        qe(tmp_path, [[[one]] for one in trajectory()])
        out = tmp_path / "1" / "out"
        (out / "si.save" / "wfc1.dat").rename(out / "si.wfc1")
        with pytest.raises(hc.InputError, match=r"one file a process \(`si\.wfc1`\).*wf_collect = \.true\."):
            hc.read_hamiltonian(tmp_path, timestep=1.0)
        (out / "si.wfc1").unlink()
        with pytest.raises(hc.InputError, match=r"must hold `wfc1\.dat` or `wfc1\.hdf5`, but holds neither"):
            hc.read_hamiltonian(tmp_path, timestep=1.0)

    def test_options_for_other_formats(self, tmp_path):
        (tmp_path / "EIGTXT").write_text("0 1\n0 1\n")
        (tmp_path / "NATXT").write_text("0 1 -1 0\n")
        with pytest.raises(
            hc.ConfigError,
            match=r"`bands` must be left out for the format `hefei`.* `qe-save`, `vasp-wavecar`, `vasp-wswq`",
        ):
            hc.read_hamiltonian(tmp_path, timestep=1.0, bands=(0, 2))


class TestPeers:
    """The same files through the readers of pymatgen."""

    @pytest.mark.parametrize("kind", ["std", "gam", "ncl"])
    def test_wavecar(self, tmp_path, kind):
        outputs = pytest.importorskip("pymatgen.io.vasp.outputs")
        options = {
            "std": {"kpoint": SKEWED_K},
            "gam": {"real": True},
            "ncl": {"spinor": True, "n_occupied": 4, "n_bands": 12},
        }[kind]
        frames = trajectory(**options)
        vasp(tmp_path, [[[one]] for one in frames], half="x" if kind == "gam" else None)
        theirs = [outputs.Wavecar(str(file)) for file in sorted(tmp_path.glob("*/WAVECAR"))]
        ham = hc.read_hamiltonian(tmp_path, timestep=1.0, loewdin=False)
        n = ham.n_states
        for frame, other in enumerate(theirs):
            assert other.vasp_type == kind
            assert_array_equal(np.array(other.band_energy[0])[:n, 0], ham.energies[frame])
        for step in range(2):
            left, right = (
                np.array([np.ravel(band) for band in other.coeffs[0][:n]]) for other in theirs[step : step + 2]
            )
            assert_allclose(ham.overlaps[step], left.conj() @ right.T, atol=1e-6)

    def test_wswq(self, tmp_path):
        outputs = pytest.importorskip("pymatgen.io.vasp.outputs")
        from hopcast.io.wavefunctions.wswq import read_wswq

        rng = np.random.default_rng(0)
        matrices = (rng.normal(size=(2, 3, 5, 5)) + 1j * rng.normal(size=(2, 3, 5, 5))) / 9
        files.write_wswq(tmp_path / "WSWQ", matrices)
        theirs = outputs.WSWQ.from_file(str(tmp_path / "WSWQ")).data
        for spin in range(2):
            for kpoint in range(3):
                ours, size = read_wswq(tmp_path / "WSWQ", spin, kpoint)
                assert_array_equal(ours, theirs[spin, kpoint])
                assert_allclose(ours, matrices[spin, kpoint], atol=1e-8)
        assert (size.n_spins, size.n_kpoints, size.n_bands) == (2, 3, 5)
