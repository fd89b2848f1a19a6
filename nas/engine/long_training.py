"""A long training in a folder of its own: its checkpoints, its curve, and whose folder it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass
from functools import partial
from pathlib import Path

import filelock
import torch
from torch import nn

from nas.architecture.cost import count_cost
from nas.architecture.reference import Reference
from nas.architecture.specification import Architecture, ArchitectureError
from nas.engine.file_lock import OwnedLock, me
from nas.kernels.network import accelerate
from nas.network.export import FILES
from nas.network.subject import subject_of
from nas.network.whole_batches import over_whole_batches
from nas.space.errors import InputError
from nas.study.records import Records
from nas.study.trained_network import data_of, device_of
from nas.study.trial_record import TrialRecord
from trials.accelerated import Accelerate
from trials.atomic_file import atomic_write_text
from trials.bounded_json import JsonError, read_json
from trials.checkpoint import Checkpoints
from trials.data import DataConfig, ImageData, check_batch_size
from trials.rate_range import Counted, RateRange, range_test
from trials.recipe import Recipe
from trials.resumable import Watch, train_resumably
from trials.share import WHOLE, Share
from trials.train import Epoch, Resident, Training, seed_weights
from trials.trial import prepare_process

CHECKPOINTS = "checkpoints"
CURVE = "curve.csv"
RATES = "rates.csv"


@dataclass(frozen=True)
class LongTraining:
    """One network, and all that decides what its training gives.

    Attributes:
        config: what the data was loaded by.
        threads: of PyTorch on a CPU; with one the network is computed by the kernels.
        kernels: level of the kernels, empty for PyTorch's; None is the processor's best.
        devices: that each batch is split over, of the kind of `device`; on several there are no
            kernels, which see one part of a batch.
    """

    architecture: Architecture | Reference
    recipe: Recipe
    seed: int
    data: ImageData
    config: DataConfig
    device: torch.device
    threads: int = 1
    kernels: str | None = None
    devices: int = 1

    @property
    def identity(self) -> dict[str, str]:
        """What a checkpoint has to be of, by names that a message shows."""
        recipe = {name: str(value) for name, value in asdict(self.recipe).items()}
        del recipe["name"], recipe["graph"]  # change nothing
        if not self.recipe.mixup:  # checkpoints of earlier versions have none
            del recipe["mixup"]
        del recipe["warm_start"]  # there is none
        devices = {"devices": str(self.devices)}  # their sums are in another order than one's
        return {
            "network": self.architecture.key,
            "data": self.data.summary.fingerprint,
            "seed": str(self.seed),
            **recipe,
            **(devices if self.devices > 1 else {}),
        }


def job_of_trial(
    records: Records, record: TrialRecord, recipe: Recipe, seed: int | None = None
) -> LongTraining:
    """The training of a study's network on the study's images.

    On the kind of device that its trials had, and with the kernels of this one: with its own recipe
    and seed, the weights are the same again.

    Args:
        seed: another one than the trial's first.

    Raises:
        DataError: the data is no longer what the study was searched on.
    """
    return LongTraining(
        record.architecture,
        recipe,
        record.trained.seeds[0] if seed is None else seed,
        data_of(records),
        records.file.data_config,
        device_of(records),
        records.file.resources.threads,
        record.kernels.partition(" ")[0],
    )


def check_folder(folder: Path, architecture: Architecture | Reference | None) -> None:
    """Refuse a folder that has an export of no training that could go on there.

    Args:
        architecture: that may be exported there already; None where any export is replaced.

    Raises:
        InputError: it is of another network, or of one that was not trained there.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError.of("--output", f"{folder} is no folder")
    there = [name for name in FILES if (folder / name).exists()]
    if architecture is None or not there:
        return
    hint = "choose another folder"
    if not (folder / CHECKPOINTS).is_dir():
        rule = f"{folder} has the {there[0]} of a network that was not trained there"
        raise InputError.of("--output", rule, hint)
    try:
        exported = read_json(folder / "architecture.json", Architecture.from_json).key
    except (OSError, ArchitectureError, JsonError):
        return  # its checkpoints will tell
    if exported != architecture.key:
        rule = f"{folder} has network {exported}, and this is {architecture.key}"
        raise InputError.of("--output", rule, hint)


@contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """While a network is trained in a folder no other process goes on from its checkpoints.

    Of a folder that can have no lock a training goes on without, or ends at the first file it
    writes.

    Raises:
        InputError: another process trains there.
    """
    lock = OwnedLock(folder / ".training")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.take()
        lock.sign(me())
    except filelock.Timeout:
        pid, _, host = (lock.owner() or "unknown@unknown").partition("@")
        rule = f"process {pid} on {host} trains in {folder}"
        hint = "wait for it, end it, or choose another folder"
        raise InputError.of("--output", rule, hint) from None
    except OSError:
        pass
    try:
        yield
    finally:
        lock.release()


def checkpoints_of(folder: Path, say: Callable[[str], object]) -> Checkpoints:
    """Those of the training in a folder."""
    return Checkpoints(folder / CHECKPOINTS, say)


def train_long(
    job: LongTraining,
    checkpoints: Checkpoints,
    every_s: float,
    watch: Watch,
    share: Share = WHOLE,
) -> Training | None:
    """Train, or go on; None where it was asked to stop before the end.

    Args:
        share: of each batch, where this is one of several processes.

    Raises:
        DataError: there are fewer images than a batch has.
        Diverged, NotWritten, OtherTraining, Damaged, Unsupported: see `trials.resumable`.
    """
    network, resident, on_kernels = _ready(job)
    if share.count > 1:
        over_whole_batches(network)
    return train_resumably(
        network, resident, job.recipe, job.seed, checkpoints, job.identity, every_s, watch,
        on_kernels, share,
    )  # fmt: skip


def range_test_of(job: LongTraining, counted: Counted) -> RateRange:
    """Try rates on the training's first images, as `trials.rate_range.range_test` does.

    Raises:
        DataError: there are fewer images than a batch has.
        Diverged, Unsupported: of the test.
    """
    network, resident, on_kernels = _ready(job)
    return range_test(network, resident, job.recipe, job.seed, on_kernels, counted)


def _ready(job: LongTraining) -> tuple[nn.Module, Resident, Accelerate | None]:
    """The network as it begins, the images on the device, and the kernels if there are to be."""
    check_batch_size(job.data, job.recipe.batch_size)
    prepare_process(job.threads)
    resident = Resident(job.data, job.device)
    seed_weights(job.recipe, job.seed)
    network = subject_of(job.architecture, count_cost(job.architecture)).build()
    on_kernels = partial(accelerate, job.architecture, level=job.kernels)
    return network, resident, None if job.kernels == "" or job.devices > 1 else on_kernels


def write_curve(curve: Sequence[Epoch], score: str, folder: Path) -> None:
    """Write the epochs so far as CSV; complete or as it was before."""
    heads = ["epoch", "train_loss", "validation_loss", score]
    _write_table(folder / CURVE, heads, (astuple(epoch) for epoch in curve))


def write_rates(found: RateRange, folder: Path) -> None:
    """Write what a range test has found as CSV; complete or as it was before."""
    heads = ["step", "learning_rate", "loss", "smoothed_loss"]
    rows = zip(found.rates, found.losses, found.smoothed, strict=True)
    _write_table(folder / RATES, heads, rows)


def _write_table(file: Path, heads: Sequence[str], rows: Iterable[Sequence[float]]) -> None:
    """Rows that are numbered from one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([number, *row] for number, row in enumerate(rows, start=1))
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(file, text.getvalue())
