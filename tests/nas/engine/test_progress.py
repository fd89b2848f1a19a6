"""The line of a running search: what it says, and what is left of it in a narrow terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from nas.engine import progress
from nas.engine.progress import SearchProgress
from tests.nas.records import network, trial


def shown(monkeypatch, width: int, *trials, name: str = "spectrum") -> str:
    output = io.StringIO()

    def console(**options):
        return Console(file=output, force_terminal=True, width=width, color_system=None, **options)

    monkeypatch.setattr(progress, "Console", console)
    shown = SearchProgress(name, ("accuracy", "macs"), 1048, dict(trials))
    shown.console.print(shown.bar.get_renderable())
    (line,) = output.getvalue().splitlines()
    return line


TRIALS = [(n, (0.5 + n / 1000, 1000.0 - n % 4)) for n in range(12)]


@pytest.mark.parametrize("width", [40, 50, 80, 120])
@pytest.mark.parametrize(
    "name", ["spectrum", "a-study-whose-name-is-longer-than-most:confirmation"]
)
def test_how_many_trials_are_complete_is_seen_at_any_width(monkeypatch, width, name):
    line = shown(monkeypatch, width, *TRIALS, name=name)
    assert "12/1048" in line
    assert len(line) <= width
    if width >= 50:
        assert "best 0.5110" in line
        assert "front 1" in line


def test_nothing_is_best_before_there_is_a_trial(monkeypatch):
    line = shown(monkeypatch, 80)
    assert "0/1048" in line
    assert "best" not in line
    assert "front" not in line


def test_a_line_counts_what_came_before_and_says_what_is_on_the_front(capsys):
    before = {4: (0.5, 1000.0), 5: (0.6, 2000.0)}
    shown = SearchProgress("spectrum", ("accuracy", "macs"), 5, before)
    for number, accuracy, cost in ((6, 0.55, 1500.0), (7, 0.4, 1200.0), (8, 0.7, 900.0)):
        shown.finished(trial(number, accuracy, network(), cost))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[:2] for line in lines] == [
        ["3/5", "trial 6"],
        ["4/5", "trial 7"],
        ["5/5", "trial 8"],
    ]
    assert [line.endswith("on the front") for line in lines] == [True, False, True]
    assert list(shown.front.points) == [8]
