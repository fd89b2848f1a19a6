"""The score that a training is judged by, on the images that a claim is judged on."""

from __future__ import annotations

from nas.space.claim_section import JudgedOn
from trials.measurement import Measurement


def judged_score(measurement: Measurement, on: JudgedOn) -> float | None:
    """The score on the images that judge; None where it failed, or was not read there."""
    match on:
        case "validation":
            return measurement.score
        case "test":
            return measurement.test_score
        case "half":
            return measurement.half_score
