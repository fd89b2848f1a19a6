"""The source of an exported network: what is in it, how it is laid out, any names of classes."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas import Architecture, Block, SpectrumPoint, Stem, build_network, export_network
from nas.architecture.references import reference_layers
from nas.network.source import Provenance, model_source
from tests.conftest import ROOT
from tests.nas.exporting import SMALL, imported, with_statistics


def test_the_source_needs_pytorch_alone_and_has_only_what_it_uses(tmp_path):
    export_network(SMALL, with_statistics(SMALL), tmp_path)
    source = (tmp_path / "model.py").read_text()
    tree = ast.parse(source)
    roots = {
        name.split(".")[0]
        for node in tree.body  # what reads pictures imports Pillow when it is called
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert roots == {"__future__", "json", "pathlib", "torch"}
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert classes == ["Residual", "SegmentedConv2d", "Subsample", "GlobalMean", "Network"]
    even = Architecture((3, 8, 8), 4, Stem((6,)), (Block((6,), residual=False),))
    assert "class SegmentedConv2d" not in model_source(even, Provenance("x"))
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
        # 7 channels, 2 convolutions in 3 segments, spatial first, relu between, shortcut.
        self.block0 = Residual(
            branch=nn.Sequential(
                nn.Conv2d(6, 6, 3, padding=1, groups=3, bias=False),
                nn.ReLU(),
                nn.Conv2d(6, 7, 1, bias=False),
                nn.BatchNorm2d(7),
                nn.ReLU(),
                SegmentedConv2d(
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


def test_the_source_of_all_axes_is_not_too_wide():
    point = SpectrumPoint(
        "C/3", "relu", kernel=7, multiplier=3, dilation=2, pointwise_groups=3, norm_between=True
    )
    source = model_source(
        Architecture((3, 20, 20), 4, Stem((100,)), (Block((100, 103, 121), point),)),
        Provenance("x", mean=(125.306918046875, 122.950394140625, 113.86538318359375)),
    )
    assert max(map(len, source.splitlines())) <= 100


def test_many_classes_are_wrapped(tmp_path):
    architecture = Architecture((3, 8, 8), 300, Stem((4,)), (Block((4,)),))
    export_network(architecture, with_statistics(architecture), tmp_path)
    assert max(map(len, (tmp_path / "model.py").read_text().splitlines())) <= 100
    assert [str(index) for index in range(300)] == imported(tmp_path).CLASSES


AWKWARD_NAMES = [
    *("class 8", "a b", " lead", "two  spaces", "-", "a-b-c", "x, y", '"', "'", '"""', "a\" 'b'"),
    *(
        "\\",
        "\\n",
        "\n",
        "a\r\nb",
        "\t",
        "\0",
        "\x7f",
        "é",
        "日本語",
        "😀",
        "\u2028",
        "\u202e",
        "\xa0",
    ),
    *("\udce9", "{x}", "%s", "#", "", "x" * 150),
]


@pytest.mark.parametrize("copies", [1, 5])
def test_class_names_cannot_break_out_of_the_source(tmp_path, copies):
    names = tuple(AWKWARD_NAMES * copies)
    architecture = Architecture((3, 8, 8), len(names), Stem((4,)), (Block((4,)),))
    provenance = Provenance('"a """ title \\', ('summary é \0 \udce9 """', "\\"), names)
    export_network(architecture, with_statistics(architecture), tmp_path, provenance)
    assert tuple(imported(tmp_path).CLASSES) == names


@given(st.lists(st.text(max_size=40), min_size=2, max_size=60))
def test_any_class_names_are_in_the_source_as_they_are(names):
    architecture = Architecture((3, 8, 8), len(names), Stem((4,)), (Block((4,)),))
    source = model_source(architecture, Provenance("x", classes=tuple(names)))
    source.encode()
    listed = next(node for node in ast.parse(source).body if isinstance(node, ast.Assign))
    assert ast.literal_eval(listed.value) == names
    assert max(map(len, source.splitlines())) <= 250


def test_synthetic_images_of_ten_classes_can_be_exported(tmp_path):
    """Regression: "class 8" was cut in two where a line was full."""
    names = tuple(f"class {index}" for index in range(10))
    architecture = Architecture((3, 8, 8), 10, Stem((4,)), (Block((4,)),))
    export_network(
        architecture, with_statistics(architecture), tmp_path, Provenance("x", classes=names)
    )
    assert tuple(imported(tmp_path).CLASSES) == names
    assert max(map(len, (tmp_path / "model.py").read_text().splitlines())) <= 100


def test_files_are_utf_8_whatever_the_locale():
    program = (
        "from nas import *; from nas.network.source import Provenance; "
        "a = Architecture((3, 8, 8), 2, Stem((4,)), (Block((4,)),)); "
        "export_network(a, build_network(a), 'out', Provenance('\\xe9', classes=('\\xe9', 'b')), "
        "'\\xe9')"
    )
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run(
        [sys.executable, "-c", program], check=True, env=environment | {"PYTHONPATH": str(ROOT)}
    )
    assert imported(Path("out")).CLASSES == ["é", "b"]
    assert Path("out/README.md").read_text(encoding="utf-8") == "é"


def test_feature_maps_are_those_that_are_listed(tmp_path):
    """Of an image whose sides the strides divide; the last one is what the head receives."""
    architecture = replace(SMALL, input_shape=(3, 32, 32))
    export_network(architecture, with_statistics(architecture), tmp_path)
    module = imported(tmp_path)
    network = module.load()
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        maps = network.features(images)
        torch.testing.assert_close(network.head(maps[-1]), network(images))
    assert [name for name, _, _ in module.FEATURES] == ["stem"] + [
        f"block{index}" for index in range(len(architecture.blocks))
    ]
    for (_, channels, stride), found in zip(module.FEATURES, maps, strict=True):
        assert found.shape == (2, channels, 32 // stride, 32 // stride)


def test_a_reference_has_feature_maps_in_front_of_its_head(tmp_path):
    described = reference_layers("inception_v3", classes=3, image_size=128)
    export_network(described, build_network(described).eval(), tmp_path)
    model = imported(tmp_path)
    network = model.load()
    image = torch.randn(1, 3, 128, 128)
    with torch.inference_mode():
        maps = network.features(image)
        assert torch.equal(network.head(maps[-1]), network(image))
    assert [tuple(x.shape[1:]) for x in maps] == [(768, 6, 6), (2048, 2, 2)]
    assert model.FEATURES == [("trunk", 768, 16), ("last", 2048, 32)]
