"""Simulated studies have the means that their truth says, whatever their noise."""

from __future__ import annotations

import numpy as np
import pytest

INTERIOR, ENDS, DELTA = 6, 3, 0.005


def test_the_advantage_is_what_is_said():
    from simulated_studies import truths

    for truth in truths(INTERIOR, ENDS, DELTA):
        interior, ends = truth.effects[:INTERIOR], truth.effects[INTERIOR:]
        assert interior.max() - ends.max() == pytest.approx(truth.advantage), truth.name


@pytest.mark.parametrize("number", range(16))
def test_the_centre_of_each_arm_is_its_truth(number):
    from simulated_studies import NOISES, SimulatedStudies, truths

    assert len(NOISES) == 16, "each of them is tested"
    noise, truth = NOISES[number], truths(INTERIOR, ENDS, DELTA)[2]
    studies = SimulatedStudies(INTERIOR, ENDS, truth, noise, 0.0067, 40_000)
    scores, failed = studies.draw(np.random.default_rng(0))
    # A mean that does not exist is a median.
    centre = np.median if noise.name == "Cauchy" else np.mean
    found = np.array([centre(values) for values in scores.values()]) - 0.7
    tolerance = 0.003 if "fails" in noise.name or "2 degrees" in noise.name else 0.0006
    assert found == pytest.approx(truth.effects, abs=tolerance)
    for arm, values in scores.items():
        assert (values[failed[arm]] == pytest.approx(0.1, abs=1 / 287)) or not failed[arm].any()


def test_what_must_not_be_said():
    from simulated_studies import truths

    equal, *others = truths(INTERIOR, ENDS, DELTA)
    assert equal.is_wrong("supported", DELTA)
    assert not equal.is_wrong("refuted", DELTA)
    border = next(t for t in others if t.advantage == DELTA)
    assert border.is_wrong("supported", DELTA)
    assert border.is_wrong("refuted", DELTA)
    better = next(t for t in others if t.advantage == 2 * DELTA)
    assert not better.is_wrong("supported", DELTA)
    assert better.is_wrong("refuted", DELTA)
    assert not better.is_wrong("inconclusive", DELTA)
