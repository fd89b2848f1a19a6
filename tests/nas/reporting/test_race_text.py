"""The answer of a race in words: each outcome, each arm against each end, each look."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.analysis.answer import answer
from nas.analysis.results import read_results
from nas.reporting.answer_tables import answer_tables
from nas.reporting.answer_text import facts, headline
from nas.reporting.figures.spectrum import spectrum_info
from nas.reporting.page import report_study
from nas.study.location import locate_study
from tests.nas.engine.test_race import RACE
from tests.nas.planting import ENDS, URL, WINNER, Planted, search

EFFECTS = {WINNER: 0.03, "1, spatial first": -0.05, "C/8, spatial first": -0.03}


@pytest.fixture
def found(monkeypatch):
    def run(effects, stop_after=None, text=RACE):
        planted = Planted(effects, stop_after=stop_after)
        search(monkeypatch, planted, "--controls", text=text)
        return answer(read_results(URL, "planted"))

    return run


@pytest.mark.parametrize(
    ("effects", "delta", "said"),
    [
        (
            {WINNER: 0.06},
            "0.5%",
            "An interior point wins: it beats every end by more than 0.5 percentage",
        ),
        (
            {WINNER: 0.06},
            "6%",
            "An interior point wins: it beats every end, by more or less than 6 percentage",
        ),
        (dict.fromkeys(ENDS, 0.06), "0.5%", "The ends win:"),
        ({}, "3%", "Equivalent: the best interior point and the best end are less than 3 perc"),
        ({}, "0.1%", "Open:"),
    ],
)
def test_the_outcome_is_a_sentence(found, effects, delta, said):
    text = RACE.replace("delta: 0.5%", f"delta: {delta}")
    assert headline(found(effects, text=text)).startswith(said)


def test_each_arm_has_its_line_against_each_end(found):
    arms, looks, *_ = answer_tables(found(EFFECTS))
    assert arms.title == "The arms of the race"
    rows = {row[0]: dict(zip(arms.heads, row, strict=True)) for row in arms.rows}
    assert set(rows) == {*ENDS, WINNER, "2, spatial first", "C/8, spatial first"}
    assert rows[WINNER][""] == "beats plain / 1, spatial first / C, spatial first"
    assert "loses to plain" in rows["C/8, spatial first"][""]
    assert "out" in rows["C/8, spatial first"][""]
    assert rows["plain"][""] == "end"
    assert "an interior arm beats every end" in looks.rows[-1][-1]


def test_the_means_of_arms_say_what_they_leave_out(found):
    answered = found(EFFECTS)
    said = "Trainings that have failed are in the differences"
    assert said not in next(answer_tables(answered)).note
    assert said in next(answer_tables(replace(answered, failed=1))).note


def test_the_facts_name_plan_looks_and_images(found):
    named = dict(facts(found(EFFECTS)))
    plan = named["planned before the first training"]
    for part in ("looks at 4, 8, 12, 16 seeds", "boundaries 2.10", "a training that fails scores"):
        assert part in plan
    assert named["looks"].startswith("1 of 4")
    assert "which also chose" in named["judged on"]


def test_a_race_that_is_not_over_says_so(found):
    assert headline(found({}, stop_after=30)).endswith("The race is not over.")
    assert headline(found({}, stop_after=40)).endswith("The race is not over.")


def test_a_race_without_a_look_has_no_verdict(found):
    stopped = found({}, stop_after=5)
    assert headline(stopped).startswith("No verdict: the first look")
    assert dict(facts(stopped))
    assert next(answer_tables(stopped)).title != "The arms of the race"


def test_the_report_shows_it(found):
    answered = found(EFFECTS)
    place = locate_study("planted", None)
    report = report_study(place)
    page = (place.folder / "report.html").read_text()
    assert '<div class="verdict supported">' in page
    assert "The looks" in page
    assert report.answer == answered
    (plain, separable) = spectrum_info(read_results(URL, "planted")).series
    assert (plain.stage, separable.stage) == ("race", "race")
    assert {p.seeds for p in separable.places} == set(answered.race.trained.values())
