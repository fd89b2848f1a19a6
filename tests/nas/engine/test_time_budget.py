"""A search with a budget of time: what is handed out, and when it ends. The clock is the test's."""

from __future__ import annotations

from math import inf, nan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.engine.time_budget import LEAST_FOR_RESULTS_S, RESULTS_PER_TRIAL_S, TimeBudget, TimeUp
from nas.space.errors import InputError
from nas.space.quantities import duration, parse_duration
from nas.study.records import read_records
from tests.nas.driving import Clock, measured, open_driver
from tests.nas.planting import SEARCH, URL, Planted, search

SHORT = SEARCH.replace("trials: 10", "trials: 3").replace("{seeds: 6}", "none")


@pytest.fixture
def clock():
    return Clock()


def run(driver, clock, seconds_per_epoch: float = 1.0) -> list[int]:
    """Run trials one by one, each for so long; returns the epochs of each."""
    trained = []
    while (spec := driver.next()) is not None:
        driver.prepare()
        clock.now += seconds_per_epoch * spec.epochs
        trained.append(spec.epochs)
        driver.record(spec.trial, measured(driver, spec))
    return trained


def test_trials_are_handed_out_as_long_as_they_end_before_the_results_have_to_be_written(
    sqlite, clock
):
    driver = open_driver(sqlite, "training.epochs=10")
    driver.budget, driver.wanted = TimeBudget(100, clock), inf
    clock.now += 20  # to read the data and to start
    driver.budget.begin_trainings()
    assert driver.budget.left == 60
    # Of 60 s six are needed for a trial, to the last moment; a little is for each trial's results.
    assert run(driver, clock) == [10] * 5
    assert driver.finished
    assert not driver.done
    assert driver.so_far == "5 trials are complete"
    driver.close()


def test_with_rungs_time_goes_to_what_still_fits(sqlite, clock):
    rungs = ("study.fidelity={rungs: [1, 4], reduction: 3}", "training.epochs=4")
    driver = open_driver(sqlite, *rungs, "study.trials=1000")
    driver.budget = TimeBudget(LEAST_FOR_RESULTS_S + 20.5, clock)
    trained = run(driver, clock)
    # To the last epoch, though a training at the last rung takes four.
    assert sum(trained) == 20
    assert trained.count(4) >= 2
    assert driver.finished
    driver.settle()
    driver.close()
    # The same again, with a new budget, goes on.
    driver = open_driver(sqlite, *rungs, "study.trials=1000")
    driver.budget = TimeBudget(LEAST_FOR_RESULTS_S + 7.5, clock)
    assert sum(run(driver, clock)) == 7
    driver.close()


def test_a_design_ends_in_time_too(monkeypatch, clock):
    budget = TimeBudget(LEAST_FOR_RESULTS_S + 9.99, clock)
    monkeypatch.setattr(TimeBudget, "of", lambda *_: budget)

    class Slow(Planted):
        def measurements(self, driver, spec, test):
            clock.now += 1.0
            return super().measurements(driver, spec, test)

    slow = Slow()
    result = search(monkeypatch, slow, "--budget", "15s")
    assert result.exit_code == 0, result.output
    assert len(slow.trainings) == 9


def test_results_that_come_while_time_runs_out_are_in_the_report(monkeypatch, clock):
    budget = TimeBudget(LEAST_FOR_RESULTS_S + 10, clock, as_many_as_fit=True)
    monkeypatch.setattr(TimeBudget, "of", lambda *_: budget)

    class Late(Planted):
        def run(self, driver, data, test=None, keep_weights=True, judges=False):
            for spec in (driver.next(), driver.next()):
                if not self.trainings:
                    driver.outbox.put(spec.trial, self.measurements(driver, spec, test))
                self.trainings.append((spec.trial, "", 0))
            clock.now += 10

    result = search(monkeypatch, Late(), "--budget", "15s", text=SHORT)
    assert result.exit_code == 0, result.output
    assert "is used, but for the results: 1 trials are complete" in result.output
    assert [trial.state for trial in read_records(URL, "planted").trials] == ["complete", "waiting"]


def test_no_training_is_waited_for_once_no_time_is_left(clock):
    budget = TimeBudget(60, clock)
    budget.check()
    clock.now += 60 - LEAST_FOR_RESULTS_S
    with pytest.raises(TimeUp):
        budget.check()
    TimeBudget(clock=clock).check()


def test_the_start_says_how_long_the_results_take_within_bounds(clock):
    for started, set_aside in ((1, 5), (12, 12), (500, 30)):
        budget = TimeBudget(1000, clock)
        clock.now += started
        budget.begin_trainings()
        assert budget.left == 1000 - started - set_aside


def test_once_trials_have_said_what_they_cost_it_is_said_how_many_fit(clock):
    budget = TimeBudget(605, clock)
    for trial in range(4):
        budget.start(trial, epochs=4)
        budget.start(100 + trial, epochs=4)
        assert budget.forecast(4) == ""
        clock.now += 20 if trial == 0 else 10  # the first waits for its worker
        budget.end(trial)
        budget.end(100 + trial)
        if line := budget.forecast(4):
            break
    assert line == (
        "budget: a trial takes 10 s on one of 2 workers, so about 114 more fit into the "
        "9 min 30 s that are left for trainings"
    )
    assert budget.forecast(4) == ""
    assert TimeBudget(clock=clock).forecast(4) == ""


def test_a_trial_that_is_lost_says_nothing_of_how_long_one_takes(clock):
    budget = TimeBudget(100, clock)
    budget.end(7)
    assert budget.fits(1_000_000)


def test_the_start_of_a_worker_is_no_part_of_what_a_training_takes(clock):
    """Two workers start for 9 s; an epoch takes half a second."""
    budget = TimeBudget(LEAST_FOR_RESULTS_S + 95, clock)
    budget.start(0, epochs=2)
    budget.start(1, epochs=2)
    clock.now += 10
    for trial in (0, 1):
        budget.end(trial)
        budget.start(2 + trial, epochs=2)
    assert not budget.knows_pace
    assert not budget.fits(18)  # for all that is known so far an epoch takes 5 s
    clock.now += 1
    budget.end(2)
    assert budget.knows_pace
    assert budget.fits(18)
    assert budget.fits(167)
    assert not budget.fits(168)  # 84 s are left


def test_a_training_is_not_taken_to_be_slower_than_the_slowest_was(clock):
    budget = TimeBudget(LEAST_FOR_RESULTS_S + 112, clock)
    for seconds in (1, 1, 10):  # the first one tells of the start
        budget.start(0, epochs=1)
        clock.now += seconds
        budget.end(0)
    assert budget.left == 100 - 3 * RESULTS_PER_TRIAL_S
    assert budget.fits(9.9)


def test_what_comes_after_others_waits_for_them_all(clock):
    budget = TimeBudget(LEAST_FOR_RESULTS_S + 43, clock)
    for _ in range(2):
        budget.start(0, epochs=1)
        clock.now += 1
        budget.end(0)
    budget.start(1, epochs=10)
    clock.now += 4  # it takes 6 s more; 37 s are left
    assert budget.fits(36.9)
    assert budget.fits(30.9, after=0)
    assert not budget.fits(31, after=0)
    assert budget.fits(30.9, after=6)
    assert not budget.fits(30, after=7)


def test_results_of_trials_that_were_there_take_as_long(monkeypatch, clock):
    budget = TimeBudget(100, clock)
    budget.count_earlier(1000)
    assert budget.left == 100 - LEAST_FOR_RESULTS_S - 1000 * RESULTS_PER_TRIAL_S
    counted = []
    monkeypatch.setattr(TimeBudget, "count_earlier", lambda _, trials: counted.append(trials))
    for _ in range(2):
        assert search(monkeypatch, Planted(), text=SHORT).exit_code == 0
    assert counted == [0, 3]


def test_a_budget_alone_runs_as_many_trials_as_fit_and_beside_trials_no_more(monkeypatch, clock):
    budget = TimeBudget(LEAST_FOR_RESULTS_S + 20.5, clock, as_many_as_fit=True)
    monkeypatch.setattr(TimeBudget, "of", lambda *_: budget)

    class Slow(Planted):
        def measurements(self, driver, spec, test):
            clock.now += 2.0
            return super().measurements(driver, spec, test)

    assert search(monkeypatch, Slow(), "--budget", "30s", text=SHORT).exit_code == 0
    records = read_records(URL, "planted")
    assert len(records.complete) == 10
    assert [registered.plan.trials for registered in records.plans] == [0]
    budget.begun, budget.as_many_as_fit = clock.now, False
    both = Slow()
    options = ("--budget", "30s", "--trials", "12")
    assert search(monkeypatch, both, *options, text=SHORT).exit_code == 0
    assert len(both.trainings) == 2
    (first, second) = read_records(URL, "planted").plans
    assert first.plan.changes(second.plan) == ("trials: as many as fit, then 12",)
    assert second.results["screening"] == 10
    assert Path("runs/planted/space.yaml").read_text().count("trials: 12") == 1


def test_what_a_user_gives_is_a_budget_from_then_on():
    assert (TimeBudget.of("10m", None, "budget").seconds) == 600
    assert TimeBudget.of("10m", None, "budget").as_many_as_fit
    assert not TimeBudget.of(90, 12, "budget").as_many_as_fit
    assert TimeBudget.of(None, None, "budget").seconds == inf
    assert not TimeBudget.of(None, None, "budget").as_many_as_fit
    begun = TimeBudget(5)
    assert TimeBudget.of(begun, None, "budget") is begun


@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False))
def test_any_seconds_above_zero_are_a_budget(seconds):
    assert TimeBudget.of(seconds, None, "budget").seconds == seconds


@pytest.mark.parametrize("budget", [True, False, 0, -1.5, inf, nan, [60]])
def test_what_are_no_seconds_is_refused(budget):
    with pytest.raises(InputError, match="budget: error: expected seconds, or a duration such as"):
        TimeBudget.of(budget, None, "budget")


@pytest.mark.parametrize("budget", ["10", "0s", "ten minutes", "5m 3s", "-1h", "1d", ""])
def test_a_wrong_budget_is_refused(monkeypatch, budget):
    result = search(monkeypatch, Planted(), f"--budget={budget}", text=SHORT)
    assert result.exit_code == 2
    assert f"--budget: error: expected a duration such as 90s, 10m or 2h; got {budget!r}" in (
        result.stderr
    )


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("90s", 90, "1 min 30 s"),
        ("10m", 600, "10 min"),
        ("1.5h", 5400, "1 h 30 min"),
        ("1h30m", 5400, "1 h 30 min"),
        ("0.25s", 0.25, "0.2 s"),
        ("45s", 45, "45 s"),
    ],
)
def test_durations_as_people_write_them(text, seconds, shown):
    assert parse_duration(text) == seconds
    assert duration(seconds) == shown


def test_a_search_leaves_time_to_confirm_what_it_found(monkeypatch, clock):
    """Half of its trainings, where a third of its trials are trained with three seeds."""
    budget = TimeBudget(LEAST_FOR_RESULTS_S + 60.5, clock, as_many_as_fit=True)
    monkeypatch.setattr(TimeBudget, "of", lambda *_: budget)

    class Slow(Planted):
        def measurements(self, driver, spec, test):
            clock.now += 2.0
            return super().measurements(driver, spec, test)

    slow = Slow()
    text = SHORT.replace("confirm: none", "confirm: auto")
    result = search(monkeypatch, slow, "--budget", "65s", text=text)
    assert result.exit_code == 0
    assert "is used, but for the confirmation and the results" in result.output
    records = read_records(URL, "planted")
    assert records.confirmed
    assert len(slow.trainings) == len(records.complete) + 3 * len(records.confirmed)
    assert 24 <= len(slow.trainings) <= 30
