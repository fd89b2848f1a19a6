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
    monkeypatch.setattr(terminal, "PATIENCE", seconds)
    output = io.StringIO()
    console = Console(file=output, force_terminal=is_terminal, quiet=quiet)
    assert list(terminal.counted(range(3), 3, "decoding images", console)) == [0, 1, 2]
    assert ("decoding images" in output.getvalue()) == shown
