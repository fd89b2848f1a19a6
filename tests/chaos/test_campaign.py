"""Each kind of harm once; `python -m tests.chaos --minutes 60` does more of it."""

from __future__ import annotations

from collections import Counter
from itertools import cycle
from pathlib import Path

import pytest
import typer
from sqlalchemy.engine import make_url

from nas.engine.lock import DriverLock
from tests.chaos import ray_faults
from tests.chaos.__main__ import main
from tests.chaos.campaign import campaign, possible_faults
from tests.chaos.faults import FAULTS, at_failpoint
from tests.chaos.round import Round
from tests.chaos.server import Server
from tests.test_documentation import shell_commands
from trials import failpoint

SEED = 20


def once() -> list[str]:
    """Each failpoint with one of its faults, and all else that is done."""
    possible = list(dict.fromkeys(possible_faults(has_time=False)))
    pairs = [f"{name}:{kind}" for name, kind in zip(failpoint.NAMES, cycle(failpoint.FAULTS))]
    others = [fault for fault in possible if ":" not in fault]
    return [*others, *(pair for pair in pairs if pair in possible)]


@pytest.mark.timeout(900)  # a minute and a half where nothing else runs
def test_whatever_is_done_to_a_search_it_resumes_and_nothing_is_lost_or_done_twice():
    rounds = [(fault, SEED + number) for number, fault in enumerate(once())]
    outcomes = list(campaign(rounds, lanes=2, seconds=600))
    violated = [f"{o.repeat}\n{line}" for o in outcomes for line in o.violations]
    assert not violated, "\n".join(violated)
    assert len(outcomes) == len(rounds)
    done = sum((outcome.done for outcome in outcomes), Counter())
    assert done["double starts"] >= 1
    assert {f"failpoints, {kind}" for kind in failpoint.FAULTS} <= done.keys()


def test_a_fault_that_was_not_reached_is_not_counted():
    """No worker begins: the driver does what workers do."""
    played = Round(SEED, space_name="random", database="sqlite")
    at_failpoint("worker.begin", "EIO")(played)
    played.clean_up()
    assert played.violations == []
    assert +played.done == {"drivers": 1}


def test_locks_are_cut_where_there_are_some(postgresql):
    server = Server(postgresql, Path(), Path(), None)
    lock = DriverLock(make_url(postgresql), "chaos")
    lock.acquire()
    assert [server.cut_locks(), server.cut_locks()] == [1, 0]


def test_the_commands_of_the_page_are_ones_that_it_takes():
    app = typer.Typer()
    app.command()(main)
    commands = [words[3:] for words in shell_commands() if words[2:3] == ["tests.chaos"]]
    assert len(commands) == 5
    for words in commands:
        options = typer.main.get_command(app).make_context("chaos", words).params
        assert options["only"] in (None, *FAULTS, *ray_faults.ALL)
