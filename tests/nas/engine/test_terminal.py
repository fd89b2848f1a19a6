"""What is shown in a terminal while something is counted."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from nas.engine import terminal


@pytest.mark.parametrize(
    ("seconds", "is_terminal", "quiet", "shown"),
    [
        (0, True, False, True),
        (60, True, False, False),
        (0, False, False, False),
        (0, True, True, False),
    ],
)
def test_a_bar_counts_what_takes_long_on_a_terminal(
    monkeypatch, seconds, is_terminal, quiet, shown
):
    monkeypatch.setattr(terminal, "PATIENCE_S", seconds)
    output = io.StringIO()
    console = Console(file=output, force_terminal=is_terminal, quiet=quiet)
    assert list(terminal.counted(range(3), 3, "decoding images", console)) == [0, 1, 2]
    assert ("decoding images" in output.getvalue()) == shown


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (50, "file            class       p\na/folder/b.png  brown_bear  0.5"),
        (30, "file         class       p\na/folder/b.  brown_bear  0.5\npng"),
        (28, "file         class      p\na/folder/b.p brown_bear 0.5\nng"),
        (20, "file   a/folder/b.pn\n       g\nclass  brown_bear\np      0.5"),
    ],
)
def test_a_table_loses_nothing_in_a_narrow_terminal(width, shown):
    table = terminal.plain_table(("file",), ("p",), whole=("class",))
    table.add_row("a/folder/b.png", "brown_bear", "0.5")
    output = io.StringIO()
    terminal.print_table(table, Console(file=output, width=width))
    assert [line.split() for line in output.getvalue().splitlines()] == [
        line.split() for line in shown.splitlines()
    ]
