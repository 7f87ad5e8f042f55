"""Quantum ESPRESSO from end to end: pw.x on a small cell, and what its wavefunctions must obey (make test-qe).

    python tools/check_qe.py [--folder FOLDER]

Ten frames of two silicon atoms (the pseudopotential is in Debian's quantum-espresso-data) through `hopcast select`, pw.x and
`hopcast harvest`, about a tenth of a second a frame; then orthonormality, sum rules, couplings against a second reading that shares no code, halved
time steps and reversed time, k-points, spinors, Kramers pairs and ultrasoft pseudopotentials.
"""

import argparse
import dataclasses
import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import hopcast as hc
from hopcast.abinitio import assemble_plan, compute_plan, harvest_waves, make_engine, write_folders, write_plan
from hopcast.abinitio.qe_input import QeSettings
from hopcast.core.units import HBAR
from hopcast.io.wavefunctions import Save, Selection, overlap

A = 5.43
CELL = A / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0.0]])
PLACES = np.array([[0, 0, 0], [A / 4] * 3]) + 0.05 * np.array([[1, 0.5, -0.3], [-0.4, 0.2, 0.6]])
SETTINGS = QeSettings(pseudopotentials={"Si": "Si.pz-vbc.UPF"}, ecutwfc=18.0, conv_thr=1e-13, added_bands=12)
FINE = True


def judge(words, value, limit):
    """Print a number beside its limit."""
    global FINE
    FINE &= bool(value < limit)
    print(f"  {words:<74} {value:.2e}  limit {limit:g}  {'ok' if value < limit else 'MISSED'}", flush=True)


def nuclei(times, timestep):
    """Return the two atoms at times in fs."""
    swing = 0.06 * np.sin(0.05 * np.asarray(times, float)[:, None, None] + np.arange(6).reshape(2, 3))
    return hc.Trajectory(PLACES + swing, CELL, np.array([14, 14]), timestep)


def run(folder, trajectory, settings=SETTINGS):
    """Write a plan of all pairs, run pw.x in its folders, and return what is harvested."""
    plan = write_plan(folder, trajectory, range(trajectory.n_frames - 1), strategy="all")
    for file in write_folders(plan, "qe", settings=settings):
        if not (file.parent / "out").exists():
            with (file.parent / "frame.out").open("wb") as output:
                subprocess.run(["pw.x", "-in", file.name], cwd=file.parent, stdout=output, check=True)
    return plan


def independent(folder, n_bands):
    """Read a wfc1.dat of K_POINTS gamma by itself: plane waves as a dictionary, Fortran records as they come."""
    data = (folder / "wfc1.dat").read_bytes()
    records, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        records.append(data[at + 4 : at + 4 + size])
        at += size + 8
    miller = np.frombuffer(records[3], np.int32).reshape(-1, 3)
    bands = np.array([np.frombuffer(record, complex) for record in records[4 : 4 + n_bands]])
    return {tuple(index): bands[:, i] for i, index in enumerate(miller.tolist())}


def dot(left, right):
    """Return overlaps of two such readings: 2 Re sum c* c' less the term of G = 0."""
    total = 0.0
    for index, c in left.items():
        weight = 1.0 if not any(index) else 2.0
        total = total + weight * np.real(np.outer(c.conj(), right[index]))
    return total


def check_frames(folder):
    """Ten frames at Gamma: norms, couplings against the second reading, antisymmetry, sum rule."""
    times = np.arange(10.0)
    plan = run(folder / "gamma", nuclei(times, 1.0))
    found = harvest_waves(plan.folder, selection=Selection(bands=(0, 8)))
    print(f"10 frames of Si2, K_POINTS gamma, {SETTINGS.ecutwfc:g} Ry: {found.hamiltonian!r}")
    places = [plan.folder / "frames" / f"{frame:06d}" / "out" / "frame.save" for frame in range(10)]
    norms = []
    for place in places:
        c = Save.open(place).coefficients(range(16), 0, 0)
        norms.append(np.abs(overlap(c, c, real=True) - np.eye(16)).max())
    judge("C^+ C - 1, all 16 bands", max(norms), 1e-8)
    second = [independent(place, 16) for place in places]
    raw = np.array([dot(second[i], second[i + 1]) for i in range(9)])
    signs = np.cumprod([np.ones(8), *(np.sign(np.diag(s[:8, :8])) for s in raw)], axis=0)
    aligned = signs[:-1, :, None] * raw[:, :8, :8] * signs[1:, None, :]
    theirs = HBAR * (aligned - aligned.swapaxes(1, 2)) / 2
    ours = hc.derive_couplings(found.hamiltonian, derivative="difference").nac
    scale = np.abs(theirs).max()
    judge("couplings against the second reading, relative to the largest", np.abs(ours - theirs).max() / scale, 1e-10)
    judge("antisymmetry of the couplings", np.abs(ours + ours.swapaxes(1, 2)).max(), 1e-15)
    kept = np.linalg.norm(raw[:, :4, :], axis=2)  # what four occupied bands keep in sixteen
    lost = 1 - np.linalg.norm(raw[:, :4, :4], axis=2)
    judge("norm of S_i over 16 bands must not exceed 1", max(0.0, float((kept - 1).max())), 1e-10)
    print(f"  (occupied bands keep {1 - lost.max():.6f} of themselves in 4 bands, {kept.min():.6f} in 16)")
    engine = make_engine("qe", bands=(4, 4), settings=SETTINGS)
    short = write_plan(folder / "engine", nuclei(times[:3], 1.0), [0, 1], strategy="all")
    compute_plan(short.folder, engine)
    direct = assemble_plan(short.folder, engine)
    judge(
        "hopcast compute --engine qe against harvest",
        np.abs(np.abs(direct.nac) - np.abs(found.hamiltonian.nac[:2])).max(),
        1e-7,
    )


def check_time(folder):
    """Couplings of the band edges at one time, from pairs around it: second order in the step, odd in time."""
    values = {}
    for dt in (4.0, 2.0, 1.0, 0.5):
        for way in (1, -1):
            times = 5.0 + way * dt * np.array([-0.5, 0.5])
            plan = run(folder / f"dt-{dt:g}-{way}", nuclei(times, dt))
            ham = harvest_waves(plan.folder, selection=Selection(bands=(0, 8))).hamiltonian
            values[dt, way] = hc.derive_couplings(ham, derivative="difference").nac[0]
    # the signs of the four calculations are unrelated: moduli
    size = {dt: np.abs(values[dt, 1])[:4, 4:] for dt in (4.0, 2.0, 1.0, 0.5)}
    steps = [np.abs(size[dt] - size[dt / 2]).max() for dt in (4.0, 2.0, 1.0)]
    print(
        f"halved time steps change |hbar d| (occupied to empty bands) by {' '.join(f'{1e3 * step:.5f}' for step in steps)} meV"
    )
    judge(
        "each change is a fourth of the one before: largest deviation of the ratio",
        max(abs(a / b - 4) for a, b in itertools.pairwise(steps)),
        0.4,
    )
    # backwards the two frames change places: d_ij of the one, with the signs of the other frame as the first
    forward, back = values[1.0, 1], values[1.0, -1]
    judge("reversed velocities: modulus", np.abs(np.abs(forward) - np.abs(back)).max(), 1e-7)
    cycle = [np.triu(x, 1)[0, 1] * np.triu(x, 1)[1, 4] * x[4, 0] for x in (forward, back)]
    judge(
        "reversed velocities: d_01 d_14 d_40, which no sign of a band changes, turns its sign",
        abs(cycle[0] / cycle[1] + 1),
        1e-3,
    )


def check_flavours(folder):
    """K-points, spinors and an ultrasoft pseudopotential."""
    grid = QeSettings(pseudopotentials=SETTINGS.pseudopotentials, ecutwfc=18, conv_thr=1e-13, kpoints=(2, 1, 1))
    plan = run(folder / "kpoints", nuclei(np.arange(2.0), 1.0), grid)
    whole = harvest_waves(plan.folder, selection=Selection(bands=(0, 8), kpoint=0)).hamiltonian
    other = harvest_waves(plan.folder, selection=Selection(bands=(0, 8), kpoint=1)).hamiltonian
    print(f"2 x 1 x 1 k-points: {whole!r}; {other!r}; {other.provenance['channel']}")
    save = Save.open(plan.folder / "frames" / "000000" / "out" / "frame.save")
    for kpoint in (0, 1):
        c = save.coefficients(range(8), 0, kpoint)
        judge(f"C^+ C - 1 at k-point {kpoint}", np.abs(overlap(c, c, real=False) - np.eye(8)).max(), 1e-8)
    gamma = run(folder / "gamma", nuclei(np.arange(10.0), 1.0))
    half = Save.open(gamma.folder / "frames" / "000000" / "out" / "frame.save").coefficients(range(8), 0, 0)
    alone = QeSettings(
        pseudopotentials=SETTINGS.pseudopotentials, ecutwfc=18, conv_thr=1e-13, added_bands=12, kpoints=(1, 1, 1)
    )
    plan = run(folder / "alone", nuclei(np.arange(3.0), 1.0), alone)
    complex_states = harvest_waves(plan.folder, selection=Selection(bands=(0, 8))).hamiltonian
    real_states = harvest_waves(gamma.folder, selection=Selection(bands=(0, 8))).hamiltonian
    change = np.abs(complex_states.nac) - np.abs(real_states.nac[:2])
    print(f"Gamma alone with complex arithmetic: {complex_states!r}")
    judge("couplings against those of K_POINTS gamma, eV", np.abs(change).max(), 1e-6)
    print(
        f"  (half the sphere has {half.shape[1]} plane waves, the whole {save.coefficients(range(1), 0, 0).shape[1]})"
    )

    spinors = QeSettings(pseudopotentials={"Si": "Si.rel-pbe-rrkj.UPF"}, ecutwfc=18, conv_thr=1e-12, spin_orbit=True)
    plan = run(folder / "spinors", nuclei(np.arange(2.0), 1.0), spinors)
    ham = harvest_waves(plan.folder, selection=Selection(bands=(4, 12))).hamiltonian
    print(f"spinors: {ham!r}, {ham.n_occupied} occupied")
    pairs = np.diff(ham.energies[0])[::2]
    save = Save.open(plan.folder / "frames" / "000000" / "out" / "frame.save")
    c = save.coefficients(range(16), 0, 0)
    judge("C^+ C - 1", np.abs(overlap(c, c, real=False) - np.eye(16)).max(), 1e-8)
    judge("Kramers: bands at Gamma come in pairs, eV", np.abs(pairs).max(), 1e-6)

    soft = QeSettings(
        pseudopotentials={"Si": "Si.pbe-nl-rrkjus_psl.1.0.0.UPF"}, ecutwfc=25, ecutrho=200, conv_thr=1e-12
    )
    plan = run(folder / "ultrasoft", nuclei(np.arange(2.0), 1.0), soft)
    ham = harvest_waves(plan.folder, selection=Selection(bands=(0, 8))).hamiltonian
    print(f"ultrasoft: norm lost {ham.provenance['norm lost']}")
    judge("overlaps are orthonormalised: largest |S_ii| - 1", np.abs(np.diag(ham.overlaps[0])).max() - 1, 1e-10)


def check_pairs(folder):
    """Kramers pairs of 60 frames with spin-orbit coupling: tied, coupled as quaternions, the same in any basis."""
    settings = QeSettings(pseudopotentials={"Si": "Si.rel-pbe-rrkj.UPF"}, ecutwfc=18, conv_thr=1e-12, spin_orbit=True)
    plan = run(folder / "pairs", nuclei(2.0 * np.arange(60.0), 2.0), settings)
    raw = harvest_waves(plan.folder, selection=Selection(bands=(0, 14))).hamiltonian.with_blocks()
    ham = hc.derive_couplings(raw)
    print(f"Kramers pairs: {ham!r}")
    edges = ham.frontier()
    judge("splitting of the pairs, eV", np.ptp(ham.energies.reshape(60, -1, 2), axis=2).max(), 1e-5)
    values = np.linalg.svd(edges.nac[:, :2, 2:], compute_uv=False)
    judge("singular values of the coupling of two pairs", np.abs(np.diff(values)).max() / values.max(), 1e-3)
    rng = np.random.default_rng(0)
    turns = np.zeros((60, 14, 14), dtype=complex)
    for pair in range(0, 14, 2):
        part = slice(pair, pair + 2)
        noise = rng.normal(size=(60, 2, 2)) + 1j * rng.normal(size=(60, 2, 2))
        turns[:, part, part] = np.linalg.qr(noise)[0]
    turned = dataclasses.replace(raw, overlaps=turns[:-1].conj().swapaxes(1, 2) @ raw.overlaps @ turns[1:])
    options = {"method": "exact", "duration": 1e6, "dephasing_time": 20.0}
    rates = [hc.run_dynamics(each.frontier(), **options).asymptotic_rate for each in (ham, hc.derive_couplings(turned))]
    judge("rate with every pair turned at every frame", abs(rates[0] / rates[1] - 1), 1e-6)
    alone = []
    for each in (raw, turned):
        plain = HBAR / 4.0 * (each.overlaps - each.overlaps.conj().swapaxes(1, 2))
        single = dataclasses.replace(each, nac=plain, nac_known=None, overlaps=None, multiplicities=())
        alone.append(hc.run_dynamics(single.select([7, 8]), **options).asymptotic_rate)
    print(
        f"  (1/ns: {rates[0]:.4g} of the pairs; of one partner each, as given and turned, {alone[0]:.4g} and {alone[1]:.4g})"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    try:
        make_engine("qe", settings=SETTINGS).check(np.array([14]))
    except hc.ConfigError as error:
        print(f"skipped: {error}")
        return 0
    with tempfile.TemporaryDirectory(prefix="hopcast-qe-") as name:
        folder = options.folder or Path(name)
        check_frames(folder)
        check_time(folder)
        check_flavours(folder)
        check_pairs(folder)
    return int(not FINE)


if __name__ == "__main__":
    sys.exit(main())
