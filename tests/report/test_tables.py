"""Tables hold the numbers of `results`, in every rendering."""

import csv
import doctest
import io
import math

import pytest
from rich.console import Console

from hopcast.report import Cell, Column, StudyReport, Table, study_tables
from hopcast.report import table as table_module
from hopcast.report.table import shown_fixed, shown_number
from hopcast.results import record as record_module
from hopcast.results.paper import paper_ratio


@pytest.fixture(scope="module")
def tables(study):
    return study_tables(study)


def rows_of(table):
    return list(csv.DictReader(io.StringIO(table.to_csv())))


def test_table_1_holds_the_information(study, tables):
    rows = rows_of(tables["information"])
    assert len(rows) == len(study.results.to_dict()["information"])
    found = {(row["element"], row["target"]): row for row in rows}
    for entry in study.results.to_dict()["information"]:
        row = found[entry["element"], {"gap": "gap", "nac": "coupling"}[entry["target"]]]
        for key, heading in (
            ("raw", "raw [nat]"),
            ("null_mean", "null_mean [nat]"),
            ("corrected", "corrected [nat]"),
            ("p", "p"),
        ):
            assert float(row[heading]) == entry[key]
        assert row["verdict"] == entry["verdict"]["label"]


def test_table_2_holds_the_errors_in_mev_with_interpolation_below(study, tables):
    rows = {(row["split"], row["model"]): row for row in rows_of(tables["models"])}
    for model in study.results.to_dict()["models"]:
        row = rows[model["split"], model["name"]]
        assert float(row[f"{model['target']}_r2"]) == model["r2"]
        assert float(row[f"{model['target']}_mae [meV]"]) == pytest.approx(1e3 * model["mae"], rel=1e-15)
        assert float(row[f"{model['target']}_rmse [meV]"]) == pytest.approx(1e3 * model["rmse"], rel=1e-15)
    cubic = study.results.to_dict()["models"][0]["baselines"]["cubic"]
    assert float(rows["interleaved", "cubic spline in time"]["gap_r2"]) == cubic["r2"]
    assert rows["blocked", "linear in time"]["gap_r2"] == ""


def test_table_3_holds_the_best_features_in_degrees(study, tables):
    rows = rows_of(tables["best-features"])
    best = sorted(study.results.to_dict()["best_features"], key=lambda e: e["target"] != "gap")
    assert [float(row["theta_s [degrees]"]) for row in rows] == pytest.approx(
        [math.degrees(e["theta_s"]) for e in best]
    )
    assert [float(row["r_s [Å]"]) for row in rows] == [e["r_s"] for e in best]
    assert [float(row["mi [nat]"]) for row in rows] == [e["mi"] for e in best]


def test_table_4_holds_rates_with_intervals_beside_the_published_ratio(study, tables):
    rows = rows_of(tables["hamiltonians"])
    for row, entry in zip(rows, study.results.to_dict()["hamiltonians"], strict=True):
        for key, unit in (("gradient", " [1/ns]"), ("intercept", ""), ("lifetime", " [ns]"), ("ratio", "")):
            assert float(row[f"{key}{unit}"]) == entry[key]["value"]
            assert float(row[f"{key}_low{unit}"]) == entry[key]["low"]
            assert float(row[f"{key}_high{unit}"]) == entry[key]["high"]
    published = {row["hamiltonian"]: row["paper_ratio"] for row in rows}
    assert published["ab initio"] == ""
    assert float(published["Cs-1"]) == 1.509
    assert float(published["I-1"]) == 0.902


def test_published_ratios_are_shown_for_their_material_only(make_study):
    assert paper_ratio("all-18", ["Cs", "Pb", "I"]) == 0.911
    assert paper_ratio("all-18", ["Cs", "Pb", "Br"]) is None
    other = study_tables(make_study({"Cs": 4, "Pb": 4, "Br": 12}, n_frames=100))
    assert "paper_ratio" not in [c.key for c in other["hamiltonians"].columns]
    assert "published" not in other["information"].to_text().lower()


def test_the_first_box_holds_every_control(study, tables):
    rows = rows_of(tables["trust"])
    for row in rows:
        target = "gap" if row["target"] == "gap" else "nac"
        model, blocked = (study.model(row["model"], target, split).model_dump() for split in ("interleaved", "blocked"))
        assert float(row["r2"]) == model["r2"]
        assert float(row["linear"]) == model["baselines"]["linear"]["r2"]
        assert float(row["cubic"]) == model["baselines"]["cubic"]["r2"]
        assert float(row["shifted"]) == model["baselines"]["shifted"]["median"]
        assert float(row["blocked"]) == blocked["r2"]
        assert row["verdict"] == model["verdict"]["label"]
    assert len(rows) == 16


def test_rates_stand_beside_their_controls_where_the_study_has_them(study, tables, make_study):
    rows = rows_of(tables["rate-controls"])
    for row, entry in zip(rows, study.results.to_dict()["rate_controls"], strict=True):
        assert (row["name"], float(row["ratio"])) == (entry["name"], entry["ratio"]["value"])
    own = rows_of(tables["own-dephasing"])
    for row, entry in zip(own, study.results.to_dict()["hamiltonians"][1:], strict=True):
        assert float(row["ratio_own_tau"]) == entry["ratio_own_tau"]["value"]
    assert [row["method"] for row in rows_of(tables["methods"])] == ["fssh"]
    results = {key: value for key, value in study.results.to_dict().items() if key not in ("methods", "rate_controls")}
    plain = [{k: v for k, v in row.items() if k != "ratio_own_tau"} for row in results["hamiltonians"]]
    bare = study_tables(StudyReport(results | {"hamiltonians": plain}))
    assert bare["rate-controls"].rows == bare["methods"].rows == bare["own-dephasing"].rows == ()


@pytest.mark.parametrize("module", [record_module, table_module])
def test_examples_in_docstrings(module):
    assert doctest.testmod(module) == (0, doctest.testmod(module).attempted)
    assert doctest.testmod(module).attempted > 0


def test_missing_numbers_carry_their_reason(make_study):
    tables = study_tables(make_study({"Si": 8}, n_frames=60, bare=True))
    table = tables["hamiltonians"]
    assert table.reasons == ("less than 10 % decay",)
    assert "– less than 10 % decay" in table.to_text()
    assert tables["exact-and-monte-carlo"].rows == ()


def test_text_is_aligned_and_a_terminal_shows_every_row(study, tables):
    text = tables["hamiltonians"].to_text().splitlines()
    rule = next(line for line in text if line.startswith("---"))
    ratio = rule.split("  ")[4]
    assert all(set(part) == {"-"} for part in rule.split("  "))
    assert len(ratio) >= len("Ratio to ab initio")
    console = Console(width=80, file=io.StringIO())
    console.print(tables["hamiltonians"].to_rich())
    shown = console.file.getvalue()
    assert all(f" {name} " in shown for name in [row["name"] for row in study.results.to_dict()["hamiltonians"]])
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_brackets_in_names_are_not_markup(make_study):
    odd = Table("t", "[bold]title", (Column("a", "[red]A", style="text"),), ((Cell("[link=x]y"),),))
    console = Console(width=60, file=io.StringIO())
    console.print(odd.to_rich())
    assert all(text in console.file.getvalue() for text in ("[bold]title", "[red]A", "[link=x]y"))


def test_rows_must_fill_their_columns():
    with pytest.raises(ValueError, match="every row must have 1 cells"):
        Table("t", "title", (Column("a", "A"),), ((Cell(1.0), Cell(2.0)),))


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0123456, 3, "0.0123"),
        (-1234.5, 3, "−1230"),
        (1.5e-7, 3, "1.50 × 10⁻⁷"),
        (0.0, 3, "0"),
        (9.996, 3, "10.0"),
        (99999.0, 2, "1.0 × 10⁵"),
        (0.00099996, 3, "0.00100"),
        (2.5e12, 2, "2.5 × 10¹²"),
    ],
)
def test_numbers_are_shown_with_significant_digits(value, digits, text):
    assert shown_number(value, digits) == text


def test_an_interval_has_the_decimals_of_its_value():
    column = Column("x", "X", style="interval")
    table = Table("t", "t", (column,), ((Cell(0.908, 0.5450, 1.2718),),))
    assert table.text_of(column, Cell(0.908, 0.5450, 1.2718)) == "0.908 [0.545, 1.272]"
    assert table.text_of(column, Cell(0.908)) == "0.908"
    assert table.text_of(column, Cell(2e-7, 1e-7, 3e-7)) == "2.00 × 10⁻⁷ [1.00 × 10⁻⁷, 3.00 × 10⁻⁷]"
    assert shown_fixed(-0.001, 2) == "0.00"
