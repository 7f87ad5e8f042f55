"""The pages of docs/formats are run on fixtures: console lines through the command line, Python blocks as they stand."""

import re
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

import hopcast as hc
from hopcast.cli.app import app
from hopcast.io import write_native

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
sys.path.insert(0, str(Path(__file__).parent))
import plane_wave_files as files

FOLDER = Path(__file__).parents[2] / "docs" / "formats"
PAGES = sorted(FOLDER.glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)


def wavefunctions(folder):
    """Calculations of VASP and QE in numbered folders, and plans that were run."""
    from hopcast.abinitio import write_folders, write_plan
    from hopcast.abinitio.qe_input import QeSettings

    places = np.array([files.atoms_at(time) @ files.CELL for time in range(10)])
    long = hc.Trajectory(places, files.CELL, np.array([14, 32]), 1.0)
    write_native(folder / "md-long.h5", trajectory=long)
    frames = [files.channel(float(time), n_occupied=2, real=True) for time in range(10)]
    pseudo = {"Si": "Si.upf", "Ge": "Ge.upf"}
    plans = {}
    for code, settings in (("vasp", None), ("qe", QeSettings(pseudopotentials=pseudo, nbnd=8))):
        plans[code] = write_plan(folder / f"plan-{code}", long, [2, 3, 6], strategy="by hand")
        write_folders(plans[code], code, settings=settings)
    for number, one in enumerate(frames):
        outs = [folder / "vasp-run" / f"{number:04d}", folder / "vasp-wswq" / f"{number:04d}"]
        outs += [folder / "vasp-pairs" / f"{number:04d}"] * (number in (2, 3, 6, 7))
        outs += [plans["vasp"].folder / "frames" / f"{number:06d}"] * (number in plans["vasp"].frames)
        for place in outs:
            files.write_wavecar(place / "WAVECAR", [[one]], half="z")
            files.write_poscar(place / "POSCAR", float(number))
            if number and place.parent.name in ("vasp-wswq", "frames"):
                files.write_wswq(place / "WSWQ", [[files.direct_overlaps(one, frames[number - 1])]])
        saves = [folder / "qe-run" / str(number)]
        saves += [plans["qe"].folder / "frames" / f"{number:06d}"] * (number in plans["qe"].frames)
        for place in saves:
            files.write_save(place / "out" / "frame.save", [[one]], time=float(number), gamma=True)
            (place / "frame.out").write_text("Program PWSCF\nJOB DONE.\n")
    for place in (plans["vasp"].folder / "frames").iterdir():
        (place / "OUTCAR").write_text("aborting loop because EDIFF is reached\nGeneral timing\n")
    lines = ["nbnd = 8", "[pseudopotentials]", *(f'{symbol} = "{name}"' for symbol, name in pseudo.items())]
    (folder / "qe.toml").write_text("\n".join(lines) + "\n")


def fixtures(folder):
    """Small data sets under the names that the pages use."""
    wavefunctions(folder)
    times = np.arange(31.0)
    gap = 1.5 + 0.1 * np.sin(times / 4) + 0.05 * np.cos(times / 3)
    nac = 0.01 * np.sin(times[:-1] / 7 + 0.5)[:, None, None] * np.array([[0, 1], [-1, 0]])
    ham = hc.VibronicHamiltonian(np.stack([0 * gap, gap], axis=1), nac, 1.0, n_occupied=1)
    overlaps = np.eye(2) + nac / 0.6582119569
    raw = hc.VibronicHamiltonian(ham.energies, ham.nac, 1.0, overlaps=overlaps)
    for name, form in {"namd": "hefei", "canac": "canac", "pyxaid": "pyxaid", "libra-text": "libra-text"}.items():
        hc.write_hamiltonian(ham, folder / name, format=form)
    (folder / "namd" / "inp").unlink()
    hc.write_hamiltonian(raw, folder / "libra-npz", format="libra-npz")
    with h5py.File(folder / "nano.hdf5", "w") as file:
        for k in range(31):
            file[f"eigenvalues/point_{k}"] = ham.energies[k] / 27.211386
            if k < 30:
                file[f"overlaps_{k}/mtx_sji_t0"] = overlaps[k]
    (folder / "nano-ham").mkdir()
    for k in range(4):
        (folder / "nano-ham" / f"Ham_{k}_re").write_text("0.0 0.0\n0.0 1.5\n")
        (folder / "nano-ham" / f"Ham_{k}_im").write_text("0.0 0.01\n-0.01 0.0\n")
    with h5py.File(folder / "NAC.h5", "w") as file:
        file["eigs"], file["potim"], file["brange"] = ham.midpoint_energies[:, None], 1.0, [1, 2]
        file["olaps_r"] = (nac * 2 / 0.6582119569)[:, None]
        file["olaps_i"] = np.zeros((30, 1, 2, 2))
    path = hc.Trajectory(
        1.0 + 0.01 * np.sin(times[:, None, None] / 4 + np.arange(6).reshape(2, 3)), 5 * np.eye(3), [14, 14], 1.0
    )
    write_native(folder / "md.h5", trajectory=path)
    write_native(folder / "namd.h5", hamiltonian=ham)
    for name in ("canac.h5", "pyxaid.h5", "b.h5"):
        write_native(folder / name, hamiltonian=ham)
    frames = "".join(f"Direct configuration= {k + 1}\n 0.1 0.2 {0.3 + k / 1000:.4f}\n 0.5 0.5 0.5\n" for k in range(5))
    (folder / "XDATCAR").write_text("Si\n1.0\n5 0 0\n0 5 0\n0 0 5\nSi\n2\n" + frames)
    (folder / "run-pos-1.xyz").write_text(
        "".join(f"1\n i = {k}, time = {k}.000\nSi 0.0 0.0 {k / 100}\n" for k in range(5))
    )
    from seeds import PWSCF, SEEDS, VASPRUN

    (folder / "vasprun.xml").write_text(VASPRUN)
    (folder / "md.out").write_text(PWSCF)
    SEEDS["extxyz"](folder)
    (folder / "a.extxyz").rename(folder / "md.extxyz")
    (folder / "folder").mkdir()
    SEEDS["poscars"](folder / "folder")
    (folder / "scratch").mkdir()
    (folder / "scratch" / "decoherence_rates_icond0.txt").write_text("0 0.05 \n0.05 0 \n")
    (folder / "scratch" / "out0").write_text("time 0 P(0)= 0 P(1)= 1 \ntime 1 P(0)= 0.25 P(1)= 0.75 \n")
    (folder / "DEPHTIME").write_text(" 0.0 5.5\n 5.5 0.0\n")
    (folder / "SHPROP.1").write_text("1.0 0.5 0.25 0.75\n2.0 0.4 0.5 0.5\n")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    fixtures(folder)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs(page, prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    scope = {"__name__": "docs"}
    if blocks:
        shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    for language, text in blocks:
        if language == "python":
            exec(compile(text, page.name, "exec"), scope)
            continue
        assert language == "console"
        for line in text.splitlines():
            words = line.removeprefix("$ hopcast ").split()
            assert line.startswith("$ hopcast ")
            if words[0] == "convert":
                target = tmp_path / words[2]
                target.is_file() and target.unlink()
            result = CliRunner().invoke(app, words)
            good = (0, 4) if words[0] == "check" else (0,)  # a fixture may well have bad verdicts
            assert result.exit_code in good, (line, result.output, result.exception)
            assert words[0] != "check" or "good" in result.output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
