"""Molecular dynamics with a cheap calculator; densities of states and participation of made-up electrons."""

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.data import atomic_masses

import hopcast as hc
from hopcast.abinitio import Electrons, ElectronsError, Geometry, band_edges, density_of_states, run_md
from hopcast.core.errors import ConfigError, InputError
from hopcast.io import write_native


def copper(rattle=0.02):
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.calc = EMT()
    atoms.rattle(rattle, seed=0)
    return atoms


@pytest.mark.filterwarnings("ignore:The mean temperature")
def test_velocities_are_those_of_the_positions_and_energy_is_kept():
    md = run_md(copper(), temperature=300, timestep=2, equilibration=200, duration=60, coupling_time=20)
    trajectory = md.trajectory
    assert trajectory.n_frames == 31
    central = (trajectory.positions[2:] - trajectory.positions[:-2]) / 4.0
    assert np.abs(central - trajectory.velocities[1:-1]).max() < 0.02 * np.abs(central).max()
    assert np.ptp(md.energies) < 0.02 * 3 / 2 * 32 * 8.6e-5 * 300
    assert 150 < md.temperatures.mean() < 450
    mass = atomic_masses[29] * units._amu / units._e * 1e10  # eV fs^2 / Å^2
    np.testing.assert_allclose(trajectory.velocities.sum(axis=1), 0.0, atol=1e-10)
    kinetic = 0.5 * mass * (trajectory.velocities**2).sum(axis=(1, 2))
    np.testing.assert_allclose(md.temperatures, 2 * kinetic / (3 * 31 * units.kB), rtol=1e-6)


def test_the_same_seed_gives_the_same_frames_and_the_atoms_stay():
    atoms = copper(0.0)
    before = atoms.positions.copy()
    options = {"equilibration": 0, "duration": 80, "store_every": 2}
    with pytest.warns(hc.QualityWarning, match=r"mean temperature"):
        first, second = (run_md(atoms, **options).trajectory for _ in range(2))
    np.testing.assert_array_equal(first.positions, second.positions)
    np.testing.assert_array_equal(atoms.positions, before)
    assert first.timestep == 4.0


def test_an_explosion_says_so():
    with pytest.raises(InputError, match=r"explodes"):
        run_md(copper(1.0), timestep=60, equilibration=0, duration=3000)


@pytest.mark.filterwarnings("ignore:The mean temperature")
def test_a_drifting_energy_is_a_warning():
    class Leaking(EMT):
        """Forces that are not the slope of the energy: the energy grows."""

        def calculate(self, atoms, properties, system_changes):
            super().calculate(atoms, properties, system_changes)
            self.results["energy"] += 0.05 * self.calls
            self.calls += 1

    atoms = copper()
    atoms.calc = Leaking()
    atoms.calc.calls = 0
    with pytest.warns(hc.QualityWarning, match=r"drifts by .* meV an atom"):
        run_md(atoms, equilibration=200, duration=40, coupling_time=20)


def test_bad_requests_say_why():
    atoms = copper()
    with pytest.raises(ConfigError, match=r"`timestep` must be positive"):
        run_md(atoms, timestep=0)
    with pytest.raises(ConfigError, match=r"`store_every`"):
        run_md(atoms, store_every=0)
    one = bulk("Cu")
    one.calc = EMT()
    with pytest.raises(InputError, match=r"at least two atoms"):
        run_md(one)
    atoms.calc = None
    with pytest.raises(InputError, match=r"Set `atoms.calc`"):
        run_md(atoms)


class Stopping(EMT):
    """Stops at a call of the forces, with an error of one's choice."""

    def __init__(self, at, error):
        super().__init__()
        self.calls, self.at, self.error = 0, at, error

    def calculate(self, atoms, properties, system_changes):
        self.calls += 1
        if self.calls == self.at:
            raise self.error
        super().calculate(atoms, properties, system_changes)


@pytest.mark.filterwarnings("ignore:The mean temperature")
@pytest.mark.parametrize(("at", "done"), [(8, 6), (30, 27)], ids=["in NVT", "in NVE"])
def test_a_stopped_run_goes_on_with_the_same_frames(tmp_path, at, done):
    options = {"equilibration": 30, "duration": 60, "store_every": 2, "timestep": 2.0}
    whole = run_md(copper(), **options)
    file, lines, atoms = tmp_path / "md.unfinished.h5", [], copper()
    atoms.calc = Stopping(at, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run_md(atoms, **options, checkpoint=file)
    atoms.calc = Stopping(-1, None)
    with pytest.raises(ConfigError, match=r"other settings \(calculator, temperature differ\)"):
        run_md(copper(), **options, checkpoint=file, temperature=250)
    other = tmp_path / "other.h5"
    write_native(other, trajectory=whole.trajectory)
    with pytest.raises(InputError, match=r"keeps no unfinished"):
        run_md(atoms, **options, checkpoint=other)
    found = run_md(atoms, **options, checkpoint=file, progress=lines.append)
    assert lines[0] == f"goes on from step {done} of 45"
    assert atoms.calc.calls == 45 - done + 1  # what was done is not done again
    for name in ("positions", "velocities"):
        np.testing.assert_array_equal(getattr(found.trajectory, name), getattr(whole.trajectory, name))
    np.testing.assert_array_equal(found.energies, whole.energies)


@pytest.mark.filterwarnings("ignore:The mean temperature")
def test_the_state_is_kept_while_a_run_goes_on(tmp_path, monkeypatch):
    from hopcast.abinitio import molecular_dynamics
    from hopcast.abinitio.md_state import load_state

    monkeypatch.setattr(molecular_dynamics, "SAVE_EVERY", 0.0)
    kept = []

    def look(path, settings, state, frames):
        save(path, settings, state, frames)
        kept.append(load_state(path, settings))

    save = molecular_dynamics.save_state
    monkeypatch.setattr(molecular_dynamics, "save_state", look)
    run_md(copper(), equilibration=6, duration=8, checkpoint=tmp_path / "s.h5")
    assert [state.step for state, _ in kept] == [1, 2, 3, 4, 5, 6, 7, 7]
    assert [len(frames) for _, frames in kept] == [0, 0, 1, 2, 3, 4, 5, 5]


def test_a_calculator_that_stops_is_one_sentence():
    atoms = copper()
    atoms.calc = Stopping(3, RuntimeError("SCF not converged\n in 250 cycles"))
    with pytest.raises(ElectronsError, match=r"in step 2 of .*: SCF not converged in 250 cycles\."):
        run_md(atoms, equilibration=0, duration=20)


def made_up(shift, weights=True):
    geometry = Geometry(np.array([55, 82, 53]), np.zeros((3, 3)), np.eye(3) * 9)
    share = np.array([[0.0, 0.1, 0.0], [0.2, 0.9, 1.0], [0.8, 0.0, 0.0]]) if weights else None
    return Electrons(
        geometry, np.array([-1.0, 0.5, 2.0]) + shift, np.eye(3)[:, :2], 0, 1, np.arange(3), "made up", share
    )


def test_density_of_states_counts_electrons_and_is_measured_from_the_vbm():
    frames = [made_up(0.0), made_up(7.0)]
    found = density_of_states(frames, width=0.05)
    step = found.energies[1] - found.energies[0]
    assert found.total.sum() * step == pytest.approx(6.0, rel=1e-6)
    assert found.by_element["I"].sum() * step == pytest.approx(1.6, rel=1e-6)
    assert found.energies[found.by_element["I"].argmax()] == pytest.approx(0.0, abs=1e-9)
    assert found.by_element["Pb"].sum() * step == pytest.approx(2 * 2.1, rel=1e-6)


def test_band_edges_say_where_they_live():
    found = band_edges([made_up(0.0), made_up(7.0)])
    np.testing.assert_allclose(found.gaps, 1.5)
    np.testing.assert_allclose(found.weights, [[0, 0.2, 0.8], [0.1, 0.9, 0]])
    np.testing.assert_allclose(found.participation, [[0.68, 0.82]] * 2)


def test_electrons_without_weights_or_frames_say_so():
    with pytest.raises(InputError, match=r"no frame is finished"):
        density_of_states([])
    with pytest.raises(InputError, match=r"weights of atoms"):
        band_edges([made_up(0.0, weights=False)])
