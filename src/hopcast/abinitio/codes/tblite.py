"""GFN1-xTB in process."""

from hopcast.abinitio.code import Code
from hopcast.abinitio.tblite_engine import TbliteEngine

CODE = Code(
    "tblite",
    TbliteEngine,
    "hopcast compute {plan} --engine tblite   (or: cd {plan} && sbatch array.slurm)",
)
