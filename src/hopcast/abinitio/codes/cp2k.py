"""CP2K, its inputs and its outputs."""

from __future__ import annotations

from collections.abc import Sequence

from hopcast.abinitio.code import Code, FrameInput
from hopcast.abinitio.cp2k_engine import Cp2kEngine
from hopcast.abinitio.cp2k_input import Cp2kSettings, cp2k_input


def _check(symbols: Sequence[str], settings: Cp2kSettings) -> None:
    for symbol in dict.fromkeys(symbols):
        settings.charge_of(symbol)


CODE = Code(
    "cp2k",
    Cp2kEngine,
    "hopcast compute {plan} --engine cp2k   (or: cd {plan} && sbatch array.slurm)",
    settings=Cp2kSettings,
    inputs=FrameInput(
        "frame.inp",
        write=lambda geometry, settings, frame: cp2k_input(geometry, settings),
        run=lambda settings: "srun cp2k.psmp -i frame.inp -o frame.out",
        finished="grep -qs 'PROGRAM ENDED' frame.out",
        check=_check,
    ),
)
