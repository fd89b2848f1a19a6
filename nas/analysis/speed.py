"""What a network costs and how fast it is, beside its accuracy: the paper's Tables 1 and 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from trials.measurement import Measurement


@dataclass(frozen=True)
class SpeedRow:
    """One network in the table.

    Attributes:
        scores: of the trainings on fresh seeds, or else of all, on the images that judge.
        top5: top-5 accuracies of the same trainings on the validation images, where measured.
        images_per_second: of training, median of the trainings.
        steps_per_second: of training, median of the trainings.
        latency_ms: of one image, median of the trainings, where it was measured.
        peak_memory_bytes: of the GPU, the largest.
    """

    name: str
    macs: int
    params: int
    scores: tuple[float, ...]
    top5: tuple[float, ...]
    images_per_second: float | None
    steps_per_second: float | None
    latency_ms: float | None
    peak_memory_bytes: int | None


def speed_row(
    name: str,
    first: Measurement,
    scores: Sequence[float],
    scored: Sequence[Measurement],
    measured: Sequence[Measurement],
    batch: int,
) -> SpeedRow:
    """A network's row.

    Args:
        first: of its trainings, for what is the same in all.
        scored: the trainings that the scores are of.
        measured: all complete trainings.
        batch: images of a step.
    """
    rates = [m.images_per_second for m in measured if m.images_per_second]
    peaks = [m.peak_memory_bytes for m in measured if m.peak_memory_bytes]
    latencies = [m.latency_ms for m in measured if m.latency_ms is not None]
    return SpeedRow(
        name=name,
        macs=first.macs,
        params=first.params,
        scores=tuple(scores),
        top5=tuple(m.top5_accuracy for m in scored if m.top5_accuracy is not None),
        images_per_second=median(rates) if rates else None,
        steps_per_second=median(rates) / batch if rates else None,
        latency_ms=median(latencies) if latencies else None,
        peak_memory_bytes=max(peaks, default=None),
    )
