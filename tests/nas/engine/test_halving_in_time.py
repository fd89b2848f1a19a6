"""Successive halving with several workers, and with a budget of time. The clock is the test's."""

from __future__ import annotations

import heapq
import random
from math import inf

import pytest

from nas.engine.time_budget import LEAST_FOR_RESULTS_S, TimeBudget
from nas.statistics.pareto import nondominated_order
from tests.nas.driving import FAILED, Clock, measured, open_driver, states

RUNGS = (2, 6, 18)
OPTIONS = (
    "study.fidelity={rungs: [2, 6, 18], reduction: 3}",
    "training.epochs=18",
    "study.sampler=random",
)
REJECTED = {"state": "rejected", "reason": "latency: 9 ms", "accuracy": None, "curve": ()}


@pytest.fixture
def clock():
    return Clock()


def opened(url, clock=None, seconds=inf, trials=inf):
    driver = open_driver(url, *OPTIONS)
    driver.wanted = trials
    if clock is not None:
        driver.budget = TimeBudget(LEAST_FOR_RESULTS_S + seconds, clock)
    return driver


def run(driver, clock, workers=1, start_s=0.0, seconds_per_epoch=1.0, changes=lambda _: {}):
    """Train side by side until nothing is left to do, or no time; returns (trial, epochs)."""
    running, trained = [], []
    while True:
        while len(running) < workers and (spec := driver.next()) is not None:
            start = start_s if len(trained) < workers else 0.0
            end = clock.now + start + seconds_per_epoch * spec.epochs
            heapq.heappush(running, (end, len(trained), spec))
            trained.append((spec.trial, spec.epochs))
        if len(running) == workers:
            driver.prepare()
        if not running:
            return trained
        end, _, spec = heapq.heappop(running)
        if end >= clock.now + driver.budget.left:  # time is up
            return trained
        clock.now = end
        driver.record(spec.trial, measured(driver, spec, **changes(spec)))


def end(driver):
    driver.requeue_running()
    driver.settle()
    driver.close()


@pytest.mark.parametrize("wanted", [inf, 1000])
@pytest.mark.parametrize("seconds", [26.5, 40])
def test_a_trial_reaches_the_last_rung_where_there_is_time_for_one(sqlite, clock, seconds, wanted):
    """On each rung once, it takes 2 + 6 + 18 seconds."""
    driver = opened(sqlite, clock, seconds, wanted)
    trained = run(driver, clock)
    assert driver.complete == 1
    assert not driver.done
    assert sum(epochs for _, epochs in trained) > seconds - 2.5
    end(driver)
    assert states(sqlite)["COMPLETE"] == 1


def test_too_short_for_a_trial_on_the_last_rung_time_goes_to_lower_ones(sqlite, clock):
    driver = opened(sqlite, clock, 20.5)
    trained = run(driver, clock)
    assert driver.complete == 0
    assert sum(epochs for _, epochs in trained) == 20
    assert driver.at_rungs[1] >= 1
    end(driver)


@pytest.mark.parametrize("workers", [1, 3])
def test_at_the_end_what_is_among_the_best_of_a_rung_has_been_promoted(sqlite, clock, workers):
    """Or had no time: then as much as there was went to the last rung."""
    driver = opened(sqlite, clock, 150)
    run(driver, clock, workers)
    halving = driver.halving
    left = driver.budget.left
    promotion = halving.next_promotion(closing=True)
    assert promotion is None or RUNGS[promotion.rung] >= left
    assert driver.complete >= 2
    end(driver)


def test_what_a_worker_takes_to_start_does_not_keep_trials_from_the_last_rung(sqlite, clock):
    """Two workers start for 9 s; an epoch takes half a second."""
    driver = opened(sqlite, clock, 85)
    trained = run(driver, clock, workers=2, start_s=9, seconds_per_epoch=0.5)
    first = next(place for place, (_, epochs) in enumerate(trained) if epochs == 18)
    assert first < 20
    assert driver.complete >= 5
    end(driver)


def test_a_trial_that_is_prepared_waits_while_there_is_time_only_to_promote(sqlite, clock):
    driver = opened(sqlite, clock, 29)
    for _ in range(2):
        spec = driver.next()
        driver.prepare()
        clock.now += 2
        driver.record(spec.trial, measured(driver, spec))
    # 25 s are left, of which 24 take the best of both to the last rung.
    assert [spec.rung for spec in driver.queue] == [0]
    assert [driver.next().epochs, driver.next()] == [6, None]
    end(driver)


@pytest.mark.parametrize("seed", range(4))
def test_several_trials_at_once_some_of_which_are_rejected_or_fail(sqlite, clock, seed):
    """The best of each rung are promoted, whoever of them comes to nothing there."""
    rng, ended = random.Random(seed), {}

    def changes(spec):
        if (luck := rng.random()) < 0.25:
            ended[spec.trial] = "PRUNED" if luck < 0.15 else "FAIL"
            return REJECTED if luck < 0.15 else FAILED
        return {}

    driver = opened(sqlite, trials=12)
    trained = run(driver, clock, workers=rng.randint(2, 4), changes=changes)
    assert driver.finished
    assert driver.tried == 12
    assert not driver.halving.running
    assert len(trained) == len(set(trained))
    for rung in (0, 1):
        results = driver.halving.results[rung]
        numbers = sorted(results)
        best = nondominated_order([results[n] for n in numbers], len(numbers) // 3)
        assert {numbers[place] for place in best} <= driver.halving.entered[rung + 1]
    end(driver)
    found = {t.number: t for t in driver.study.get_trials(deepcopy=False)}
    assert {n: found[n].state.name for n in ended} == ended
    for number, trial in found.items():
        if number not in ended:
            assert trial.state.name == ("COMPLETE" if trial.values else "PRUNED")
