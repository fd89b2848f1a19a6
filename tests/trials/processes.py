"""Processes that compute something together, as those of a training on several devices do."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["nas.network.build", "trials.resumable"])


def together(
    count: int, folder: Path, compute: Callable[..., Any], *arguments: object
) -> list[Any]:
    """What a function returns in each of some processes, which find each other by a folder.

    Args:
        compute: a function of a module.
    """
    meeting = folder / f"{compute.__name__} {len(list(folder.iterdir()))}"
    files = [meeting.with_name(f"{meeting.name} of {rank}") for rank in range(count)]
    started = [
        _processes.Process(target=_run, args=(rank, count, meeting, file, compute, arguments))
        for rank, file in enumerate(files)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
    assert [process.exitcode for process in started] == [0] * count
    return [torch.load(file, weights_only=False) for file in files]


def _run(
    rank: int,
    count: int,
    meeting: Path,
    file: Path,
    compute: Callable[..., Any],
    arguments: tuple[object, ...],
) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{meeting}", rank=rank, world_size=count)
    torch.save(compute(*arguments), file)
    dist.destroy_process_group()
