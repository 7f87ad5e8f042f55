r"""Electronic structure for the frames that are needed: engines, plans of pairs, couplings, and the electrons themselves.

An `Engine` turns a geometry into `Electrons` (energies, orbitals) and overlaps the orbitals of two geometries,
:math:`S_{ij} = \langle i(t)|j(t+\Delta t)\rangle`; everything after that is `hopcast.couplings`. A `Code` is an engine with the inputs that
a cluster runs and the files that are harvested from it: one file each in `hopcast.abinitio.codes`.

**tblite** (GFN1-xTB, in process, periodic at Gamma). The orbitals :math:`C` are orthonormal in the overlap :math:`S` of
the atomic functions, :math:`C^T S C = 1`. Two routes to the coupling:

1. *Overlaps in the Löwdin-orthonormalised basis* (what the engine gives): :math:`\tilde C = S^{1/2} C`,
   :math:`S_{ij}(t, t') = \tilde C_i(t)^T \tilde C_j(t')`. The orthonormalised atomic functions are taken to be the same
   at both geometries.
2. *Finite differences of H and S* (`matrix_couplings`, the independent check): from
   :math:`H C = S C \varepsilon` at a geometry, and :math:`\dot H, \dot S` from its neighbours in time,

   .. math:: d_{ij} = \frac{C_i^T(\dot H - \varepsilon_j\dot S)C_j}{\varepsilon_j-\varepsilon_i} + C_i^T D\, C_j ,
             \qquad D = S^{1/2}\,\frac{d}{dt}S^{1/2} .

   :math:`D` stands for :math:`\langle\mu|\partial_t\nu\rangle`; with this choice (Löwdin's) both routes have the same limit.

What the choice of basis implies: atomic functions are carried along by their atoms, so a rigid translation gives no
coupling at all: the electron-translation part, :math:`-\mathbf v\cdot\langle i|\nabla|j\rangle`, which a basis fixed in space
would show, is left out. A rigid rotation of a molecule in vacuum by the angular velocity :math:`\omega` gives exactly the
rotation of the shells of each atom,
:math:`\hbar d_{ij} = \hbar\,\tilde C_i^T (\omega\cdot L)\tilde C_j` with :math:`L` the generator within each shell (for p:
:math:`[L_z]_{yx}=1=-[L_z]_{xy}`); the motion of the atoms about the axis adds nothing.

**cp2k** (external program; Quickstep with MOLOPT bases). Orbitals come from the ``.wfn`` restart file, overlaps between the
Gaussian functions of two geometries from pyscf, summed over the periodic images:
:math:`S(t,t') = C(t)^T\,\langle\mu(t)|\nu(t')\rangle\,C(t')`, which is the full overlap, electron translation included.

**qe** (external program; pw.x at Gamma) and **vasp** (where a ``vasp_gam`` is on the path): plane waves that do not move with the
atoms, so that the overlap is a product of coefficients, electron translation included (`hopcast.io.wavefunctions`). Those of
norm-conserving pseudopotentials are orthonormal; of ultrasoft and PAW ones they are orthonormalised in the window of bands.

Sources: Bannwarth et al., *WIREs Comput. Mol. Sci.* 2021, 11, e1493 (doi 10.1002/wcms.1493) for xTB; Grimme, Bannwarth,
Shushkov, *J. Chem. Theory Comput.* 2017, 13, 1989 (doi 10.1021/acs.jctc.7b00118) for GFN1; Löwdin, *J. Chem. Phys.* 1950, 18,
365 (doi 10.1063/1.1747632); Fatehi, Alguire, Shao, Subotnik, *J. Chem. Phys.* 2011, 135, 234105 (doi 10.1063/1.3665031) for
electron translation; VandeVondele and Hutter, *J. Chem. Phys.* 2007, 127, 114105 (doi 10.1063/1.2770708) for MOLOPT; Sun et al.,
*J. Chem. Phys.* 2020, 153, 024109 (doi 10.1063/5.0006074) for pyscf.
"""

from hopcast.abinitio.code import Code
from hopcast.abinitio.codes import find_code, list_codes, make_engine, plan_code
from hopcast.abinitio.compute import ComputeReport, assemble_plan, compute_plan
from hopcast.abinitio.electrons import BandEdges, DensityOfStates, band_edges, density_of_states, plan_electrons
from hopcast.abinitio.engine import Electrons, ElectronsError, Engine, Geometry
from hopcast.abinitio.folders import check_settings, write_folders
from hopcast.abinitio.harvest import Harvest, harvest_pairs, harvest_runs
from hopcast.abinitio.harvest_waves import harvest_waves
from hopcast.abinitio.matrices import matrix_couplings
from hopcast.abinitio.molecular_dynamics import MolecularDynamics, run_md
from hopcast.abinitio.plan import Plan, read_plan, trajectory_hash, write_plan
from hopcast.abinitio.settings_file import read_engine_options

__all__ = [
    "BandEdges",
    "Code",
    "ComputeReport",
    "DensityOfStates",
    "Electrons",
    "ElectronsError",
    "Engine",
    "Geometry",
    "Harvest",
    "MolecularDynamics",
    "Plan",
    "assemble_plan",
    "band_edges",
    "check_settings",
    "compute_plan",
    "density_of_states",
    "find_code",
    "harvest_pairs",
    "harvest_runs",
    "harvest_waves",
    "list_codes",
    "make_engine",
    "matrix_couplings",
    "plan_code",
    "plan_electrons",
    "read_engine_options",
    "read_plan",
    "run_md",
    "trajectory_hash",
    "write_folders",
    "write_plan",
]
