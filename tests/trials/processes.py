"""Processes that compute something together, as those of a training on several devices do."""

from __future__ import annotations

import functools
import io
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from tests.forkserver import forkserver

WITHIN_S = 120.0


def together(count: int, compute: Callable[..., Any], *arguments: object) -> list[Any]:
    """What a function returns in each of some processes, which are connected.

    They are started once and compute all that is asked for; one that fails ends them.

    Args:
        compute: a function of a module.
    """
    ends = _connected(count)
    for end in ends:
        end.send((compute, arguments))
    found = dict[Connection, Any]()
    try:
        while len(found) < count:
            ready = wait([end for end in ends if end not in found], WITHIN_S)
            assert ready, f"no process has ended within {WITHIN_S:g} s"
            for end in ready:
                error, content = end.recv()
                assert not error, error
                found[end] = torch.load(io.BytesIO(content), weights_only=False)
    except BaseException:
        _connected.cache_clear()  # the others may wait for the one for ever: they are left
        raise
    return [found[end] for end in ends]


@functools.cache
def _connected(count: int) -> list[Connection]:
    """Our ends of pipes to processes that end with this one, or where their pipes are closed."""
    pipes = [forkserver.Pipe() for _ in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        for rank, (_, theirs) in enumerate(pipes):
            arguments = rank, count, Path(folder) / "meeting", theirs
            forkserver.Process(target=_serve, args=arguments, daemon=True).start()
            theirs.close()
        for ours, _ in pipes:
            assert ours.poll(WITHIN_S), "the processes have not found each other"
            ours.recv()
    return [ours for ours, _ in pipes]


def _serve(rank: int, count: int, meeting: Path, asked: Connection) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{meeting}", rank=rank, world_size=count)
    dist.barrier()
    asked.send("connected")
    while True:
        try:
            compute, arguments = asked.recv()
        except EOFError:
            return
        content, error = io.BytesIO(), ""
        try:
            torch.save(compute(*arguments), content)
        except BaseException:
            error = traceback.format_exc()
        asked.send((error, content.getvalue()))
