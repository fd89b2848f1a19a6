"""Each kind of harm once; `python -m tests.chaos --minutes 60` does more of it."""

from __future__ import annotations

from itertools import cycle

import pytest

from tests.chaos.campaign import campaign, possible_faults
from trials.failpoint import FAULTS, NAMES

SEED = 20


def once() -> list[str]:
    """Each failpoint with one of its faults, and all else that is done."""
    possible = list(dict.fromkeys(possible_faults(has_time=False)))
    pairs = [f"{name}:{kind}" for name, kind in zip(NAMES, cycle(FAULTS))]
    others = [fault for fault in possible if ":" not in fault]
    return [*others, *(pair for pair in pairs if pair in possible)]


@pytest.mark.timeout(900)  # a minute and a half where nothing else runs
def test_whatever_is_done_to_a_search_it_resumes_and_nothing_is_lost_or_done_twice():
    rounds = [(fault, SEED + number) for number, fault in enumerate(once())]
    outcomes = list(campaign(rounds, lanes=2, seconds=600))
    violated = [f"{o.repeat}\n{line}" for o in outcomes for line in o.violations]
    assert not violated, "\n".join(violated)
    assert len(outcomes) == len(rounds)
    assert sum((outcome.done for outcome in outcomes), start=outcomes[0].done)["double starts"] == 1
