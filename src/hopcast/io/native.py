"""Our own HDF5 form of trajectories and Hamiltonians: one file may hold both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hopcast.core import hdf5
from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.matching import check_same_frames
from hopcast.core.trajectory import Trajectory

SUFFIXES = (".h5", ".hdf5")


def write_native(
    path: str | Path,
    *,
    trajectory: Trajectory | None = None,
    hamiltonian: VibronicHamiltonian | None = None,
    description: str | None = None,
) -> None:
    """Write a trajectory, a Hamiltonian or both into one HDF5 file, atomically.

    Raises
    ------
    InputError
        If both are given and do not hold the same frames (`hopcast.core.matching`).
    OutputError
        If the file cannot be written.
    """
    if trajectory is not None and hamiltonian is not None:
        check_same_frames(trajectory, hamiltonian)

    def fill(file: Any) -> None:
        hdf5.put_attributes(file, {"description": description})
        if trajectory is not None:
            put_trajectory(file.create_group("trajectory"), trajectory)
        if hamiltonian is not None:
            put_hamiltonian(file.create_group("hamiltonian"), hamiltonian)

    hdf5.write_file(path, fill)


def put_trajectory(group: Any, trajectory: Trajectory) -> None:
    """Store a trajectory in an HDF5 group."""
    axes = ("n_frames", "n_atoms", "xyz")
    hdf5.put_array(group, "positions", trajectory.positions, unit="Å", axes=axes)
    if trajectory.velocities is not None:
        hdf5.put_array(group, "velocities", trajectory.velocities, unit="Å/fs", axes=axes)
    cell_axes = ("vector", "xyz") if trajectory.cell.ndim == 2 else ("n_frames", "vector", "xyz")
    hdf5.put_array(group, "cell", trajectory.cell, unit="Å", axes=cell_axes)
    hdf5.put_array(group, "numbers", trajectory.numbers, unit="1", axes=("n_atoms",))
    if trajectory.frame_numbers is not None:
        hdf5.put_array(group, "frame_numbers", trajectory.frame_numbers, unit="1", axes=("n_frames",))
    if trajectory.potential_energies is not None:
        hdf5.put_array(group, "potential_energies", trajectory.potential_energies, unit="eV", axes=("n_frames",))
    hdf5.put_attributes(group, {"timestep": trajectory.timestep, "timestep_unit": "fs", "pbc": trajectory.pbc})


def get_trajectory(group: Any) -> Trajectory:
    """Load a trajectory from an HDF5 group."""
    return Trajectory(
        positions=hdf5.get_array(group, "positions"),
        cell=hdf5.get_array(group, "cell"),
        numbers=hdf5.get_array(group, "numbers"),
        timestep=float(hdf5.get_attribute(group, "timestep")),
        velocities=hdf5.get_optional_array(group, "velocities"),
        pbc=tuple(bool(p) for p in hdf5.get_attribute(group, "pbc")),  # type: ignore[arg-type]
        frame_numbers=hdf5.get_optional_array(group, "frame_numbers"),
        potential_energies=hdf5.get_optional_array(group, "potential_energies"),
    )


def put_hamiltonian(group: Any, hamiltonian: VibronicHamiltonian) -> None:
    """Store a Hamiltonian in an HDF5 group."""
    time = "n_frames" if hamiltonian.energy_grid == "frame" else "n_steps"
    pair = ("n_steps", "n_states", "n_states")
    hdf5.put_array(group, "energies", hamiltonian.energies, unit="eV", axes=(time, "n_states"))
    hdf5.put_array(group, "energy_known", hamiltonian.energy_known, unit="1", axes=(time,))
    hdf5.put_array(group, "nac", hamiltonian.nac, unit="eV", axes=pair)
    hdf5.put_array(group, "nac_known", hamiltonian.nac_known, unit="1", axes=("n_steps",))
    if hamiltonian.overlaps is not None:
        hdf5.put_array(group, "overlaps", hamiltonian.overlaps, unit="1", axes=pair)
    if hamiltonian.frame_numbers is not None:
        hdf5.put_array(group, "frame_numbers", hamiltonian.frame_numbers, unit="1", axes=("n_frames",))
    hdf5.put_attributes(
        group,
        {
            "timestep": hamiltonian.timestep,
            "timestep_unit": "fs",
            "energy_grid": hamiltonian.energy_grid,
            "n_occupied": hamiltonian.n_occupied,
            "state_labels": list(hamiltonian.state_labels),
            # without degeneracy the file stays as it always was
            "multiplicities": list(hamiltonian.multiplicities) or None,
        },
    )
    hdf5.put_attributes(group.create_group("provenance"), hamiltonian.provenance)


def get_hamiltonian(group: Any) -> VibronicHamiltonian:
    """Load a Hamiltonian from an HDF5 group."""
    occupied = hdf5.get_attribute(group, "n_occupied")
    multiplicities = hdf5.get_attribute(group, "multiplicities")
    return VibronicHamiltonian(
        energies=hdf5.get_array(group, "energies"),
        nac=hdf5.get_array(group, "nac"),
        timestep=float(hdf5.get_attribute(group, "timestep")),
        overlaps=hdf5.get_optional_array(group, "overlaps"),
        n_occupied=None if occupied is None else int(occupied),
        state_labels=tuple(str(label) for label in hdf5.get_attribute(group, "state_labels")),
        energy_grid=str(hdf5.get_attribute(group, "energy_grid")),  # type: ignore[arg-type]
        energy_known=hdf5.get_array(group, "energy_known"),
        nac_known=hdf5.get_array(group, "nac_known"),
        frame_numbers=hdf5.get_optional_array(group, "frame_numbers"),
        provenance={key: str(hdf5.get_attribute(group["provenance"], key)) for key in group["provenance"].attrs},
        multiplicities=() if multiplicities is None else tuple(int(size) for size in multiplicities),
    )


def read_native(path: str | Path, part: str) -> Any:
    """Read the "trajectory" or the "hamiltonian" of one of our files.

    Raises
    ------
    InputError
        If the file is not ours, broken, or does not hold that part.
    """
    try:
        with hdf5.open_file(path) as file:
            if part not in file:
                raise InputError(
                    f"File `{path}` must hold a {part}, but holds {', '.join(file) or 'nothing'}. Name another file."
                )
            _check_members(path, file, part)
            return get_trajectory(file[part]) if part == "trajectory" else get_hamiltonian(file[part])
    except InputError:
        raise
    except Exception as error:  # h5py raises whatever the HDF5 library says of damaged files
        raise InputError(
            f"File `{path}` is damaged ({type(error).__name__}: {str(error)[:200]}). Write it again."
        ) from error


def _check_members(path: str | Path, file: Any, part: str) -> None:
    """Refuse what lies in another file, and arrays that claim more than the file can hold."""
    if type(file.get(part, getlink=True)).__name__ != "HardLink":
        raise InputError(f"File `{path}` keeps its {part} elsewhere, which hopcast does not follow. Copy it in.")
    for name in file[part].keys():  # noqa: SIM118
        is_own = type(file[part].get(name, getlink=True)).__name__ == "HardLink"
        member = file[part][name] if is_own else None
        if member is None or getattr(member, "external", None) or getattr(member, "is_virtual", False):
            raise InputError(
                f"File `{path}` keeps `{part}/{name}` elsewhere, which hopcast does not follow. Copy it in."
            )
        # deflate cannot compress better than 1032 to 1
        if getattr(member, "nbytes", 0) > 1100 * Path(path).stat().st_size:
            raise InputError(f"File `{path}` is damaged: `{part}/{name}` cannot be in it. Write it again.")


def parts_of(path: str | Path) -> tuple[str, ...]:
    """Return which of "hamiltonian" and "trajectory" one of our files holds; none of a file that is not ours.

    Raises
    ------
    InputError
        If there is no such file.
    """
    if not Path(path).is_file():
        raise InputError(f"File `{path}` does not exist or is not a file. Check the path.")
    try:
        with hdf5.checked_file(Path(path)) as file:
            if hdf5.get_attribute(file, "format") != hdf5.FORMAT_NAME:
                return ()
            return tuple(part for part in ("hamiltonian", "trajectory") if part in file)
    except Exception:
        return ("hamiltonian",)  # damaged: the reader says how
