"""Ray's failures, each in a line: Ray itself explains them in screens of advice."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

OUT_OF_MEMORY = "out of memory"

LESS_MEMORY = "fewer trials at once need less memory: more --cpus-per-trial, or smaller batches"
"""What to do about it."""

_LONGEST = 200
_USED = re.compile(r"was ([0-9.]+) ?GB(?: used)? / ([0-9.]+) ?GB")


class RayFailed(RuntimeError):
    """Ray itself has failed, not a trial; what is complete is kept."""


def in_a_line(text: str) -> str:
    """The cause out of what Ray or Tune says of a failure."""
    if "low on memory" in text or "OutOfMemoryError" in text:
        used = _USED.search(text)
        amount = f", {used[1]} of {used[2]} GB in use" if used else ""
        return f"{OUT_OF_MEMORY}{amount}: Ray has ended the worker"
    lines = [line.strip() for line in text.strip().splitlines()]
    # A dead actor is told in the first line; an exception, after its traceback, in the last.
    dead = (line for line in lines if "died" in line)
    line = next(dead, lines[-1] if lines else "no reason is known")
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}\u2026"


@contextmanager
def without_reports(library: str) -> Iterator[None]:
    """A library of Ray does not report failures at length: the command does it in a line.

    Args:
        library: the name of its logger, such as ``ray.tune``.
    """
    logger = logging.getLogger(library)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
