"""How sure the front of a search is, as it is said: numbers by hand."""

from __future__ import annotations

from statistics import fmean, variance

import pytest
from scipy import stats

from nas.analysis.confirmed_front import CALLED_FRONT, ConfirmedFront
from nas.reporting.front_text import (
    front_in_words,
    front_table,
    noise_in_words,
    unconfirmed_in_words,
)
from nas.reporting.page import render
from tests.nas.planting import SEARCH, planted_study


def test_the_least_significant_difference_is_students_of_the_pooled_noise():
    planted = planted_study({}, text=SEARCH)
    found = ConfirmedFront.of(planted.records)
    trainings = planted.results.of_stage("confirmation").accuracies()
    pooled = fmean(variance(values) for values in trainings.values()) ** 0.5
    expected = stats.t.ppf(0.975, 5 * len(trainings)) * pooled * (2 / 6) ** 0.5
    assert found.difference == pytest.approx(expected)
    said = noise_in_words(found)
    assert said.startswith(f"Differences below {100 * expected:.2f} points are noise here")
    assert f"pooled over {len(trainings)} networks" in said


def test_the_table_calls_front_what_is_likely_to_be_and_names_ties():
    records = planted_study({}, text=SEARCH).records
    found = ConfirmedFront.of(records)
    table = front_table(records, found)
    shown = [dict(zip(table.heads, row, strict=True)) for row in table.rows]
    for row in shown:
        point = found.point(int(row["trial"]))
        assert (row[""] == "front") == (point.probability >= CALLED_FRONT)
        image = 1 / records.data.images[1]
        near = {
            other.trial.number
            for other in found.points
            if abs(other.trial.accuracy - point.trial.accuracy) <= image + 1e-9
        }
        assert set(point.ties) == near - {point.trial.number}
        assert all(str(number) in row["ties within one image"] for number in point.ties)
    assert table.note in render(records, {}, {}).replace("&#39;", "'")


def test_of_a_warm_search_the_trials_that_are_not_compared_are_said():
    warm = SEARCH.replace("trials: 10,", "trials: 10, warm: shared,")
    for text in (SEARCH, warm):
        records = planted_study({}, text=text).records
        found = ConfirmedFront.of(records)
        rest = 10 - len(found.points)
        said = f"The other {rest} trials are not compared: all their trainings were warm-started."
        page = render(records, {}, {})
        assert (said in page) == (said in front_in_words(found)) == (text == warm)
        assert ("no trial that was trained again and is of at most its cost" in page) == (
            text == warm
        )


def test_one_fresh_seed_each_has_the_noise_of_its_images():
    records = planted_study({}, text=SEARCH.replace("{seeds: 6}", "{seeds: 1}")).records
    found = ConfirmedFront.of(records)
    share = fmean(trial.accuracy for trial in records.confirmed)
    images = records.data.images[1]
    assert found.noise == pytest.approx((share * (1 - share) / images) ** 0.5)
    assert "one fresh seed each tells nothing of seeds" in noise_in_words(found)


def test_a_warm_search_that_is_not_confirmed_says_both():
    text = SEARCH.replace("{seeds: 6}", "none").replace("trials: 10,", "trials: 10, warm: shared,")
    records = planted_study({}, text=text).records
    said = unconfirmed_in_words(records)
    assert "the best of 10 look better than they are. All were warm-started: " in said
    assert said.replace("'", "&#39;") in render(records, {}, {})


def test_a_search_that_is_not_confirmed_says_so():
    records = planted_study({}, text=SEARCH.replace("{seeds: 6}", "none")).records
    said = unconfirmed_in_words(records)
    assert said == (
        "This front is not confirmed by fresh seeds: the best of 10 look better than they are."
    )
    assert said in render(records, {}, {})
