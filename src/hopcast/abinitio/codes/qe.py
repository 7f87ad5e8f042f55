"""Quantum ESPRESSO's pw.x, its inputs and its wavefunctions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hopcast.abinitio.code import Code, FrameInput, WaveFiles, finished_waves
from hopcast.abinitio.engine import Geometry
from hopcast.abinitio.qe_engine import QeEngine
from hopcast.abinitio.qe_input import QeSettings, qe_input, qe_state
from hopcast.io.wavefunctions.espresso import Save
from hopcast.io.wavefunctions.places import save_in


def _write(geometry: Geometry, settings: QeSettings, frame: int) -> str:
    return qe_input(geometry, settings, pseudo_dir=None if settings.folder().is_dir() else "../../pseudo")


def _check(symbols: Sequence[str], settings: QeSettings) -> None:
    for symbol in dict.fromkeys(symbols):
        settings.file_of(symbol)
    settings.bands(list(symbols))


def _find(place: Path) -> Path:
    return finished_waves(qe_state(place / "frame.out"), save_in(place))


def _parts(place: Path) -> list[Path]:
    save = save_in(place)
    return [] if save is None else [save, *save.glob("wfc*")]


CODE = Code(
    "qe",
    QeEngine,
    "hopcast compute {plan} --engine qe   (or: cd {plan} && sbatch array.slurm, then hopcast harvest {plan})",
    settings=QeSettings,
    inputs=FrameInput(
        "frame.in",
        write=_write,
        run=lambda settings: "srun pw.x -in frame.in > frame.out",
        finished="grep -qs 'JOB DONE' frame.out",
        check=_check,
    ),
    waves=WaveFiles(find=_find, open=Save.open, parts=_parts),
)
