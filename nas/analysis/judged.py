"""What a training is judged by, on the images that a claim is judged on, and how sure that is.

Of the trainings of any two arms, whichever seeds they have in common: for every method of judging.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nas.space.claim_section import JudgedOn
from nas.statistics.crossed import Crossed
from nas.statistics.paired import Interval
from trials.measurement import Measurement
from trials.right_answers import unpacked


def right_on(measurement: Measurement, on: JudgedOn) -> str | None:
    """Which of the images that judge a network was right on; None where that was not kept."""
    match on:
        case "validation":
            return measurement.validation_right
        case "test":
            return measurement.test_right
        case "half":
            return measurement.half_right


class NotKept(LookupError):
    """Nothing is known of single images; the message says why."""


@dataclass(frozen=True)
class NewImages:
    """A difference of two arms for images that were not there.

    Attributes:
        images: that it was measured on.
        seeds: that both arms have.
        these_trainings: mean and bounds for the networks that were trained, on new images.
        new_seeds: for new trainings as well; infinite bounds of a single seed.
    """

    images: int
    seeds: int
    these_trainings: Interval
    new_seeds: Interval


def for_new_images(
    first: Mapping[int, Measurement], second: Mapping[int, Measurement], on: JudgedOn, alpha: float
) -> NewImages:
    """How far the first arm is ahead of the second on images like those that judge.

    Args:
        first, second: complete trainings by their seeds.
        alpha: of each bound.

    Raises:
        NotKept: of some training it is not known which images it was right on.
    """
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        raise NotKept("the arms have no seed in common")
    ours, theirs = ([right_on(arm[seed], on) for seed in seeds] for arm in (first, second))
    texts = [text for text in (*ours, *theirs) if text is not None]
    if len(texts) < 2 * len(seeds):
        if any(arm[seed].accuracy is None for arm in (first, second) for seed in seeds):
            raise NotKept("images have many labels, of which a network is right on some")
        raise NotKept(
            f"{2 * len(seeds) - len(texts)} of {2 * len(seeds)} trainings, of an older version "
            "perhaps, have not kept which images they were right on"
        )
    answers = [unpacked(text).astype(np.float64) for text in texts]
    images = {len(right) for right in answers}
    if len(images) > 1 or min(images) < 2:
        raise NotKept(f"the trainings were judged on {min(images)} to {max(images)} images")
    differences = np.subtract(answers[: len(seeds)], answers[len(seeds) :])  # (seeds, images)
    found = Crossed.of(differences)
    return NewImages(
        found.images,
        found.seeds,
        found.for_new_images(alpha),
        found.for_new_seeds_and_images(alpha),
    )
