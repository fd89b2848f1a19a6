"""Error bars of the front: what they are of, with numbers that are known."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean, variance

import pytest
from scipy import stats

from nas.analysis.results import ArmRun
from nas.reporting.figures import front_info, plot_front
from tests.nas.planting import SEARCH, planted_study
from tests.nas.records import network, study, trial
from trials.measurement import Measurement


def heading(info) -> str:
    return plot_front(info).layout.title.text


def test_a_single_seed_has_the_interval_of_its_images():
    """20 of 25 images: Wilson's interval by hand."""
    records = study(trial(0, 0.8, network()))
    info = front_info(records)
    (point,) = info.front
    assert (point.spread.lower, point.spread.upper) == pytest.approx((0.6087, 0.9114), abs=1e-4)
    assert "by 25 images (Wilson, 95%), one seed" in plot_front(info).data[1].text[0]
    assert "images (binomial, Wilson);</sub><br><sub>one seed each" in heading(info)
    bars = plot_front(info).data[1].error_y
    assert (bars.arrayminus[0], bars.array[0]) == pytest.approx((0.1913, 0.1114), abs=1e-4)


def test_a_score_that_is_no_share_of_images_has_no_such_interval():
    records = study(trial(0, 0.8, network()), objectives=("macro_f1", "macs"))
    info = front_info(records)
    assert info.front[0].spread is None
    assert "<sub>" not in heading(info)


def test_several_seeds_have_their_standard_deviation():
    record = replace(trial(0, 0.8, network()), seeds=(1, 2, 3))
    found = planted_study({}, text=SEARCH).results
    runs = tuple(
        ArmRun("screening", "trial 0", "interior", "", _measurement(record, seed, accuracy))
        for seed, accuracy in zip(record.seeds, (0.7, 0.8, 0.9), strict=True)
    )
    info = front_info(study(record), replace(found, trainings=runs))
    (point,) = info.front
    assert (point.spread.lower, point.spread.upper) == pytest.approx((0.7, 0.9))
    assert "one standard deviation over 3 seeds" in heading(info)
    # Without the trainings nothing is known: the mean of three is no share of 25 images.
    assert front_info(study(record)).front[0].spread is None


def test_a_confirmed_front_has_the_interval_of_its_fresh_seeds():
    """Student's, of noise that is pooled over all confirmed networks, by hand."""
    planted = planted_study({}, text=SEARCH)
    info = front_info(planted.records, planted.results)
    by_trial = {
        name: [m.accuracy for m in trainings.values()]
        for name, trainings in planted.results.of_stage("confirmation").items()
    }
    pooled = fmean(variance(values) for values in by_trial.values()) ** 0.5
    half = stats.t.ppf(0.975, 5 * len(by_trial)) * pooled / 6**0.5
    points = (*info.front, *info.others)
    assert {f"trial {point.trial}" for point in points} == set(by_trial)
    for point in points:
        mean = fmean(by_trial[f"trial {point.trial}"])
        assert point.score == point.spread.score == pytest.approx(mean)
        assert point.spread.upper - mean == mean - point.spread.lower == pytest.approx(half)
    assert "95% interval of the mean of 6 fresh seeds" in heading(info)
    drawn = {trace.name: len(trace.x) for trace in plot_front(info).data}
    rest = len(planted.records.complete) - len(points)
    assert drawn["searched, one seed each"] == rest
    assert drawn["front"] == len(info.front)


def _measurement(record, seed: int, accuracy: float) -> Measurement:
    return Measurement(
        architecture_key=record.architecture.key,
        architecture=record.architecture.to_json(),
        data="0",
        recipe="proxy",
        epochs=1,
        seed=seed,
        macs=record.macs,
        params=record.params,
        accuracy=accuracy,
    )
