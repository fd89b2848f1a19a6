"""Where the time of a whole search goes: ``python benchmarks/breakdown.py``.

Each line that the search prints is noted with the time since its process was started.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.table import Table

from nas.engine.terminal import console, print_table

SPACE = Path(__file__).parent.parent / "search_spaces" / "spectrum.yaml"

PHASES = (
    "start: imports, data and study, beside Ray's start",
    "Ray's start, workers, the first trial",
    "all other trials and the confirmation",
    "results: export, report, dashboard",
    "exit",
)


def stamped_search(space: Path) -> list[float]:
    """Seconds of each phase of a search in a folder of its own."""
    command = [sys.executable, "-u", "-m", "nas.search", "--space", str(space.absolute())]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    stamps = [0.0]
    with tempfile.TemporaryDirectory() as folder:
        started, trials = time.monotonic(), list[float]()
        search = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
        )
        assert search.stdout is not None
        for line in search.stdout:
            now = time.monotonic() - started
            if line.startswith("data: "):
                stamps.append(now)
            elif re.match(r"\d+/\d+  ", line):
                trials.append(now)
            elif line.startswith("front of "):
                stamps += [trials[0], trials[-1], now]
        if search.wait():
            raise typer.Exit(search.returncode)
        stamps.append(time.monotonic() - started)
    return [end - begin for begin, end in pairwise(stamps)]


def main(
    space: Annotated[Path, typer.Option(help="Search-space file (YAML).")] = SPACE,
    rounds: Annotated[int, typer.Option(help="Searches; the table has their medians.")] = 3,
) -> None:
    """Print the seconds of each phase of a search."""
    searches = [stamped_search(space) for _ in range(rounds)]
    table = Table(title=f"A search, seconds, median of {rounds}")
    table.add_column("phase")
    table.add_column("s", justify="right")
    for name, *times in zip(PHASES, *searches, strict=True):
        table.add_row(name, f"{median(times):.1f}")
    table.add_row("together", f"{median(map(sum, searches)):.1f}")
    print_table(table, console())


if __name__ == "__main__":
    typer.run(main)
