"""An exported network: it computes the same, and its files are whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from safetensors.torch import load_file, save_file

from nas import Architecture, Block, SpectrumPoint, Stem, export_network
from nas.architecture.presets import parse
from nas.network import export
from nas.network.comparison import ExportError, Samples
from nas.network.source import Provenance
from tests.nas.exporting import SMALL, imported, with_statistics
from tests.nas.strategies import architectures


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
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


AXES = {
    "kernel": {"kernel": 7},
    "multiplier": {"multiplier": 3},
    "dilation": {"dilation": 2},
    "pointwise groups": {"pointwise_groups": 3},
    "uneven segments": {"segments": 4},
    "norm between": {"norm_between": True},
    "all at once": {
        "segments": "C/3", "kernel": 5, "multiplier": 2, "dilation": 2, "pointwise_groups": 4,
        "norm_between": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("padding", ["symmetric", "tensorflow"])
@pytest.mark.parametrize("order", ["spatial_first", "pointwise_first", "mixture"])
@pytest.mark.parametrize("axis", AXES)
def test_an_exported_network_computes_the_same_on_every_axis(tmp_path, axis, order, padding):
    point = SpectrumPoint(**{"activation": "elu", "order": order, **AXES[axis]})
    blocks = (Block((7, 9), point, stride=2), Block((9, 10), point), Block((6, 10), point))
    architecture = Architecture((3, 12, 11), 4, Stem((6,), stride=2), blocks, padding)
    network = with_statistics(architecture)
    folder = export_network(architecture, network, tmp_path)
    images = torch.randn(3, *architecture.input_shape)
    with torch.inference_mode():
        torch.testing.assert_close(imported(folder).load()(images), network(images))


@pytest.mark.parametrize(
    "name", ["xception", "mobilenet", "mobilenet:activation=relu6,padding=floor", "xception41"]
)
def test_presets_can_be_exported(tmp_path, name):
    architecture = parse(f"{name}{',' if ':' in name else ':'}image_size=71,classes=5,width=.25")
    export_network(architecture, with_statistics(architecture), tmp_path)


def test_images_are_preprocessed_as_in_training(tmp_path):
    provenance = Provenance("x", mean=(100.0, 50.0, 25.0), std=(10.0, 5.0, 2.5))
    export_network(SMALL, with_statistics(SMALL), tmp_path, provenance)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 9, 8, 3), dtype=np.uint8)
    prepared = imported(tmp_path).preprocess(torch.from_numpy(pixels))
    expected = (pixels - np.array([100, 50, 25])) / np.array([10, 5, 2.5])
    np.testing.assert_allclose(prepared.permute(0, 2, 3, 1), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("STD = [50.0", "STD = [51.0"), ('["cat", "dog",', '["dog", "cat",'), ('"pad"', '"crop"')],
)
def test_a_source_that_takes_images_otherwise_than_the_training_is_refused(
    tmp_path, monkeypatch, right, wrong
):
    classes, mean, std = ("cat", "dog", "cow", "pig"), (100.0,) * 3, (50.0,) * 3
    about = Provenance("x", classes=classes, mean=mean, std=std, resize="pad")
    samples = Samples.random(SMALL.input_shape, torch.tensor(mean), torch.tensor(std))
    network = with_statistics(SMALL)
    export_network(SMALL, network, tmp_path / "right", about, samples=samples)
    source = (tmp_path / "right" / "model.py").read_text()
    assert right in source
    monkeypatch.setattr(export, "model_source", lambda *_: source.replace(right, wrong))
    with pytest.raises(ExportError, match=r"model\.py: "):
        export_network(SMALL, network, tmp_path / "wrong", about, samples=samples)
    assert not (tmp_path / "wrong").exists()


def test_images_are_preprocessed_where_they_are(tmp_path):
    export_network(SMALL, with_statistics(SMALL), tmp_path)
    images = torch.zeros(2, 9, 8, 3, dtype=torch.uint8, device="meta")
    assert imported(tmp_path).preprocess(images).device.type == "meta"


def test_the_callers_network_is_left_as_it_was(tmp_path):
    network = with_statistics(SMALL).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    export_network(SMALL, network, tmp_path)
    assert network.training
    assert all(module.training for module in network.modules())
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_a_network_of_another_precision_is_exported_in_float32(tmp_path, dtype):
    network = with_statistics(SMALL).to(dtype)
    export_network(SMALL, network, tmp_path)
    assert next(imported(tmp_path).load().parameters()).dtype == torch.float32
    assert next(network.parameters()).dtype == dtype


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_network_on_a_gpu_with_tf32_is_exported_and_stays_there(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", True)
    architecture = Architecture((3, 32, 32), 10, Stem((64,)), (Block((256, 256)), Block((512,))))
    network = with_statistics(architecture).cuda()
    export_network(architecture, network, tmp_path)
    assert next(network.parameters()).is_cuda
    module = imported(tmp_path)
    images = torch.randint(256, (2, 32, 32, 3), dtype=torch.uint8, device="cuda")
    assert module.load().cuda()(module.preprocess(images)).shape == (2, 10)


def test_an_export_that_is_cut_short_leaves_whole_files(tmp_path, monkeypatch):
    """The source comes last: until then the old one refuses the new weights."""
    export_network(SMALL, with_statistics(SMALL), tmp_path)
    old = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    # Layers of the same names and shapes, which another activation joins.
    blocks = (replace(SMALL.blocks[0], point=SpectrumPoint(3, "gelu")), SMALL.blocks[1])
    other = replace(SMALL, blocks=blocks)
    replaced = []

    def replace_twice(source, target):
        if len(replaced) == 2:
            raise KeyboardInterrupt
        replaced.append(target.name)
        return source.rename(target)

    monkeypatch.setattr(Path, "replace", replace_twice)
    with pytest.raises(KeyboardInterrupt):
        export_network(other, with_statistics(other), tmp_path)
    assert replaced[0] == "weights.safetensors"
    assert (tmp_path / "model.py").read_bytes() == old["model.py"]
    monkeypatch.undo()
    with pytest.raises(ValueError, match=f"weights of another network, {other.key}"):
        imported(tmp_path).load()
    export_network(other, with_statistics(other), tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == set(old)
    imported(tmp_path).load()


def test_weights_with_metadata_can_be_loaded(tmp_path):
    """As other programs write them, Hugging Face's for one."""
    network = with_statistics(SMALL)
    export_network(SMALL, network, tmp_path)
    weights = tmp_path / "weights.safetensors"
    save_file(load_file(weights), weights, metadata={"format": "pt"})
    images = torch.randn(2, *SMALL.input_shape)
    torch.testing.assert_close(imported(tmp_path).load()(images), network(images))


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
    network = with_statistics(SMALL)
    export_network(SMALL, network, tmp_path)
    stored = load_file(tmp_path / "weights.safetensors")
    assert sum(t.numel() for t in stored.values()) == sum(
        t.numel() for t in network.state_dict().values()
    )
    assert json.loads((tmp_path / "architecture.json").read_text())["classes"] == 4
