"""One trial: train a network with each of its seeds, and say what came out, whatever happens."""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import sys
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from trials.accelerated import Accelerate
from trials.atomic_file import atomic_write
from trials.measure import measure_latency
from trials.measurement import NOT_FINITE, Measurement, TrainingKey, latency_in_words
from trials.recipe import Recipe
from trials.right_answers import packed
from trials.scores import confusion_of, ranking_of
from trials.side_by_side import MOST, Join, train_side_by_side, worth_joining
from trials.train import Diverged, Resident, Training, evaluate, seed_weights, train


@dataclass(frozen=True)
class Subject:
    """The network of a trial.

    Attributes:
        key: names it.
        description: JSON that it can be built from again.
        build: makes it, with weights from PyTorch's global generator.
        input_shape: (channels, height, width), or (channels, frames, height, width) of clips.
        join: one network that computes several of its kind; None where there is none.
        accelerate: gives a network of its kind on faster kernels; None where there are none.
    """

    key: str
    description: str
    build: Callable[[], nn.Module]
    input_shape: tuple[int, ...]
    macs: int
    params: int
    join: Join | None = None
    accelerate: Accelerate | None = None


def prepare_process(threads: int) -> None:
    """Set up a process that trains networks: its threads and its memory allocator.

    glibc gives freed memory back to the system at once, and training asks for the same megabytes
    again in every layer; keeping them saves the page faults (15 to 30% of the time on 32 x 32).
    """
    torch.set_num_threads(threads)
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL("libc.so.6")
        trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # malloc.h
        libc.mallopt(trim_threshold, 2**31 - 1)
        libc.mallopt(top_pad, 2**26)
        # Older versions allow no more than 32 MiB.
        libc.mallopt(mmap_threshold, 2**30) or libc.mallopt(mmap_threshold, 2**25)


def run_trial(
    subject: Subject,
    data: Resident,
    fingerprint: str,
    recipe: Recipe,
    seeds: Sequence[int],
    measure: Collection[str] = (),
    weights: Path | None = None,
    latency_at_most_ms: float | None = None,
) -> tuple[Measurement, ...]:
    """Train with each seed until one fails. An error is a failed measurement, and the last one.

    Where the data has its test split, or a half to judge by, each network is also evaluated on it.
    With a limit the latency of one image is measured before the first training, and no network
    above is trained. On a GPU several seeds are trained at once; one that fails costs no other.

    Args:
        fingerprint: of the data.
        measure: fields of `Measurement` that are wanted. Only then are measured those of
            `ON_DEMAND` and `RIGHT`, and ``peak_memory_bytes`` of several seeds, one by one.
        weights: where the weights of the first seed are saved.

    Raises:
        torch.AcceleratorError: the GPU is of no use to this process any more, which has to end.
    """
    complete, failed = list[Measurement](), list[Measurement]()
    first = _started(subject, data, fingerprint, recipe, seeds[0])
    if latency_at_most_ms is not None:
        first = _attempt(first, data, partial(_timed, first, subject, data, latency_at_most_ms))
        if first.state != "complete":
            return (first,)
    for seed, trained in _trained_at_once(subject, data, recipe, seeds, measure):
        if failed and trained is None:
            continue
        started = replace(first, seed=seed)
        kept = weights if seed == seeds[0] else None
        run = partial(_train_and_measure, started, subject, data, recipe, measure, kept, trained)
        measurement = _attempt(started, data, run)
        (failed if measurement.state == "failed" else complete).append(measurement)
    return (*complete, *failed)


def _trained_at_once(
    subject: Subject, data: Resident, recipe: Recipe, seeds: Sequence[int], measure: Collection[str]
) -> Iterator[tuple[int, Training | None]]:
    """Each seed with its training, or None where it has to be trained alone.

    Those that diverged among others are: a GPU may carry not-a-number over, from one to the next.
    """
    join = subject.join if worth_joining(data.device, recipe, measure) else None
    for start in range(0, len(seeds), MOST):
        some = seeds[start : start + MOST]
        found: Sequence[Training | Diverged | None] = [None] * len(some)
        if join is not None and len(some) > 1:
            try:
                networks = [_built(subject, recipe, seed) for seed in some]
                found = train_side_by_side(networks, join, data, recipe, some)
            except torch.AcceleratorError as error:
                if not is_out_of_memory(error):
                    raise
            except Exception as error:  # the seeds alone will tell, or do
                warnings.warn(f"seeds are trained one by one: {error}", stacklevel=1)
        for seed, training in zip(some, found, strict=True):
            yield seed, training if isinstance(training, Training) else None


def _built(subject: Subject, recipe: Recipe, seed: int) -> nn.Module:
    seed_weights(recipe, seed)
    return subject.build()


def _attempt(started: Measurement, data: Resident, run: Callable[[], Measurement]) -> Measurement:
    """What something gives, or a failed measurement where it raises an error."""
    try:
        return run()
    except Exception as error:
        if isinstance(error, torch.AcceleratorError) and not is_out_of_memory(error):
            raise
        failed = _failed(started, error)
    if data.device.type == "cuda":  # only now: the error's traceback held the tensors
        torch.cuda.empty_cache()
    return failed


def _timed(
    started: Measurement, subject: Subject, data: Resident, at_most_ms: float
) -> Measurement:
    """With the latency of the untrained network, and rejected where that is over the limit."""
    timed = replace(started, **_latency(subject.build(), subject, data))
    assert timed.latency_ms is not None  # it was just measured
    if timed.latency_ms <= at_most_ms:
        return timed
    found = latency_in_words(timed.latency_ms, timed.latency_spread_ms)
    reason = f"its latency is more than {at_most_ms:g} ms: {found}"
    return replace(timed, state="rejected", reason=reason)


def _started(
    subject: Subject, data: Resident, fingerprint: str, recipe: Recipe, seed: int
) -> Measurement:
    """What is known before the training."""
    return Measurement(
        architecture_key=subject.key,
        architecture=subject.description,
        data=fingerprint,
        recipe=recipe.key,
        epochs=recipe.epochs,
        seed=seed,
        macs=subject.macs,
        params=subject.params,
        device=_device_name(data.device),
        worker=f"{socket.gethostname()}:{os.getpid()}",
        threads=torch.get_num_threads(),
        versions={"python": platform.python_version(), "torch": torch.__version__},
    )


def _train_and_measure(
    started: Measurement,
    subject: Subject,
    data: Resident,
    recipe: Recipe,
    measure: Collection[str],
    weights: Path | None,
    trained: Training | None,
) -> Measurement:
    on_gpu = data.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(data.device)
    with data.lock.training():
        training = trained
        if training is None:
            network = _built(subject, recipe, started.seed)
            training = train(network, data, recipe, started.seed, accelerate=subject.accelerate)
        measurement = _complete(started, training, data.many_labels)
        measurement = replace(measurement, **_judged(training, data, recipe, measure))
        if on_gpu and trained is None:  # or it is that of several
            peak = torch.cuda.max_memory_allocated(data.device)
            measurement = replace(measurement, peak_memory_bytes=peak)
        missing = [n for n in SCORES_ON_DEMAND if n in measure and getattr(measurement, n) is None]
        for scores in dict.fromkeys(SCORES_ON_DEMAND[name] for name in missing):
            measurement = replace(measurement, **scores(training.network, data, recipe))
    if "latency_ms" in measure and measurement.latency_ms is None:
        measurement = replace(measurement, **_latency(training.network, subject, data))
    if weights:
        _keep_weights(training.network, weights, started.training)
    return measurement


def _judged(
    training: Training, data: Resident, recipe: Recipe, measure: Collection[str]
) -> dict[str, Any]:
    """Scores on splits that only trainings that judge are handed, and where they were right."""
    found: dict[str, Any] = {}
    right = {"validation_right": training.right}
    if data.test is not None:
        tested = evaluate(training.network, data.test, recipe.precision)
        name = "test_average_precision" if data.many_labels else "test_accuracy"
        found[name], right["test_right"] = tested.score, tested.right
    if data.half is not None:
        judged = evaluate(training.network, data.half, recipe.precision)
        found["half_score"], right["half_right"] = judged.score, judged.right
    kept = {name: answers for name, answers in right.items() if name in measure}
    return found | {
        name: None if answers is None else packed(answers.cpu().numpy())
        for name, answers in kept.items()
    }


def _keep_weights(network: nn.Module, path: Path, training: TrainingKey) -> None:
    """What was measured is not lost with a disk that is full: a network can be trained again."""
    try:
        save_weights(network, path, training)
    except OSError as error:
        warnings.warn(f"{path.name} is not kept: {error}", stacklevel=1)


def _latency(network: nn.Module, subject: Subject, data: Resident) -> dict[str, Any]:
    timing = measure_latency(network, subject.input_shape, data.device)
    return {"latency_ms": timing.median_ms, "latency_spread_ms": timing.spread_ms}


def _scores(network: nn.Module, data: Resident, recipe: Recipe) -> dict[str, Any]:
    confusion = confusion_of(network, data.validation, data.classes, recipe.precision)
    return {name: getattr(confusion, name) for name in SCORES}


def _ranking(network: nn.Module, data: Resident, _recipe: Recipe) -> dict[str, Any]:
    return ranking_of(network, data.validation)


SCORES = ("balanced_accuracy", "macro_f1", "top5_accuracy")
"""Fields of `Measurement` that one pass over the validation images gives together."""

RANKINGS = ("average_precision", "map_at_100")
"""The same of how well classes and images are ranked."""

SCORES_ON_DEMAND: dict[str, Callable[[nn.Module, Resident, Recipe], dict[str, Any]]] = {
    **dict.fromkeys(SCORES, _scores),
    **dict.fromkeys(RANKINGS, _ranking),
}
"""By field of `Measurement`: what measures it of a trained network, with what else it learns."""

RIGHT = ("validation_right", "test_right", "half_right")
"""Fields of `Measurement` that say on which images a network was right: of trainings that judge."""

ON_DEMAND = ("latency_ms", *SCORES_ON_DEMAND)
"""Fields of `Measurement` that take time of their own."""


def _failed(started: Measurement, error: Exception) -> Measurement:
    """Call it where the error is handled: it keeps the traceback of all but a divergence."""
    if isinstance(error, Diverged):
        return replace(started, state="failed", reason=f"{NOT_FINITE}: {error}")
    kind = "out of memory" if is_out_of_memory(error) else type(error).__name__
    return replace(
        started, state="failed", reason=f"{kind}: {error}", traceback=traceback.format_exc()
    )


def save_weights(network: nn.Module, path: Path, training: TrainingKey) -> None:
    """Save a network's parameters and buffers as safetensors; complete or absent, never half.

    Args:
        training: that gave these weights; the file's metadata names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    metadata = {name: str(part) for name, part in training._asdict().items()}
    with atomic_write(path) as file:
        file.write(save(tensors, metadata))


def _complete(started: Measurement, training: Training, many_labels: bool) -> Measurement:
    last = training.curve[-1]
    kernels = {"kernels": training.kernels} if training.kernels else {}
    return replace(
        started,
        versions={**started.versions, **kernels},
        accuracy=None if many_labels else last.score,
        average_precision=last.score if many_labels else None,
        validation_loss=last.validation_loss,
        top5_accuracy=training.top5,
        curve=tuple((e.train_loss, e.validation_loss, e.score) for e in training.curve),
        seconds=training.seconds,
        images_per_second=training.images / training.seconds,
    )


def is_out_of_memory(error: Exception) -> bool:
    """Whether PyTorch or Python found no memory, on whichever device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"cpu: {platform.processor() or platform.machine()}"
