"""A long training on several devices: one process of Ray for each, with a part of every batch.

Nothing of Ray is loaded before they are to start.
"""

from __future__ import annotations

import torch

from nas.engine.environment import cores
from nas.engine.long_training import LongTraining
from nas.engine.ray_cluster import RayCluster
from nas.space.errors import InputError
from trials.checkpoint import Checkpoints
from trials.data import check_batch_size
from trials.resumable import Watch
from trials.train import Epoch


def check_devices(devices: int, kind: torch.device, batch: int) -> None:
    """A batch is split evenly over as many GPUs, or cores where the training is on none.

    Raises:
        InputError: there are not so many, or a batch has not so many equal parts.
    """
    if devices == 1:
        return
    on_gpus = kind.type == "cuda"
    there, noun = (torch.cuda.device_count(), "GPUs") if on_gpus else (cores(), "cores")
    if devices > there:
        rule = f"each process has a device of its own, and there are {there} {noun}; got {devices}"
        on_cores = "; CUDA_VISIBLE_DEVICES= trains on cores" if on_gpus else ""
        raise InputError.of("--devices", rule, f"at most {there}{on_cores}")
    if rest := batch % devices:
        more = batch - rest + devices
        fitting = f"{batch - rest} or {more}" if batch > devices else f"{more}"
        rule = f"each of {devices} devices has as many images of a batch; got {batch}"
        raise InputError.of("training.batch_size", rule, f"such as {fitting}")


def train_on_devices(
    job: LongTraining, checkpoints: Checkpoints, every_s: float, watch: Watch
) -> None:
    """Train, or go on, up to the last checkpoint, or one in the middle where it was asked to stop.

    Raises:
        RayFailed: a process has ended; what the last checkpoint has is kept.
        DataError, Diverged, NotWritten, OtherTraining, Damaged, Unsupported: of the training.
    """
    check_batch_size(job.data, job.recipe.batch_size)
    last = checkpoints.last(job.identity)
    curve = last.progress.curve if last else ()
    if len(curve) == job.recipe.epochs:
        watch.after_epoch([Epoch(*each) for each in curve])
        return
    with RayCluster(None) as ray:
        ray.start()
        from nas.engine import ray_train  # only now: Ray reads its settings when it is imported

        ray_train.run(job, checkpoints.folder.absolute(), every_s, watch)
