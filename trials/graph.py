"""A step as a CUDA graph: a GPU starts the hundreds of kernels of a small network by itself.

With one launch for each kernel the CPU cannot start them as fast as the GPU computes them. The
kernels, their order, their memory and their random numbers are those of the step, and so are the
weights, but for what two runs on a GPU differ by anyway: nothing is kept of how they were started.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trials.step import Step

WARM_UP = 3
"""Steps before the recording: libraries set themselves up, optimizers get their memory."""


class Replayed:
    """A step that records itself at its fourth call, and is replayed from there.

    It is just the step on a CPU, where images are read from a file at each step, where other
    processes make it, too, where the recipe says so, and where the recording fails: a module may
    ask the GPU for a value, for example.

    As a context manager it gives the GPU's memory back at the end: that of a recording is of no use
    to the next one, and other processes may share the GPU.
    """

    def __init__(self, step: Step) -> None:
        self.step = step
        on_gpu = step.position.device.type == "cuda"  # or the batches come from the CPU
        alone = step.share.count == 1
        self.may_record = on_gpu and alone and step.recipe.graph == "auto"
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __enter__(self) -> Replayed:
        return self

    def __exit__(self, *_: object) -> None:
        self.graph = None
        if self.step.rate.device.type == "cuda":
            torch.cuda.empty_cache()

    def __call__(self) -> None:
        """One step."""
        self.calls += 1
        if self.may_record and self.graph is None:
            if self.calls <= WARM_UP:
                return self._warm_up()
            self._record()
        if self.graph is not None:
            return self.graph.replay()
        return self.step()

    def _warm_up(self) -> None:
        """A step on a stream that is not the default one: as it will be recorded."""
        with _aside(self.step.position.device):
            self.step()

    def _record(self) -> None:
        """Nothing is computed, so where it fails the step can still be done."""
        graph = torch.cuda.CUDAGraph()
        states = [generator.get_state() for generator in self.step.augmentations]
        try:
            for generator in self.step.augmentations:
                graph.register_generator_state(generator)
            device = self.step.position.device
            with _aside(device) as stream, torch.cuda.graph(graph, stream=stream):
                self.step()
        except RuntimeError as error:
            self.may_record = False
            self.step.begin_again(states)
            # The end of a recording that was broken off says no more than that it was.
            reason = str(error.__context__ or error).partition("\n")[0]
            warnings.warn(f"steps are not recorded as a CUDA graph: {reason}", stacklevel=1)
        else:
            self.graph = graph


@contextmanager
def _aside(device: torch.device) -> Iterator[torch.cuda.Stream]:
    """On the other stream, and back on the usual one, whatever happens meanwhile.

    `torch.cuda.graph` does not go back where a recording was broken off (PyTorch 2.13).
    """
    stream, usual = _stream(device), torch.cuda.current_stream(device)
    stream.wait_stream(usual)
    with torch.cuda.stream(stream):
        yield stream
    usual.wait_stream(stream)


@functools.cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """One for all trainings: memory that was freed is kept for the stream that had it."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
