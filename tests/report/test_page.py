"""What a real browser makes of the page: no request, no error; with and without scripts, light and dark, wide, narrow and on paper."""

import importlib.util
import re
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
browser = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(browser)

pytestmark = pytest.mark.skipif(
    browser.find_browser() is None, reason=f"no headless browser found (looked for {', '.join(browser.NAMES)})"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    found = browser.Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def report(folder):
    return folder[0] / "report.html"


def asked_for(page):
    return [address for address in page.requests if not address.startswith("data:")]


def test_it_loads_nothing_and_complains_of_nothing(page, report):
    page.open(report)
    assert asked_for(page) == [report.as_uri()]
    assert page.errors == []


def test_the_test_would_see_a_request_and_an_error(page, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text('<img src="http://127.0.0.1:9/picture.png"><script>throw Error("broken")</script>', encoding="utf-8")
    page.open(bad)
    assert "http://127.0.0.1:9/picture.png" in asked_for(page)
    assert any("Uncaught" in error for error in page.errors)


def test_the_first_screen_holds_the_answer(page, report):
    page.open(report, width=1280, height=1024)
    shown = "[...document.querySelectorAll(s)].map(e => e.getBoundingClientRect().bottom)".replace
    for selector in (".headline", "#population", "#structure canvas", ".answer .verdicts li", ".answer .plain li"):
        bottoms = page.evaluate(shown("(s)", f"({selector!r})"))
        assert bottoms
        assert max(bottoms) < 1024


def test_a_curve_says_its_values_under_the_pointer(page, report):
    page.open(report)
    box = page.evaluate(
        "(b => [b.x, b.y, b.width, b.height])(document.querySelector('#population svg').getBoundingClientRect())"
    )
    page.move(box[0] + 0.55 * box[2], box[1] + 0.5 * box[3])
    words = page.evaluate("document.querySelector('#tip').innerText")
    time, shown = re.search(r"Time \(ns\): ([\d.]+)", words), re.search(r"ab initio\s+([\d.]+)", words)
    assert not page.evaluate("document.querySelector('#tip').hidden")
    assert 4 < float(time.group(1)) < 7
    # the made-up populations leave their first state as one exponential
    assert 0.05 < float(shown.group(1)) < 0.4
    page.move(2, 2)
    assert page.evaluate("document.querySelector('#tip').hidden")


def test_a_heading_sorts_its_column_and_gives_the_order_back(page, report):
    page.open(report)
    read = "[...document.querySelectorAll('#dynamics tbody tr')].map(r => [r.cells[0].innerText, Number(r.cells[1].dataset.value)])"
    click = "document.querySelectorAll('#dynamics th button')[1].click()"
    before = page.evaluate(read)
    page.evaluate(click)
    up = page.evaluate(read)
    page.evaluate(click)
    down = page.evaluate(read)
    page.evaluate(click)
    assert up == sorted(before, key=lambda row: row[1])
    assert [row[1] for row in down] == [row[1] for row in up][::-1]
    assert page.evaluate(read) == before


def test_a_house_word_is_explained_by_keyboard_too(page, report):
    page.open(report)
    page.evaluate("document.querySelector('.answer abbr').focus()")
    assert len(page.evaluate("document.querySelector('#tip').innerText")) > 40
    page.press("Escape")
    assert page.evaluate("document.querySelector('#tip').hidden")


def test_the_structure_turns(page, report):
    page.open(report)
    look = "document.querySelector('#structure canvas').dataset.turned"
    pixels = "document.querySelector('#structure canvas').toDataURL()"
    before, image = page.evaluate(look), page.evaluate(pixels)
    page.evaluate("document.querySelector('#structure canvas').focus()")
    page.press("ArrowLeft")
    turned = page.evaluate(look)
    assert turned != before
    assert page.evaluate(pixels) != image
    x, y = page.evaluate(
        "(b => [b.x + b.width / 2, b.y + b.height / 2])(document.querySelector('#structure canvas').getBoundingClientRect())"
    )
    page.move(x, y, "mousePressed", button="left", clickCount=1)
    page.move(x + 40, y + 10, button="left", buttons=1)
    page.move(x + 40, y + 10, "mouseReleased", button="left", clickCount=1)
    assert page.evaluate(look) != turned


def test_without_scripts_it_is_complete(page, report):
    page.open(report, scripts=False)
    assert page.evaluate("document.querySelectorAll('#structure svg').length") >= 1
    assert page.evaluate("document.querySelector('#structure .whole').offsetHeight") > 100
    assert page.evaluate("document.querySelectorAll('canvas, th button, #tip').length") == 0
    assert page.evaluate("document.querySelector('abbr').title.length") > 20
    assert asked_for(page) == [report.as_uri()]


def test_dark_is_dark(page, report):
    def light(dark):
        page.open(report, dark=dark)
        colours = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        paper, ink = (sum(map(int, re.findall(r"\d+", one)[:3])) for one in page.evaluate(colours))
        return paper, ink

    paper, ink = light(dark=False)
    assert paper > ink + 300
    paper, ink = light(dark=True)
    assert ink > paper + 300
    text = "getComputedStyle(document.querySelector('#population svg g[id*=text_1] g')).fill"
    assert sum(map(int, re.findall(r"\d+", page.evaluate(text))[:3])) > 600  # axes can be read


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_cut_off_without_saying_so(page, report, width):
    page.open(report, width=width, phone=width < 500)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    hidden = """new Promise(done => setTimeout(() => done([...document.querySelectorAll('.scroll')]
        .filter(b => b.scrollWidth > b.clientWidth + 1 && b.previousElementSibling.hidden)
        .map(b => b.getAttribute('aria-label'))), 50))"""
    assert page.evaluate(hidden) == []
    stacked = page.evaluate("document.querySelector('#trust .stack').offsetHeight > 0")
    assert stacked == (width == 390)


def test_links_into_the_appendix_open_it(page, report):
    page.open(report)
    page.evaluate("location.hash = '#more-record'")
    assert page.evaluate("new Promise(done => setTimeout(() => done(document.querySelector('#appendix').open), 50))")


@pytest.mark.parametrize(
    ("counts", "bare"),
    [(None, True), ({"Cs": 2, "Pb": 2, "Sn": 2, "I": 6, "Br": 4, "C": 2, "N": 2, "H": 10}, False)],
    ids=["few sections", "eight elements, every section"],
)
def test_on_paper_the_front_is_short_and_the_appendix_stays_out(page, make_study, tmp_path, counts, bare):
    from hopcast.report import render_html

    usual = tmp_path / "usual.html"
    usual.write_text(render_html(make_study(counts, n_frames=300, bare=bare)), encoding="utf-8")
    page.open(usual)
    assert 1 < len(re.findall(rb"/Type\s*/Page\b", page.printed())) <= 6
