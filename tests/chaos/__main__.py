"""Do harm to searches for a while, and say what came of it.

python -m tests.chaos --minutes 60
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from itertools import count, takewhile
from math import inf
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.chaos import ray_faults
from tests.chaos.campaign import Outcome, campaign, faults_on_ray, possible_faults
from tests.chaos.faults import FAULTS

LONG = 30
"""Minutes from which what takes long is done, too."""

console = Console(highlight=False, soft_wrap=True)


def main(
    minutes: Annotated[float, typer.Option(help="How long new rounds begin.")] = 2,
    seed: Annotated[int | None, typer.Option(help="Of the first round; each has the next.")] = None,
    only: Annotated[str | None, typer.Option(help="A fault, in place of all.")] = None,
    rounds: Annotated[int | None, typer.Option(help="At most so many.")] = None,
    ray: Annotated[bool, typer.Option("--ray", help="On a real Ray, whose processes die.")] = False,
    lanes: Annotated[int, typer.Option(help="Rounds side by side.")] = 2,
) -> None:
    """Do harm to searches for a while, and say what came of it."""
    known = [*FAULTS, *ray_faults.ALL]
    if only is not None and only not in known:
        raise typer.BadParameter(f"expected one of {', '.join(known)}", param_hint="--only")
    first = int(time.time()) if seed is None else seed
    possible = faults_on_ray() if ray else possible_faults(has_time=minutes >= LONG)
    names = [only] if only else possible
    end = inf if rounds is None else first + rounds
    seeds = takewhile(lambda number: number < end, count(first))
    console.print(f"seed {first}")
    outcomes = []
    for outcome in campaign(((names[s % len(names)], s) for s in seeds), lanes, 60 * minutes):
        outcomes.append(outcome)
        for line in outcome.violations:
            console.print(f"{outcome.fault}: {line}", markup=False)
        if outcome.violations:
            console.print(f"{outcome.folder}\n{outcome.repeat}", markup=False)
    _tell(outcomes)
    sys.exit(any(outcome.violations for outcome in outcomes))


def _tell(outcomes: list[Outcome]) -> None:
    table = Table("fault", "rounds", "violations", "seconds each")
    for name in dict.fromkeys(map(_kind, outcomes)):
        of_kind = [outcome for outcome in outcomes if _kind(outcome) == name]
        violated = sum(len(outcome.violations) for outcome in of_kind)
        mean = sum(outcome.seconds for outcome in of_kind) / len(of_kind)
        table.add_row(name, str(len(of_kind)), str(violated), f"{mean:.1f}")
    console.print(table)
    done: Counter[str] = sum((outcome.done for outcome in outcomes), Counter())
    pairs = {
        outcome.fault
        for outcome in outcomes
        if any(count for what, count in outcome.done.items() if what.startswith("failpoints"))
    }
    console.print(
        f"{len(pairs)} failpoints x faults; " + ", ".join(f"{n} {w}" for w, n in done.items())
    )


def _kind(outcome: Outcome) -> str:
    """A fault without the place where it happens."""
    name, _, kind = outcome.fault.partition(":")
    return f"{kind} at a failpoint" if kind else name


if __name__ == "__main__":
    typer.run(main)
