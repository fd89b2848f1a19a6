"""What is printed to a terminal, or to a file in its place: consoles and plain tables."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from nas.space.shown_text import shown_message

T = TypeVar("T")

PATIENCE_S = 2.0
"""Seconds before a bar is shown."""

WIDTH = 200
"""Columns of text where there is no terminal to fit into, so that no column of a table is cut."""

FOLDED = 10
"""Letters of a word, such as a path, that are kept together in a narrow table."""


def console(quiet: bool = False, soft_wrap: bool = False, stderr: bool = False) -> Console:
    """A console for this program's output.

    Args:
        stderr: for what is no result, such as progress.
    """
    made = Console(quiet=quiet, highlight=False, soft_wrap=soft_wrap, stderr=stderr)
    if not made.is_terminal:
        made.width = WIDTH
    return made


def say(console: Console, message: str) -> None:
    """Print a message as it is: nothing in it is markup, moves a cursor or is a password."""
    console.print(Text(shown_message(message)), soft_wrap=True)


def plain_cell(text: str) -> str:
    """Text for a cell of a table, where it would be markup."""
    return escape(shown_message(text))


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
            if time.monotonic() - started > PATIENCE_S:
                bar.start()  # does nothing the second time
            yield thing
    finally:
        bar.stop()


def decoding(images: Iterator[T], count: int) -> Iterator[T]:
    """Pass images on as they are decoded; see `counted`."""
    return counted(images, count, "decoding images", console(stderr=True))


def plain_table(
    left: Iterable[str] = (), right: Iterable[str] = (), whole: Iterable[str] = ()
) -> Table:
    """A table without lines: columns of words, of words that stay whole, then of numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in left:
        table.add_column(heading, overflow="fold")
    for heading in whole:
        table.add_column(heading, no_wrap=True)
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def print_table(table: Table, console: Console) -> None:
    """Print a table closer where it does not fit, and row by row where it would be cut then."""
    if not _fits(table, console.width):
        table.padding = (0, 1, 0, 0)
    if _fits(table, console.width):
        console.print(table)
        return
    headings = [str(column.header) for column in table.columns]
    for number, row in enumerate(zip(*(column.cells for column in table.columns), strict=True)):
        if number:
            console.print()
        told = zip(headings, map(str, row), strict=True)
        console.print(facts_table((heading, cell) for heading, cell in told if cell))


def _fits(table: Table, width: int) -> bool:
    return sum(_narrowest(column) + table.padding[1] for column in table.columns) <= width


def _narrowest(column: Column) -> int:
    """In letters: longer words are folded."""
    texts = [str(text) for text in (column.header, *column.cells)]
    if column.no_wrap:
        return max(map(cell_len, texts))
    return min(FOLDED, max(cell_len(word) for text in texts for word in text.split() or [""]))


def facts_table(rows: Iterable[tuple[str, str]]) -> Table:
    """Names with what there is to say of each."""
    table = Table.grid(Column(), Column(overflow="fold"), padding=(0, 2))
    for name, text in rows:
        table.add_row(name, text)
    return table
