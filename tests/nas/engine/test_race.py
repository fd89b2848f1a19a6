"""A race as the engine runs it: who is trained at each look, whatever ends it in between."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from nas.analysis.answer import answer
from nas.analysis.published import published_results, write_results
from nas.analysis.results import read_results
from nas.reporting.answer_text import facts
from nas.study.design import design_seeds
from nas.study.records import read_arms, read_records
from nas.study.selection import choose
from tests.nas.planting import ARMS, ENDS, MATCHED, URL, WINNER, Planted, search

RACE = MATCHED.replace(
    "design: {seeds: 3}", "design: {method: race, looks: [4, 8, 12, 16]}"
).replace("confirm: {seeds: 8}\n", "")
WINS = {WINNER: 0.06}
ENDS_WIN = dict.fromkeys(ENDS, 0.06)
EQUAL = {}
OUTCOMES = {
    "wins by more than delta": WINS,
    "ends win": ENDS_WIN,
}


def run(monkeypatch, planted: Planted, *options: str, text: str = RACE, **results):
    found = search(monkeypatch, planted, *options, text=text, **results)
    assert found.exit_code == 0, found.stderr + found.stdout
    return found


def seeds_of_arms(planted: Planted) -> dict[str, int]:
    assert len(set(planted.trainings)) == len(planted.trainings)  # nothing twice
    return dict(Counter(arm for _, arm, _ in planted.trainings))


def test_arms_are_trained_look_after_look(monkeypatch):
    planted = Planted(WINS)
    run(monkeypatch, planted)
    seeds = design_seeds("planted", 0, "race", 16)
    trained = seeds_of_arms(planted)
    assert set(trained) == set(ARMS)
    assert min(trained.values()) == 4
    for arm, count in trained.items():
        assert [s for _, a, s in planted.trainings if a == arm] == list(seeds[:count])
    found = answer(read_results(URL, "planted"))
    assert found.race.trained == trained
    assert found.decision.outcome == "wins by more than delta"
    assert found.decision.leader == WINNER


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_it_says_who_wins(monkeypatch, outcome):
    run(monkeypatch, Planted(OUTCOMES[outcome]))
    assert answer(read_results(URL, "planted")).decision.outcome == outcome


@pytest.mark.parametrize("stop_after", [0, 3, 23, 24, 25, 30])
def test_a_race_that_was_stopped_ends_as_if_it_had_not_been(monkeypatch, stop_after):
    whole = Planted(EQUAL)
    run(monkeypatch, whole, "--output", "runs/whole")
    stopped = Planted(EQUAL, stop_after=stop_after)
    assert search(monkeypatch, stopped, text=RACE).exit_code == 130
    stopped.stop_after = None
    run(monkeypatch, stopped)
    assert [(arm, seed) for _, arm, seed in stopped.trainings] == [
        (arm, seed) for _, arm, seed in whole.trainings
    ]


def test_a_race_that_is_over_trains_nothing_more(monkeypatch):
    planted = Planted(WINS)
    run(monkeypatch, planted)
    trained = len(planted.trainings)
    run(monkeypatch, planted)
    assert len(planted.trainings) == trained


def test_what_it_is_decided_by_is_written_down_before(monkeypatch):
    planted = Planted(WINS, stop_after=0)
    search(monkeypatch, planted, text=RACE)
    (registration,) = read_records(URL, "planted").plans
    assert sum(registration.results.values()) == 0
    terms = registration.plan.race
    assert terms.looks == (4, 8, 12, 16)
    assert sum(weight**2 for weight in terms.weights) == pytest.approx(1)
    assert len(terms.boundaries) == 4
    assert terms.failed_score == 0.25  # four classes
    assert set(terms.interior) == set(ARMS) - set(ENDS)


def test_a_change_of_the_looks_is_shown(monkeypatch):
    planted = Planted(EQUAL, stop_after=30)
    search(monkeypatch, planted, text=RACE)
    planted.stop_after = None
    run(monkeypatch, planted, text=RACE.replace("12, 16]", "12, 16, 24]"))
    found = answer(read_results(URL, "planted"))
    (change,) = found.changes
    assert "looks at 4, 8, 12, 16 seeds" in change
    assert "then looks at 4, 8, 12, 16, 24 seeds" in change
    assert "after 30 trainings" in change
    # What is spent of the level by then would be spent again.
    assert found.race.plan.alpha == 0.025
    assert "less than 0.1" in dict(facts(found))["level"]
    assert found.race.is_over  # by the level that the engine goes by, too


def test_looks_that_are_changed_before_the_first_training_cost_nothing(monkeypatch):
    planted = Planted(EQUAL, stop_after=0)
    search(monkeypatch, planted, text=RACE)
    planted.stop_after = None
    run(monkeypatch, planted, text=RACE.replace("12, 16]", "12, 16, 24]"))
    found = answer(read_results(URL, "planted"))
    assert found.race.plan.alpha == 0.05
    assert "level" not in dict(facts(found))


def test_the_arms_of_a_race_are_kept_while_they_are_tuned(monkeypatch):
    # Latencies that are measured again would give them other widths.
    tuned = RACE + "tune: {learning_rate: [1x, 2x], seeds: 2}\n"
    search(monkeypatch, Planted(EQUAL, stop_after=3), text=tuned)
    assert [arm.name for arm in read_arms(URL, "planted")] == list(ARMS)


def test_a_race_goes_on_on_the_images_that_it_was_judged_on(monkeypatch):
    # Its trainings have read no others, and would count as failed.
    planted = Planted(EQUAL, stop_after=30)
    search(monkeypatch, planted, text=RACE)
    planted.stop_after = None
    changed = search(monkeypatch, planted, text=RACE.replace("claim: {", "claim: {on: test, "))
    assert changed.exit_code == 2
    assert "claim.on: was validation, is now test" in changed.stderr
    assert len(planted.trainings) == 30


def test_the_best_of_a_race_is_an_arm_of_its_last_look(monkeypatch):
    run(monkeypatch, Planted({"2, spatial first": -0.006, WINNER: 0.004}))
    records = read_records(URL, "planted")
    seeds = Counter(trial.arm for trial in records.trials)
    most = max(seeds.values())
    behind = [arm for arm, count in seeds.items() if count < most]
    assert behind
    lucky = changed(records, behind[0], accuracy=0.9)  # with the few seeds that it has
    for best in ("knee", "accuracy", "macs<=300K"):
        assert seeds[choose(lucky, best).arm] == most
    assert {seeds[trial.arm] for trial in lucky.front} == {most}
    leader = choose(records).arm
    failed = changed(records, leader, first=1, state="failed", values=(), accuracy=None)
    assert choose(failed).arm != leader  # as the race scores it


def changed(records, arm: str, first: int | None = None, **fields):
    """Records of which the first trials of an arm, or all, are something else."""
    of_arm = [trial.number for trial in records.trials if trial.arm == arm][:first]
    return replace(
        records,
        trials=tuple(replace(t, **fields) if t.number in of_arm else t for t in records.trials),
    )


@pytest.mark.parametrize("stop_after", [23, 30])
def test_the_best_of_a_race_that_is_not_over_is_of_its_last_complete_look(monkeypatch, stop_after):
    search(monkeypatch, Planted(EQUAL, stop_after=stop_after), text=RACE)
    records = read_records(URL, "planted")
    assert len(records.raced) == (len(ARMS) if stop_after == 30 else 0)
    best = max(records.raced or records.complete, key=lambda trial: trial.accuracy)
    assert stop_after == 23 or choose(records) == best


def test_where_the_ends_win_the_best_is_an_end(monkeypatch):
    run(monkeypatch, Planted(ENDS_WIN))
    assert choose(read_records(URL, "planted")).arm in ENDS


def test_what_is_published_gives_the_same_answer(monkeypatch, tmp_path):
    run(monkeypatch, Planted(WINS), "--controls", results=True)
    results = read_results(URL, "planted")
    found = answer(results)
    (twin,) = found.controls
    assert twin.kind == "twin"
    write_results(results, tmp_path)
    (tmp_path / "space.yaml").write_text(RACE.replace("looks:", "controls: true, looks:"))
    published = published_results(tmp_path)
    assert answer(published) == found


def test_another_claim_is_judged_by_the_race_as_it_was_run(monkeypatch):
    run(monkeypatch, Planted({WINNER: 0.06}))
    results = read_results(URL, "planted")
    planned, asked = answer(results), answer(results, delta=0.2)
    assert planned.outcome == "supported"
    assert asked.race.trained == planned.race.trained
    assert asked.outcome == "refuted"
    assert asked.decision.outcome == "wins"
    assert (asked.decision.lower, asked.decision.upper) == pytest.approx(
        (planned.decision.lower, planned.decision.upper)
    )
    strict = answer(results, alpha=1e-9)
    assert strict.outcome == "inconclusive"
    assert "(for this answer alone)" in strict.changes[0]
