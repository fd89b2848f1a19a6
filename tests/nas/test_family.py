"""Published networks by name in commands, and the table of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from nas import count_cost
from nas.architecture.references import PUBLISHED, parse
from nas.architecture.references.family import FAMILY
from nas.architecture.specification import Architecture
from nas.describe import app as describe_app
from nas.export import app as export_app
from nas.latency import app as latency_app
from tests.conftest import ROOT
from tests.nas.exporting import imported

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


def test_each_corrected_fact_says_what_shows_it():
    """A section of the paper, or a command that runs; and the numbers are those it prints."""
    page = (ROOT / "docs" / "facts.md").read_text(encoding="utf-8")
    shown = [row.rsplit(" | ", 1)[1] for row in page.splitlines() if row.startswith("| ")][1:]
    assert len(shown) == 10
    for text in shown:
        named = re.findall(r"`python -m nas[.]describe ([^`]+)`", text)
        assert named or "of the paper" in text
        for name in named:
            assert name == "family" or parse(name)
    macs = {name: count_cost(parse(name)).macs for name in FAMILY}
    assert f"{macs['xception'] / macs['inception_v3'] - 1:.0%} *more*" in page
    assert f".5 makes {macs['mobilenet:alpha=.5'] / macs['mobilenet']:.0%} of the MACs" in page
    assert f"make {macs['mobilenet:image_size=160'] / macs['mobilenet']:.0%}" in page


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


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("--preset", "mobilenet:alpha=.25,image_size=33,classes=5,activation=relu6,padding=floor"),
        ("--preset", "xception:width=.1,image_size=40,classes=5,fc_layers=1,dropout=.5"),
        ("--reference", "inception_v3:image_size=75,classes=5,norm_scale=false"),
    ],
)
def test_a_network_by_its_name_is_exported_and_timed(option, name):
    run(export_app, option, name, "--output", "out", "--format", "pytorch")
    network = parse(name)
    module = imported(Path("out"))
    assert network.key == module.ARCHITECTURE
    assert module.load()(torch.zeros(2, *network.input_shape)).shape == (2, 5)
    assert "was not trained" in Path("out/README.md").read_text()
    described = Path("out/architecture.json")
    assert described.exists() == (option == "--preset")
    if described.exists():
        assert Architecture.from_json(described.read_text()) == network
    assert "out,eager" in run(latency_app, "out", "--as", "csv")


def test_a_reference_replaces_an_architecture_that_was_exported_before():
    run(
        export_app,
        "--preset",
        "mobilenet:alpha=.1,image_size=32",
        "--output",
        "out",
        "--format",
        "pytorch",
    )
    run(
        export_app,
        "--reference",
        "inception_v3:image_size=75",
        "--output",
        "out",
        "--format",
        "pytorch",
    )
    assert {path.name for path in Path("out").iterdir()} == {
        "README.md",
        "model.py",
        "weights.safetensors",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--study: error: expected one of --study, --preset, --reference"),
        (["--preset", "xception", "--study", "a"], "--study: error: expected one of --study"),
        (["--preset", "xcption"], "xcption: error: a published network is one of mobilenet"),
        (
            ["--reference", "inception_module"],
            "inception_module: error: a whole network has classes",
        ),
        (["--preset", "mobilenet", "--format", "int8"], "int8 is judged by labelled images"),
        (
            ["--reference", "inception_v3", "--format", "onnx", "--features"],
            "--features: error: inception_v3 has no blocks",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_written(arguments, message):
    result = CliRunner().invoke(export_app, [*arguments, "--output", "out"])
    assert result.exit_code == 2
    assert message in result.output
    assert not Path("out").exists()
