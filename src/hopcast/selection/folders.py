"""Input files of a plan for VASP, CP2K or Quantum ESPRESSO, and scripts for arrays of jobs on SLURM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hopcast.abinitio.cp2k_input import Cp2kSettings, cp2k_input
from hopcast.abinitio.plan import Plan
from hopcast.abinitio.qe_input import QeSettings, qe_input
from hopcast.abinitio.vasp_input import FRAME_TAGS, OVERLAP_TAGS, VaspSettings, poscar, tags
from hopcast.core.errors import check_choice
from hopcast.core.hdf5 import write_text

CODES = ("tblite", "cp2k", "vasp", "qe")

_FINISHED = {
    "cp2k": "grep -qs 'PROGRAM ENDED' frame.out",
    "vasp": "grep -qs 'General timing' OUTCAR && [ -s WAVECAR ]",
    "qe": "grep -qs 'JOB DONE' frame.out",
}
_HEAD = "#!/bin/bash\n#SBATCH --job-name=hopcast\n#SBATCH --time=24:00:00\n#SBATCH --cpus-per-task=1\n#SBATCH --array={}\nset -eu\n"


def write_folders(plan: Plan, code: str, *, settings: Any = None) -> tuple[Path, ...]:
    """Write a folder with input files for each frame of a plan, and ``array.slurm``; files that are there stay.

    For VASP there are two scripts, ``array.slurm`` (each frame) and ``overlaps.slurm`` (each pair, once its frames are there:
    VASP's own PAW overlaps, ``WSWQ``), and ``submit.sh``, which submits one after the other.

    Parameters
    ----------
    plan
        From `hopcast.abinitio.write_plan`.
    code
        "cp2k" (complete input), "qe" (complete input of pw.x), "vasp" (POSCAR; INCAR, KPOINTS and POTCAR are the user's, beside the
        plan), or "tblite" (nothing but the script, which runs hopcast compute).
    settings
        `Cp2kSettings`, `QeSettings` or `VaspSettings`.

    Returns
    -------
    tuple of Path
        The files of inputs, one a frame.

    Raises
    ------
    ConfigError
        If a pseudopotential of pw.x is not named.
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
            chosen = settings or QeSettings()
            name, text = (
                "frame.in",
                qe_input(geometry, chosen, pseudo_dir=None if chosen.folder().is_dir() else "../../pseudo"),
            )
        if not (folder / name).exists():
            write_text(folder / name, text)
        written.append(folder / name)
    if code == "vasp":
        program = (settings or VaspSettings()).program
        for name, values in (("INCAR.frame", FRAME_TAGS), ("INCAR.overlap", OVERLAP_TAGS)):
            write_text(plan.folder / name, tags(values))
        write_text(plan.folder / "array.slurm", slurm_script(plan, code, _vasp_frame(program)))
        write_text(plan.folder / "overlaps.slurm", _vasp_overlaps(plan, program))
        write_text(plan.folder / "submit.sh", _SUBMIT)
    else:
        run = {"cp2k": "srun cp2k.psmp -i frame.inp -o frame.out", "qe": "srun pw.x -in frame.in > frame.out"}.get(
            code, ""
        )
        write_text(plan.folder / "array.slurm", slurm_script(plan, code, run))
    return tuple(written)


def check_settings(code: str, symbols: list[str], settings: Any = None) -> None:
    """Refuse settings with which no input can be written, before anything is.

    Parameters
    ----------
    code
        See `write_folders`.
    symbols
        Of the atoms.
    settings
        Of the code.

    Raises
    ------
    ConfigError, InputError
        Naming the element.
    """
    if code == "qe":
        chosen = settings or QeSettings()
        for symbol in dict.fromkeys(symbols):
            chosen.file_of(symbol)
        chosen.bands(symbols)
    elif code == "cp2k":
        for symbol in dict.fromkeys(symbols):
            (settings or Cp2kSettings()).charge_of(symbol)


def slurm_script(plan: Plan, code: str, run: str) -> str:
    """Return a SLURM array script; a finished frame is skipped, so that the script can be submitted again.

    Parameters
    ----------
    plan
        The plan.
    code
        See `write_folders`.
    run
        What is run in the folder of a frame.
    """
    if code == "tblite":
        parts = min(16, len(plan.pairs))
        return (
            _HEAD.format(f"0-{parts - 1}")
            + 'export OMP_NUM_THREADS=1\ncd "$SLURM_SUBMIT_DIR"\n'
            + f'hopcast compute . --engine tblite --part "$SLURM_ARRAY_TASK_ID/{parts}"\n'
        )
    frames = " ".join(f"{frame:06d}" for frame in plan.frames)
    return (
        _HEAD.format(f"0-{len(plan.frames) - 1}%16")
        + f"# submit from the folder of the plan: sbatch array.slurm\nframes=({frames})\n"
        + 'cd "$SLURM_SUBMIT_DIR/frames/${frames[$SLURM_ARRAY_TASK_ID]}"\n'
        + f"if {_FINISHED[code]}; then exit 0; fi\n{run}\n"
    )


def _incar(added: str) -> str:
    """Return the shell that makes an INCAR of the user's and the tags that must hold, whatever the user's says of them."""
    return (
        f"names=$(cut -d= -f1 ../../{added} | tr -d ' ' | paste -sd '|')\n"
        f'{{ cat ../../{added}; grep -viE "^[[:space:]]*($names)[[:space:]]*=" ../../INCAR || true; }} > INCAR\n'
        "cp -n ../../KPOINTS ../../POTCAR .\n"
    )


def _vasp_frame(program: str) -> str:
    return _incar("INCAR.frame") + f"srun {program}"


def _vasp_overlaps(plan: Plan, program: str) -> str:
    pairs = " ".join(f"{pair:06d}:{pair + 1:06d}" for pair in plan.pairs)
    return (
        _HEAD.format(f"0-{len(plan.pairs) - 1}%16")
        + "# VASP's own PAW overlaps of each pair: the later frame once more, with the WAVECAR of the earlier one as WAVECAR.qqq\n"
        + f"pairs=({pairs})\n"
        + 'pair=${pairs[$SLURM_ARRAY_TASK_ID]}; earlier=${pair%:*}; later=${pair#*:}\ncd "$SLURM_SUBMIT_DIR/frames"\n'
        + "if [ -s $later/WSWQ ]; then exit 0; fi\n"
        + 'for frame in $earlier $later; do\n  if [ ! -s $frame/WAVECAR ]; then echo "frame $frame has no WAVECAR" >&2; exit 1; fi\ndone\n'
        + "mkdir -p $later.overlap\ncd $later.overlap\n"
        + _incar("INCAR.overlap")
        + "cp ../$later/POSCAR .\nln -sf ../$later/WAVECAR WAVECAR\nln -sf ../$earlier/WAVECAR WAVECAR.qqq\n"
        + f"srun {program}\n"
        + "mv WSWQ ../$later/WSWQ\ncd ..\nrm -r $later.overlap\n"
    )


_SUBMIT = """#!/bin/bash
# all frames, then the overlaps of all pairs; submit again after failures: what is finished is skipped
set -eu
cd "$(dirname "$0")"
frames=$(sbatch --parsable array.slurm)
sbatch --dependency=afterany:${frames%%;*} overlaps.slurm
"""
