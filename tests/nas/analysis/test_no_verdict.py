"""Studies that cannot be answered, not yet or not at all, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.analysis.answer import answer
from nas.analysis.question import NoVerdict
from nas.analysis.results import read_results
from nas.reporting.answer_text import facts, headline
from nas.verdict import app as verdict_command
from tests.nas.planting import (
    ARMS,
    MATCHED,
    URL,
    WINNER,
    Planted,
    failing,
    planted_results,
    publish,
    search,
)


def test_without_a_confirmation_there_is_no_verdict():
    text = MATCHED.replace("confirm:", "#")
    found = answer(planted_results({WINNER: 0.02}, text=text))
    assert found.verdict is None
    assert "nothing was confirmed" in headline(found)
    assert len(found.rows) == len(ARMS)


@pytest.mark.parametrize("arm", [WINNER, "plain"])
def test_a_judged_arm_that_failed_is_no_winner_of_the_other_seeds(arm):
    results = failing(planted_results({WINNER: 0.02}), arm, "confirmation")
    found = answer(results)
    assert found.verdict is None
    assert found.reason.startswith(f"{arm} failed with confirmation seed")
    assert ("failed trainings", "1") in list(facts(found))


def test_a_run_whose_workers_died_is_among_the_failed(monkeypatch):
    class Dying(Planted):
        def run(self, driver, data, test=None, keep_weights=True, judges=False) -> None:
            if test is None:
                spec = driver.next()
                for _ in range(3):
                    driver.worker_died(spec.trial, "killed")
                    driver.next()
            super().run(driver, data, test, keep_weights, judges)

    result = search(monkeypatch, Dying(), text=MATCHED.replace("confirm:", "#"))
    assert result.exit_code == 0, result.stderr
    results = read_results(URL, "planted")
    assert answer(results).failed == 1
    (lost,) = [
        training.measurement
        for training in results.trainings
        if training.measurement.state == "failed"
    ]
    assert lost.reason.startswith("its worker died 3 times")


def test_an_interrupted_confirmation_has_no_verdict_yet():
    """A look at the seeds so far, and stopping where they please, would be no test."""
    results = planted_results({WINNER: 0.02})
    found = answer(replace(results, trainings=results.trainings[: 18 + 25]))
    assert found.verdict is None
    assert found.reason.endswith("of 8 confirmation seeds are complete in all arms")


def test_a_verdict_needs_both_kinds_of_end():
    text = MATCHED.replace("[1, 2, C/8, C/4, C]", "[1, 2, C/8, C/4]")
    found = answer(planted_results({WINNER: 0.02}, text=text))
    assert found.reason == f"no depthwise end of the same cost as {WINNER} was confirmed"


def test_a_study_without_runs_has_no_answer(monkeypatch):
    search(monkeypatch, Planted(stop_after=0))
    with pytest.raises(NoVerdict, match="no complete training"):
        answer(read_results(URL, "planted"))
    result = CliRunner().invoke(verdict_command, ["--study", "planted"])
    assert result.exit_code == 2
    assert "no complete training" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "one of --study and --published is needed"),
        (["--study", "planted", "--published", "x"], "one of --study and --published is needed"),
        (["--published", "published", "--delta", "200"], "delta is a difference of accuracies"),
        (["--published", "published", "--alpha", "0.7"], "alpha is between 0 and 0.5"),
    ],
)
def test_wrong_options_of_the_verdict_are_refused(options, message):
    publish(planted_results({}), Path("published"))
    result = CliRunner().invoke(verdict_command, options)
    assert result.exit_code == 2
    assert message in result.stderr
