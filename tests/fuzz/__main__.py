"""Thousands of cases by hand: ``python -m tests.fuzz --cases 2000``.

Each is made of the seed, its kind and its number alone, so that one is repeated by
``python -m tests.fuzz --seed 0 --case spaces:17``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.cases import KINDS, case_of
from tests.fuzz.ground import make_ground
from tests.fuzz.rule import run_case
from tests.fuzz.worker import Worker


def main() -> int:
    """Run the cases that are asked for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="of all kinds together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, help="only this one")
    parser.add_argument("--case", metavar="KIND:NUMBER", help="one case, and what it says")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nas-fuzz-") as folder:
        if given.case:
            kind, number = given.case.split(":")
            return _show(Path(folder), given.seed, kind, int(number))
        kinds = (given.kind,) if given.kind else tuple(KINDS)
        return _campaign(Path(folder), given.seed, kinds, given.cases)


def _show(folder: Path, seed: int, kind: str, number: int) -> int:
    """One case in this process: its files stay in a folder of the current one."""
    make_ground(folder / "ground")
    case = case_of(seed, kind, number, folder / "ground")
    place = Path(f"fuzz-{seed}-{kind}-{number}").absolute()
    outcome = run_case(case, folder / "ground", place)
    print(f"in {place}:", *case.arguments, f"(changed: {', '.join(case.files) or 'nothing'})")
    print(outcome.output)
    print(f"status {outcome.status}, {outcome.seconds:.1f} s, {outcome.size / 2**20:.0f} MiB")
    print(*(outcome.broken or ("kept the rule",)), sep="\n")
    return bool(outcome.broken)


def _campaign(folder: Path, seed: int, kinds: tuple[str, ...], count: int) -> int:
    """Cases of all kinds in turn, in a process that is replaced where one hangs or kills it."""
    ran: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    broken = 0
    worker = Worker(folder, seed)
    started = time.monotonic()
    for number in range(count):
        kind, of_kind = kinds[number % len(kinds)], number // len(kinds)
        outcome = worker.run(kind, of_kind)
        ran[kind] += 1
        statuses[outcome.status] += 1
        for rule in outcome.broken:
            print(
                f"{rule}\n    python -m tests.fuzz --seed {seed} --case {kind}:{of_kind}",
                flush=True,
            )
        broken += bool(outcome.broken)
    worker.end()
    print(f"{count} cases in {time.monotonic() - started:.0f} s: {dict(ran)}")
    print(f"statuses: {dict(sorted(statuses.items()))}; {broken} cases broke the rule")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
