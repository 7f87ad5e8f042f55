"""VASP, its inputs, its wavefunctions and its own overlaps (WSWQ)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hopcast.abinitio.code import Code, FrameInput, WaveFiles, finished_waves
from hopcast.abinitio.engine import OutputState
from hopcast.abinitio.plan import Plan
from hopcast.abinitio.vasp_engine import VaspEngine
from hopcast.abinitio.vasp_input import FRAME_TAGS, OVERLAP_TAGS, VaspSettings, poscar, tags, vasp_state
from hopcast.abinitio.vasp_scripts import SUBMIT, run_frame, run_overlaps
from hopcast.io.wavefunctions.paw_pairs import read_pair
from hopcast.io.wavefunctions.selection import Window
from hopcast.io.wavefunctions.wavecar import Wavecar


def _beside(plan: Plan, settings: VaspSettings) -> Mapping[str, str]:
    return {
        "INCAR.frame": tags(FRAME_TAGS),
        "INCAR.overlap": tags(OVERLAP_TAGS),
        "overlaps.slurm": run_overlaps(plan, settings.program),
        "submit.sh": SUBMIT,
    }


def _find(place: Path) -> Path:
    state, found = vasp_state(place / "OUTCAR"), place / "WAVECAR"
    if state.state == "absent" and found.is_file():
        state = OutputState("finished", "")  # the WAVECAR says by itself whether it is whole
    return finished_waves(state, found if found.is_file() else None)


def _parts(place: Path) -> list[Path]:
    return [file for file in (place / "WAVECAR",) if file.exists()]


def _read_exact(files: tuple[Path, Path, Path], window: Window) -> NDArray[Any]:
    return read_pair(files, window=window)


CODE = Code(
    "vasp",
    VaspEngine,
    "put INCAR, KPOINTS and POTCAR into {plan}, cd {plan} && sh submit.sh, then hopcast harvest {plan}",
    settings=VaspSettings,
    inputs=FrameInput(
        "POSCAR",
        write=lambda geometry, settings, frame: poscar(geometry, f"frame {frame}"),
        run=lambda settings: run_frame(settings.program),
        finished="grep -qs 'General timing' OUTCAR && [ -s WAVECAR ]",
        beside=_beside,
    ),
    waves=WaveFiles(find=_find, open=Wavecar.open, parts=_parts, exact_file="WSWQ", read_exact=_read_exact),
)
