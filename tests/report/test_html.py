"""The page: self-contained, safe against odd names, opened by a real browser without a request or an error."""

import copy
import json
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from hopcast.core import OutputError
from hopcast.report import FIGURES, StudyReport, render_html, write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Collects tags, ids and addresses; checks that tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.tags, self.loads, self.links, self.open, self.text = [], [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value)
            if key in ("src", "href", "xlink:href", "data", "srcset", "action", "poster"):
                (self.links if tag == "a" else self.loads).append(value)
            assert not key.startswith("on")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def html(folder):
    return (folder[0] / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_the_page_loads_nothing(html, page):
    assert "script" not in page.tags
    assert all(address.startswith(("#", "data:")) for address in page.loads)
    assert all(address.startswith(("#", "https://doi.org/")) for address in page.links)
    assert "@import" not in html
    assert "url(http" not in html
    assert "font-face" not in html


def test_ids_are_unique_and_every_link_has_its_target(page):
    assert len(page.ids) == len(set(page.ids))
    assert {a[1:] for a in (*page.loads, *page.links) if a.startswith("#")} <= set(page.ids)


def test_the_page_stays_small(html):
    assert len(html.encode()) < 3_000_000


def test_the_first_box_says_how_far_to_trust_this_with_the_computed_verdicts(study, page):
    words = " ".join(page.text).replace("\u00a0", " ")
    assert words.index("How far to trust this") < words.index("Table 4")
    for verdict in study.results.to_dict()["verdicts"]:
        assert verdict["sentence"] in words
    for number in (1, 2, 3, 4):
        assert f"Table {number}." in words
    for figure in ("Figure 2.", "Figure S3."):
        assert figure in words
    assert words.index("The cell.") < words.index("How far to trust this")  # on the first screen, as is the population
    for text in ("2417 of 12080 diagonal overlaps", "No steps were masked", "19 of 20"):
        assert text in words


def test_hostile_names_are_only_text(make_study):
    hostile = '<script>alert("x")</script><img src=x onerror=alert(1)>'
    study = make_study(n_frames=100, bare=True)
    results = copy.deepcopy(study.results.to_dict())
    results["data"]["name"] = results["data"]["formula"] = hostile
    for model in results["models"]:
        if model["name"] == "all-18":
            model["name"] = hostile
    results["hamiltonians"][1]["name"] = hostile
    results["hamiltonians"][1]["ratio"]["note"] = hostile
    results["provenance"] |= {"command": hostile, "config": {"key": hostile}, "citations": [hostile]}
    for entry in results["information"]:
        entry["p_reason"] = hostile
    results["corrections"] = {"notes": [hostile], "leaking_bands": [{"band": hostile, "row_norm": 0.1}]}
    text = render_html(StudyReport(results))
    page = Page(text)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert hostile not in text
    assert hostile in "".join(page.text)


def test_a_study_of_little_data_still_makes_a_page(make_study):
    page = Page(render_html(make_study({"Si": 1}, n_frames=60, bare=True)))
    words = " ".join(page.text)
    assert "not drawn, the study holds no data for it" in words
    assert "The study gives no record of corrections." in words
    assert "less than 10 % decay" in words.replace("\u00a0", " ")
    assert "None" not in words
    assert "nan" not in words


def test_a_study_of_nothing_but_data_makes_a_page(study):
    empty = {"information": [], "best_features": [], "models": [], "hamiltonians": []}
    kept = {key: study.results.to_dict()[key] for key in ("schema_version", "provenance", "data")}
    words = " ".join(Page(render_html(StudyReport(kept | empty))).text)
    assert "Table" not in words
    assert "The trajectory holds 4.0 correlation times" in words


def test_the_folder_holds_everything_the_page_names(study, folder):
    base, written = folder
    found = {path.relative_to(base).as_posix() for path in base.rglob("*") if path.is_file()}
    assert found == set(written)
    assert {
        "report.html",
        "results.json",
        "tables/table-4-hamiltonians.csv",
        "figures/trust.svg",
        "figures/trust.png",
    } <= found
    assert json.loads((base / "results.json").read_text(encoding="utf-8")) == study.results.to_dict()


def test_the_page_is_the_same_written_or_returned(make_study, tmp_path):
    study = make_study({"Si": 8}, n_frames=60, bare=True)
    write_report(study, tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render_html(study)


def test_a_place_that_cannot_be_written_is_named(study, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot write"):
        write_report(study, tmp_path / "file" / "out")


def browser():
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def run_browser(page, tmp_path, *arguments):
    command = [
        browser(),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--disable-default-apps",
        "--disable-extensions",
        "--metrics-recording-only",
        "--no-default-browser-check",
        "--no-pings",
        "--enable-logging=stderr",
        f"--user-data-dir={tmp_path / 'profile'}",
        *arguments,
        page.as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def requests_in(log):
    """Addresses the page asked for, from the browser's own record of its network (its own errands left out)."""
    record = json.loads(log.read_text(encoding="utf-8"))
    start = record["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    jobs = [
        event["params"] for event in record["events"] if event["type"] == start and "url" in event.get("params", {})
    ]
    return [job["url"] for job in jobs if job.get("initiator") != "not an origin"]


@pytest.mark.skipif(browser() is None, reason=f"no headless browser found (looked for {', '.join(BROWSERS)})")
def test_a_browser_opens_the_page_without_error_or_request(folder, tmp_path):
    base, _ = folder
    log = tmp_path / "net.json"
    done = run_browser(base / "report.html", tmp_path, f"--log-net-log={log}", "--dump-dom")
    assert done.returncode == 0
    assert "How far to trust this" in done.stdout
    assert done.stdout.count("<svg") == len(FIGURES)
    assert "CONSOLE" not in done.stderr
    assert requests_in(log) == []


@pytest.mark.skipif(browser() is None, reason=f"no headless browser found (looked for {', '.join(BROWSERS)})")
def test_the_browser_test_would_see_a_request_and_an_error(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text(
        '<img src="http://127.0.0.1:9/picture.png"><script>console.error("broken")</script>', encoding="utf-8"
    )
    log = tmp_path / "net.json"
    done = run_browser(page, tmp_path, f"--log-net-log={log}", "--dump-dom")
    assert "CONSOLE" in done.stderr
    assert "http://127.0.0.1:9/picture.png" in requests_in(log)
