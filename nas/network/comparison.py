"""Whether a file computes what the trained network does, how well and how fast."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nas.architecture.modules import Shape
from nas.network.exportable import Run
from trials.average_precision import average_precisions, mean_average_precision
from trials.data.image_file import ImageFile
from trials.interleaved import Contender, time_interleaved
from trials.scores import count_guesses

BATCHES = (1, 4, 17)
"""Images at once in a comparison: a file has to take any number."""

_BATCH = 64

RESAMPLES = 200
"""Of the images, for an interval of mean average precision."""


class ExportError(RuntimeError):
    """What was written does not compute what the trained network does."""


class TooMuchLost(ExportError):
    """A format that may differ from the trained network differs by more than was allowed."""


@dataclass(frozen=True)
class Samples:
    """Images that files are compared on.

    Attributes:
        images: (N, H, W, C), uint8. In a file they stay there.
        labels: (N,), int64, or (N, C) where images have many labels; None of random images.
        mean: of each channel (C,), in units of 0 to 255.
        std: of each channel (C,), in the same units.
        calibration: (M, H, W, C), uint8: others, to find the ranges of activations by.
    """

    images: Tensor | ImageFile
    labels: Tensor | None
    mean: Tensor
    std: Tensor
    calibration: Tensor

    @classmethod
    def random(cls, shape: Shape, mean: Tensor, std: Tensor) -> Samples:
        """Noise, where there are no real images.

        Args:
            shape: (channels, height, width), or (channels, frames, height, width) of clips.
        """
        pixels = np.random.default_rng(0).integers(0, 256, (32, *shape[1:], shape[0]), np.uint8)
        images = torch.from_numpy(pixels)
        return cls(images, None, mean, std, images)

    @property
    def many_labels(self) -> bool:
        """Whether an image may have several labels, or none."""
        return self.labels is not None and self.labels.ndim == 2

    @property
    def score(self) -> str:
        """What files are judged by, in words."""
        return "mean average precision" if self.many_labels else "accuracy"

    def normalised(self, images: Tensor) -> Tensor:
        """(N, H, W, C) uint8 as the network's input (N, C, H, W); clips alike."""
        return ((images.float() - self.mean) / self.std).movedim(-1, 1).contiguous()

    def part(self, start: int, stop: int) -> Tensor:
        """Images from ``start`` up to ``stop``."""
        images = self.images[start:stop]
        return images if isinstance(images, Tensor) else torch.from_numpy(images)

    def first(self, count: int) -> Tensor:
        """So many images; where there are fewer, these again and again."""
        images = self.part(0, count)
        return torch.cat([images] * -(-count // len(images)))[:count]

    def batches(self, size: int) -> Iterator[Tensor]:
        """All images, so many at once."""
        for start in range(0, len(self.images), size):
            yield self.part(start, start + size)


@dataclass(frozen=True)
class Loss:
    """Of the score, in percentage points, paired over images, with an interval of 95%.

    Attributes:
        images: of the comparison.
    """

    points: float
    low: float
    high: float
    images: int


@dataclass(frozen=True)
class ExportedFile:
    """A file that was compared with the trained network.

    Attributes:
        format: its name.
        file: its name.
        size: in bytes.
        deviation: largest difference of an output.
        score: accuracy, or mean average precision where images have many labels, on the whole
            validation split; None without it.
        loss: of the score against the trained network, where outputs may differ.
        confusion: images of each class (rows) by the class that was guessed (columns).
        precisions: images and average precision of each class, where images have many labels.
        latency_ms: of one image on one thread of this machine's CPU, median, in turn with the
            others; None where there is no other.
    """

    format: str
    file: str
    size: int
    deviation: float
    score: float | None
    latency_ms: float | None = None
    loss: Loss | None = None
    confusion: tuple[tuple[int, ...], ...] = ()
    precisions: tuple[tuple[int, float], ...] = ()


@torch.inference_mode()
def compare(run: Run, trained: Run, samples: Samples, tolerance: float, raw: bool) -> float:
    """Largest difference of an output at `BATCHES` images at once.

    Args:
        raw: whether the file takes images as they are stored.

    Raises:
        ExportError: it is more than the tolerance.
    """
    largest = 0.0
    for count in BATCHES:
        images = samples.first(count)
        expected = trained(samples.normalised(images))
        outputs = run(images if raw else samples.normalised(images))
        difference = float((outputs - expected).abs().max())
        limit = tolerance * max(1.0, float(expected.abs().max()))
        if not difference <= limit:  # also where it is not a number
            raise ExportError(
                f"outputs differ by {difference:.2e} for {count} images, more than {limit:.0e}"
            )
        largest = max(largest, difference)
    return largest


def score_of(run: Run, samples: Samples, raw: bool) -> float | None:
    """On all samples; None where they have no labels."""
    if samples.labels is None:
        return None
    if samples.many_labels:
        return mean_average_precision(_outputs(run, samples, raw), samples.labels)
    return float(_right(run, samples, raw).mean())


def loss_of(run: Run, trained: Run, samples: Samples, raw: bool) -> Loss:
    """How much worse a file is than the trained network, on the same images.

    Normal approximation to the mean of the paired differences, each -1, 0 or 1; where next to none
    differ, as wide as the rule of three says of what was never seen (3 of N images).

    Args:
        samples: with labels.
    """
    if samples.many_labels:
        return _loss_of_precision(run, trained, samples, raw)
    lost = 100 * (_right(trained, samples, raw=False) - _right(run, samples, raw))
    spread = 1.96 * float(lost.std()) / len(lost) ** 0.5
    mean, half = float(lost.mean()), max(spread, 100 * 3 / len(lost))
    return Loss(mean, mean - half, mean + half, len(lost))


def _loss_of_precision(run: Run, trained: Run, samples: Samples, raw: bool) -> Loss:
    """Of mean average precision; the interval from images drawn again (percentile bootstrap)."""
    labels, count = samples.labels, len(samples.images)
    assert labels is not None  # as callers have seen to
    before, after = _outputs(trained, samples, raw=False), _outputs(run, samples, raw)

    def lost(images: Tensor) -> float:
        both = (
            mean_average_precision(scores[images], labels[images]) for scores in (before, after)
        )
        return 100 * (next(both) - next(both))

    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randint(count, (count,), generator=generator) for _ in range(RESAMPLES)]
    low, high = np.nanpercentile([lost(images) for images in drawn], (2.5, 97.5))
    return Loss(lost(torch.arange(count)), float(low), float(high), count)


def precisions_of(run: Run, samples: Samples) -> tuple[tuple[int, float], ...]:
    """Images and average precision of each class; nothing unless images have many labels."""
    if samples.labels is None or not samples.many_labels:
        return ()
    found = average_precisions(_outputs(run, samples, raw=False), samples.labels)
    return tuple(zip(samples.labels.sum(dim=0).tolist(), found.tolist(), strict=True))


def confusion_of(run: Run, samples: Samples, classes: int) -> tuple[tuple[int, ...], ...]:
    """Images of each class (rows) by the class that was guessed; nothing without one label each."""
    if samples.labels is None or samples.many_labels:
        return ()
    counts = count_guesses(samples.labels, _guesses(run, samples, raw=False), classes)
    return tuple(map(tuple, counts.tolist()))


def _right(run: Run, samples: Samples, raw: bool) -> Tensor:
    """1 for each image whose class is the most probable one, else 0: (N,), float."""
    assert samples.labels is not None  # as callers have seen to
    return _guesses(run, samples, raw).eq(samples.labels).double()


def _guesses(run: Run, samples: Samples, raw: bool) -> Tensor:
    """The most probable class of each image, (N,)."""
    return _outputs(run, samples, raw).argmax(dim=1)


@torch.inference_mode()
def _outputs(run: Run, samples: Samples, raw: bool) -> Tensor:
    """Logits of each image, (N, classes)."""
    found = [
        run(images if raw else samples.normalised(images)) for images in samples.batches(_BATCH)
    ]
    return torch.cat(found)


@torch.inference_mode()
def latencies_of(passes: Sequence[Callable[[], object]]) -> list[float]:
    """Milliseconds of each on one thread, median; all of them in turn, as on a busy machine."""
    contenders = [Contender(lambda: torch.set_num_threads(1), each) for each in passes]
    threads = torch.get_num_threads()
    try:
        found = time_interleaved(contenders, torch.device("cpu"))
    finally:
        torch.set_num_threads(threads)
    return [quartiles.median_ms for quartiles in found]
