"""Each kind of harm once; `python -m tests.chaos --minutes 60` does more of it."""

from __future__ import annotations

from itertools import cycle

import pytest
import typer

from tests.chaos.__main__ import main
from tests.chaos.campaign import campaign, possible_faults
from tests.chaos.faults import FAULTS
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
    assert sum((outcome.done for outcome in outcomes), start=outcomes[0].done)["double starts"] >= 1


def test_the_commands_of_the_page_are_ones_that_it_takes():
    app = typer.Typer()
    app.command()(main)
    commands = [words[3:] for words in shell_commands() if words[2:3] == ["tests.chaos"]]
    assert len(commands) == 2
    for words in commands:
        options = typer.main.get_command(app).make_context("chaos", words).params
        assert options["only"] in (None, *FAULTS)
