"""A study of several budgets as the engine runs it, whatever ends it in between."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import nas
from nas.analysis.answer import answer
from nas.analysis.budgets import answer_budgets, read_budgets
from nas.analysis.results import read_results
from nas.engine.lock import DriverLock
from nas.study.design import design_seeds
from nas.study.location import StudyPlace, locate_study
from nas.study.records import read_arms, read_records
from nas.verdict import app as verdict_app
from tests.nas.commands import run as run_command
from tests.nas.engine.test_race import RACE
from tests.nas.planting import ARMS, ENDS, MATCHED, URL, WINNER, Planted, search

BUDGETS = ("200K", "300K")
FIXED, RACED = (text.replace("macs: 200K", "macs: [200K, 300K]") for text in (MATCHED, RACE))
PLACE = StudyPlace("planted", Path("runs/planted"), URL)
WINS = {WINNER: 0.06}
SCREENED = 3 * len(ARMS)


def run(monkeypatch, planted: Planted, *options: str, text: str = FIXED, **results):
    found = search(monkeypatch, planted, *options, text=text, **results)
    assert found.exit_code == 0, found.stderr + found.stdout
    return found


def trained(planted: Planted) -> list[tuple[str, str, int]]:
    assert len(set(planted.trainings)) == len(planted.trainings)  # nothing twice
    return planted.trainings


def across(place: StudyPlace = PLACE):
    return answer_budgets(read_budgets(place, read_records(place.url, place.name)))


def test_each_budget_is_screened_and_confirmed_as_if_it_were_alone(monkeypatch):
    planted = Planted(WINS)
    run(monkeypatch, planted)
    stages = list(dict.fromkeys(study for study, _, _ in trained(planted)))
    assert stages == [f"planted-{budget}{s}" for budget in BUDGETS for s in ("", ":confirmation")]
    alone = Planted(WINS)
    text = MATCHED.replace("200K", "300K").replace("name: planted", "name: planted-300K")
    run(monkeypatch, alone, text=text)
    assert alone.trainings == [one for one in planted.trainings if "300K" in one[0]]
    other = StudyPlace(
        "planted-300K", Path("runs/planted-300K"), URL.set(database="runs/planted-300K/study.db")
    )
    whole = read_results(URL, "planted-300K")
    assert answer(whole).verdict == answer(read_results(other.url, other.name)).verdict
    assert answer(whole).outcome == "supported"


def test_seeds_of_the_budgets_are_different(monkeypatch):
    planted = Planted(WINS)
    run(monkeypatch, planted)
    seeds = [{s for study, _, s in planted.trainings if budget in study} for budget in BUDGETS]
    assert seeds[0].isdisjoint(seeds[1])
    assert set(design_seeds("planted-200K", 0, "screening", 3)) <= seeds[0]


@pytest.mark.parametrize(("text", "left"), [(FIXED, 40), (RACED, 10)])
def test_a_study_that_was_stopped_ends_as_if_it_had_not_been(monkeypatch, text, left):
    """In the middle of the second budget, in its confirmation or its race."""
    whole = Planted(WINS)
    run(monkeypatch, whole, "--output", "runs/whole", text=text)
    place = StudyPlace("planted", Path("runs/whole"), URL.set(database="runs/whole/study.db"))
    assert "planted-300K" in whole.trainings[-left][0]
    stopped = Planted(WINS, stop_after=len(whole.trainings) - left)
    assert search(monkeypatch, stopped, text=text).exit_code == 130
    stopped.stop_after = None
    run(monkeypatch, stopped, text=text)
    assert trained(stopped) == whole.trainings
    found = across()
    assert found.arms == across(place).arms
    assert [one.answer.outcome for one in found.budgets] == ["supported", "supported"]


def test_what_is_claimed_is_written_down_at_all_budgets_before_the_first_training(monkeypatch):
    search(monkeypatch, Planted(stop_after=0), text=RACED)
    for budget in BUDGETS:
        (registration,) = read_records(URL, f"planted-{budget}").plans
        assert sum(registration.results.values()) == 0
        assert registration.plan.race.looks == (4, 8, 12, 16)
        assert [arm.name for arm in read_arms(URL, f"planted-{budget}")] == list(ARMS)


def test_a_change_of_the_claim_is_shown_at_each_budget_with_what_was_known_there(monkeypatch):
    planted = Planted(WINS, stop_after=30)
    search(monkeypatch, planted, text=RACED)
    planted.stop_after = None
    run(monkeypatch, planted, text=RACED.replace("delta: 0.5%", "delta: 1%"))
    first, second = (one.answer for one in across().budgets)
    assert "after 24 trainings" in first.changes[0]
    assert "after 6 trainings" in second.changes[0]


def test_the_budgets_of_a_study_are_what_they_were(monkeypatch):
    planted = Planted(WINS, stop_after=3)
    search(monkeypatch, planted)  # a study of one budget
    changed = search(monkeypatch, planted, text=FIXED)
    assert changed.exit_code == 2
    assert "match.macs: was 200000, is now [200000, 300000]" in changed.stderr
    search(monkeypatch, planted, "--output", "runs/several", text=FIXED)
    for other in ("[200K, 300K, 400K]", "200K"):
        text = MATCHED.replace("macs: 200K", f"macs: {other}")
        changed = search(monkeypatch, planted, "--output", "runs/several", text=text)
        assert changed.exit_code == 2
        assert "match.macs: was [200000, 300000], is now " in changed.stderr
    assert len(planted.trainings) == 3


def test_arms_are_tuned_at_each_budget(monkeypatch):
    tuned = FIXED.replace("confirm: {seeds: 8}", "tune: {learning_rate: [1x, 2x], seeds: 2}")
    planted = Planted(WINS)
    run(monkeypatch, planted, text=tuned)
    counts = Counter(study for study, _, _ in trained(planted))
    assert counts == {
        name: count
        for budget in BUDGETS
        for name, count in (
            (f"planted-{budget}:tuning", 2 * 2 * len(ARMS)),
            (f"planted-{budget}", SCREENED),
        )
    }
    for budget in BUDGETS:
        assert all(arm.setting.learning_rate for arm in read_arms(URL, f"planted-{budget}"))


def test_what_arms_show_at_all_budgets(monkeypatch):
    planted = Planted(WINS)
    run(monkeypatch, planted)
    found = across()
    assert len(found.arms) == (len(ARMS) - len(ENDS)) * len(ENDS)
    of_winner = [one for one in found.arms if one.arm == WINNER]
    for one in of_winner:  # confirmed at both
        assert one.stage == "confirmation"
        assert [effect.seeds for effect in one.effects] == [8, 8]
        assert one.together.mean.mean == pytest.approx(0.06, abs=0.004)
        assert one.together.new is None
    others = [one for one in found.arms if one.stage == "screening"]
    assert all([effect.seeds for effect in one.effects] == [3, 3] for one in others)


def test_an_arm_that_is_another_one_at_a_budget_is_missing_there(monkeypatch):
    text = FIXED.replace("[200K, 300K]", "[100K, 200K]").replace("confirm: {seeds: 8}\n", "")
    run(monkeypatch, Planted(WINS), text=text)
    narrow = [one for one in across().arms if one.arm == "C/8, spatial first"]
    assert narrow
    for one in narrow:
        small, large = one.effects
        assert small is None
        assert large.seeds == 3
        assert one.together is None


def test_a_budget_is_a_study_that_every_command_finds(monkeypatch):
    run(monkeypatch, Planted(WINS))
    for name in ("planted/300K", "runs/planted/300K"):
        place = StudyPlace("planted-300K", Path("runs/planted/300K"), URL)
        assert locate_study(name, None) == place
        assert "beats every end" in run_command(verdict_app, "--study", name).output
    study = nas.load_study("planted")
    assert [one.name for one in study.budgets] == ["planted-200K", "planted-300K"]
    assert study.budgets[1].answer().outcome == "supported"
    assert study.across_budgets() == across()
    with pytest.raises(LookupError, match="several budgets, each with trials: planted/200K"):
        study.best()
    with pytest.raises(ValueError, match="several budgets, each with an answer"):
        study.answer()
    monkeypatch.chdir("runs/planted/300K")
    assert locate_study(".", None).name == "planted-300K"
    assert answer(nas.load_study(".").results).outcome == "supported"


def test_one_command_at_a_time_searches_a_study_or_one_of_its_budgets(monkeypatch):
    run(monkeypatch, Planted(WINS), text=RACED)
    with DriverLock(URL, "planted-300K"):
        refused = search(monkeypatch, Planted(WINS), text=RACED)
    assert refused.exit_code == 2
    assert "study planted-300K is being searched by process" in refused.stderr
