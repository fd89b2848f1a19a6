"""An int8 network agrees with the trained one, or is not kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nas import build_network
from nas.architecture.specification import Architecture, Block, SpectrumPoint, Stem
from nas.network.comparison import ExportedFile, ExportError, Samples, loss_of
from nas.network.export import export_network
from nas.network.exported_model import ExportedModel
from nas.network.formats import FormatOptions, quiet_exporters
from nas.network.source import Provenance
from trials.data import DataConfig, load
from trials.recipe import RECIPES
from trials.train import Resident, seed_weights, train

pytest.importorskip("onnxruntime")

DATA = DataConfig("synthetic", limit=400, shape=(3, 12, 12), classes=4)
ARCHITECTURE = Architecture(
    input_shape=(3, 12, 12),
    classes=4,
    stem=Stem((8,)),
    blocks=(Block((12,), SpectrumPoint(segments=4), stride=2), Block((16,), stride=2)),
)
CASES = [("symmetric", True), ("tensorflow", False)]
"""Padding, and whether images are taken as they are stored."""


@pytest.fixture(scope="module")
def data():
    return load(DATA)


@pytest.fixture(scope="module")
def samples(data):
    return Samples(
        torch.from_numpy(data.validation.images), torch.from_numpy(data.validation.labels),
        torch.tensor(data.mean), torch.tensor(data.std), torch.from_numpy(data.train.images[:128]),
    )  # fmt: skip


@pytest.fixture(scope="module")
def about(data):
    return Provenance("x", classes=data.classes, mean=data.mean, std=data.std)


@pytest.fixture(scope="module")
def trained(data):
    """Networks that can tell the classes, by their padding: TensorFlow's pools see minus infinity."""
    recipe = replace(RECIPES["proxy"], epochs=6, batch_size=32)
    resident = Resident(data, torch.device("cpu"))
    networks = {}
    for padding in ("symmetric", "tensorflow"):
        architecture = replace(ARCHITECTURE, padding=padding)
        seed_weights(recipe, 0)
        network = build_network(architecture)
        networks[padding] = architecture, train(network, resident, recipe, 0).network
    return networks


@pytest.fixture(scope="module")
def exported(trained, samples, about, tmp_path_factory):
    """By padding, and whether it takes images as they are stored: a folder, and what is said of it."""
    made = {}
    for padding, stored in CASES:
        found: list[ExportedFile] = []
        folder = export_network(
            *trained[padding], tmp_path_factory.mktemp("int8"), about,
            card=lambda files, found=found: found.extend(files) or "",
            formats=FormatOptions(("int8",), stored, max_loss=5), samples=samples,
        )  # fmt: skip
        made[padding, stored] = folder, found
    return made


@pytest.mark.parametrize(("padding", "stored"), CASES)
def test_its_classes_are_those_of_the_trained_network(trained, samples, exported, padding, stored):
    _, network = trained[padding]
    folder, (source, int8) = exported[padding, stored]
    assert source.score > 0.8
    assert int8.score == pytest.approx(source.score - int8.loss.points / 100)
    model = ExportedModel(folder, "int8")
    assert model.takes_stored == stored
    images = samples.images if stored else samples.normalised(samples.images)
    with torch.inference_mode():
        expected = network(samples.normalised(samples.images)).argmax(1)
        agreement = (model.run(images).argmax(1) == expected).float().mean()
    assert agreement >= 0.95


@pytest.mark.parametrize(("padding", "stored"), CASES)
def test_another_quantiser_says_the_same(trained, samples, exported, padding, stored):
    """PyTorch's, which shares no code with that of onnxruntime."""
    pt2e = pytest.importorskip("torchao.quantization.pt2e.quantize_pt2e", reason="needs torchao")
    x86 = pytest.importorskip("torchao.quantization.pt2e.quantizer.x86_inductor_quantizer")
    _, network = trained[padding]
    images, calibration = map(samples.normalised, (samples.images, samples.calibration))
    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config())
    with quiet_exporters():
        batch = {0: torch.export.Dim("batch")}
        program = torch.export.export(network.eval(), (images,), dynamic_shapes=(batch,)).module()
        prepared = pt2e.prepare_pt2e(program, quantizer)
        prepared(calibration)
        second = pt2e.convert_pt2e(prepared)
    assert sum("dequantize" in str(node.target) for node in second.graph.nodes) > 10
    with torch.inference_mode():
        inputs = samples.images if stored else images
        ours = ExportedModel(exported[padding, stored][0], "int8").run(inputs).argmax(1)
        theirs = second(images).argmax(1)
    assert ours.eq(theirs).double().mean() >= 0.95


def test_one_that_loses_too_much_is_not_kept(trained, samples, about, tmp_path):
    """Its activations' ranges are those of black images."""
    architecture, network = trained["symmetric"]
    black = replace(samples, calibration=torch.zeros_like(samples.calibration))
    with pytest.raises(ExportError, match=r"model.int8.onnx loses [0-9.]+ percentage points"):
        export_network(
            architecture, network, tmp_path / "out", about, formats=FormatOptions(("int8",)),
            samples=black,
        )  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_the_loss_is_paired_over_images():
    """Of 100 images 5 are lost and 2 are won: 3 points, from 3 - 1.96 * 2.63 to 3 + 1.96 * 2.63."""
    logits = torch.zeros(100, 2)
    logits[:, 0] = 1  # the trained network is right on the first 90
    labels = torch.tensor([0] * 90 + [1] * 10)
    worse = logits.clone()
    worse[:5] = torch.tensor([0.0, 1.0])
    worse[90:92] = torch.tensor([0.0, 1.0])
    pixels = torch.zeros(100, 1, 1, 1, dtype=torch.uint8)
    samples = Samples(pixels, labels, torch.zeros(1), torch.ones(1), pixels)
    batches = {"trained": iter(torch.split(logits, 64)), "worse": iter(torch.split(worse, 64))}
    loss = loss_of(
        lambda _: next(batches["worse"]), lambda _: next(batches["trained"]), samples, raw=False
    )
    spread = np.std([1] * 5 + [-1] * 2 + [0] * 93, ddof=1) * 100 / 10
    assert loss.points == pytest.approx(3)
    assert (loss.low, loss.high) == pytest.approx((3 - 1.96 * spread, 3 + 1.96 * spread))
    assert loss.images == 100


def test_no_difference_in_a_hundred_images_may_be_three():
    pixels = torch.zeros(100, 1, 1, 1, dtype=torch.uint8)
    labels = torch.zeros(100, dtype=torch.int64)
    samples = Samples(pixels, labels, torch.zeros(1), torch.ones(1), pixels)

    def run(images):
        return torch.zeros(len(images), 2)

    loss = loss_of(run, run, samples, raw=False)
    assert (loss.points, loss.low, loss.high) == (0, -3, 3)


def test_without_labels_there_is_nothing_to_judge_it_by(trained, tmp_path):
    architecture, network = trained["symmetric"]
    with pytest.raises(ExportError, match=r"model.int8.onnx: there are no labelled images"):
        export_network(architecture, network, tmp_path / "out", formats=FormatOptions(("int8",)))
