"""Train one network for long in a folder, and export it there: what commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from nas.engine import terminal
from nas.engine.device_training import train_on_devices
from nas.engine.long_training import (
    LongTraining,
    check_folder,
    checkpoints_of,
    held_folder,
    train_long,
    write_curve,
)
from nas.engine.outcome import failing_with_the_machine
from nas.engine.signals import stop_requests
from nas.engine.training_progress import TrainingProgress
from nas.network.export import export_network
from nas.network.source import Provenance
from nas.reporting.curve_drawing import draw_curve
from nas.reporting.model_card import Trained, model_card, provenance_of
from nas.reporting.training_card import training_card, training_provenance
from nas.space.objectives import OBJECTIVES, score_of_data
from nas.study.records import Records
from nas.study.trial_record import TrialRecord
from trials.atomic_file import atomic_write_text, remove_partial
from trials.checkpoint import Checkpoints
from trials.data import load_test
from trials.data.resident import ResidentSplit
from trials.data.sources import open_source
from trials.resumable import Watch
from trials.train import Epoch, Training, evaluate

EVERY_S = 600.0
"""Seconds between two checkpoints, unless another number is asked for."""


@dataclass(frozen=True)
class Described:
    """What is written of a network that was trained.

    Attributes:
        source: says where the network comes from.
        card: text of its model card.
    """

    source: Callable[[Trained], Provenance]
    card: Callable[[Trained], str]


def describe_trial(records: Records, record: TrialRecord) -> Described:
    """A network of a study that was trained on the study's images."""
    return Described(partial(provenance_of, records, record), partial(model_card, records, record))


def describe_training(name: str, job: LongTraining) -> Described:
    """A network by itself."""
    return Described(partial(training_provenance, name, job), partial(training_card, name, job))


def train_and_export(
    job: LongTraining,
    output: Path,
    described: Described,
    console: Console,
    every_s: float = EVERY_S,
    replaces: bool = False,
) -> Trained:
    """Train from the folder's last checkpoint, read the test split, and export the network.

    Args:
        output: has the checkpoints, the curve and what is exported.
        every_s: seconds between two checkpoints; there is one after each epoch in any case.
        replaces: an earlier export in the folder, of whatever network.

    Raises:
        InputError: the folder has another network, or another process trains in it.
        Interrupted: the process was asked to end; there is a checkpoint.
        SearchFailed: a file could not be written; the checkpoints are as they were.
        DataError, Diverged, NotWritten, OtherTraining, Damaged, Unsupported: of the training.
    """
    check_folder(output, None if replaces else job.architecture)
    checkpoints = checkpoints_of(output, lambda line: terminal.say(console, line))
    with held_folder(output), failing_with_the_machine():
        remove_partial(output)
        with stop_requests() as asked:
            training = _trained(job, output, checkpoints, console, every_s, asked)
        assert training is not None  # or it was asked to end, which has been raised
        trained = Trained(job.recipe, training.curve[-1].score)
        trained = replace(trained, test=_test_score(job, training, checkpoints))
        export_network(
            job.architecture, training.network, output, described.source(trained),
            described.card(trained),
        )  # fmt: skip
    return trained


def _trained(
    job: LongTraining,
    output: Path,
    checkpoints: Checkpoints,
    console: Console,
    every_s: float,
    asked: Callable[[], bool],
) -> Training | None:
    recipe, score = job.recipe, score_of_data(job.data.many_labels)
    noun, steps = OBJECTIVES[score].noun, len(job.data.train) // recipe.batch_size
    progress = TrainingProgress(console, recipe.epochs, steps, recipe.batch_size, noun)
    with progress.bar:

        def after_epoch(curve: Sequence[Epoch]) -> None:
            progress.after_epoch(curve)
            if curve:
                write_curve(curve, score, output)
                atomic_write_text(output / "curve.svg", draw_curve(curve, noun) + "\n")

        watch = Watch(asked, progress.after_step, after_epoch)
        if job.devices > 1:
            train_on_devices(job, checkpoints, every_s, watch)
            if asked():
                return None
            watch = Watch()  # what comes out is in the last checkpoint, and all has been told
        return train_long(job, checkpoints, every_s, watch)


def _test_score(job: LongTraining, training: Training, checkpoints: Checkpoints) -> float | None:
    """On the test split, which is read the one time; None where there is none."""
    last = checkpoints.last(job.identity)
    assert last is not None  # it was written after the last epoch
    if last.progress.test is not None or "test" not in open_source(job.config).splits():
        return last.progress.test
    # Read once: nothing is gained by a file's images on a GPU, which may not have room for them.
    split = ResidentSplit(load_test(job.config, job.data), job.data, job.device, stream=True)
    score = evaluate(training.network, split, job.recipe.precision).score
    checkpoints.write(replace(last, progress=replace(last.progress, test=score)))
    return score
