"""Every format computes what the trained network does, in a process without this project."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from nas.architecture.specification import Architecture, Block, SpectrumPoint, Stem
from nas.network.comparison import ExportError, Samples
from nas.network.export import export_network
from nas.network.formats import FORMATS, FormatOptions
from nas.network.source import Provenance
from tests.nas.network.test_export import SMALL, with_statistics

ABOUT = Provenance(
    "x", classes=("cat", "dog", "cow"), mean=(100.0, 50.0, 25.0), std=(50.0, 25.0, 10.0)
)

# Uneven segments, a shuffle, every activation, dilation, a multiplier, both orders and shortcuts.
ALL_AT_ONCE = Architecture(
    input_shape=(3, 17, 17),
    classes=3,
    stem=Stem((6,)),
    blocks=(
        Block((9,), SpectrumPoint(segments=4, activation="elu", kernel=5)),
        Block((12,), SpectrumPoint(segments=3, activation="gelu", multiplier=2, pointwise_groups=3,
                                   order="pointwise_first"), stride=2),
        Block((12, 8), SpectrumPoint(segments="C", activation="silu", dilation=2), residual=False),
        Block((8,), SpectrumPoint(order="plain", segments=1), stride=2),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("onnxruntime")
    network = with_statistics(ALL_AT_ONCE)
    root = tmp_path_factory.mktemp("formats")
    reports = []
    export_network(
        ALL_AT_ONCE, network, root / "normalised", ABOUT,
        card=lambda files: reports.extend(files) or "", formats=FormatOptions(("pt2", "onnx")),
    )  # fmt: skip
    export_network(
        ALL_AT_ONCE,
        network,
        root / "raw",
        ABOUT,
        formats=FormatOptions(("onnx",), with_preprocessing=True),
    )
    return root, network, reports


def test_every_format_is_reported(folder):
    _, _, reports = folder
    assert [report.format for report in reports] == ["pytorch", "pt2", "onnx"]
    for report in reports:
        assert report.size > 1000
        assert report.deviation < 1e-5
        assert report.accuracy is None  # there were no labels
        assert report.latency_ms > 0


RUN = {
    "pt2": "import torch; module = torch.export.load('model.pt2').module(); "
    "run = lambda x: module(torch.from_numpy(x)).detach().numpy()",
    "onnx": "import onnxruntime; session = onnxruntime.InferenceSession('model.onnx'); "
    "run = lambda x: session.run(None, {'images': x})[0]",
}


@pytest.mark.parametrize("name", RUN)
def test_a_clean_process_computes_the_same(folder, name, tmp_path):
    """For any number of images."""
    root, network, _ = folder
    images = np.random.default_rng(0).normal(size=(17, 3, 17, 17)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    program = (
        f"import numpy as np; images = np.load({str(tmp_path / 'images.npy')!r}); {RUN[name]}; "
        f"np.savez({str(tmp_path / 'outputs.npz')!r}, *(run(images[:n]) for n in (1, 4, 17))); "
        "import sys; assert not {'nas', 'trials'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-P", "-c", program], cwd=root / "normalised", check=True)
    with torch.inference_mode():
        expected = network(torch.from_numpy(images)).numpy()
    outputs = np.load(tmp_path / "outputs.npz")
    for index, count in enumerate((1, 4, 17)):
        found = outputs[f"arr_{index}"]
        np.testing.assert_allclose(found, expected[:count], atol=1e-5, rtol=1e-5)


def test_onnx_takes_images_as_they_are_stored(folder):
    import onnxruntime

    root, network, _ = folder
    images = np.random.default_rng(0).integers(0, 256, (5, 17, 17, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(root / "raw" / "model.onnx")
    normalised = ((images - np.array(ABOUT.mean)) / np.array(ABOUT.std)).transpose(0, 3, 1, 2)
    with torch.inference_mode():
        expected = network(torch.from_numpy(normalised).float()).numpy()
    outputs = session.run(None, {"images": images})[0]
    np.testing.assert_allclose(outputs, expected, atol=1e-5, rtol=1e-5)


def test_files_say_what_their_outputs_and_inputs_are(folder):
    import onnxruntime

    root, _, _ = folder
    session = onnxruntime.InferenceSession(root / "normalised" / "model.onnx")
    of_onnx = session.get_modelmeta().custom_metadata_map
    extra = {"metadata.json": ""}
    torch.export.load(root / "normalised" / "model.pt2", extra_files=extra)
    of_pt2 = json.loads(extra["metadata.json"])
    assert json.loads(of_onnx["classes"]) == of_pt2["classes"] == list(ABOUT.classes)
    assert json.loads(of_onnx["mean"]) == of_pt2["mean"] == list(ABOUT.mean)
    assert json.loads(of_onnx["std"]) == of_pt2["std"] == list(ABOUT.std)


def test_padding_as_tensorflows_is_written(tmp_path):
    pytest.importorskip("onnxruntime")
    architecture = replace(ALL_AT_ONCE, padding="tensorflow")
    export_network(
        architecture, with_statistics(architecture), tmp_path, formats=FormatOptions(("onnx",))
    )


def test_accuracy_is_that_of_the_validation_images(tmp_path):
    network = with_statistics(SMALL)
    channels, height, width = SMALL.input_shape
    pixels = torch.randint(0, 256, (40, height, width, channels), dtype=torch.uint8)
    samples = Samples(
        pixels, torch.zeros(40, dtype=torch.int64), torch.zeros(channels), torch.ones(channels),
        pixels,
    )  # fmt: skip
    with torch.inference_mode():
        expected = float((network(samples.normalised(pixels)).argmax(1) == 0).float().mean())
    found = []
    export_network(SMALL, network, tmp_path, card=lambda files: found.extend(files) or "",
                   formats=FormatOptions(("pt2",)), samples=samples)  # fmt: skip
    assert [report.accuracy for report in found] == [expected, expected]


def test_a_format_that_computes_something_else_is_not_kept(tmp_path, monkeypatch):
    pt2 = FORMATS["pt2"]
    wrong = replace(pt2, load=lambda path: lambda images: pt2.load(path)(images) + 1e-3)
    monkeypatch.setitem(FORMATS, "pt2", wrong)
    with pytest.raises(ExportError, match=r"model.pt2: outputs differ by 1.0.*e-03 for 1 images"):
        export_network(
            SMALL, with_statistics(SMALL), tmp_path / "out", formats=FormatOptions(("pt2",))
        )
    assert not (tmp_path / "out").exists()


def test_the_formats_of_an_earlier_export_do_not_stay_beside_another_network(tmp_path):
    export_network(SMALL, with_statistics(SMALL), tmp_path, formats=FormatOptions(("pt2",)))
    assert (tmp_path / "model.pt2").exists()
    export_network(SMALL, with_statistics(SMALL), tmp_path)
    assert not (tmp_path / "model.pt2").exists()
