"""The first screen: what it says follows from the numbers."""

import pytest

from hopcast.report.html import render_html
from hopcast.results import with_verdicts
from hopcast.results.answer import answer


def changed(results, **data):
    values = results.to_dict()
    values["data"].update(data)
    return with_verdicts(type(results).model_validate(values))


def test_a_short_trajectory_says_what_it_lacks(study):
    results = changed(study.results, duration=3000.0, correlation_time=500.0)
    found = answer(results)
    lifetime = results.hamiltonians[0].lifetime
    assert found.headline.startswith(f"Lifetime {lifetime.value:.3g} {lifetime.unit}")
    assert found.headline.endswith("the trajectory is 3 ps of the 15 ps that a conclusion needs.")
    assert found.verdicts[0][1].label == "inconclusive"
    assert found.steps[0].startswith("Run 12 ps more")


def test_a_long_one_asks_for_nothing_more(study):
    found = answer(changed(study.results, duration=3e5, correlation_time=500.0))
    assert found.verdicts[0][1].label == "passed"
    assert "600 correlation times" in found.verdicts[0][1].sentence
    assert not any(step.startswith("Run ") for step in found.steps)


def test_pairs_that_are_missing_are_counted(study):
    values = study.results.to_dict()
    values["samples"] = {"n_pairs": 40, "spacing": 400.0, "share": 0.01}
    del values["rates"]
    lifetime = values["hamiltonians"][0]["lifetime"]
    lifetime["value"], lifetime["low"], lifetime["high"] = 8.0, 4.0, 16.0
    found = answer(with_verdicts(type(study.results).model_validate(values)))
    # log(4) / log(2) = 2, so four times the pairs
    assert any("Compute about 120 more pairs" in step for step in found.steps)
    assert "from 40 computed pairs" in found.headline


def relabelled(results, **labels):
    """The results with verdicts of other labels: what to do next follows these and nothing else."""
    subjects = {"gap": "Forecast of the gap", "nac": "Forecast of the coupling", "rate": "Rate from the computed pairs"}
    wanted = {subjects[key]: label for key, label in labels.items()}
    lines = [line.model_copy(update={"label": wanted.get(line.subject, line.label)}) for line in results.verdicts]
    return results.model_copy(update={"verdicts": lines})


@pytest.mark.parametrize(
    ("gap", "nac", "rate", "step"),
    [
        ("useful", "useful", "useful", "Use the forecast along longer trajectories"),
        ("inconclusive", "inconclusive", "useful", "with the forecast as control variate"),
        ("not useful", "useful", "useful", "with the forecast as control variate"),
        ("inconclusive", "useful", "not useful", "until the forecast can be judged"),
        ("not useful", "inconclusive", "not useful", "adds nothing that could be relied on"),
    ],
)
def test_what_to_do_next_does_not_contradict_the_verdicts(study, gap, nac, rate, step):
    assert step in answer(relabelled(study.results, gap=gap, nac=nac, rate=rate)).steps[-1]


def test_at_most_three_verdicts_stand_in_front_and_the_others_are_folded(study):
    page = render_html(study)
    first = page.index('id="answer"')
    second = page.index('id="system"')
    front = page[first:second]
    assert first < second
    assert 1 <= front.count("<strong>") <= 3
    assert "population" in front
    assert "<details><summary>All verdicts</summary>" in page[second:]


def test_no_lifetime_is_said(study):
    values = study.results.to_dict()
    values["rates"] = None
    values["hamiltonians"] = []
    found = answer(type(study.results).model_validate({k: v for k, v in values.items() if v is not None}))
    assert found.headline == "No lifetime."


@pytest.mark.parametrize("subject", ["Data", "Forecast of the gap"])
def test_subjects(study, subject):
    assert subject in [name for name, _ in answer(study.results).verdicts]


def test_a_forecast_that_narrows_the_rate_gives_the_lifetime(study):
    values = study.results.to_dict()
    values["samples"] = {"n_pairs": 40, "spacing": 400.0, "share": 0.01}
    plain = values["hamiltonians"][0] | {}
    name = values["models"][0]["name"]
    number = {"unit": "1/ns", "level": 0.95, "parts": plain["lifetime"]["parts"], "note": ""}

    def row(kind, value, width, weight):
        rate = number | {"value": value, "low": value - width, "high": value + width}
        lifetime = number | {"unit": "ns", "value": 1 / value, "low": 1 / (value + width), "high": 1 / (value - width)}
        return {
            "name": name, "kind": kind, "rate": rate, "lifetime": lifetime, "weight": weight, "relative_width": width / 0.01, "ratio": value / 0.02
        }  # fmt: skip

    values["rates"] = [row("plain average", 0.02, 0.01, None), row("prediction-powered", 0.025, 0.005, 0.8)]
    found = answer(with_verdicts(type(study.results).model_validate(values)))
    assert found.headline.startswith("Lifetime 40 ns, 33 to 50, from 40 computed pairs, with the forecast by")
    values["rates"][1] = row("prediction-powered", 0.025, 0.0098, 0.8)
    found = answer(with_verdicts(type(study.results).model_validate(values)))
    assert "forecast" not in found.headline


def test_commands_are_set_as_commands():
    from hopcast.report.html import _typeset

    assert _typeset("Type `hopcast fit <x>`.") == "Type <code>hopcast fit &lt;x&gt;</code>."
