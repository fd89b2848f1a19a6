"""A network for phones: ExecuTorch's program, its layers computed by XNNPACK."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from nas.network.exportable import Exportable, Run


def write_pte(exportable: Exportable, path: Path) -> None:
    """For one image at once, as a phone has them: its memory is laid out in advance."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    # Of grey images the strides may look like those of channels last, which it would then wait for.
    image = exportable.images[:1].clone(memory_format=torch.contiguous_format)
    program = torch.export.export(exportable.network, (image,))
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)


class _Pool:
    """ExecuTorch's threads: one pool for all programs of a process."""

    number = threads = 0

    @classmethod
    def of(cls, threads: int) -> int:
        """See to it that there are so many; returns the number of the pool.

        Nobody else changes it: where it is right already a pass spends no time on it.
        """
        if cls.threads != threads:
            with _quiet():
                from executorch.extension.pybindings import portable_lib

                portable_lib._unsafe_reset_threadpool(threads)
            cls.threads = threads
            cls.number += 1
        return cls.number


class _Program:
    """A program with its threads; loaded anew for another pool, for with the old one it crashes."""

    def __init__(self, path: Path, threads: int) -> None:
        self.path, self.threads = path, threads
        self._load()

    def _load(self) -> None:
        self.pool = _Pool.of(self.threads)
        from executorch.runtime import Runtime

        self.method = Runtime.get().load_program(self.path).load_method("forward")

    def __call__(self, images: Tensor) -> Tensor:
        if self.pool != _Pool.of(self.threads):
            self._load()
        return torch.cat([self.method.execute([image])[0] for image in torch.split(images, 1)])


def load_pte(path: Path, threads: int = 1) -> Run:
    """Several images are computed one after the other."""
    return _Program(path, threads)


@contextmanager
def _quiet() -> Iterator[None]:
    """The runtime's C++ writes to the terminal which processor it could not find out."""
    errors, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(errors, 2)
        os.close(errors)
        os.close(nowhere)
