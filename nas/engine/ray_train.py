"""Ray Train runs the processes of one training, each on a device of its own.

It starts them, tells each its place, lets PyTorch connect them, and ends them all where one fails.
Nothing of its own is kept: checkpoints are those of any training, written by the first process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
from ray.train.torch import TorchConfig, TorchTrainer, get_device

from nas.engine.leftovers import scratch_folder
from nas.engine.long_training import LongTraining, train_long
from nas.engine.ray_failures import RayFailed, in_a_line, without_reports
from nas.engine.ray_nodes import LiveNodes
from nas.engine.training_post import Post
from trials.checkpoint import Checkpoints, Damaged, NotWritten, OtherCheckpoints, OtherTraining
from trials.data import DataError
from trials.data_parallel import one_says_so
from trials.precision import Unsupported
from trials.resumable import Watch
from trials.share import Share
from trials.train import Diverged

LOOK_S = 0.1
"""Seconds between two looks at what the processes tell."""

OF_TRAINING = (DataError, Diverged, NotWritten, OtherTraining, Damaged, Unsupported)
"""Errors that mean the same in one process."""


@dataclass(frozen=True)
class _Work:
    """What all processes are given.

    Attributes:
        checkpoints: their folder.
        post: folder of the files by which they are talked to.
    """

    job: LongTraining
    checkpoints: Path
    every_s: float
    post: Path


def run(job: LongTraining, checkpoints: Path, every_s: float, watch: Watch) -> None:
    """Train until the end, or until all processes have stopped as they were asked to.

    Args:
        checkpoints: their folder.

    Raises:
        RayFailed: a process has ended, of the training or of Ray.
        DataError, Diverged, NotWritten, OtherTraining, Damaged, Unsupported: of the training.
    """
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # paths mean what they mean here
    with scratch_folder() as scratch, without_reports("ray.train"), LiveNodes() as nodes:
        post = Post(scratch)
        work = _Work(job, checkpoints, every_s, scratch)
        # In a thread: Ray Train waits, and would take Ctrl-C for itself.
        training = _in_a_thread(lambda: _trainer(work, scratch).fit())
        try:
            while _goes_on(training, nodes) and not watch.asked_to_stop():
                post.pass_on(watch)
        finally:  # also where what is told cannot be written down
            post.ask_to_stop()
            while _goes_on(training, nodes):
                pass
        post.pass_on(watch)
        try:
            training.result()
        except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
            raise _cause(error) from error


def _in_a_thread(compute: Callable[[], object]) -> Future[object]:
    """What a function returns, or raises; nobody waits for one that never ends."""
    found = Future[object]()

    def run() -> None:
        try:
            found.set_result(compute())
        except BaseException as error:  # raised where somebody asks
            found.set_exception(error)

    threading.Thread(target=run, name="training", daemon=True).start()
    return found


def _goes_on(training: Future[object], nodes: LiveNodes) -> bool:
    """Whether it does, after a moment.

    Raises:
        RayFailed: Ray has died, and would be waited for for ever.
    """
    nodes.check()
    wait([training], LOOK_S)
    return not training.done()


def _trainer(work: _Work, scratch: Path) -> TorchTrainer:
    on_gpus = work.job.device.type == "cuda"
    # Devices were counted before: a process that waited for a core of Ray's would wait for ever.
    each = {"CPU": 0.01, "GPU": 1} if on_gpus else {"CPU": 0.01}
    return TorchTrainer(
        _train,
        train_loop_config={"work": ray.put(work)},
        # What a process is asked meanwhile is asked on the CPU, so that no GPU is waited for.
        torch_config=TorchConfig(backend="cpu:gloo,cuda:nccl" if on_gpus else "gloo"),
        scaling_config=ray.train.ScalingConfig(
            num_workers=work.job.devices, use_gpu=on_gpus, resources_per_worker=each
        ),
        run_config=ray.train.RunConfig(
            storage_path=str(scratch),
            # By default a process that dies while it starts is started again, for ever.
            failure_config=ray.train.FailureConfig(
                max_failures=0,
                controller_failure_limit=0,  # type: ignore[call-arg]  # typed as an earlier version
            ),
        ),
    )


def _train(config: Mapping[str, Any]) -> None:
    """In each process."""
    work: _Work = ray.get(config["work"])
    context = ray.train.get_context()
    share = Share(context.get_world_rank(), context.get_world_size())
    on_gpu = work.job.device.type == "cuda"
    job = replace(work.job, device=get_device() if on_gpu else torch.device("cpu"))
    post = Post(work.post)

    def asked_to_stop() -> bool:
        return one_says_so(share.rank == 0 and post.asked_to_stop())

    if share.rank == 0:
        checkpoints = Checkpoints(work.checkpoints, _say_nothing)
        train_long(job, checkpoints, work.every_s, post.watch(asked_to_stop), share)
    else:
        checkpoints = OtherCheckpoints(work.checkpoints, _say_nothing)
        train_long(job, checkpoints, work.every_s, Watch(asked_to_stop), share)


def _say_nothing(_line: str) -> None:
    """The process that has started this one has read the same checkpoints, and said it."""


def _cause(error: Exception) -> Exception:
    """What the training has failed by: of several processes the first that did not lose another."""
    causes: dict[int, Exception] = getattr(error, "worker_failures", {})  # by rank
    for cause in causes.values():
        if isinstance(cause, OF_TRAINING):
            return cause
    for rank in sorted(causes, key=lambda rank: ("died" not in str(causes[rank]), rank)):
        return RayFailed(f"the training on device {rank}: {in_a_line(str(causes[rank]))}")
    return RayFailed(f"Ray has failed: {in_a_line(str(error))}")
