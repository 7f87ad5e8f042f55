"""Hand-made fixtures of each layout, written from the codes' conventions and not by our writers, read to known numbers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import hopcast as hc

HBAR, RY, HA = 0.6582119569, 13.605693, 27.211386
FACTOR = HBAR / (2 * 0.5)  # dt = 0.5 fs


def test_hefei_text_column_order_and_a_last_coupling_too_many(tmp_path):
    (tmp_path / "EIGTXT").write_text("-1.0 0.5\n-1.1 0.6\n-1.2 0.7\n")
    (tmp_path / "NATXT").write_text("0.0 0.01 -0.01 0.0\n0.0 2.0D-2 -2.0D-2 0.0\n 0.0 0.03 -0.03 0.0\n")
    ham = hc.read_hamiltonian(tmp_path, timestep=0.5)
    assert_allclose(ham.energies, [[-1, 0.5], [-1.1, 0.6], [-1.2, 0.7]])
    assert_allclose(ham.coupling(), [0.01 * FACTOR, 0.02 * FACTOR], rtol=1e-14)
    assert "the last coupling (number 2) has no last energy and was dropped" in ham.provenance["alignment"]
    assert ham.provenance["format"] == "hefei"
    assert "hbar / (2 dt)" in ham.provenance["sign"]
    assert "eV" in ham.provenance["units"]


def test_hefei_complex_and_potim(tmp_path):
    (tmp_path / "EIGTXT").write_text("0 1\n0 1\n")
    (tmp_path / "NATXT_RE").write_text("0 0.3 -0.3 0\n")
    (tmp_path / "NATXT_IM").write_text("0 0.4 0.4 0\n")
    (tmp_path / "inp").write_text("&NAMDPARA\n  NBANDS = 2 ! all\n  POTIM = 0.5\n  RUNDIR = '/etc/passwd'\n/\n")
    ham = hc.read_hamiltonian(tmp_path)
    assert ham.timestep == 0.5
    assert_allclose(ham.coupling(), [(0.3 + 0.4j) * FACTOR])
    with pytest.raises(hc.InputError, match=r"POTIM = 0.5 fs, but `timestep` is 1 fs"):
        hc.read_hamiltonian(tmp_path, timestep=1.0)


@pytest.mark.parametrize("words", [1, 4])
def test_coupcar_first_index_fastest(tmp_path, words):
    n = 3
    length = 8 * (n * n + n)
    first = np.zeros(n * n + n)
    first[:4] = length / words, n, 3, 0.5
    d = np.array([[0, 1, 2], [-1, 0, 3], [-2, -3, 0.0]])  # d[i, j]
    records = [np.concatenate([d.ravel(order="F") * k, [k, k + 1.0, k + 2.0]]) for k in (1, 2)]
    np.concatenate([first, *records]).tofile(tmp_path / "COUPCAR")
    ham = hc.read_hamiltonian(tmp_path, format="hefei-namd")
    assert_allclose(ham.nac, [d * FACTOR])
    assert_allclose(ham.energies, [[1, 2, 3], [2, 3, 4]])


def test_empty_coupcar_means_the_text(tmp_path):
    (tmp_path / "EIGTXT").write_text("0 1\n0 1\n")
    (tmp_path / "NATXT").write_text("0 1 -1 0\n")
    (tmp_path / "COUPCAR").write_bytes(b"")
    for name in (None, "hefei", "hefei-namd"):
        assert hc.read_hamiltonian(tmp_path, timestep=0.5, format=name).provenance["format"] == "hefei"
    with pytest.raises(hc.InputError, match="the text holds the data"):
        hc.read_hamiltonian(tmp_path / "COUPCAR", format="hefei-coupcar")


def numbered(folder, name, real, imaginary):
    folder.mkdir(exist_ok=True, parents=True)
    (folder / f"{name}_re").write_text("\n".join(" ".join(f"{x:.6g}" for x in row) for row in real) + "\n")
    (folder / f"{name}_im").write_text("\n".join(" ".join(f"{x:.6g}" for x in row) for row in imaginary) + "\n")


IMAGINARY = [[0, -0.002], [0.002, 0]]


@pytest.mark.parametrize(("unit", "scale"), [(None, RY), ("eV", 1.0), ("Ha", HA)])
def test_pyxaid(tmp_path, unit, scale):
    for step in (0, 1):
        numbered(tmp_path, f"0_Ham_{step}", [[-0.1 - step, 0], [0, 0.2]], IMAGINARY)
    ham = hc.read_hamiltonian(tmp_path, timestep=1.0, unit=unit)
    assert ham.energy_grid == "midpoint"
    assert_allclose(ham.energies, np.array([[-0.1, 0.2], [-1.1, 0.2]]) * scale)
    assert_allclose(ham.coupling(), [0.002 * scale] * 2)


def test_canac_in_the_form_of_pyxaid(tmp_path):
    for step in (0, 1, 2):
        numbered(tmp_path / f"{step + 1:04d}", f"Ham{step}", [[-0.1, 0], [0, 0.2]], IMAGINARY)
    ham = hc.read_hamiltonian(tmp_path, timestep=1.0)
    assert ham.n_steps == 3
    assert_allclose(ham.coupling(), [0.002 * RY] * 3)


def test_libra_has_both_signs(tmp_path):
    from scipy.sparse import csc_matrix, save_npz

    text, archive, many = tmp_path / "text", tmp_path / "npz", tmp_path / "ci"
    for step in (0, 1):
        numbered(text, f"Hvib_{step}", [[-0.1, 0], [0, 0.2]], IMAGINARY)
    archive.mkdir()
    many.mkdir()
    for frame in (0, 1, 2):
        save_npz(archive / f"E_ks_{frame}.npz", csc_matrix(np.diag([-0.1, 0.2 + frame, -0.1, 0.9]).astype(complex)))
        block = np.array([[0, 0.002], [-0.002, 0]])
        both = np.kron(np.diag([1, 3]), block)
        if frame < 2:
            save_npz(archive / f"Hvib_ks_{frame}_im.npz", csc_matrix(both))
            save_npz(many / f"Hvib_ci_{frame}_re.npz", csc_matrix(np.diag([0, 0.3])))
        save_npz(many / f"Hvib_ci_{frame}_im.npz", csc_matrix(block))  # the last _re is missing
    for folder in (text, archive, many):
        ham = hc.read_hamiltonian(folder, timestep=1.0, spin=0 if folder == archive else None)
        assert_allclose(ham.coupling(), [0.002 * HA] * 2)
    with pytest.warns(hc.QualityWarning, match="two channels of spin .* of which alpha is read"):
        alpha = hc.read_hamiltonian(archive, timestep=1.0)
    assert_allclose(alpha.gap(), [0.3 * HA, 1.3 * HA, 2.3 * HA])
    beta = hc.read_hamiltonian(archive, timestep=1.0, spin=1)
    assert_allclose(beta.coupling(), [0.006 * HA] * 2)
    assert_allclose(beta.gap(), [1.0 * HA] * 3)
    assert hc.read_hamiltonian(text, timestep=1.0).energy_grid == "midpoint"
    frames = hc.read_hamiltonian(text, timestep=1.0, energy_grid="frame")
    assert (frames.energy_grid, frames.n_steps) == ("frame", 1)
    assert "was dropped" in hc.read_hamiltonian(many, timestep=1.0).provenance["alignment"]


def test_libra_raw_overlaps(tmp_path):
    from scipy.sparse import csc_matrix, save_npz

    angle = 0.1
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    flipped = rotation * [1, -1]
    for frame in range(3):
        save_npz(tmp_path / f"E_ks_{frame}.npz", csc_matrix(np.diag([-0.1, 0.2, -0.1, 0.2]).astype(complex)))
        save_npz(tmp_path / f"S_ks_{frame}.npz", csc_matrix(np.kron(np.eye(2), 1.1 * np.eye(2)).astype(complex)))
        if frame < 2:
            save_npz(tmp_path / f"St_ks_{frame}.npz", csc_matrix(np.kron(np.eye(2), 1.1 * flipped).astype(complex)))
    raw = hc.read_hamiltonian(tmp_path, timestep=0.5)
    assert not raw.nac_known.any()
    assert_allclose(raw.overlaps, [flipped] * 2, atol=1e-14)
    assert_allclose(np.abs(hc.derive_couplings(raw).coupling()), [angle * HBAR / 0.5] * 2)
    # an overlap after the last energy is dropped, and those before it are treated alike
    save_npz(tmp_path / "St_ks_2.npz", csc_matrix(np.kron(np.eye(2), 1.1 * flipped).astype(complex)))
    assert_allclose(hc.read_hamiltonian(tmp_path, timestep=0.5).overlaps, [flipped] * 2, atol=1e-14)
    trusted = hc.read_hamiltonian(tmp_path, timestep=0.5, couplings="source")
    assert trusted.overlaps is None
    assert_allclose(trusted.coupling(), 0.0, atol=1e-14)  # the flip has destroyed the magnitude


def test_nanoqmflows_schemes_and_numbering(tmp_path):
    matrix = "0.00000e+00 2.00000e-03\n-2.00000e-03 0.00000e+00\n"
    for step in (0, 1):
        (tmp_path / f"Ham_{step}_re").write_text("-1.00000e+00 0.00000e+00\n0.00000e+00 5.00000e-01\n")
        (tmp_path / f"Ham_{step + 7}_im").write_text(matrix)
    with pytest.raises(hc.InputError, match="does not say how its couplings were made"):
        hc.read_hamiltonian(tmp_path, timestep=1.0)
    ham = hc.read_hamiltonian(tmp_path, timestep=1.0, scheme="3points")
    assert_allclose(ham.coupling(), [0.002] * 2)
    assert "paired in order" in ham.provenance["format"]
    levine = hc.read_hamiltonian(tmp_path, timestep=1.0, scheme="levine")
    assert_allclose(levine.coupling(), [-0.002 * np.pi / 4] * 2)


def test_nanoqmflows_hdf5(tmp_path):
    import h5py

    overlap = np.array([[1, 0.1], [-0.1, -1]], dtype=np.float32)
    with h5py.File(tmp_path / "run.hdf5", "w") as file:
        for k in range(3):
            file[f"eigenvalues/point_{k}"] = np.array([-0.1, 0.2], dtype=np.float32)
            file[f"coefficients/point_{k}"] = np.ones((5, 2), dtype=np.float32)
            if k < 2:
                file[f"overlaps_{k}/mtx_sji_t0"] = overlap
                file[f"overlaps_{k}/mtx_sji_t0_corrected"] = overlap * [[1], [-1]] * [1, -1]
    ham = hc.read_hamiltonian(tmp_path / "run.hdf5", timestep=1.0)
    assert_allclose(ham.overlaps, [overlap] * 2)
    assert_allclose(ham.gap(), 0.3 * HA, rtol=1e-6)


@pytest.mark.parametrize(("scheme", "factor"), [("3points", 1.0), ("levine", -4 / np.pi), (None, 0.5), (None, -1.0)])
def test_nanoqmflows_couplings_against_overlaps(tmp_path, scheme, factor):
    import h5py

    from hopcast.core.units import ATOMIC_TIME

    rng = np.random.default_rng(0)
    d = rng.normal(size=(3, 2, 2)) * 0.02
    d -= d.swapaxes(1, 2)
    for k, stored in enumerate(factor * HBAR * d / 0.5):
        numbered(tmp_path, f"Ham_{k}", [[-1, 0], [0, 0.5]], stored)
    with h5py.File(tmp_path / "run.hdf5", "w") as file:
        for k in range(4):
            file[f"eigenvalues/point_{k}"] = [-0.1, 0.2]
            if k < 3:
                file[f"overlaps_{k}/mtx_sji_t0"] = np.eye(2) + d[k]
                file[f"coupling_{k}"] = factor * d[k] / 0.5 * ATOMIC_TIME
    for place in (tmp_path, tmp_path / "run.hdf5"):
        if scheme is None:
            with pytest.raises(hc.InputError, match=f"follow with a slope of {factor:g} "):
                hc.read_hamiltonian(place, timestep=0.5, couplings="source")
        else:
            ham = hc.read_hamiltonian(place, timestep=0.5, couplings="source", format="nano-qmflows")
            assert_allclose(ham.nac, HBAR * d / 0.5, rtol=1e-4)
            assert (
                f"{scheme}, told by the overlaps" in ham.provenance["sign"]
                or f"({scheme}, told" in ham.provenance["sign"]
            )


def test_namd_lmi(tmp_path):
    import h5py

    with h5py.File(tmp_path / "NAC.h5", "w") as file:
        file["eigs"] = np.arange(8.0).reshape(2, 2, 2)
        real, imaginary = np.zeros((2, 2, 2, 2)), np.zeros((2, 2, 2, 2))
        real[:, 1, 0, 1], real[:, 1, 1, 0] = 0.3, -0.3
        imaginary[:, 1, 0, 1] = imaginary[:, 1, 1, 0] = 0.4
        file["olaps_r"], file["olaps_i"] = real, imaginary
        file["potim"], file["brange"] = 0.5, [1, 2]
    ham = hc.read_hamiltonian(tmp_path / "NAC.h5", spin=1)
    assert ham.energy_grid == "midpoint"
    assert_allclose(ham.coupling(), [(0.3 + 0.4j) * FACTOR] * 2)
    assert_allclose(ham.energies, [[2, 3], [6, 7]])
    with pytest.raises(hc.InputError, match="`spin` must lie between 0 and 1"):
        hc.read_hamiltonian(tmp_path / "NAC.h5", spin=2)
    with h5py.File(tmp_path / "NAC.h5", "a") as file:
        file["potim"][...] = 5e-324  # found by fuzzing
    with pytest.raises(hc.InputError, match=r"time step of .* must be a number of fs between"):
        hc.read_hamiltonian(tmp_path / "NAC.h5")


def test_canac_of_several_kinds_asks(tmp_path):
    for label, gap in (("ps", 1.0), ("ae", 2.0)):
        (tmp_path / f"CAeig_{label}.txt").write_text(f"0 {gap}\n" * 3)
        for part in ("re", "im"):
            (tmp_path / f"CAnac_{label}_{part}.txt").write_text("0 0 0 0\n" * 2)
    with pytest.raises(hc.InputError, match=r"several Hamiltonians \(`CAeig_ae`, `CAeig_ps`\)"):
        hc.read_hamiltonian(tmp_path, timestep=1.0)
    assert_allclose(hc.read_hamiltonian(tmp_path, timestep=1.0, prefix="CAeig_ae").gap(), 2.0)
    assert_allclose(hc.read_hamiltonian(tmp_path / "CAeig_ps.txt", timestep=1.0).gap(), 1.0)
    assert_allclose(hc.read_hamiltonian(tmp_path / "CAnac_ae_re.txt", timestep=1.0).gap(), 2.0)


def test_canac_text_and_arrays(tmp_path):
    (tmp_path / "CAeig_1_2_ispin1_k1_ps.txt").write_text("0 1\n0 2\n")
    (tmp_path / "CAnac_1_2_ispin1_k1_ps_re.txt").write_text("0 0.3 -0.3 0\n0 0.5 -0.5 0\n")
    (tmp_path / "CAnac_1_2_ispin1_k1_ps_im.txt").write_text("0 0.4 0.4 0\n0 0 0 0\n")
    ham = hc.read_hamiltonian(tmp_path, timestep=0.5)
    assert_allclose(ham.coupling(), [(0.3 + 0.4j) * FACTOR])
    folders = tmp_path / "steps"
    for step in range(3):
        folder = folders / f"{step + 1:04d}"
        folder.mkdir(parents=True)
        np.save(folder / "eig_ae.npy", [0.0, 1.0 + step])
        if step < 2:
            np.save(folder / "nac_ae.npy", np.array([0, 0.3 + 0.4j, -0.3 + 0.4j, 0]))
    ham = hc.read_hamiltonian(folders, timestep=0.5)
    assert_allclose(ham.coupling(), [(0.3 + 0.4j) * FACTOR] * 2)
    assert_allclose(ham.gap(), [1, 2, 3])


XDATCAR = """water
  2.0
  2.0 0.0 0.0
  0.5 2.0 0.0
  0.0 0.0 2.0
  O H
  1 2
Direct configuration=     1
  0.95 0.5 0.5
  0.10 0.2 0.3
  0.40 0.5 0.6
"""
FRAME = "Direct configuration=     2\n  0.05 0.5 0.5\n  0.11 0.2 0.3\n  0.41 0.5 0.6\n"


@pytest.mark.parametrize("repeated", [False, True])
def test_xdatcar_one_header_or_many(tmp_path, repeated):
    header = XDATCAR.split("Direct")[0]
    (tmp_path / "XDATCAR").write_text(
        XDATCAR + (header.replace("2.0\n  2.0", "2.0\n  2.2") if repeated else "") + FRAME
    )
    path = hc.read_trajectory(tmp_path, timestep=1.0)
    assert path.formula == "OH2"
    cell = np.array([[4, 0, 0], [1, 4, 0], [0, 0, 4.0]])
    if repeated:
        assert_allclose(path.cell, [cell, [[4.4, 0, 0], [1, 4, 0], [0, 0, 4]]])
    else:
        assert_allclose(path.cell, cell)
    assert_allclose(path.positions[1, 0], np.array([1.05, 0.5, 0.5]) @ path.cells()[1])  # unwrapped
    wrapped = hc.read_trajectory(tmp_path / "XDATCAR", timestep=1.0, unwrap=False)
    assert_allclose(wrapped.positions[1, 0], np.array([0.05, 0.5, 0.5]) @ path.cells()[1])


def cp2k(name, scale, n_frames=3):
    return "".join(
        f"2\n i = {k}, time = {0.5 * k:.3f}, E = -17.1\n O {scale * k:.6f} 0.0 0.0\n Cl 0.0 {scale:.6f} 1.0\n"
        for k in range(n_frames)
    )


def test_cp2k_positions_velocities_and_cell(tmp_path):
    (tmp_path / "run-pos-1.xyz").write_text(cp2k("pos", 1.0))
    (tmp_path / "run-vel-1.xyz").write_text(cp2k("vel", 0.001))
    with pytest.raises(hc.InputError, match="has no cell"):
        hc.read_trajectory(tmp_path / "run-pos-1.xyz")
    path = hc.read_trajectory(tmp_path / "run-pos-1.xyz", cell=[9, 9, 9])
    assert path.timestep == 0.5
    assert_allclose(path.positions[:, 0, 0], [0, 1, 2])
    assert_allclose(path.velocities[2, 0, 0], 0.002 * 0.529177210903 * 41.341373, rtol=1e-12)
    (tmp_path / "run-1.cell").write_text(
        "#   Step   Time [fs]  Ax ...\n" + "".join(f"{k} {k * 0.5} 9 0 0 0 9 0 0 0 9 729\n" for k in range(3))
    )
    assert_allclose(hc.read_trajectory(tmp_path / "run-pos-1.xyz").cell, 9 * np.eye(3))
    (tmp_path / "run-vel-1.xyz").write_text(cp2k("vel", 0.001, 2))
    with pytest.raises(hc.InputError, match="Print both at the same steps"):
        hc.read_trajectory(tmp_path / "run-pos-1.xyz")
    (tmp_path / "run-vel-1.xyz").unlink()
    with pytest.raises(hc.InputError, match=r"0.5 fs apart by its comments, but `timestep` is 1 fs"):
        hc.read_trajectory(tmp_path / "run-pos-1.xyz", timestep=1.0)


def test_numbered_poscars(tmp_path):
    text = XDATCAR.split("Direct")[0] + "Direct\n" + "".join(XDATCAR.splitlines(True)[-3:])
    for step in (1, 2, 3):
        (tmp_path / f"{step:04d}").mkdir()
        (tmp_path / f"{step:04d}" / "POSCAR").write_text(text)
    assert hc.read_trajectory(tmp_path, timestep=1.0).n_frames == 3
    (tmp_path / "0002" / "POSCAR").unlink()
    with pytest.raises(hc.InputError, match="that of step 2 is missing"):
        hc.read_trajectory(tmp_path, timestep=1.0)


def test_vasprun_of_machine_learned_dynamics(tmp_path):
    """Steps by the force field stand as unnamed structures between the calculations (ML_LMLFF), all of them in order."""

    def structure(z, name=""):
        basis = '<varray name="basis"><v> 4 0 0 </v><v> 0 4 0 </v><v> 0 0 4 </v></varray>'
        return f'<structure{name}><crystal>{basis}</crystal><varray name="positions"><v> 0.1 0.5 {z:.3f} </v></varray></structure>'

    steps = "".join(
        f"<calculation>{structure(0.1 + k / 100)}</calculation>" if k % 5 == 0 else structure(0.1 + k / 100)
        for k in range(15)
    )
    (tmp_path / "vasprun.xml").write_text(
        '<?xml version="1.0"?><modeling><incar><i type="logical" name="ML_LMLFF"> T  </i><i name="IBRION"> 0</i><i name="POTIM"> 2.0</i></incar>'
        '<atominfo><atoms>1</atoms><array name="atoms"><set><rc><c>O </c><c>1</c></rc></set></array></atominfo>'
        + structure(0.9, ' name="initialpos"')
        + steps
        + structure(0.9, ' name="finalpos"')
        + "</modeling>"
    )
    path = hc.read_trajectory(tmp_path / "vasprun.xml")
    assert (path.n_frames, path.timestep) == (15, 2.0)
    assert_allclose(path.positions[:, 0, 2], 4 * (0.1 + np.arange(15) / 100))


def test_vasprun(tmp_path):
    rows = "".join(f"<v> 0.{k} 0.5 0.5 </v>" for k in (1, 2))
    structure = (
        '<structure><crystal><varray name="basis"><v> 4 0 0 </v><v> 0 4 0 </v><v> 0 0 4 </v></varray></crystal>'
        f'<varray name="positions">{rows}</varray></structure>'
    )
    energy = (
        "<energy>"
        + "".join(f'<i name="{n}">-1.0</i>' for n in ("e_fr_energy", "e_wo_entrp", "e_0_energy"))
        + "</energy>"
    )
    calculation = (
        f'<calculation><scstep>{energy}</scstep>{structure}<varray name="forces">{rows}</varray>{energy}</calculation>'
    )
    (tmp_path / "vasprun.xml").write_text(
        '<?xml version="1.0"?><modeling><kpoints><generation/><varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1</v></varray></kpoints><atominfo><atoms>2</atoms><array name="atoms"><set>'
        "<rc><c>O </c><c>1</c></rc><rc><c>H </c><c>2</c></rc></set></array></atominfo>"
        + structure.replace("<structure>", '<structure name="initialpos">')
        + calculation * 2
        + "</modeling>"
    )
    path = hc.read_trajectory(tmp_path / "vasprun.xml", timestep=1.0)
    assert path.n_frames == 2
    text = (tmp_path / "vasprun.xml").read_text()
    (tmp_path / "vasprun.xml").write_text(
        text.replace("<modeling>", '<modeling><incar><i name="IBRION"> 0</i><i name="POTIM"> 0.5</i></incar>')
    )
    assert hc.read_trajectory(tmp_path / "vasprun.xml").timestep == 0.5
    assert hc.read_trajectory(tmp_path / "vasprun.xml", timestep=2.0).timestep == 2.0  # written every fourth step
    with pytest.raises(hc.InputError, match=r"POTIM = 0\.5 fs, but `timestep` is 0\.7 fs"):
        hc.read_trajectory(tmp_path / "vasprun.xml", timestep=0.7)
    (tmp_path / "vasprun.xml").write_text(text[:-30])
    with pytest.raises(hc.InputError, match="cut short or damaged after 2 frames"):
        hc.read_trajectory(tmp_path / "vasprun.xml", timestep=1.0)
    assert_allclose(path.positions[0, 0], [0.4, 2, 2])


PWSCF = """
     Program PWSCF v.7.2 starts on 25Nov2026
     lattice parameter (alat)  =      10.0000  a.u.
     number of atoms/cell      =            2
     crystal axes: (cart. coord. in units of alat)
               a(1) = (   1.000000   0.000000   0.000000 )
               a(2) = (   0.000000   1.000000   0.000000 )
               a(3) = (   0.000000   0.000000   1.200000 )
     site n.     atom                  positions (alat units)
         1           Si  tau(   1) = (   0.1000000   0.2000000   0.3000000  )
         2           O1  tau(   2) = (   0.5000000   0.5000000   0.5000000  )
     Time step             =      20.67 a.u.,      1.0000 femto-seconds
ATOMIC_POSITIONS (crystal)
Si   0.1 0.2 0.25
O1   0.5 0.5 0.5    0   0   0
ATOMIC_POSITIONS (bohr)
Si   1.0 2.0 3.0
O1   5.0 5.0 6.0
ATOMIC_POSITIONS (alat)
Si   0.1 0.2 0.3
O1   0.5 0.5 0.6
"""


def test_espresso_units_cell_and_timestep(tmp_path):
    bohr = 0.529177210903
    (tmp_path / "md.out").write_text(PWSCF)
    path = hc.read_trajectory(tmp_path / "md.out")
    assert (path.n_frames, path.timestep, list(path.numbers)) == (4, 1.0, [14, 8])
    assert_allclose(path.cell, np.diag([10, 10, 12]) * bohr, rtol=1e-9)
    assert_allclose(path.positions[:, 0], [[bohr, 2 * bohr, 3 * bohr]] * 4, rtol=1e-9)
    assert_allclose(path.positions[1:, 1], [[5 * bohr, 5 * bohr, 6 * bohr]] * 3, rtol=1e-9)
    with pytest.raises(hc.InputError, match=r"time step of 1 fs, but `timestep` is 0\.5 fs"):
        hc.read_trajectory(tmp_path / "md.out", timestep=0.5)
    (tmp_path / "md.out").write_text(
        PWSCF + "CELL_PARAMETERS (angstrom)\n 6 0 0\n 0 6 0\n 0 0 6\nATOMIC_POSITIONS (angstrom)\nSi 1 1 1\nO1 2 2 2\n"
    )
    moving = hc.read_trajectory(tmp_path / "md.out", unwrap=False)
    assert_allclose(moving.cell[-1], 6 * np.eye(3))
    assert_allclose(moving.positions[-1, 1], [2, 2, 2])
    (tmp_path / "md.out").write_text(PWSCF[:-40])
    with pytest.raises(hc.InputError, match="frame 3 must hold 2 lines of ATOMIC_POSITIONS"):
        hc.read_trajectory(tmp_path / "md.out")


@pytest.mark.parametrize(
    ("site", "place"),
    [
        ("tau(   1) = ( -10.1000000-200.2000000   0.3000000  )", [-10.1, -200.2, 0.3]),
        ("tau(****) = (   0.1000000   0.2000000   0.3000000  )", [0.1, 0.2, 0.3]),
        ("tau(   1) = (   0.1000000************   0.3000000  )", None),
        ("tau(   1) = (   0.1000000   0.2000000", None),
    ],
)
def test_no_frame_of_espresso_is_left_out_without_a_word(tmp_path, site, place):
    """The first frame is printed with ``3f12.7``: numbers that fill their fields are glued, or a row of stars."""
    text = PWSCF.replace("tau(   1) = (   0.1000000   0.2000000   0.3000000  )", site)
    (tmp_path / "md.out").write_text(text)
    if place is None:
        with pytest.raises(hc.InputError, match="frame 0 must hold a site for each of its 2 atoms, but that of atom 0"):
            hc.read_trajectory(tmp_path / "md.out")
    else:
        path = hc.read_trajectory(tmp_path / "md.out", unwrap=False)
        assert path.n_frames == 4
        assert_allclose(path.positions[0, 0], np.array(place) * 10 * 0.529177210903, rtol=1e-9)


@pytest.mark.parametrize("kind", ["vel", "frc"])
def test_velocities_and_forces_of_cp2k_are_no_positions(tmp_path, kind):
    (tmp_path / f"run-{kind}-1.xyz").write_text(cp2k(kind, 0.001))
    with pytest.raises(hc.InputError, match=r"which are no positions. Name the `.-pos-..xyz` beside it"):
        hc.read_trajectory(tmp_path / f"run-{kind}-1.xyz", cell=[9, 9, 9])


def test_poscar_scale_cartesian_and_selective(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "POSCAR").write_text(
        "x\n 2.0\n 2 0 0\n 0 2 0\n 0 0 2\n Si O\n 1 1\nSelective dynamics\nCartesian\n 0.5 0.5 0.5 T T T\n 1 1 1 F F F\n"
    )
    path = hc.read_trajectory(tmp_path, timestep=1.0)
    assert_allclose(path.cell, 4 * np.eye(3))
    assert_allclose(path.positions, [[[1, 1, 1], [2, 2, 2]]])


@pytest.mark.parametrize("kind", ["Direct", "Cartesian"])
def test_three_scaling_factors_are_those_of_the_components(tmp_path, kind):
    """VASP multiplies the x, y and z components of lattice vectors and Cartesian positions by them."""
    (tmp_path / "1").mkdir()
    header = "x\n 1.0 2.0 3.0\n 2 1 0\n 0 2D0 0\n 0 1 2\n Si O\n 1 1\n"
    places = {"Direct": " 0.5 0.5 0.5\n 0.25 0.0D+00 0.0\n", "Cartesian": " 1.0 2.0 1.0\n 0.5 0.25 0\n"}[kind]
    (tmp_path / "1" / "POSCAR").write_text(header + kind + "\n" + places)
    (tmp_path / "XDATCAR").write_text(header + "Direct configuration=     1\n 0.5 0.5 0.5\n 0.25 0.0 0.0\n")
    for source in ("poscars", "xdatcar"):
        path = hc.read_trajectory(tmp_path, timestep=1.0, format=source)
        assert_allclose(path.cell, [[2, 2, 0], [0, 4, 0], [0, 2, 6]])
        assert_allclose(path.positions, [[[1, 4, 3], [0.5, 0.5, 0]]])


def test_a_negative_scale_is_the_volume_and_a_comment_no_scale(tmp_path):
    for scale, length in (("-27.0", 3.0), ("2.0 ! a b", 4.0), ("1.5 1.5", 3.0)):
        (tmp_path / "XDATCAR").write_text(
            f"x\n {scale}\n 2 0 0\n 0 2 0\n 0 0 2\n Si\n 1\nDirect configuration=     1\n 0.5 0.5 0.5\n"
        )
        assert_allclose(hc.read_trajectory(tmp_path, timestep=1.0).cell, length * np.eye(3))
    (tmp_path / "XDATCAR").write_text("x\n 1 -1 1\n 2 0 0\n 0 2 0\n 0 0 2\n Si\n 1\nDirect configuration= 1\n 0 0 0\n")
    with pytest.raises(hc.InputError, match=r"a scale .or three positive ones."):
        hc.read_trajectory(tmp_path, timestep=1.0)


class TestPyxaidOutputs:
    """As `namd.cpp` of the code prints them."""

    def test_populations(self, tmp_path):
        (tmp_path / "out0").write_text("time 0 P(0)= 0 P(1)= 1 \ntime 1 P(0)= 0.25 P(1)= 0.75 \n")
        (tmp_path / "me_pop0").write_text(
            "time 0 P(0)= 1e-05  P(1)= 0.99999  Total= 1\ntime 1 P(0)= 0.2  P(1)= 0.8  Total= 1\n"
        )
        found = hc.io.read_pyxaid_populations(tmp_path / "out0")
        assert_array_equal(found.steps, [0, 1])
        assert_array_equal(found.values, [[0, 1], [0.25, 0.75]])
        assert_array_equal(hc.io.read_pyxaid_populations(tmp_path / "me_pop0").values, [[1e-5, 0.99999], [0.2, 0.8]])
        (tmp_path / "out0").write_text("time 0 P(0)= 0 P(1)= 1 \ntime 1 P(0)= 0.25 P(1)= 0.5 \n")
        with pytest.raises(hc.InputError, match=r"line 2 must hold populations that add up to 1, .* up to 0\.75"):
            hc.io.read_pyxaid_populations(tmp_path / "out0")
        (tmp_path / "out0").write_text("time 0 P(0)= 0 P(1)= 1 \ntime 1 P(0)= nan P(1)= 0.5 \n")
        with pytest.raises(hc.InputError, match="line 2, column 2 must hold a finite number, but holds `nan`"):
            hc.io.read_pyxaid_populations(tmp_path / "out0")

    def test_energies(self, tmp_path):
        (tmp_path / "me_energies0").write_text(
            "t= 5  E[0]= -1.5  E[0]-E[0]= 0  E[1]-E[0]= 1.5  \nt= 6  E[0]= -1.4  E[0]-E[0]= 0  E[1]-E[0]= 1.6  \n"
        )
        found = hc.io.read_pyxaid_energies(tmp_path / "me_energies0")
        assert_array_equal(found.steps, [5, 6])
        assert_array_equal(found.values, [[0, 1.5], [0, 1.6]])

    def test_rates_become_times_that_dynamics_takes(self, tmp_path):
        file = tmp_path / "decoherence_rates_icond0.txt"
        file.write_text("0 0.05 0.1 \n0.05 0 0.2 \n0.1 0.2 0 \n")
        times = hc.io.read_pyxaid_rates(file)
        assert_allclose(times, [[0, 20, 10], [20, 0, 5], [10, 5, 0]])
        rng = np.random.default_rng(0)
        nac = 1e-3 * rng.normal(size=(60, 3, 3))
        ham = hc.VibronicHamiltonian(np.sort(rng.normal(size=(61, 3))), nac - nac.swapaxes(1, 2), 1.0)
        result = hc.run_dynamics(ham, duration=20.0, dephasing_time=times, n_trajectories=2, n_times=3, absorbing=False)
        assert np.isfinite(result.populations).all()
        file.write_text("0 0 \n0 0 \n")
        with pytest.raises(hc.InputError, match="line 1, column 2 must hold a positive rate"):
            hc.io.read_pyxaid_rates(file)
        file.write_text("0 0.1 \n0.2 0 \n")
        with pytest.raises(hc.InputError, match="symmetric"):
            hc.io.read_pyxaid_rates(file)
