"""Searches whose front is confirmed: what is trained again, and what then counts."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from nas.analysis.answer import answer
from nas.analysis.confirmed_front import ConfirmedFront
from nas.reporting.front_csv import front_csv
from nas.reporting.front_text import unconfirmed_in_words
from nas.statistics.front_probability import front_probabilities
from nas.statistics.pareto import pareto_front
from nas.study.records import read_records
from nas.study.selection import choose
from tests.nas.planting import (
    SEARCH,
    URL,
    Planted,
    planted_results,
    planted_study,
    search,
)


def test_the_front_of_a_search_and_what_else_may_be_on_it_are_confirmed():
    planted = planted_study({'"segments":"C/4"': 0.05}, text=SEARCH)
    records = planted.records
    screened = [records.complete[i].number for i in pareto_front(records.points)]
    confirmed = [trial.number for trial in records.confirmed]
    assert set(screened) <= set(confirmed)
    assert len(confirmed) == max(len(screened), len(records.complete) // 3)
    for trial in records.confirmed:
        values = [
            again.accuracy
            for again in records.confirmation.trials
            if again.architecture.key == trial.architecture.key
        ]
        assert len(values) == 6
        assert trial.accuracy == trial.values[0] == pytest.approx(fmean(values))
        assert trial.searched == records.trials[trial.number]
    found = answer(planted.results)
    assert all(len(row.test) == 6 for row in found.rows if row.confirmation)


def test_front_knee_and_best_come_from_the_fresh_seeds_alone():
    """A network that was lucky once is chosen neither by itself nor by what it had then."""
    records = planted_study({}, text=SEARCH).records
    unlucky = replace(
        records.confirmation,
        trials=tuple(
            replace(t, accuracy=t.accuracy - 0.1, values=(t.values[0] - 0.1, *t.values[1:]))
            for t in records.confirmation.trials
        ),
    )
    lower = replace(records, confirmation=unlucky)
    for which in ("knee", "accuracy", "macs<=10M"):
        assert choose(lower, which).number == choose(records, which).number
        assert choose(lower, which).accuracy == pytest.approx(choose(records, which).accuracy - 0.1)
    assert {t.number for t in records.front} <= {t.number for t in records.confirmed}
    (row,) = [
        r
        for r in csv.DictReader(io.StringIO(front_csv(lower)))
        if int(r["trial"]) == choose(lower).number
    ]
    assert float(row["accuracy"]) == choose(lower).accuracy
    assert (row["seeds"], 0 <= float(row["p_on_front"]) <= 1) == ("6", True)
    assert float(row["low"]) < float(row["accuracy"]) < float(row["high"])


def test_of_a_warm_search_the_fresh_seeds_alone_say_what_is_on_the_front():
    """Its own accuracies are partly the shared network's: they say who is trained again, no more."""
    text = SEARCH.replace("trials: 10,", "trials: 10, warm: shared,")
    planted = planted_study({}, text=text).records
    records = replace(planted, data=replace(planted.data, images=(100, 5000)))  # or all of it ties
    found = ConfirmedFront.of(records)
    fresh, noise = records.confirmed, found.noise / 6**0.5
    means, costs = [t.values[0] for t in fresh], [t.values[1] for t in fresh]
    by_hand = front_probabilities(means, [noise] * len(fresh), costs, records.tie)
    alone = {t.number: p for t, p in zip(fresh, by_hand, strict=True)}
    assert {p.trial.number: p.probability for p in found.points} == alone
    assert not all(p == 1 for p in by_hand)

    searched = tuple(
        replace(t, values=(1 - t.values[0], *t.values[1:]), accuracy=1 - t.accuracy)
        for t in records.trials
    )
    other = ConfirmedFront.of(replace(records, trials=searched))
    assert {p.trial.number: p.probability for p in other.points} == alone


def test_a_confirmation_that_is_not_complete_confirms_nothing(monkeypatch):
    assert search(monkeypatch, Planted(stop_after=10 + 9), text=SEARCH).exit_code == 130
    cut = read_records(URL, "planted")
    assert cut.confirmation.complete
    assert cut.confirmed == ()
    assert choose(cut).seeds == cut.trials[choose(cut).number].seeds
    assert "not confirmed by fresh seeds, for only 9 of " in unconfirmed_in_words(cut)
    again = Planted()
    result = search(monkeypatch, again, text=SEARCH)
    assert result.exit_code == 0
    whole = read_records(URL, "planted")
    assert len(whole.confirmed) == len(whole.confirmation.arms)
    assert 9 + len(again.trainings) == 6 * len(whole.confirmed)
    assert unconfirmed_in_words(whole) == ""


def test_a_search_that_goes_on_after_its_confirmation_confirms_its_new_front(monkeypatch):
    assert search(monkeypatch, Planted(), text=SEARCH).exit_code == 0
    first = {trial.number for trial in read_records(URL, "planted").confirmed}
    better = Planted({'"segments":"C/4"': 0.2})
    assert search(monkeypatch, better, "--trials", "30", text=SEARCH).exit_code == 0
    records = read_records(URL, "planted")
    now = {trial.number for trial in records.confirmed}
    assert first < now
    assert {trial.number for trial in records.front} & (now - first)


def test_a_search_is_confirmed_unless_it_says_otherwise(monkeypatch):
    plain = SEARCH.replace("confirm: {seeds: 6}", "")
    usual = Planted()
    assert search(monkeypatch, usual, text=plain).exit_code == 0
    records = read_records(URL, "planted")
    assert {len(trial.seeds) for trial in records.confirmed} == {3}
    assert usual.tested == 0  # which a search reads only where it is told to
    assert "confirm: auto" in Path("runs/planted/space.yaml").read_text()
    none = Planted()
    options = ("--study", "other", "--set", "confirm=none")
    assert search(monkeypatch, none, *options, text=plain).exit_code == 0
    assert len(none.trainings) == 10
    assert read_records("sqlite:///runs/other/study.db", "other").confirmation is None


def test_a_search_of_an_earlier_version_goes_on_as_it_was(monkeypatch):
    """It has no word of a confirmation: then there was none."""
    plain = SEARCH.replace("confirm: {seeds: 6}", "")
    with monkeypatch.context() as earlier:
        earlier.setattr("nas.engine.screen_and_confirm.with_confirmation", lambda space, _: space)
        assert search(earlier, Planted(), text=plain).exit_code == 0
    more = Planted()
    assert search(monkeypatch, more, "--trials", "12", text=plain).exit_code == 0
    assert len(more.trainings) == 2
    assert read_records(URL, "planted").confirmation is None
    asked = Planted()
    text = plain + "confirm: auto\n"
    assert search(monkeypatch, asked, "--trials", "12", text=text).exit_code == 0
    assert read_records(URL, "planted").confirmed


@pytest.mark.parametrize("value", ["5", "yes", "[auto]", "{seeds: 0}"])
def test_a_confirmation_that_is_none_is_refused(monkeypatch, value):
    text = SEARCH.replace("{seeds: 6}", value)
    result = search(monkeypatch, Planted(), text=text)
    assert result.exit_code == 2
    place = f"planted.yaml:{text[: text.index('confirm')].count(chr(10)) + 1}:"
    assert place in result.stderr
    assert (
        "auto, none or a mapping" in result.stderr or "greater than or equal to 1" in result.stderr
    )


def test_a_search_has_no_verdict_whatever_it_found():
    """The best of many tuned networks beats one of each end where nothing is to be found, too."""
    found = answer(planted_results({'"segments":"C/4"': 0.05}, text=SEARCH))
    assert found.verdict is None
    assert "a design, whose arms all have the same effort, has a verdict" in found.reason
    assert found.test is None
    assert found.set_aside == ()


def test_a_study_of_another_name_is_no_stage_of_this_one(monkeypatch):
    plain = SEARCH.replace("{seeds: 6}", "none")
    result = search(monkeypatch, Planted(), "--study", "planted:confirmation", text=plain)
    assert result.exit_code == 2
    assert "a name has at most 64 letters" in result.stderr


def test_a_search_has_no_arms_that_could_be_chosen(monkeypatch):
    text = SEARCH.replace("confirm: {seeds: 6}", "confirm: {seeds: 6, arms: all}")
    result = search(monkeypatch, Planted(), text=text)
    assert result.exit_code == 2
    assert "confirm.arms: arms are those of a design; a search has trials" in result.stderr


def test_trials_with_one_seed_have_the_noise_of_the_confirmation():
    """Of a search: P(on the front) and a label for each trial."""
    found = answer(planted_results({'"segments":"C/4"': 0.05}, text=SEARCH))
    trials = [row for row in found.rows if row.screening]
    assert all(0 <= row.p_screened <= 1 and row.label for row in trials)
    best = max(trials, key=lambda row: row.screening[0])
    assert best.p_screened > 0.5
    assert any(row.label == "dominated" for row in trials)
