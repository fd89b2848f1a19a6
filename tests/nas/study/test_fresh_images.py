"""Which images the fresh seeds of a search are judged on, and that no training is taken for another."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.analysis.confirmed_front import ConfirmedFront
from nas.analysis.results import read_results
from nas.engine.driver import Driver
from nas.reporting.front_text import front_table
from nas.space.load import build_space, read_document
from nas.study.design import Arm, Design, design_seeds, role_of
from nas.study.fresh_images import FEW, FreshImages, folds_for
from nas.study.plan import Plan, registrations_from_json, registrations_to_json
from nas.study.records import read_records
from tests.conftest import ROOT
from tests.nas.driving import measured
from tests.nas.planting import SEARCH, URL, Planted, register_at, search
from tests.trials.data_sets import folders
from trials.data import Split, load
from trials.data.folds import Fold

PLAIN = SEARCH.replace("confirm: {seeds: 6}", "")
SAME = PLAIN + "confirm: {seeds: 3, splits: same}\n"


def space_of(text: str):
    Path("space.yaml").write_text(text)
    return build_space(read_document("space.yaml"))


def folds_of(text: str, before: Plan | None = None, **changes) -> int:
    space = space_of(text if "confirm" in text else text + "confirm: auto\n")
    data = replace(load(space.file.data_config), **changes)
    return folds_for(space.file, data, before)


def test_few_images_that_were_cut_off_judge_no_fresh_seed():
    assert folds_of(PLAIN) == 4
    assert folds_of(PLAIN.replace("classes: 4}", "classes: 4, validation: 0.25}")) == 3
    assert folds_of(SAME) == 0
    assert folds_of(PLAIN + "confirm: none\n") == 0
    assert folds_of(SEARCH + "claim: {on: half}\n") == 0
    assert folds_of(SEARCH + "claim: {on: test}\n") == 0
    assert folds_of(PLAIN.replace("batch_size: 16", "batch_size: 80")) == 4
    assert folds_of(PLAIN.replace("batch_size: 16", "batch_size: 81")) == 0
    many = Split(np.zeros((FEW, 8, 8, 3), np.uint8), np.arange(FEW) % 4)
    assert folds_of(PLAIN, validation=many) == 0
    assert folds_of(PLAIN, validation=Split(many.images[1:], many.labels[1:])) > 0


def test_a_validation_split_of_the_data_sets_own_judges_all_seeds():
    folders(train__a=40, train__b=40, val__a=8, val__b=8)
    text = PLAIN.replace(
        "source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4", "source: 'images:data'"
    )
    assert folds_of(text) == 0


def test_a_confirmation_that_was_planned_before_goes_on_as_it_was(monkeypatch):
    """An earlier version had no folds, and its plans have no word of them."""
    with monkeypatch.context() as earlier:
        earlier.setattr("nas.engine.screen_and_confirm.folds_for", lambda *_: 0)
        cut = Planted(stop_after=10 + 4)
        assert search(earlier, cut, text=PLAIN).exit_code == 130
    plan = json.loads(registrations_to_json(read_records(URL, "planted").plans))
    del plan[0]["plan"]["folds"]
    assert registrations_from_json(json.dumps(plan))[0].plan.folds == 0
    result = search(monkeypatch, Planted(), "--trials", "12", text=PLAIN)
    assert result.exit_code == 0
    assert "few images validate" not in result.stdout
    records = read_records(URL, "planted")
    assert records.confirmed
    assert {trial.fold for trial in records.confirmation.trials} == {None}
    assert records.tie == 1 / 20


def test_a_search_of_an_earlier_version_that_is_confirmed_now_has_them(monkeypatch):
    folder = Path("runs/earlier")
    shutil.copytree(ROOT / "tests/data/studies/0.2.0-search", folder)
    text = (folder / "space.yaml").read_text() + "confirm: auto\n"
    assert search(monkeypatch, Planted(), "--output", str(folder), text=text).exit_code == 0
    records = read_records(f"sqlite:///{folder / 'study.db'}", "smoke")
    assert {trial.fold.parts for trial in records.confirmed} == {4}


def test_each_seed_is_judged_on_another_part_and_all_networks_on_the_same(monkeypatch):
    result = search(monkeypatch, Planted(), text=PLAIN)
    assert (
        "few images validate: each seed is judged on another part of the 80 training"
        in result.stdout
    )
    records = read_records(URL, "planted")
    seeds = design_seeds("planted", 0, "confirmation", 3)
    folds = {trial.seeds[0]: trial.fold for trial in records.confirmation.trials}
    assert folds == {seed: Fold(number, 4) for number, seed in enumerate(seeds)}
    assert {trial.fold for trial in records.trials} == {None}
    results = read_results(URL, "planted", records)
    fingerprint = records.data.fingerprint
    parts = {fold.fingerprint(fingerprint) for fold in folds.values()}
    for stage, expected in (("screening", {fingerprint}), ("confirmation", parts)):
        runs = [run for run in results.trainings if run.stage == stage]
        assert {run.measurement.data for run in runs} == expected
    assert len(results.trainings) == len(records.trials) + len(records.confirmation.trials)


def test_a_confirmation_that_was_killed_goes_on_with_the_same_images(monkeypatch):
    def confirmed():
        trials = read_records(URL, "planted").confirmation.trials
        return sorted((t.arm, t.seeds, t.fold, t.values) for t in trials)

    assert search(monkeypatch, Planted(), text=PLAIN).exit_code == 0
    whole = confirmed()
    shutil.rmtree("runs")
    assert search(monkeypatch, Planted(stop_after=10 + 4), text=PLAIN).exit_code == 130
    assert search(monkeypatch, Planted(), text=PLAIN).exit_code == 0
    assert confirmed() == whole


def test_what_was_judged_on_other_images_counts_for_nothing(monkeypatch):
    """Neither as the training of a seed nor in a mean, and the change of the plan is kept."""
    assert search(monkeypatch, Planted(), text=PLAIN).exit_code == 0
    first = read_records(URL, "planted")
    again = Planted()
    assert search(monkeypatch, again, text=SAME).exit_code == 0
    assert len(again.trainings) == len(first.confirmation.trials)
    records = read_records(URL, "planted")
    assert {trial.fold for trial in records.confirmation.trials} == {None}
    assert len(records.confirmed) == len(first.confirmed)
    before, after = (entry.plan for entry in records.plans)
    assert before.changes(after) == ("folds: 4, then 0",)


@pytest.fixture
def folded(sqlite):
    """Opens a driver whose second seed is judged by the second part of the training images."""
    space = space_of(PLAIN)
    network = space.sample(0)
    design = Design((Arm("one", network, role_of(network)),), (7, 8), folds=4)
    data = load(space.file.data_config).summary
    return lambda: Driver.open(sqlite, "planted", space, data, Path("outbox"), design)


def test_a_result_on_the_usual_images_is_not_adopted_for_a_training_on_others(folded):
    driver = folded()
    first, second = driver.next(), driver.next()
    assert [spec.fold for spec in (first, second)] == [Fold(0, 4), Fold(1, 4)]
    usual = replace(first, fold=None)
    driver.outbox.put(first.trial, measured(driver, usual))
    driver.outbox.put(second.trial, measured(driver, second))
    driver.close()  # killed
    driver = folded()
    again = driver.next()
    assert (again.trial, again.fold, driver.complete) == (first.trial, Fold(0, 4), 1)
    driver.record(again.trial, measured(driver, again))
    assert driver.next() is None
    driver.close()


def test_an_earlier_training_on_the_usual_images_is_not_taken_for_one_on_others(folded):
    """By its seed alone it could be, in the table of all measurements."""
    driver = folded()
    spec = driver.next()
    driver.store.add(measured(driver, replace(spec, fold=None))[0])
    driver.store.add(measured(driver, replace(spec, fold=Fold(1, 4)))[0])
    driver.requeue_running()
    assert driver.next() == spec
    driver.store.add(measured(driver, spec)[0])
    driver.requeue_running()
    assert driver.next().seeds == (8,)
    driver.close()


def test_images_are_counted_by_hand():
    """80 training images in four parts of 20; 82 in 21, 21, 20 and 20."""
    data = read_summary(80)
    assert FreshImages.of(data, 3, 0) == FreshImages((20, 20, 20), 0, 80)
    assert FreshImages.of(data, 3, 0).one_more == 1 / 20
    three = FreshImages.of(data, 3, 4)
    assert (three.of_seed, three.different, three.one_more) == ((20, 20, 20), 60, 1 / 60)
    six = FreshImages.of(read_summary(82), 6, 4)
    assert (six.of_seed, six.different) == ((21, 21, 20, 20, 21, 21), 82)
    assert six.one_more == 2 / 120  # dealt twice, an image judges two of the seeds
    assert "(20 or 21 of them, dealt anew after 4 seeds)" in six.in_words
    assert "82 images judge, none of which the search chose by" in six.in_words


def read_summary(training: int):
    data = load(space_of(PLAIN).file.data_config).summary
    return replace(data, images=(training, 20))


def test_the_noise_is_what_networks_and_images_leave(monkeypatch):
    """Of a table without gaps: what is left once both means are taken off, by hand."""
    assert search(monkeypatch, Planted(), text=PLAIN).exit_code == 0
    records = read_records(URL, "planted")
    found = ConfirmedFront.of(records)
    rows = {trial.architecture.key: {} for trial in records.confirmation.trials}
    for trial in records.confirmation.trials:
        rows[trial.architecture.key][trial.fold] = trial.accuracy
    table = np.array([[row[fold] for fold in sorted(row)] for row in rows.values()])
    left = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    freedom = (len(table) - 1) * 2
    assert found.freedom == freedom
    assert found.noise == pytest.approx((np.square(left).sum() / freedom) ** 0.5)
    assert found.tie == records.tie == 1 / 60
    note = front_table(records, found).note
    assert "one of the 60 images that judge (1.67 points)" in note
    assert "apart from what these do to all alike; few images validate" in note


def test_what_a_part_adds_to_all_networks_alike_makes_none_likelier(monkeypatch):
    """Unlike what was not confirmed, which the part was not there for."""
    assert search(monkeypatch, Planted(), text=PLAIN).exit_code == 0
    records = read_records(URL, "planted")

    def harder(by: float):
        trials = (
            replace(t, accuracy=t.accuracy - by, values=(t.values[0] - by, *t.values[1:]))
            for t in records.confirmation.trials
        )
        again = replace(records.confirmation, trials=tuple(trials))
        found = ConfirmedFront.of(replace(records, confirmation=again))
        return [point.probability for point in found.points]

    assert harder(0.2) == pytest.approx(harder(0.0), abs=0.001)


def test_one_fresh_seed_or_one_network_has_the_noise_of_its_images(monkeypatch):
    text = PLAIN + "confirm: {seeds: 1}\n"
    assert search(monkeypatch, Planted(), text=text).exit_code == 0
    records = read_records(URL, "planted")
    found = ConfirmedFront.of(records)
    share = np.mean([trial.accuracy for trial in records.confirmed])
    assert found.is_of_images
    assert found.noise == pytest.approx((share * (1 - share) / 20) ** 0.5)


def test_a_design_says_nothing_of_splits(monkeypatch):
    text = PLAIN.replace("study: {trials: 10, sampler: random}", "design: {seeds: 2}")
    result = search(monkeypatch, Planted(), text=text + "confirm: {seeds: 3, splits: same}\n")
    assert result.exit_code == 2
    assert "confirm.splits: all arms of a design are judged on the same images" in result.stderr


def test_a_plan_says_so():
    space = space_of(SEARCH)
    plan = Plan.of(space, (), folds=4)
    assert registrations_from_json(registrations_to_json((register_at(0, plan),)))[0].plan == plan
