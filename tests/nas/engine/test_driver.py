"""The driver without Ray: what it hands out and records, on real databases."""

from __future__ import annotations

import json
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from nas.engine.optuna_storage import StudyTrials
from nas.engine.setbacks import FAILURES, REJECTIONS
from nas.engine.trial_spec import trial_seed
from nas.study.records import read_records
from nas.study.selection import NoSuchTrial, choose
from nas.study.storage import NoStudy
from tests.nas.driving import FAILED, finish, measured, open_driver, states
from trials.store import Store


def test_a_search_ends_with_the_wanted_number_of_different_architectures(url):
    driver = open_driver(url)
    keys = finish(driver)
    assert len(keys) == len(set(keys)) == 6
    assert driver.finished
    assert states(url) == {"COMPLETE": 6}
    driver.close()
    records = read_records(url, "tiny")
    assert [r.architecture.key for r in records.complete] == keys
    assert records.objectives == ("accuracy", "macs")
    assert all(r.values == (r.accuracy, r.macs) for r in records.complete)


def test_the_values_of_complete_trials_are_read_alone(url):
    driver = open_driver(url)
    assert driver.trials.complete_values() == {}
    broken = driver.next()
    driver.record(broken.trial, measured(driver, broken, **FAILED))
    finish(driver)
    complete = {trial.number: trial.values for trial in driver.records().complete}
    assert driver.trials.complete_values() == complete
    assert driver.trials.count_ended() == 7
    assert StudyTrials(driver.trials.storage, "tiny:confirmation").count_ended() == 0
    assert len(complete) == 6
    driver.close()


def test_failed_trials_do_not_count_and_are_not_proposed_again(url):
    driver = open_driver(url)
    broken = driver.next()
    driver.record(broken.trial, measured(driver, broken, **FAILED))
    keys = finish(driver)
    assert broken.architecture.key not in keys
    assert states(url) == {"COMPLETE": 6, "FAIL": 1}
    driver.close()
    failed = [t for t in read_records(url, "tiny").trials if t.state == "failed"]
    assert [t.reason for t in failed] == ["not finite: loss nan"]


def test_a_search_in_which_everything_fails_ends(sqlite):
    driver = open_driver(sqlite)
    for _ in range(FAILURES):
        spec = driver.next()
        driver.record(spec.trial, measured(driver, spec, **FAILED))
    assert driver.next() is None
    assert driver.setbacks.too_many_failures
    driver.close()


LIMIT = "latency_ms.at_most=5"
SLOW = {
    "state": "rejected",
    "reason": "its latency is more than 5 ms: 7 ms",
    "latency_ms": 7.0,
    "latency_spread_ms": 0.1,
}


def test_what_is_over_the_latency_limit_is_kept_but_neither_counts_nor_comes_again(url):
    driver = open_driver(url, LIMIT)
    slow = driver.next()
    driver.record(slow.trial, measured(driver, slow, **SLOW, accuracy=None, curve=())[:1])
    driver.close()
    driver = open_driver(url, LIMIT)
    keys = finish(driver, latency_ms=4.0, latency_spread_ms=0.1)
    assert slow.architecture.key not in keys
    assert states(url) == {"COMPLETE": 6, "PRUNED": 1}
    assert len(Store(url).all()) == 6  # nothing of what was not trained
    driver.close()
    records = read_records(url, "tiny")
    assert (records.trials[0].state, records.trials[0].reason) == ("rejected", SLOW["reason"])
    assert records.trials[0].latency_in_words == "7 ms"
    assert choose(records, "latency_ms<=4").latency_in_words == "4 ms"
    with pytest.raises(NoSuchTrial, match="trial 0 is rejected: its latency is more"):
        choose(records, trial=0)


def test_a_search_in_which_everything_is_too_slow_ends(sqlite):
    driver = open_driver(sqlite, LIMIT, "study.sampler=random")
    for _ in range(REJECTIONS):
        spec = driver.next()
        driver.record(spec.trial, measured(driver, spec, **SLOW, accuracy=None, curve=()))
    assert driver.next() is None
    assert driver.setbacks.too_many_rejections
    driver.close()


def test_a_latency_limit_trains_again_what_another_study_has_trained(sqlite):
    """Its latency was not measured there, or on another machine."""
    first = open_driver(sqlite)
    finish(first)
    first.close()
    limited = open_driver(sqlite, LIMIT, name="limited")
    assert limited.next() is not None
    limited.close()


def test_a_trial_with_several_seeds_is_their_mean(sqlite):
    driver = open_driver(sqlite, "study.seeds_per_trial=3", "study.trials=1")
    spec = driver.next()
    assert len(set(spec.seeds)) == 3
    results = tuple(
        replace(m, accuracy=accuracy, curve=((1.0, 1.0, accuracy),))
        for m, accuracy in zip(measured(driver, spec), (0.2, 0.3, 0.7), strict=True)
    )
    driver.record(spec.trial, results)
    driver.close()
    (record,) = read_records(sqlite, "tiny").complete
    assert record.accuracy == pytest.approx(0.4)
    assert record.curve == pytest.approx((0.4,))
    assert len(Store(sqlite).all()) == 3


def test_a_trials_seed_depends_on_study_architecture_and_replicate_alone(sqlite):
    assert trial_seed(0, "a" * 16, 0) == trial_seed(0, "a" * 16, 0)
    assert len({trial_seed(s, k, r) for s in (0, 1) for k in ("a", "b") for r in (0, 1)}) == 8
    assert 0 <= trial_seed(0, "a", 0) < 2**48
    driver = open_driver(sqlite)
    spec = driver.next()
    assert spec.seeds == (trial_seed(0, spec.architecture.key, 0),)
    driver.close()


def search_alone(url, name: str) -> None:
    """In a process of its own."""
    Path(name).mkdir()
    os.chdir(name)
    driver = open_driver(url, name=name)
    finish(driver)
    driver.close()


def test_two_studies_can_be_begun_in_one_database_at_once(url):
    names = ("one", "two", "three")
    processes = multiprocessing.get_context("fork")  # which has everything imported
    drivers = [processes.Process(target=search_alone, args=(url, name)) for name in names]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
        assert driver.exitcode == 0
    assert [states(url, name) for name in names] == [{"COMPLETE": 6}] * 3


def test_matched_architectures_are_proposed(sqlite):
    driver = open_driver(sqlite, "match={macs: 60K, tolerance: 3%}", "study.trials=3")
    finish(driver)
    driver.close()
    records = read_records(sqlite, "tiny")
    assert len(records.complete) == 3
    assert all(abs(trial.macs - 60_000) <= 1800 for trial in records.complete)


def test_optunas_own_tools_read_the_study(sqlite):
    driver = open_driver(sqlite)
    finish(driver)
    driver.close()
    study = optuna.load_study(study_name="tiny", storage=str(sqlite))
    assert len(study.best_trials) >= 1
    trial = study.trials[0]
    assert set(trial.params) <= {p.name for p in driver.space.parameters}
    assert json.loads(trial.user_attrs["architecture"])["classes"] == 4
    assert optuna.importance.get_param_importances(study, target=lambda t: t.values[0])


def test_reading_a_database_without_tables_makes_none(sqlite):
    for _ in range(2):
        with pytest.raises(NoStudy, match=r"there is no database .*study\.db"):
            read_records(sqlite, "tiny")
    driver = open_driver(sqlite)
    with pytest.raises(NoStudy, match="the database has no study other; it has tiny"):
        read_records(sqlite, "other")
    driver.close()
