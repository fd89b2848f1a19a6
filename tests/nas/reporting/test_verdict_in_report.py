"""The verdict in a study's report: its box, its arms and its controls."""

from __future__ import annotations

import json
from pathlib import Path

from nas.analysis.answer import answer_of
from nas.reporting.page import render, write_report
from tests.nas.planting import (
    SEARCH,
    WINNER,
    Planted,
    planted_study,
    search,
)


def test_the_report_has_the_box_the_arms_and_the_controls(monkeypatch):
    result = search(monkeypatch, Planted({WINNER: 0.02}), "--controls", results=True)
    assert result.exit_code == 0, result.stderr
    assert f"Supported: {WINNER}" in result.stdout
    page = Path("runs/planted/report.html").read_text()
    assert f'<div class="verdict supported"><p>Supported: {WINNER}' in page
    assert "planned before the first training" in page
    assert "handicapped plain" in page
    for name in ("spectrum", "arms"):
        assert f'id="{name}"' in page
    assert {"measurements.csv", "plan.json"} <= {f.name for f in Path("runs/planted").iterdir()}
    assert json.loads(Path("runs/planted/plan.json").read_text())[0]["plan"]["delta"] == 0.005


def test_a_plain_search_has_no_box():
    plain = planted_study({}, text=SEARCH.replace("{seeds: 6}", "none"))
    assert answer_of(plain.results) is None
    page = render(plain.records, {}, {}, answer_of(plain.results))
    assert '<div class="verdict' not in page


def test_sections_that_are_switched_off_are_not_there():
    off = planted_study({}, "match=null", "confirm=null", "claim.delta=1%")
    found = answer_of(off.results)
    assert "nothing was confirmed" in found.reason
    report = write_report(off.records, off.results, {}, Path())
    assert report.answer == found
    assert {"spectrum", "arms", "front"} <= set(report.figures)
    assert "No verdict: nothing was confirmed" in Path("report.html").read_text()
