"""A driver whose trials climb rungs: what it hands out, keeps, and finds again after a kill."""

from __future__ import annotations

import datetime
import json
import random
from collections import Counter
from dataclasses import replace

import optuna
import pytest

from nas.engine.driver import LOSSES
from nas.engine.halving import Halving
from nas.engine.rung_values import ENOUGH, RungValues
from nas.engine.setbacks import FAILURES
from nas.study.records import read_records
from nas.study.selection import NoSuchTrial, choose
from tests.nas.driving import FAILED, SMALL, measured, open_driver, states
from trials.store import Store

FIDELITY = ("study.fidelity={rungs: [1, 2, 4], reduction: 3}", "training.epochs=4")
RUNGS = (*FIDELITY, "study.trials=9")


def result(driver, spec, **changes):
    """What a worker reports: accuracies grow with the epochs."""
    better = {1: 0.0, 2: 0.1, 4: 0.2}[spec.recipe.epochs]
    return tuple(
        replace(m, **{"accuracy": m.accuracy / 2 + better} | changes)
        for m in measured(driver, spec)
    )


def run(driver, most: int | None = None) -> list[tuple[int, int]]:
    """Run what is left, or so many trainings: (trial, epochs) of each, in order."""
    trained = []
    while len(trained) != most and (spec := driver.next()) is not None:
        trained.append((spec.trial, spec.recipe.epochs))
        driver.prepare()
        driver.record(spec.trial, result(driver, spec))
    return trained


def studied(url, name="tiny"):
    return optuna.load_study(study_name=name, storage=url.render_as_string(hide_password=False))


def test_trials_climb_rungs_and_those_that_are_not_promoted_are_pruned(sqlite):
    driver = open_driver(sqlite, *RUNGS)
    trained = run(driver)
    assert driver.finished
    driver.settle()
    driver.close()
    counts = Counter(epochs for _, epochs in trained)
    assert counts[1] == 9
    assert counts[2] >= 3
    assert counts[4] >= 1
    assert len(trained) == len(set(trained)) == len(Store(sqlite).all())
    assert states(sqlite) == {"COMPLETE": counts[4], "PRUNED": 9 - counts[4]}

    records = read_records(sqlite, "tiny")
    assert len(records.complete) == counts[4]
    for record in records.trials:
        climbed = [epochs for number, epochs in trained if number == record.number]
        assert [r.epochs for r in record.rungs] == climbed
        assert all(r.seconds == 1.0 for r in record.rungs)
        if record.state == "complete":
            assert climbed == [1, 2, 4]
            assert record.values == record.rungs[-1].values
        else:
            assert (record.state, record.values, record.accuracy) == ("pruned", (), None)


def test_optunas_record_has_no_value_of_a_lower_rung_but_as_what_it_is(sqlite):
    driver = open_driver(sqlite, *RUNGS)
    run(driver)
    driver.settle()
    driver.close()
    for trial in studied(sqlite).trials:
        rungs = json.loads(trial.user_attrs["rungs"])
        if trial.state == optuna.trial.TrialState.PRUNED:
            assert trial.values is None
            assert "accuracy" not in trial.user_attrs
            assert list(trial.intermediate_values.values()) == pytest.approx(
                [int(trial.user_attrs["key"][:4], 16) / 2**16]
            )
        else:
            assert trial.values == rungs[2]["values"]


def test_wherever_a_search_is_killed_the_next_one_goes_on_and_trains_nothing_twice(sqlite):
    """Nothing is kept in memory: here each driver runs one to three trainings and is gone."""
    rng, trained = random.Random(0), []
    for _ in range(100):
        driver = open_driver(sqlite, *RUNGS)
        if driver.finished:
            break
        trained += run(driver, most=rng.randint(1, 3))
        if (spec := driver.next()) is not None and rng.random() < 0.5:
            driver.outbox.put(spec.trial, result(driver, spec))  # its worker was faster
            trained.append((spec.trial, spec.recipe.epochs))
        driver.close()
    driver.settle()
    driver.close()
    assert len(trained) == len(set(trained))
    assert sum(epochs == 1 for _, epochs in trained) == 9
    assert len(Store(sqlite).all()) == len(trained)
    assert set(states(sqlite)) == {"COMPLETE", "PRUNED"}


def test_a_promoted_trial_that_was_interrupted_is_trained_at_its_rung_again(sqlite):
    driver = open_driver(sqlite, *RUNGS)
    while (spec := driver.next()).rung == 0:
        driver.record(spec.trial, result(driver, spec))
    driver.requeue_running()
    driver.close()
    driver = open_driver(sqlite, *RUNGS)
    again = driver.next()
    assert (again.trial, again.rung, again.recipe.epochs) == (spec.trial, 1, 2)
    driver.close()


def test_more_trials_later_let_those_that_were_pruned_climb(url):
    driver = open_driver(url, *RUNGS)
    trained = run(driver)
    driver.settle()
    driver.close()
    more = open_driver(url, *FIDELITY, "study.trials=27")
    trained += run(more, most=1)
    assert states(url)["PRUNED"] == 0
    trained += run(more)
    more.settle()
    more.close()
    assert len(trained) == len(set(trained))
    rungs = [{n for n, epochs in trained if epochs == e} for e in (1, 2, 4)]
    assert len(rungs[0]) == 27
    assert rungs[1] & set(range(9, 27))
    assert set(states(url)) == {"COMPLETE", "PRUNED"}
    again = open_driver(url, *FIDELITY, "study.trials=27")
    assert again.finished
    again.close()
    assert set(states(url)) == {"COMPLETE", "PRUNED"}


def test_a_promotion_comes_before_a_new_trial_that_was_prepared(sqlite):
    driver = open_driver(sqlite, *RUNGS)
    trained = run(driver)  # which prepares one after each
    driver.close()
    assert [epochs for _, epochs in trained[:4]] == [1, 1, 1, 2]


def test_measurements_that_another_study_made_are_not_made_again(sqlite):
    driver = open_driver(sqlite, *RUNGS, text=SMALL)
    run(driver)
    driver.close()
    other = open_driver(sqlite, *RUNGS, text=SMALL, name="other")
    assert run(other) == []
    assert other.finished
    other.close()


def test_a_space_that_is_used_up_ends_with_a_result(sqlite):
    """Four architectures: of so few none would reach the last rung by its share."""
    driver = open_driver(sqlite, *RUNGS, text=SMALL)
    run(driver)
    assert driver.exhausted
    assert driver.finished
    assert driver.at_rungs[0] == 4
    assert driver.complete >= 1
    assert driver.so_far.startswith("4 of 9 trials are trained for 1 epoch, ")
    driver.close()


def test_a_training_that_fails_at_a_higher_rung_ends_its_trial(sqlite):
    driver = open_driver(sqlite, *RUNGS)
    while (spec := driver.next()).rung == 0:
        driver.record(spec.trial, result(driver, spec))
    driver.record(spec.trial, measured(driver, spec, **FAILED))
    driver.close()
    driver = open_driver(sqlite, *RUNGS)
    assert (spec.trial, 2) not in run(driver)
    driver.settle()
    driver.close()
    (failed,) = (t for t in read_records(sqlite, "tiny").trials if t.state == "failed")
    assert (failed.number, len(failed.rungs)) == (spec.trial, 1)
    assert studied(sqlite).trials[spec.trial].intermediate_values  # of the rung where it succeeded


def test_a_trial_that_is_rejected_at_a_higher_rung_is_so_for_the_sampler_and_once(
    sqlite, monkeypatch
):
    driver = open_driver(sqlite, *RUNGS)
    while (spec := driver.next()).rung == 0:
        driver.record(spec.trial, result(driver, spec))
    told = []
    monkeypatch.setattr(driver.new.proposer, "relearn", told.append)
    monkeypatch.setattr(driver.new.proposer, "learn", lambda trial: pytest.fail(str(trial)))
    driver.record(spec.trial, measured(driver, spec, state="rejected", reason="latency: 9 ms"))
    (trials,) = told
    assert {t.number: t.state.name for t in trials} == {
        number: "PRUNED" if number == spec.trial else "COMPLETE" for number in range(3)
    }
    driver.close()


def test_every_training_of_a_trial_counts_as_a_result(url):
    driver = open_driver(url, *RUNGS)
    trained = run(driver, most=9)
    assert driver.trials.count_ended() == len(trained)
    while (spec := driver.next()).rung == 0:
        driver.record(spec.trial, result(driver, spec))
        trained.append((spec.trial, 1))
    driver.record(spec.trial, measured(driver, spec, **FAILED))  # it counts as any other
    trained += run(driver)
    driver.settle()
    assert driver.trials.count_ended() == len(trained) + 1
    driver.close()


def test_a_trial_in_optunas_record_lasts_from_its_first_training_to_the_end_of_its_last(sqlite):
    driver = open_driver(sqlite, *RUNGS)
    began = {}
    while (spec := driver.next()) is not None:
        began.setdefault(spec.trial, driver.trials.get(spec.trial).datetime_start)
        driver.record(spec.trial, result(driver, spec))
    ended = datetime.datetime.now()
    driver.settle()
    driver.close()
    for trial in studied(sqlite).trials:
        assert trial.datetime_start == began[trial.number]
        assert trial.datetime_start < trial.datetime_complete < ended


def test_workers_that_died_at_one_rung_do_not_count_at_the_next(sqlite):
    driver = open_driver(sqlite, *RUNGS)
    for rung in (0, 1):
        while (spec := driver.next()).rung < rung:
            driver.record(spec.trial, result(driver, spec))
        for _ in range(LOSSES - 1):
            driver.worker_died(spec.trial, "killed")
            assert not driver.halving.running
            again = driver.next()
            assert (again.trial, again.rung) == (spec.trial, rung)
        accuracies = result(driver, spec, accuracy=0.99)  # it will be promoted
        driver.record(spec.trial, accuracies)
    assert driver.trials.get(spec.trial).state == optuna.trial.TrialState.WAITING
    driver.close()


def test_a_search_in_which_everything_fails_ends(sqlite):
    driver = open_driver(sqlite, *RUNGS)
    for _ in range(FAILURES):
        spec = driver.next()
        driver.record(spec.trial, measured(driver, spec, **FAILED))
    assert driver.next() is None
    assert driver.finished
    driver.close()


def test_a_pruned_trial_cannot_be_chosen(sqlite):
    driver = open_driver(sqlite, *RUNGS)
    run(driver)
    driver.settle()
    driver.close()
    records = read_records(sqlite, "tiny")
    pruned = next(t for t in records.trials if t.state == "pruned")
    with pytest.raises(NoSuchTrial, match=f"trial {pruned.number} is pruned: after"):
        choose(records, trial=pruned.number)


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "grid"])
def test_samplers_learn_from_a_study_with_rungs(sqlite, sampler):
    """Also where another driver left it: Optuna's TPE fails on intermediate values."""
    options = (*FIDELITY, "study.fidelity.reduction=2", f"study.sampler={sampler}")
    driver = open_driver(sqlite, *options, "study.trials=20")
    assert driver.told.rung == 0
    run(driver)
    driver.settle()
    driver.close()
    driver = open_driver(sqlite, *options, "study.trials=22")
    assert driver.told.rung >= 1
    run(driver)
    driver.close()
    assert driver.tried == 22


def drawn(number: int):
    trial = optuna.trial.create_trial(values=None, state=optuna.trial.TrialState.PRUNED)
    trial.number = number
    return trial


def test_a_sampler_is_told_of_the_highest_rung_that_has_enough():
    halving = Halving((1, 2), 2)
    told = RungValues(halving, drawn)
    for trial in range(2 * ENOUGH):
        halving.record(trial, 0, (0.1 * trial, 1.0))
    assert [t.values for t in told.trials()] == [[0.1 * t, 1.0] for t in range(2 * ENOUGH)]
    for trial in range(ENOUGH - 1):
        halving.record(trial, 1, (0.5, 1.0))
    assert told.rung == 0
    halving.record(ENOUGH, 1, (0.7, 1.0))
    assert told.rung == 1
    complete = {t.number: t.values for t in told.trials() if t.state.name == "COMPLETE"}
    assert complete == {t: [0.5, 1.0] for t in range(ENOUGH - 1)} | {ENOUGH: [0.7, 1.0]}
    pruned = [t for t in told.trials() if t.state.name == "PRUNED"]
    assert len(pruned) == ENOUGH
    assert all(t.values is None for t in pruned)
