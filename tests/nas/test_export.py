from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import nn

from nas import Architecture, Block, SpectrumPoint, Stem, build_network, export_network, preset
from nas.export import ExportError, Provenance, model_source
from tests.nas.strategies import architectures

SMALL = Architecture(
    (3, 9, 8),
    4,
    Stem((6,)),
    (
        Block((7, 7), SpectrumPoint(3, "relu"), stride=2),
        Block((10,), SpectrumPoint("C", "elu", "pointwise_first"), residual=False),
    ),
)


def with_statistics(architecture: Architecture) -> nn.Module:
    """A network whose batch norms have seen data, as a trained one's have."""
    torch.manual_seed(0)
    network = build_network(architecture)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(std=0.1)
    return network.eval()


def imported(folder: Path):
    spec = importlib.util.spec_from_file_location("exported", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(architectures())
def test_an_exported_network_computes_the_same(tmp_path, architecture):
    network = with_statistics(architecture)
    folder = export_network(architecture, network, tmp_path / "exported")
    images = torch.randn(3, *architecture.input_shape)
    with torch.inference_mode():
        actual, expected = imported(folder).load()(images), network(images)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)
    assert Architecture.from_json((folder / "architecture.json").read_text()) == architecture


@pytest.mark.parametrize("name", ["xception", "mobilenet"])
def test_presets_can_be_exported(tmp_path, name):
    architecture = preset(name, image_size=71, classes=5)
    export_network(architecture, with_statistics(architecture), tmp_path)


def test_the_source_needs_pytorch_alone_and_has_only_what_it_uses(tmp_path):
    export_network(SMALL, with_statistics(SMALL), tmp_path)
    source = (tmp_path / "model.py").read_text()
    tree = ast.parse(source)
    roots = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert roots == {"__future__", "json", "pathlib", "torch"}
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert classes == ["Residual", "Subsample", "Segments", "Head", "Network"]
    even = Architecture((3, 8, 8), 4, Stem((6,)), (Block((6,), residual=False),))
    assert "class Segments" not in model_source(even, Provenance("x"))
    assert "class Residual" not in model_source(even, Provenance("x"))


def test_the_source_is_clean_and_formatted(tmp_path):
    export_network(SMALL, with_statistics(SMALL), tmp_path)
    for arguments in (
        [
            "check",
            "--isolated",
            "--select",
            "E,F,W,I,B,UP",
            "--ignore",
            "B905",
            "--line-length",
            "100",
        ],
        ["format", "--isolated", "--check", "--line-length", "100"],
    ):
        run = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments, str(tmp_path / "model.py")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout


def test_the_layers_are_written_out_one_by_one():
    """The second convolution has 7 channels in 3 segments: 3, 2 and 2."""
    expected = """\
        # 2 convolutions in 3 segments, spatial first, relu between.
        self.block0 = Residual(
            branch=nn.Sequential(
                nn.Conv2d(6, 6, 3, padding=1, groups=3, bias=False),
                nn.ReLU(),
                nn.Conv2d(6, 7, 1, bias=False),
                nn.BatchNorm2d(7),
                nn.ReLU(),
                Segments(
                    nn.Conv2d(3, 3, 3, padding=1, bias=False),
                    nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False),
                ),
                nn.ReLU(),
                nn.Conv2d(7, 7, 1, bias=False),
                nn.BatchNorm2d(7),
                nn.MaxPool2d(3, stride=2, padding=1),
            ),
            shortcut=nn.Sequential(
                Subsample(2),
                nn.Conv2d(6, 7, 1, bias=False),
                nn.BatchNorm2d(7),
            ),
        )
"""
    assert expected in model_source(SMALL, Provenance("x"))


def test_images_are_preprocessed_as_in_training(tmp_path):
    provenance = Provenance("x", mean=(100.0, 50.0, 25.0), std=(10.0, 5.0, 2.5))
    export_network(SMALL, with_statistics(SMALL), tmp_path, provenance)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 9, 8, 3), dtype=np.uint8)
    prepared = imported(tmp_path).preprocess(torch.from_numpy(pixels))
    expected = (pixels - np.array([100, 50, 25])) / np.array([10, 5, 2.5])
    np.testing.assert_allclose(prepared.permute(0, 2, 3, 1), expected, rtol=1e-6)


def test_class_names_cannot_break_out_of_the_source(tmp_path):
    names = ('"', "'", '"""', "\\", "\n", "é", "{x}")
    architecture = Architecture((3, 8, 8), len(names), Stem((4,)), (Block((4,)),))
    provenance = Provenance('a """ title', ('summary """',), names)
    export_network(architecture, with_statistics(architecture), tmp_path, provenance)
    assert tuple(imported(tmp_path).CLASSES) == names


def test_many_classes_are_wrapped(tmp_path):
    architecture = Architecture((3, 8, 8), 300, Stem((4,)), (Block((4,)),))
    export_network(architecture, with_statistics(architecture), tmp_path)
    assert max(map(len, (tmp_path / "model.py").read_text().splitlines())) <= 100
    assert [str(index) for index in range(300)] == imported(tmp_path).CLASSES


def test_a_network_that_is_not_of_the_architecture_is_refused_and_nothing_is_written(tmp_path):
    other = Architecture((3, 9, 8), 5, Stem((6,)), SMALL.blocks)
    with pytest.raises(ExportError, match="other layers than the network"):
        export_network(SMALL, with_statistics(other), tmp_path / "out")
    # The same layers, but joined otherwise.
    rewired = Architecture(
        (3, 9, 8),
        4,
        Stem((6,)),
        (
            Block((7, 7), SpectrumPoint(3, "silu"), stride=2),
            Block((10,), SpectrumPoint("C", "elu", "pointwise_first"), residual=False),
        ),
    )
    with pytest.raises(ExportError, match="outputs differ by"):
        export_network(SMALL, with_statistics(rewired), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_weights_are_ordinary_safetensors(tmp_path):
    from safetensors.torch import load_file

    network = with_statistics(SMALL)
    export_network(SMALL, network, tmp_path)
    stored = load_file(tmp_path / "weights.safetensors")
    assert sum(t.numel() for t in stored.values()) == sum(
        t.numel() for t in network.state_dict().values()
    )
    assert json.loads((tmp_path / "architecture.json").read_text())["classes"] == 4
