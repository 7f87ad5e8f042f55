"""Input files of a plan for VASP, CP2K or Quantum ESPRESSO, and a script for an array of jobs on SLURM."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hopcast.abinitio.cp2k_input import Cp2kSettings, cp2k_input
from hopcast.abinitio.engine import Geometry
from hopcast.abinitio.plan import Plan
from hopcast.core.errors import check_choice
from hopcast.core.hdf5 import write_text

CODES = ("tblite", "cp2k", "vasp", "qe")

_FINISHED = {
    "cp2k": "grep -qs 'PROGRAM ENDED' frame.out",
    "vasp": "grep -qs 'General timing' OUTCAR",
    "qe": "grep -qs 'JOB DONE' frame.out",
}
_RUN = {
    "cp2k": "srun cp2k.psmp -i frame.inp -o frame.out",
    "vasp": "cp -n ../../INCAR ../../KPOINTS ../../POTCAR . && srun vasp_gam",
    "qe": "srun pw.x -in frame.in > frame.out",
}


def write_folders(plan: Plan, code: str, *, settings: Cp2kSettings | None = None) -> tuple[Path, ...]:
    """Write a folder with input files for each frame of a plan, and ``array.slurm``; files that are there stay.

    Parameters
    ----------
    plan
        From `hopcast.abinitio.write_plan`.
    code
        "cp2k" (complete input), "vasp" (POSCAR; INCAR, KPOINTS and POTCAR are the user's, beside the plan), "qe" (pw.x input; names of
        pseudopotentials to be checked), or "tblite" (nothing but the script, which runs hopcast compute).
    settings
        Of CP2K.

    Returns
    -------
    tuple of Path
        The files of inputs, one a frame.
    """
    check_choice("engine", code, CODES)
    written = []
    for frame in plan.frames if code != "tblite" else ():
        folder = plan.folder / "frames" / f"{frame:06d}"
        geometry = plan.geometry(frame)
        if code == "cp2k":
            name, text = "frame.inp", cp2k_input(geometry, settings or Cp2kSettings())
        elif code == "vasp":
            name, text = "POSCAR", poscar(geometry, f"frame {frame}")
        else:
            name, text = "frame.in", qe_input(geometry)
        if not (folder / name).exists():
            write_text(folder / name, text)
        written.append(folder / name)
    write_text(plan.folder / "array.slurm", slurm_script(plan, code))
    return tuple(written)


def poscar(geometry: Geometry, title: str) -> str:
    """Return a POSCAR; atoms keep their order (species may repeat).

    Parameters
    ----------
    geometry
        The nuclei.
    title
        First line.
    """
    from ase.data import chemical_symbols

    symbols = [chemical_symbols[number] for number in geometry.numbers]
    runs: list[list[object]] = []
    for symbol in symbols:
        if runs and runs[-1][0] == symbol:
            runs[-1][1] = int(str(runs[-1][1])) + 1
        else:
            runs.append([symbol, 1])
    lines = [title, "1.0", *(_row(row) for row in geometry.cell)]
    lines += [" ".join(str(run[0]) for run in runs), " ".join(str(run[1]) for run in runs), "Cartesian"]
    return "\n".join([*lines, *(_row(row) for row in geometry.positions)]) + "\n"


def qe_input(geometry: Geometry) -> str:
    """Return an input of pw.x at Gamma; names and cutoffs of the pseudopotentials are to be checked.

    The slight smearing (1.4 meV) makes pw.x compute bands above the gap, a fifth of the occupied ones and at least four, which
    fixed occupations would not; give ``nbnd`` for more.

    Parameters
    ----------
    geometry
        The nuclei.
    """
    from ase.data import atomic_masses, atomic_numbers, chemical_symbols

    symbols = [chemical_symbols[number] for number in geometry.numbers]
    kinds = list(dict.fromkeys(symbols))
    species = "\n".join(f"{s} {atomic_masses[atomic_numbers[s]]:.4f} {s}.upf" for s in kinds)
    atoms = "\n".join(f"{s} {_row(row)}" for s, row in zip(symbols, geometry.positions, strict=True))
    cell = "\n".join(_row(row) for row in geometry.cell)
    return (
        "&CONTROL\n calculation='scf', prefix='frame', outdir='./out', pseudo_dir='../../pseudo', wf_collect=.true.\n/\n"
        f"&SYSTEM\n ibrav=0, nat={len(symbols)}, ntyp={len(kinds)}, ecutwfc=50, ecutrho=400,\n occupations='smearing', smearing='gaussian', degauss=1e-4\n/\n"
        f"&ELECTRONS\n conv_thr=1e-9\n/\nATOMIC_SPECIES\n{species}\nATOMIC_POSITIONS angstrom\n{atoms}\n"
        f"CELL_PARAMETERS angstrom\n{cell}\nK_POINTS gamma\n"
    )


def slurm_script(plan: Plan, code: str) -> str:
    """Return a SLURM array script; a finished frame is skipped, so that the script can be submitted again.

    Parameters
    ----------
    plan
        The plan.
    code
        See `write_folders`.
    """
    head = "#!/bin/bash\n#SBATCH --job-name=hopcast\n#SBATCH --time=24:00:00\n#SBATCH --cpus-per-task=1\n#SBATCH --array={}\nset -eu\n"
    if code == "tblite":
        parts = min(16, len(plan.pairs))
        return (
            head.format(f"0-{parts - 1}")
            + 'export OMP_NUM_THREADS=1\ncd "$SLURM_SUBMIT_DIR"\n'
            + f'hopcast compute . --engine tblite --part "$SLURM_ARRAY_TASK_ID/{parts}"\n'
        )
    frames = " ".join(f"{frame:06d}" for frame in plan.frames)
    return (
        head.format(f"0-{len(plan.frames) - 1}%16")
        + f"# submit from the folder of the plan: sbatch array.slurm\nframes=({frames})\n"
        + 'cd "$SLURM_SUBMIT_DIR/frames/${frames[$SLURM_ARRAY_TASK_ID]}"\n'
        + f"if {_FINISHED[code]}; then exit 0; fi\n{_RUN[code]}\n"
    )


def _row(values: np.ndarray) -> str:
    return " ".join(f"{x:.12f}" for x in values)
