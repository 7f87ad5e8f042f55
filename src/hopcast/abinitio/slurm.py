"""Scripts for arrays of jobs on SLURM."""

from __future__ import annotations

from hopcast.abinitio.plan import Plan

HEAD = "#!/bin/bash\n#SBATCH --job-name=hopcast\n#SBATCH --time=24:00:00\n#SBATCH --cpus-per-task=1\n#SBATCH --array={}\nset -eu\n"


def array_of_frames(plan: Plan, run: str, finished: str) -> str:
    """Return the script of a job a frame; a finished frame is skipped, so that the script can be submitted again.

    Parameters
    ----------
    plan
        The plan.
    run
        What is run in the folder of a frame.
    finished
        The shell's test of whether that is done.
    """
    frames = " ".join(f"{frame:06d}" for frame in plan.frames)
    return (
        HEAD.format(f"0-{len(plan.frames) - 1}%16")
        + f"# submit from the folder of the plan: sbatch array.slurm\nframes=({frames})\n"
        + 'cd "$SLURM_SUBMIT_DIR/frames/${frames[$SLURM_ARRAY_TASK_ID]}"\n'
        + f"if {finished}; then exit 0; fi\n{run}\n"
    )


def array_of_parts(plan: Plan, engine: str) -> str:
    """Return the script of at most 16 jobs that compute the pairs of a plan by an engine of hopcast."""
    parts = min(16, len(plan.pairs))
    return (
        HEAD.format(f"0-{parts - 1}")
        + 'export OMP_NUM_THREADS=1\ncd "$SLURM_SUBMIT_DIR"\n'
        + f'hopcast compute . --engine {engine} --part "$SLURM_ARRAY_TASK_ID/{parts}"\n'
    )
