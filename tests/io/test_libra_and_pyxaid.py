"""Folders of Libra and PYXAID as their scripts write them: names, units, signs, where energies live, spin, many-body states.

Step 2 of Libra with plane waves writes ``edia = (E(t) + E(t + dt)) / 2`` and ``hvib = edia - i (St - St^H) / 2dt`` in atomic
units into ``hvib_dia_<n>_re, _im`` (beside ``S_dia_ks``, ``St_dia_ks``, ``E_dia_ks``); step 3 writes archives of
``-(St^T - St) / 2dt`` as ``Hvib_*_im``, of overlaps as ``St_*`` and of averages of neighbours as energies.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import expm
from scipy.sparse import csc_matrix, save_npz

import hopcast as hc
from hopcast.core.units import ATOMIC_TIME, HARTREE, HBAR, RYDBERG

DT = 0.5  # fs
AU = DT / ATOMIC_TIME
N = 3


def made(seed=0, n_frames=4):
    """Return energies (Ha) of frames and overlaps of consecutive ones, of a steady rotation."""
    rng = np.random.default_rng(seed)
    energies = np.sort(rng.random((n_frames, N)), axis=1)
    generator = rng.normal(scale=0.02, size=(n_frames - 1, N, N))
    return energies, np.array([expm(each - each.T) for each in generator])


def couplings(overlaps):
    """Return hbar d of differences, eV."""
    return (overlaps - overlaps.swapaxes(1, 2)) * HBAR / (2 * DT)


def put_text(folder, prefix, energies, overlaps, first=0):
    folder.mkdir(exist_ok=True)
    for step, overlap in enumerate(overlaps):
        middle = 0.5 * (energies[step] + energies[step + 1])
        hvib = np.diag(middle) - 1j * (overlap - overlap.T) / (2 * AU)
        np.savetxt(folder / f"{prefix}{step + first}_re", hvib.real)
        np.savetxt(folder / f"{prefix}{step + first}_im", hvib.imag)


@pytest.mark.parametrize("prefix", ["Hvib_", "hvib_", "hvib_dia_", "hvib_adi_", "Hvib_sd_", "Hvib_ci_", "Hvib_dia_"])
def test_every_name_that_libra_gives_is_in_hartree(tmp_path, prefix):
    energies, overlaps = made()
    put_text(tmp_path / "run", prefix, energies, overlaps, first=7)
    found = hc.read_hamiltonian(tmp_path / "run", timestep=DT)
    assert found.energy_grid == "midpoint"
    assert_allclose(found.energies, 0.5 * (energies[1:] + energies[:-1]) * HARTREE, rtol=1e-12)
    assert_allclose(found.nac, couplings(overlaps), atol=1e-14)
    assert found.frame_numbers[0] == 7
    assert found.provenance["format"] == f"libra-text, {prefix}"


def test_matrices_beside_a_hamiltonian_are_none(tmp_path):
    energies, overlaps = made()
    put_text(tmp_path / "run", "hvib_dia_", energies, overlaps)
    for step, overlap in enumerate(overlaps):
        for name in ("St_dia_ks", "S_dia_ks", "E_dia_ks"):
            np.savetxt(tmp_path / "run" / f"{name}_{step}_re", overlap)
            np.savetxt(tmp_path / "run" / f"{name}_{step}_im", 0 * overlap)
    for trusted in ("overlaps", "source"):
        found = hc.read_hamiltonian(tmp_path / "run", timestep=DT, couplings=trusted)
        assert found.provenance["format"].startswith("libra-text, hvib_dia_")
        assert found.n_states == N
    assert_allclose(found.nac, couplings(overlaps), atol=1e-14)


@pytest.mark.parametrize(
    ("prefix", "beside"),
    [
        ("hvib_dia_", "St_dia_ks_"),
        ("hvib_dia_", "st_dia_"),
        ("hvib_adi_", "St_adi_ks_"),
        ("hvib_", "St_"),
        ("Hvib_ci_", "St_ci_"),
    ],
)
def test_raw_overlaps_beside_text_are_read(tmp_path, prefix, beside):
    """What Libra's second step writes (step2.py, compute_properties.py, step2_dftb.py): phases are those of the electronic structure."""
    energies, overlaps = made()
    flips = np.array([[1, 1, 1], [1, -1, 1], [1, -1, -1], [-1, 1, 1]])
    raw = flips[:-1, :, None] * overlaps * flips[1:, None, :]
    put_text(tmp_path, prefix, energies, raw, first=5)
    for step, overlap in enumerate(raw):
        np.savetxt(tmp_path / f"{beside}{step + 5}_re", overlap)
        np.savetxt(tmp_path / f"{beside}{step + 5}_im", 1e-15 * overlap)
        np.savetxt(tmp_path / f"{beside.replace('t_', '_', 1)}{step + 5}_re", np.eye(N))
    found = hc.read_hamiltonian(tmp_path, timestep=DT)
    assert found.energy_grid == "midpoint"
    assert_allclose(found.energies, 0.5 * (energies[1:] + energies[:-1]) * HARTREE, rtol=1e-12)
    assert_allclose(found.overlaps, raw)
    assert not np.iscomplexobj(found.overlaps)
    assert list(found.frame_numbers) == [5, 6, 7, 8]
    derived = hc.derive_couplings(found, derivative="difference")
    assert_allclose(np.abs(derived.nac), np.abs(couplings(overlaps)), atol=1e-14)
    spoilt = hc.read_hamiltonian(tmp_path, timestep=DT, couplings="source").nac
    assert np.abs(np.abs(spoilt) - np.abs(couplings(overlaps))).max() > 0.03
    for step in range(3):  # of orbitals, where the Hamiltonian is of others: none of its business
        np.savetxt(tmp_path / f"St_ks_{step + 5}_re", np.eye(2 * N + 2))
    assert_allclose(hc.read_hamiltonian(tmp_path, timestep=DT).overlaps, raw)
    (tmp_path / f"{beside}6_re").unlink()
    with pytest.raises(hc.InputError, match=f"`{beside}<step>_re` of every coupling, or of none, but that of step 6"):
        hc.read_hamiltonian(tmp_path, timestep=DT)


def test_energies_and_raw_overlaps_without_a_hamiltonian(tmp_path):
    """``compute_hvib`` off: averages of neighbours and overlaps of the same steps."""
    energies, overlaps = made()
    for step, overlap in enumerate(overlaps):
        np.savetxt(tmp_path / f"E_dia_ks_{step}_re", np.diag(0.5 * (energies[step] + energies[step + 1])))
        for name, matrix in (("E_dia_ks", 0 * overlap), ("St_dia_ks", 0 * overlap), ("S_dia_ks", 0 * overlap)):
            np.savetxt(tmp_path / f"{name}_{step}_im", matrix)
        np.savetxt(tmp_path / f"S_dia_ks_{step}_re", np.eye(N))
        np.savetxt(tmp_path / f"St_dia_ks_{step}_re", overlap)
    found = hc.read_hamiltonian(tmp_path, timestep=DT)
    assert found.energy_grid == "midpoint"
    assert_allclose(found.energies, 0.5 * (energies[1:] + energies[:-1]) * HARTREE, rtol=1e-12)
    assert_allclose(found.overlaps, overlaps)
    assert_allclose(hc.read_hamiltonian(tmp_path, timestep=DT, couplings="source").nac, couplings(overlaps), atol=1e-14)


def test_several_hamiltonians_in_a_folder_ask_for_the_prefix(tmp_path):
    energies, overlaps = made()
    put_text(tmp_path / "run", "Hvib_sd_", energies, overlaps)
    put_text(tmp_path / "run", "Hvib_ci_", 2 * energies, overlaps)
    with pytest.raises(hc.InputError, match=r"several Hamiltonians \(`Hvib_ci_`, `Hvib_sd_`\).* Give `prefix`"):
        hc.read_hamiltonian(tmp_path / "run", timestep=DT)
    chosen = hc.read_hamiltonian(tmp_path / "run", timestep=DT, prefix="Hvib_ci_")
    assert_allclose(chosen.energies, (energies[1:] + energies[:-1]) * HARTREE, rtol=1e-12)
    with pytest.raises(hc.InputError, match="must hold files that begin with `Hvib_ks_`"):
        hc.read_hamiltonian(tmp_path / "run", timestep=DT, prefix="Hvib_ks_")


def test_pyxaid_2_writes_overlaps_and_spin_matrices_beside(tmp_path):
    for step in range(3):
        for name, matrix in (("0_Ham", [[0.1, 0], [0, 0.3]]), ("0_S", [[1, 0], [0, 1]]), ("0_sig1", [[0, 1], [1, 0]])):
            np.savetxt(tmp_path / f"{name}_{step}_re", matrix)
            np.savetxt(tmp_path / f"{name}_{step}_im", [[0, 1e-3], [-1e-3, 0]])
    found = hc.read_hamiltonian(tmp_path, timestep=1.0)
    assert_allclose(found.gap(), 0.2 * RYDBERG)
    assert_allclose(found.coupling(), -1e-3 * RYDBERG)


def test_a_prefix_that_no_code_is_known_by_is_announced(tmp_path):
    for step in range(2):
        np.savetxt(tmp_path / f"mine{step}_re", np.diag([0.1, 0.3]))
        np.savetxt(tmp_path / f"mine{step}_im", np.zeros((2, 2)))
    with pytest.warns(hc.QualityWarning, match="only because no code is known to name its files `mine<step>`"):
        hc.read_hamiltonian(tmp_path, timestep=1.0)
    assert_allclose(hc.read_hamiltonian(tmp_path, timestep=1.0, unit="eV").gap(), 0.2)


def test_rounding_off_the_diagonal_makes_no_complex_couplings(tmp_path):
    for step in range(2):
        np.savetxt(tmp_path / f"0_Ham_{step}_re", [[0.1, 1e-9], [1e-9, 0.3]])
        np.savetxt(tmp_path / f"0_Ham_{step}_im", [[0, 1e-3], [-1e-3, 0]])
    found = hc.read_hamiltonian(tmp_path, timestep=1.0)
    assert not np.iscomplexobj(found.nac)
    assert_allclose(found.coupling(), -1e-3 * RYDBERG)


def two(block, other=None):
    zero = np.zeros_like(block)
    return csc_matrix(np.block([[block, zero], [zero, block if other is None else other]]))


def put_step3(folder, energies, overlaps, sign=-1.0):
    folder.mkdir()
    for step, overlap in enumerate(overlaps):
        save_npz(folder / f"E_ks_{step}.npz", two(np.diag(0.5 * (energies[step] + energies[step + 1]))))
        save_npz(folder / f"S_ks_{step}.npz", two(np.eye(N)))
        save_npz(folder / f"St_ks_{step}.npz", two(overlap))
        save_npz(folder / f"Hvib_ks_{step}_im.npz", two(sign * 0.5 / AU * (overlap.T - overlap)))


@pytest.mark.parametrize("sign", [-1.0, 1.0], ids=["now", "older"])
def test_energies_of_libras_third_step_live_on_mid_points_and_the_overlaps_tell_the_sign(tmp_path, sign):
    energies, overlaps = made()
    put_step3(tmp_path / "ks", energies, overlaps, sign)
    for trust in ("overlaps", "source"):
        found = hc.read_hamiltonian(tmp_path / "ks", timestep=DT, couplings=trust)
        assert (found.energy_grid, found.n_steps) == ("midpoint", 3)
        assert_allclose(found.energies, 0.5 * (energies[1:] + energies[:-1]) * HARTREE, rtol=1e-12)
        if trust == "overlaps":
            assert not found.nac_known.any()
            found = hc.derive_couplings(found, derivative="difference")
        # phases are made consistent: signs of whole states may differ
        assert_allclose(np.abs(found.nac), np.abs(couplings(overlaps)), atol=1e-14)
        loop = lambda nac: nac[:, 0, 1] * nac[:, 1, 2] * nac[:, 2, 0]  # noqa: E731
        assert_allclose(loop(found.nac), loop(couplings(overlaps)), rtol=1e-8)


@pytest.mark.parametrize("kind", ["ci", "sd"])
def test_raw_many_body_overlaps_are_read(tmp_path, kind):
    energies, overlaps = made()
    flips = np.array([[1, 1, 1], [1, -1, 1], [1, -1, -1], [-1, 1, 1]])
    for step, overlap in enumerate(overlaps):
        raw = flips[step][:, None] * overlap * flips[step + 1]
        save_npz(
            tmp_path / f"Hvib_{kind}_{step}_re.npz", csc_matrix(np.diag(0.5 * (energies[step] + energies[step + 1])))
        )
        save_npz(tmp_path / f"Hvib_{kind}_{step}_im.npz", csc_matrix(-0.5 / AU * (raw.T - raw)))
        save_npz(tmp_path / f"St_{kind}_{step}_re.npz", csc_matrix(raw))
    found = hc.read_hamiltonian(tmp_path, timestep=DT)
    assert found.energy_grid == "midpoint"
    derived = hc.derive_couplings(found, derivative="difference")
    assert_allclose(np.abs(derived.nac), np.abs(couplings(overlaps)), atol=1e-14)
    trusted = hc.read_hamiltonian(tmp_path, timestep=DT, couplings="source")
    assert np.abs(np.abs(trusted.nac) - np.abs(couplings(overlaps))).max() > 0.03  # flips spoil them
    with pytest.raises(hc.InputError, match="only where energies live on frames"):
        hc.derive_couplings(found, tracking="trivial")
    (tmp_path / f"St_{kind}_1_re.npz").unlink()
    with pytest.raises(
        hc.InputError, match=f"`St_{kind}_<step>_re.npz` of every coupling, or of none, but that of step 1"
    ):
        hc.read_hamiltonian(tmp_path, timestep=DT)


def test_both_many_body_bases_ask_for_one(tmp_path):
    for kind in ("ci", "sd"):
        for step in range(2):
            save_npz(tmp_path / f"Hvib_{kind}_{step}_re.npz", csc_matrix(np.diag([0, 0.1])))
            save_npz(tmp_path / f"Hvib_{kind}_{step}_im.npz", csc_matrix(np.array([[0, 1e-3], [-1e-3, 0]])))
    with pytest.raises(hc.InputError, match=r"several Hamiltonians \(`Hvib_sd_`, `Hvib_ci_`\)"):
        hc.read_hamiltonian(tmp_path, timestep=1.0)
    assert_allclose(hc.read_hamiltonian(tmp_path, timestep=1.0, prefix="Hvib_ci_").gap(), 0.1 * HARTREE)


def test_spinors_have_no_blocks_of_spin(tmp_path):
    rng = np.random.default_rng(0)
    energies = np.sort(rng.random((3, 4)), axis=1)
    for frame in range(3):
        save_npz(tmp_path / f"E_ks_{frame}.npz", csc_matrix(np.diag(energies[frame])))
    generator = rng.normal(scale=0.1, size=(4, 4)) + 1j * rng.normal(scale=0.1, size=(4, 4))
    overlap = expm(generator - generator.conj().T)
    for step in range(2):
        save_npz(tmp_path / f"St_ks_{step}.npz", csc_matrix(overlap))
    found = hc.read_hamiltonian(tmp_path, timestep=DT)
    assert found.n_states == 4
    assert_allclose(found.energies, energies * HARTREE)
    assert_allclose(found.overlaps, [overlap] * 2)
    assert "spinors" in found.provenance["format"]
    with pytest.raises(hc.InputError, match=r"holds spinors, which have no channels of spin. Leave `spin` out"):
        hc.read_hamiltonian(tmp_path, timestep=DT, spin=1)


def test_an_overlap_of_zeros_is_a_step_that_failed(tmp_path):
    energies, overlaps = made()
    put_step3(tmp_path / "ks", energies, overlaps)
    save_npz(tmp_path / "ks" / "St_ks_1.npz", two(np.zeros((N, N))))
    with pytest.raises(
        hc.InputError, match=r"St_ks_1.npz` must hold overlaps, but those of step 1 are zero throughout"
    ):
        hc.read_hamiltonian(tmp_path / "ks", timestep=DT)


@pytest.mark.parametrize("kind", ["blocks", "spinors"])
def test_raw_overlaps_as_text(tmp_path, kind):
    """Step 2 with CP2K prints the real parts of matrices of alpha and beta states, of frames and of pairs."""
    energies, overlaps = made()

    def put(name, matrix):
        zero = 0.1 * (kind == "spinors") * np.ones_like(matrix)
        np.savetxt(tmp_path / name, np.block([[matrix, zero], [zero.T, matrix]]), fmt="%.16e")

    for frame in range(4):
        put(f"S_ks_{frame + 5}_re", np.eye(N))
        np.savetxt(tmp_path / f"E_ks_{frame + 5}_re", np.diag([*energies[frame], *energies[frame]]))
        if frame < 3:
            put(f"St_ks_{frame + 5}_re", overlaps[frame])
    if kind == "spinors":
        for frame in range(4):
            (tmp_path / f"S_ks_{frame + 5}_re").unlink()
    found = hc.read_hamiltonian(tmp_path, timestep=DT)
    assert found.n_states == (N if kind == "blocks" else 2 * N)
    assert_allclose(found.energies[:, :N], energies * HARTREE)
    assert_allclose(found.overlaps[:, :N, :N], overlaps)
    assert list(found.frame_numbers) == [5, 6, 7, 8]


def test_matrices_of_an_unknown_layout_are_named(tmp_path):
    for name in ("E_0_1_1_re", "S_0_0_1_tre"):
        (tmp_path / name).write_text("0 0\n0 0\n")
    with pytest.raises(hc.InputError, match=r"holds `E_<step>_1_1_re` .* Take the `hvib_<step>_re`"):
        hc.read_hamiltonian(tmp_path, timestep=DT)


def test_a_folder_of_compressed_files_says_what_to_do(tmp_path):
    (tmp_path / "0_Ham_0_re.gz").write_bytes(b"")
    with pytest.raises(hc.InputError, match=r"holds compressed files \(`0_Ham_0_re.gz`\). Unpack them"):
        hc.read_hamiltonian(tmp_path, timestep=DT)
