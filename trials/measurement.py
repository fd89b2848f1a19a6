"""The record of one training, and its JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, ConfigDict, TypeAdapter

from trials.bounded_json import validated
from trials.right_answers import checked

STEADY = 0.05
"""Spread between the quartiles of a latency, as a share of its median, that is small enough."""

NOT_FINITE = "not finite"
"""Begins the reason of a failure that comes from the network and its recipe alone."""

MAX_BYTES = 2**28
"""Of a trial's measurements as JSON: a hundred thousand epochs with each of dozens of seeds."""

RightAnswers = Annotated[str, AfterValidator(checked)]
"""Which images a network was right on: see `trials.right_answers`."""


def latency_in_words(median_ms: float, spread_ms: float | None) -> str:
    """``0.44 ms``, marked where it was not steady.

    Args:
        spread_ms: between the quartiles; None where an older version did not keep it.
    """
    spread = (spread_ms or 0.0) / median_ms
    mark = f" (not steady: quartiles {spread:.0%} apart)" if spread > STEADY else ""
    return f"{median_ms:.3g} ms{mark}"


class TrainingKey(NamedTuple):
    """What makes two trainings the same one.

    Attributes:
        architecture: names the network.
        data: fingerprint of the data set.
        recipe: key of everything about the training but its epochs.
    """

    architecture: str
    data: str
    recipe: str
    epochs: int
    seed: int


@dataclass(frozen=True)
class Measurement:
    """One network trained once: by its architecture, data, recipe, epochs and seed.

    Attributes:
        architecture_key: names the network.
        architecture: its JSON.
        data: fingerprint of the data set.
        recipe: key of everything about the training but its epochs.
        state: ``rejected`` where a limit that had to be measured left it untrained.
        reason: why it failed or was rejected; empty where it is complete.
        accuracy: on the validation split, after the last epoch.
        test_accuracy: of the same network on the test split, where a confirmation read it.
        balanced_accuracy: mean over the classes of the accuracy on their images.
        macro_f1: mean over the classes of F1.
        top5_accuracy: share of images whose class is among the five best guesses; measured where
            there are more than ten classes, or where it was asked for.
        average_precision: mean over the classes of the average precision. Where images have many
            labels it takes the place of the accuracy, which is None there.
        map_at_100: mean over the images of the average precision of their 100 best guesses.
        test_average_precision: as ``test_accuracy``, of images with many labels.
        half_score: accuracy or mean average precision on the half of the validation images that
            only trainings that judge are handed, where a study has one.
        validation_right: which images of the validation split the network was right on, of
            trainings that judge; None where images have many labels.
        test_right: the same of the test split.
        half_right: the same of the half that ``half_score`` is of.
        curve: (training loss, validation loss, score) of each epoch.
        latency_ms: of one image, median; ``latency_spread_ms`` is between the quartiles.
        peak_memory_bytes: of the GPU while it trained, the data set included; None on CPU.
        seconds: of training, evaluation left out.
        device: as PyTorch names it.
        worker: host and process that computed it.
        threads: of PyTorch on the CPU; another number of threads gives other bits.
        versions: of the libraries that computed it.
        traceback: of an error in the trial.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", ser_json_inf_nan="constants")

    architecture_key: str
    architecture: str
    data: str
    recipe: str
    epochs: int
    seed: int
    macs: int
    params: int
    state: Literal["complete", "failed", "rejected"] = "complete"
    reason: str = ""
    accuracy: float | None = None
    test_accuracy: float | None = None
    validation_loss: float | None = None
    balanced_accuracy: float | None = None
    macro_f1: float | None = None
    top5_accuracy: float | None = None
    average_precision: float | None = None
    map_at_100: float | None = None
    test_average_precision: float | None = None
    half_score: float | None = None
    validation_right: RightAnswers | None = None
    test_right: RightAnswers | None = None
    half_right: RightAnswers | None = None
    curve: tuple[tuple[float, float, float], ...] = ()
    latency_ms: float | None = None
    latency_spread_ms: float | None = None
    peak_memory_bytes: int | None = None
    seconds: float = 0.0
    images_per_second: float | None = None
    device: str = ""
    worker: str = ""
    threads: int = 1
    versions: dict[str, str] = field(default_factory=dict)
    traceback: str = ""

    @property
    def score(self) -> float | None:
        """Accuracy or, of images with many labels, mean average precision; None where it failed."""
        return self.average_precision if self.accuracy is None else self.accuracy

    @property
    def test_score(self) -> float | None:
        """The same on the test split; None where it was not read."""
        return self.test_average_precision if self.test_accuracy is None else self.test_accuracy

    @property
    def training(self) -> TrainingKey:
        """Which training was measured."""
        return TrainingKey(self.architecture_key, self.data, self.recipe, self.epochs, self.seed)

    @property
    def repeatable(self) -> bool:
        """Whether the same training would give the same result again, also where it has failed."""
        return self.state == "complete" or self.reason.startswith(NOT_FINITE)


# pydantic costs a worker nothing: the arms of its study have loaded it already.
_MEASUREMENTS = TypeAdapter(tuple[Measurement, ...])


def to_json(measurements: Sequence[Measurement]) -> str:
    """The measurements of one trial as JSON."""
    return _MEASUREMENTS.dump_json(tuple(measurements)).decode()


def from_json(text: str) -> tuple[Measurement, ...]:
    """What `to_json` wrote.

    Raises:
        JsonError: it is something else.
    """
    # A loss may be NaN.
    return validated(_MEASUREMENTS, text, strict=True, finite=False, most=MAX_BYTES)
