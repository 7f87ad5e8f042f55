"""The shell around VASP: a frame, the overlaps of its pairs, and what submits one after the other."""

from __future__ import annotations

from hopcast.abinitio.plan import Plan
from hopcast.abinitio.slurm import HEAD


def _incar(added: str) -> str:
    """Return the shell that makes an INCAR of the user's and the tags that must hold, whatever the user's says of them."""
    return (
        f"names=$(cut -d= -f1 ../../{added} | tr -d ' ' | paste -sd '|')\n"
        f'{{ cat ../../{added}; grep -viE "^[[:space:]]*($names)[[:space:]]*=" ../../INCAR || true; }} > INCAR\n'
        "cp -n ../../KPOINTS ../../POTCAR .\n"
    )


def run_frame(program: str) -> str:
    """Return the shell that runs a frame in its folder."""
    return _incar("INCAR.frame") + f"srun {program}"


def run_overlaps(plan: Plan, program: str) -> str:
    """Return the script for VASP's own PAW overlaps of each pair, ``WSWQ``, once its frames are there."""
    pairs = " ".join(f"{pair:06d}:{pair + 1:06d}" for pair in plan.pairs)
    return (
        HEAD.format(f"0-{len(plan.pairs) - 1}%16")
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


SUBMIT = """#!/bin/bash
# all frames, then the overlaps of all pairs; submit again after failures: what is finished is skipped
set -eu
cd "$(dirname "$0")"
frames=$(sbatch --parsable array.slurm)
sbatch --dependency=afterany:${frames%%;*} overlaps.slurm
"""
