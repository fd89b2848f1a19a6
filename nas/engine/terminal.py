"""What is printed to a terminal, or to a file in its place: consoles and plain tables."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds before a bar is shown."""

WIDTH = 200
"""Columns of text where there is no terminal to fit into, so that no column of a table is cut."""


def console(quiet: bool = False, soft_wrap: bool = False, stderr: bool = False) -> Console:
    """A console for this program's output.

    Args:
        stderr: for what is no result, such as progress.
    """
    made = Console(quiet=quiet, highlight=False, soft_wrap=soft_wrap, stderr=stderr)
    if not made.is_terminal:
        made.width = WIDTH
    return made


def counted(things: Iterable[T], total: int, what: str, console: Console) -> Iterator[T]:
    """Pass things on; a bar counts them on a terminal, where they take long, and is then gone."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    hidden = not console.is_terminal or console.quiet
    bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=hidden)
    task = bar.add_task(what, total=total)
    started = time.monotonic()
    try:
        for thing in things:
            bar.advance(task)
            if time.monotonic() - started > PATIENCE:
                bar.start()  # does nothing the second time
            yield thing
    finally:
        bar.stop()


def plain_table(left: Iterable[str] = (), right: Iterable[str] = ()) -> Table:
    """A table without lines: columns of words, then columns of numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in left:
        table.add_column(heading)
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def facts_table(rows: Iterable[tuple[str, str]]) -> Table:
    """Names with what there is to say of each."""
    table = Table.grid(padding=(0, 2))
    for name, text in rows:
        table.add_row(name, text)
    return table
