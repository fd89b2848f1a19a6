"""What runs in a worker of Ray: it holds the data set and runs one trial after another.

A worker loads this file and what it imports, and nothing else of `nas`: each package more is paid
for by every worker of every search.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from ray import tune
from safetensors.torch import load
from torch import Tensor

from nas.engine.trial_spec import TrialSpec
from nas.network.subject import subject_of
from trials.data.images import ImageData, Split
from trials.failpoint import failpoint
from trials.heartbeat import Heartbeat
from trials.measurement import Measurement, to_json
from trials.outbox import Outbox
from trials.train import Resident
from trials.trial import prepare_process, run_trial


@dataclass(frozen=True)
class Job:
    """What is the same for every trial of a study; travels to each worker once.

    Attributes:
        fingerprint: of the data.
        measure: fields of `Measurement` that the objectives need.
        outbox: folder for results; each trial's file is there before the trial is reported.
        weights: folder for the trained weights; None where they are not wanted.
        threads: of PyTorch on the CPU.
        gpus: of a trial; 0 for the CPU.
        latency_at_most_ms: above which a network is not trained.
        shared: weights, as safetensors, that trials may begin with slices of.
        run: what a worker does for a trial; with the arguments of `trials.trial.run_trial`.
    """

    fingerprint: str
    measure: frozenset[str]
    outbox: Path
    weights: Path | None
    threads: int
    gpus: float
    latency_at_most_ms: float | None = None
    shared: bytes | None = None
    run: Callable[..., tuple[Measurement, ...]] = run_trial


class TrialActor(tune.Trainable):
    """A worker process: holds the data set on its device and runs one trial after another."""

    def setup(  # type: ignore[override]  # `with_parameters` adds arguments
        self, config: dict[str, Any], job: Job, data: ImageData, test: Split | None
    ) -> None:
        self.job, self.folder = job, self.logdir
        prepare_process(job.threads)
        device = torch.device("cuda" if job.gpus else "cpu")
        self.heart = Heartbeat(job.outbox)
        share = min(1.0, job.gpus)
        self.data = Resident(data, device, test, share=share, before_batch=self.heart.beat)

    def step(self) -> dict[str, Any]:
        spec: TrialSpec = self.config["spec"]
        failpoint("worker.begin")
        self.heart.begin(spec.trial)
        try:
            measurements = self._measure(spec)
            with suppress(OSError):  # a full disk: the result still has this way to the driver
                Outbox(self.job.outbox).put(spec.trial, measurements)
        finally:
            self.heart.end()
        failpoint("worker.done")
        return {"measurements": to_json(measurements), "done": True}

    def _measure(self, spec: TrialSpec) -> tuple[Measurement, ...]:
        folder = self.job.weights
        shared = self._shared if spec.recipe.warm_start else None
        return self.job.run(
            subject_of(spec.architecture, spec.cost, shared),
            self.data.of_fold(spec.fold),
            spec.data_of(self.job.fingerprint),
            spec.recipe,
            spec.seeds,
            measure=self.job.measure,
            weights=folder / f"{spec.trial}.safetensors" if folder else None,
            latency_at_most_ms=self.job.latency_at_most_ms,
        )

    @cached_property
    def _shared(self) -> dict[str, Tensor]:
        """The weights of the shared network, that the driver has sent where a trial names them."""
        assert self.job.shared is not None
        return load(self.job.shared)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial without starting a new process."""
        self.config = new_config
        self.cleanup()
        self.folder = self.logdir
        return True

    def cleanup(self) -> None:
        """Remove the folder that Tune makes for each trial: there is nothing in it."""
        with suppress(OSError):
            Path(self.folder).rmdir()
