"""Several studies in one database: each has its own measurements, and trains nothing for nothing."""

from __future__ import annotations

from dataclasses import replace

from nas.analysis.results import read_results
from tests.nas.driving import finish, measured, open_driver
from trials.store import Store

TIMED = "objectives.minimize=latency_ms"


def latencies(url, name: str) -> set[float | None]:
    """As a report reads them."""
    trainings = read_results(url, name).trainings
    assert len(trainings) == 6
    return {training.measurement.latency_ms for training in trainings}


def test_studies_that_measure_latency_keep_what_each_has_measured(url):
    """The same networks with the same seeds, timed on two machines."""
    for name, latency_ms in (("one", 1.0), ("two", 2.0), ("three", 3.0)):
        driver = open_driver(url, TIMED, "study.sampler=random", name=name)
        keys = finish(driver, latency_ms=latency_ms, accuracy=latency_ms / 10)
        assert len(keys) == 6  # each is measured in each study
        driver.close()
    assert [latencies(url, name) for name in ("one", "two", "three")] == [{1.0}, {2.0}, {3.0}]


def test_a_study_keeps_what_it_took_of_another_that_trains_anew_later(url):
    first = open_driver(url, TIMED, "study.sampler=random", name="first")
    finish(first, latency_ms=1.0, accuracy=0.1)
    first.close()
    taker = open_driver(url, "study.sampler=random", name="taker")
    assert finish(taker) == []  # nothing is trained again
    taker.close()
    with_store = Store(url)
    for measurement in with_store.all("first"):
        with_store.add(replace(measurement, accuracy=0.9), "first")
    with_store.close()
    accuracies = {run.measurement.accuracy for run in read_results(url, "taker").trainings}
    assert accuracies == {0.1}


def test_what_only_another_study_has_in_full_is_taken_from_it(url):
    """One has failed for want of memory, one has not the field that is wanted, one has all."""
    driver = open_driver(url, "study.trials=1", "study.sampler=random", name="studied")
    spec = driver.next()
    (result,) = measured(driver, spec)
    store = Store(url)
    failed = {"state": "failed", "reason": "out of memory", "accuracy": None, "curve": ()}
    store.add(replace(result, **failed), "poor")
    store.add(result, "plain")
    store.add(replace(result, macro_f1=0.5), "full")
    driver.close()
    wanting = open_driver(
        url,
        "study.trials=1",
        "study.sampler=random",
        "objectives.maximize=macro_f1",
        name="wanting",
    )
    assert wanting.next() is None
    assert [measurement.macro_f1 for measurement in store.all("wanting")] == [0.5]
    wanting.close()
    store.close()
