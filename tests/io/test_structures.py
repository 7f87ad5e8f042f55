"""Structures for `hopcast md`: a CIF and POSCARs typed here from the formats' definitions."""

import numpy as np
import pytest

from hopcast.core.errors import InputError
from hopcast.io.structures import read_structure

CIF = """data_rocksalt
_cell_length_a 5.64
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
_symmetry_Int_Tables_number 225
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na1 Na 0.0 0.0 0.0 1.0
Cl1 Cl 0.5 0.5 0.5 {occupancy}
"""
POSCAR = """rock salt, primitive
2.0
0.0 1.41 1.41
1.41 0.0 1.41
1.41 1.41 0.0
Na Cl
1 1
Direct
0.0 0.0 0.0
0.5 0.5 0.5
"""


def test_a_cif_is_expanded_by_its_symmetry(tmp_path):
    (tmp_path / "salt.cif").write_text(CIF.format(occupancy=1.0))
    found = read_structure(tmp_path / "salt.cif")
    assert sorted(found.symbols) == ["Cl"] * 4 + ["Na"] * 4
    np.testing.assert_allclose(found.cells()[0], np.eye(3) * 5.64)
    gap = found.positions[0][:, None] - found.positions[0][None]
    gap -= 5.64 * np.round(gap / 5.64)
    distances = np.linalg.norm(gap, axis=-1)
    assert np.sort(distances[0])[1] == pytest.approx(2.82)


@pytest.mark.parametrize("name", ["POSCAR", "CONTCAR-relaxed", "salt.vasp", "salt.poscar"])
def test_a_poscar_is_read_under_its_names(tmp_path, name):
    (tmp_path / name).write_text(POSCAR)
    found = read_structure(tmp_path / name)
    assert found.symbols == ("Na", "Cl")
    np.testing.assert_allclose(found.cells()[0][0], [0.0, 2.82, 2.82])
    np.testing.assert_allclose(found.positions[0][1], [2.82, 2.82, 2.82])


def test_of_a_trajectory_the_last_frame_is_taken(tmp_path):
    frames = "".join(f'1\nLattice="9 0 0 0 9 0 0 0 9"\nHe {x} 0 0\n' for x in (1.0, 2.0, 3.0))
    (tmp_path / "md.xyz").write_text(frames)
    found = read_structure(tmp_path / "md.xyz", cell=[9.0, 9.0, 9.0])
    assert found.n_frames == 1
    assert found.positions[0, 0, 0] == 3.0


def test_partly_occupied_sites_and_damage_get_one_sentence(tmp_path):
    (tmp_path / "mixed.cif").write_text(CIF.format(occupancy=0.5))
    with pytest.raises(InputError, match=r"one is occupied by Cl 0\.5\. Choose an ordered structure"):
        read_structure(tmp_path / "mixed.cif")
    (tmp_path / "POSCAR").write_text(POSCAR[:60])
    with pytest.raises(InputError, match="cannot be read as POSCAR"):
        read_structure(tmp_path / "POSCAR")
    with pytest.raises(InputError, match="must exist, but does not"):
        read_structure(tmp_path / "none.cif")
