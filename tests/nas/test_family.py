"""Published networks by name in commands, and the table of them."""

from __future__ import annotations

import re

from typer.testing import CliRunner

from nas import count_cost
from nas.architecture.references import PUBLISHED, parse
from nas.architecture.references.family import FAMILY
from nas.describe import app as describe_app
from nas.latency import app as latency_app
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")


def run(app, *arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    return result.output


def counted() -> list[tuple[str, str, str]]:
    costs = [(name, count_cost(parse(name))) for name in FAMILY]
    return [(name, f"{cost.params:,}", f"{cost.macs:,}") for name, cost in costs]


def test_the_table_of_the_family_is_printed(monkeypatch):
    said = iter([*["ptflops counts: the same"] * (len(FAMILY) - 1), "ptflops counts 7"])
    monkeypatch.setattr("nas.network.ptflops.compare_with_ptflops", lambda _network: next(said))
    lines = run(describe_app, "family").splitlines()[1:]
    rows = [tuple(re.split(r" {2,}", line.strip())) for line in lines]
    assert [row[:3] for row in rows] == counted()
    assert [row[3] for row in rows] == [*["the same"] * (len(FAMILY) - 1), "ptflops counts 7"]


def test_the_documents_have_the_table():
    rows = re.findall(r"^\| `([^`]+)` \| ([\d,]+) \| ([\d,]+) \|$", PAGE, re.MULTILINE)
    assert rows == counted()


def test_the_documents_name_every_published_network():
    assert {name for name in PUBLISHED if f"`{name}`" not in PAGE} == set()


def test_a_network_with_options_is_described():
    said = run(describe_app, "mobilenet:alpha=.25,image_size=32,classes=10")
    cost = count_cost(parse("mobilenet:alpha=.25,image_size=32,classes=10"))
    assert f"{cost.params:,} parameters, {cost.macs:,} MACs" in said
    assert f"ptflops counts {cost.macs:,} MACs: the same" in said


def test_a_reference_is_described_layer_by_layer():
    said = run(describe_app, "inception_module:figure=3,in_channels=6,image_size=9,widths=4+4")
    assert re.search(r"^2 +8 +8 +9 x 9 +3 x 3 +2 +288 +23,328", said, re.MULTILINE)
    said = run(describe_app, "inception_v3:image_size=75,classes=10")
    assert "1 x 7" in said
    assert "7 x 1" in said


def test_networks_by_name_are_timed_beside_each_other():
    names = ["mobilenet:alpha=.05,image_size=32", "inception_module:widths=2+2,image_size=4"]
    said = run(latency_app, *names, "--as", "csv")
    assert [line.split(",eager")[0].strip('"') for line in said.splitlines()[1:]] == names
