"""SHPROP, PSICT and RECOMB as both codes write them.

The original writes ``tion * POTIM, SUM(...), (x(i, tion), i = 1, ndim)`` list-directed after 15 comments, PSICT with complex x;
gfortran ends such a line after 80 columns at the latest. DEV writes ``(f13.2,f11.6,N(f11.6))``, and PSICT as ``(f13.2,f11.6,
N(f11.6,SP,f9.6,"i"))``; RECOMB is time, mean energy and a number a state in either.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import hopcast as hc

TIMES = np.array([1.0, 2.0, 3.0])


def amplitudes(n_states):
    rng = np.random.default_rng(n_states)
    found = rng.normal(size=(3, n_states)) + 1j * rng.normal(size=(3, n_states))
    return found / np.linalg.norm(found, axis=1)[:, None]


def comments(n_states):
    named = {"BMIN": 11, "BMAX": 10 + n_states, "INIBAND": 12, "NBANDS": 400}
    return "".join(f"#{key:>12} = {value:5d}\n" for key, value in named.items()) + "#\n" * 11


def list_directed(rows):
    """Write rows as ``write(unit, *)`` of gfortran does: items of one width, no line longer than 80 columns."""
    text = ""
    for row in rows:
        line = ""
        for item in row:
            word = f" ({item.real:.17g},{item.imag:.17g})" if isinstance(item, complex) else f"  {item:.16E}"
            if len(line) + len(word) > 80:
                text, line = text + line + "\n", ""
            line += word
        text += line + "\n"
    return text


def rows(values):
    return [[float(t), -0.5 * float(t), *(v.item() for v in row)] for t, row in zip(TIMES, values, strict=True)]


@pytest.mark.parametrize("n_states", [1, 2, 3, 4, 7, 13])
def test_the_original_code(tmp_path, n_states):
    psi = amplitudes(n_states)
    populations = np.abs(psi) ** 2
    (tmp_path / "SHPROP.1").write_text(comments(n_states) + list_directed(rows(populations)))
    found = hc.read_shprop(tmp_path / "SHPROP.1")
    assert_allclose(found.times, TIMES)
    assert_allclose(found.energy, -0.5 * TIMES)
    assert_allclose(found.populations, populations, rtol=1e-14)
    for before in (comments(n_states), ""):
        (tmp_path / "PSICT.1").write_text(before + list_directed(rows(psi)))
        found = hc.read_psict(tmp_path / "PSICT.1")
        assert_allclose(found.coefficients, psi, rtol=1e-14)
        assert_allclose(found.populations, populations, rtol=1e-14)
        assert_allclose(found.times, TIMES)


@pytest.mark.parametrize("n_states", [2, 3, 9])
def test_the_dev_code(tmp_path, n_states):
    psi = amplitudes(n_states).round(6)
    head = [f"{t:13.2f}{-0.5 * t:11.6f}" for t in TIMES]
    (tmp_path / "PSICT.1").write_text(
        "".join(
            h + "".join(f"{c.real:11.6f}{c.imag:+9.6f}i" for c in row) + "\n" for h, row in zip(head, psi, strict=True)
        )
    )
    assert_allclose(hc.read_psict(tmp_path / "PSICT.1").coefficients, psi)
    recombined = np.linspace(0, 0.5, 3 * n_states).reshape(3, n_states).round(4)
    (tmp_path / "RECOMB.1").write_text(
        "".join(h + "".join(f"{x:9.4f}" for x in row) + "\n" for h, row in zip(head, recombined, strict=True))
    )
    times, found = hc.read_recomb(tmp_path / "RECOMB.1")
    assert_allclose(times, TIMES)
    assert_allclose(found, recombined)


def test_the_lines_of_the_issue(tmp_path):
    (tmp_path / "PSICT.1").write_text(
        "         1.00   0.919537   0.000000+0.000000i   0.000000+0.000000i   1.000000+0.000000i\n"
    )
    assert_allclose(hc.read_psict(tmp_path / "PSICT.1").coefficients, [[0, 0, 1]])
    (tmp_path / "RECOMB.1").write_text("         1.00   1.006157   0.0000   0.0000\n")
    assert hc.read_recomb(tmp_path / "RECOMB.1")[1].shape == (1, 2)


def test_one_is_not_the_other(tmp_path):
    (tmp_path / "SHPROP.1").write_text(" 1.0 -0.5 0.25 0.75\n")
    with pytest.raises(hc.InputError, match=r"none of them complex[.] A SHPROP is read by"):
        hc.read_psict(tmp_path / "SHPROP.1")
    # lines of three numbers that are halves of rows: without its comments nobody could tell, but for its times
    (tmp_path / "SHPROP.2").write_text(" 1.0 -0.5 0.25\n 0.25 0.25 0.25\n 2.0 -0.5 0.25\n 0.25 0.25 0.25\n")
    with pytest.raises(hc.InputError, match="Its lines may be parts of rows: give it its comments"):
        hc.read_shprop(tmp_path / "SHPROP.2")
