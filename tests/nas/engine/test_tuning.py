"""The tuning of a design's arms: before all else, resumed after whatever ends it, and kept."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

import nas
from nas.analysis.answer import answer
from nas.analysis.published import published_results, write_results
from nas.analysis.results import read_results
from nas.reporting.answer_tables import answer_tables, arms_table
from nas.reporting.answer_text import facts
from nas.study.design import HANDICAP, design_seeds
from nas.study.records import read_records
from nas.study.setting import Setting
from tests.nas.planting import CONTROLS, MATCHED, URL, WINNER, Planted, search
from trials.recipe import RECIPES

TUNED = (
    MATCHED.replace("[1, 2, C/8, C/4, C]", "[2, C/4, C]")
    .replace("{seeds: 8}", "{seeds: 2}")
    .replace("{seeds: 3}", "{seeds: 2}")
) + "tune: {learning_rate: [0.5x, 1x, 2x], activation: [none, relu]}\n"
ARMS = ("plain", "2, spatial first", WINNER, "C, spatial first")
VARIANTS = 3 + 3 * 6
"""A plain convolution has no activation."""
EFFECTS = {
    WINNER: 0.05,
    f"{WINNER}; learning rate 2x, relu": 0.1,
    "C, spatial first; learning rate 0.5x, no activation": 0.1,
    "plain; learning rate 1x": 0.1,
}
CHOSEN = {
    WINNER: Setting(2.0, None, "relu"),
    "C, spatial first": Setting(0.5, None, "none"),
    "plain": Setting(1.0),
}


def run(monkeypatch, planted: Planted, *options: str, text: str = TUNED):
    result = search(monkeypatch, planted, *options, text=text)
    assert result.exit_code == 0, result.stderr
    return result


def stages(planted: Planted) -> dict[str, list[tuple[str, int]]]:
    """Arms and seeds that were trained, by the name of the stage's study."""
    found = defaultdict(list)
    for study, arm, seed in planted.trainings:
        found[study].append((arm, seed))
    return found


def test_arms_are_tuned_on_seeds_of_their_own_before_they_are_screened(monkeypatch):
    planted = Planted(EFFECTS)
    run(monkeypatch, planted)
    by_stage = stages(planted)
    assert list(by_stage) == ["planted:tuning", "planted", "planted:confirmation"]
    assert len(by_stage["planted:tuning"]) == len(set(by_stage["planted:tuning"])) == 2 * VARIANTS
    seeds = {seed for _, seed in by_stage["planted:tuning"]}
    assert seeds == set(design_seeds("planted", 0, "tuning", 2))
    others = {seed for name in ("planted", "planted:confirmation") for _, seed in by_stage[name]}
    assert not seeds & others
    assert {arm for arm, _ in by_stage["planted"]} == set(ARMS)


def test_each_arm_is_screened_and_confirmed_with_what_was_best_for_it(monkeypatch):
    run(monkeypatch, Planted(EFFECTS), "--controls")
    records, results = read_records(URL, "planted"), read_results(URL, "planted")
    settings = {arm.name: arm.setting for arm in records.arms}
    assert {name: settings[name] for name in CHOSEN} == CHOSEN
    assert {arm.name: arm.setting for arm in records.confirmation.arms}.items() <= settings.items()
    # Every training is found again, by the recipe and the network that it was trained with.
    screened = [run for run in results.trainings if run.stage == "screening"]
    assert len(screened) == len(records.trials) == 2 * len(records.arms)
    assert len(results.trainings) - len(screened) == len(records.confirmation.trials)
    assert len(results.tuning) == len(records.tuning.trials) == 2 * VARIANTS
    usual = replace(RECIPES["proxy"], epochs=2, batch_size=16)
    for training in results.trainings:
        rate = usual.learning_rate * settings[training.arm].learning_rate
        own = replace(usual, learning_rate=rate)
        if training.role == "handicapped":
            own = replace(usual, learning_rate=rate / HANDICAP)
        if training.role == "twin":
            own = replace(own, initialisation=1)
        assert training.measurement.recipe == own.key
        assert training.setting == settings[training.arm]
    (winner,) = {r.measurement.architecture for r in results.trainings if r.arm == WINNER}
    points = [block["point"] for block in json.loads(winner)["blocks"]]
    assert [point["activation"] for point in points] == ["relu", "relu"]
    assert answer(results).verdict is not None


def test_a_network_is_trained_again_by_the_recipe_of_its_arm(monkeypatch):
    from nas.study.trained_network import recipe_of

    run(monkeypatch, Planted(EFFECTS))
    records = read_records(URL, "planted")
    best = nas.load_study("runs/planted").best("accuracy")
    assert best.arm == WINNER
    usual = records.file.training.full_recipe
    assert recipe_of(records, best) == replace(usual, learning_rate=2 * usual.learning_rate)


def test_what_is_published_has_the_settings_and_what_they_were_chosen_by(monkeypatch):
    run(monkeypatch, Planted(EFFECTS), "--set", CONTROLS)
    results = read_results(URL, "planted")
    write_results(results, Path("runs/planted"))
    published = published_results(Path("runs/planted"))
    assert published.trainings == results.trainings
    assert published.tuning == results.tuning
    assert answer(published) == answer(results)


def test_the_choice_is_shown_with_the_arms_and_its_edges_are_said(monkeypatch):
    shown = run(monkeypatch, Planted(EFFECTS)).stdout
    (line,) = re.findall(r"^C/4, spatial first .*$", shown, re.MULTILINE)
    assert "learning rate 2x, relu" in line
    edge = f"{WINNER}: learning rate 2x is the highest that was tried"
    assert f"note: {edge}" in shown
    found = answer(read_results(URL, "planted"))
    table = arms_table(found.rows, found.score)
    cells = {row[0]: dict(zip(table.heads, row, strict=True)) for row in table.rows}
    assert {name: cells[name]["tuned"] for name in CHOSEN} == {
        WINNER: "learning rate 2x, relu",
        "C, spatial first": "learning rate 0.5x, no activation",
        "plain": "learning rate 1x",
    }
    assert ("note", edge) in list(facts(found))
    (tried,) = [table for table in answer_tables(found) if table.title == "The tuning"]
    assert len(tried.rows) == VARIANTS
    assert {(row[0], row[1]) for row in tried.rows if row[-1] == "chosen"} == {
        (name, cells[name]["tuned"]) for name in ARMS
    }
    assert all(row[2].endswith("(2)") for row in tried.rows)
    frame = nas.load_study("runs/planted").dataframe()
    assert set(frame[frame.arm == WINNER].tuned) == {"learning rate 2x, relu"}


def test_what_is_tried_is_planned_before_the_first_training(monkeypatch):
    stopped = Planted(EFFECTS, stop_after=1)
    assert search(monkeypatch, stopped, text=TUNED).exit_code == 130
    (registered,) = read_records(URL, "planted").plans
    assert registered.plan.tuning == ("learning rate 0.5x, 1x, 2x", "activation none, relu")
    assert registered.plan.tuning_seeds == 2
    assert registered.results == {"tuning": 0, "screening": 0, "confirmation": 0}
    run(monkeypatch, Planted(EFFECTS))
    found = answer(read_results(URL, "planted"))
    assert (found.planned_after, found.changes) == (0, ())
    (plan,) = [text for name, text in facts(found) if name == "planned before the first training"]
    tried = "learning rate 0.5x, 1x, 2x, activation none, relu"
    assert f"tuned for each arm: {tried}; 2 tuning seeds" in plan


# Whatever ends it.


@pytest.mark.parametrize("after", [0, 25, 2 * VARIANTS, 2 * VARIANTS + 3])
def test_an_interrupted_tuning_goes_on_and_chooses_the_same(monkeypatch, after):
    cut, rest = Planted(EFFECTS, stop_after=after), Planted(EFFECTS)
    assert search(monkeypatch, cut, text=TUNED).exit_code == 130
    run(monkeypatch, rest)
    trained = cut.trainings + rest.trainings
    assert len(trained) == len(set(trained))
    assert stages(Planted(trainings=trained))["planted:tuning"]
    settings = {arm.name: arm.setting for arm in read_records(URL, "planted").arms}
    assert {name: settings[name] for name in CHOSEN} == CHOSEN
    again = Planted(EFFECTS)
    run(monkeypatch, again)
    assert again.trainings == []


def test_a_driver_that_dies_between_the_choice_and_its_record_chooses_again(monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr("nas.engine.tuning.tuned", die)
        tuning = Planted(EFFECTS)
        assert search(dying, tuning, text=TUNED).exit_code == 130
    assert stages(tuning).keys() == {"planted:tuning"}
    rest = Planted(EFFECTS)
    run(monkeypatch, rest)
    assert stages(rest).keys() == {"planted", "planted:confirmation"}
    settings = {arm.name: arm.setting for arm in read_records(URL, "planted").arms}
    assert {name: settings[name] for name in CHOSEN} == CHOSEN


def test_what_was_chosen_stays_whatever_would_be_chosen_now(monkeypatch):
    cut = Planted(EFFECTS, stop_after=2 * VARIANTS + 1)
    assert search(monkeypatch, cut, text=TUNED).exit_code == 130
    begun = read_records(URL, "planted").arms
    monkeypatch.setattr("nas.engine.tuning.tuned", lambda *_: 1 / 0)
    run(monkeypatch, Planted(EFFECTS), "--controls")
    arms = {arm.name: arm for arm in read_records(URL, "planted").arms}
    assert tuple(arms.values())[: len(begun)] == begun
    assert arms["twin of plain"].setting == arms["plain"].setting
    assert len(arms) == len(begun) + 3


def test_what_is_tried_is_part_of_the_study(monkeypatch):
    run(monkeypatch, Planted(EFFECTS))
    result = search(monkeypatch, Planted(), "--set", "tune.learning_rate=[1x, 2x]", text=TUNED)
    assert result.exit_code == 2
    assert "tune.learning_rate: was [0.5x, 1x, 2x], is now [1x, 2x]" in result.stderr


class OutOfTime(Planted):
    """Time is up in the middle of the first stage."""

    def run(self, driver, data, test=None, keep_weights=True, judges=False):
        for spec in iter(driver.next, None):
            driver.record(spec.trial, self.measurements(driver, spec, test))
            self.trainings.append((driver.study.study_name, spec.arm, spec.seeds[0]))
            if len(self.trainings) == 20:
                return


def test_nothing_is_screened_before_all_arms_are_tuned(monkeypatch):
    early = OutOfTime(EFFECTS)
    shown = run(monkeypatch, early, "--budget", "1h").stdout
    assert f"20 of {2 * VARIANTS} trials are complete; the same command goes on" in shown
    assert stages(early).keys() == {"planted:tuning"}
    rest = Planted(EFFECTS)
    run(monkeypatch, rest)
    assert len(stages(rest)["planted:tuning"]) == 2 * VARIANTS - 20


class Diverging(Planted):
    """Trainings of a plain convolution fail at twice the learning rate, and at the usual one."""

    def measurements(self, driver, spec, test):
        measured = super().measurements(driver, spec, test)
        if spec.arm not in ("plain; learning rate 1x", "plain; learning rate 2x"):
            return measured
        failed = {"state": "failed", "reason": "not finite: loss nan", "accuracy": None}
        return tuple(replace(m, **failed, curve=()) for m in measured)


def test_a_setting_that_fails_is_not_chosen_and_ends_nothing(monkeypatch):
    shown = run(monkeypatch, Diverging(EFFECTS)).stdout
    assert f"some trainings have failed: {2 * VARIANTS - 4} of {2 * VARIANTS} trials" in shown
    records, results = read_records(URL, "planted"), read_results(URL, "planted")
    assert {arm.setting for arm in records.arms if arm.name == "plain"} == {Setting(0.5)}
    assert [r.measurement.state for r in results.tuning].count("failed") == 4
    assert answer(results).failed == 0
