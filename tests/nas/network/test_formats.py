"""Every format computes what the trained network does, in a process without this project."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nas.architecture.specification import Architecture, Block, SpectrumPoint, Stem
from nas.network import pte_format
from nas.network.comparison import ExportError, Samples
from nas.network.export import export_network
from nas.network.exportable import Exportable
from nas.network.exported_model import ExportedModel, NoModel
from nas.network.formats import FORMATS, FormatOptions, quiet_exporters
from nas.network.latency import TimedNetwork, settings_of, time_networks
from nas.network.pte_format import load_pte, write_pte
from nas.network.source import Provenance
from tests.nas.exporting import SMALL, imported, with_statistics

ABOUT = Provenance(
    "x", classes=("cat", "dog", "cow"), mean=(100.0, 50.0, 25.0), std=(50.0, 25.0, 10.0)
)

# Uneven segments, a shuffle, every activation, dilation, a multiplier, both orders and shortcuts,
# and TensorFlow's padding, whose pools see minus infinity.
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
    padding="tensorflow",
)  # fmt: skip
NAMES = tuple(name for name, format_ in FORMATS.items() if not format_.missing)
EXACT = ("pytorch", "pt2", "onnx", "pte")


@pytest.fixture(scope="module")
def samples():
    """Images whose labels are what the network says of most of them."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 17, 17, 3), dtype=np.uint8)
    images = torch.from_numpy(pixels)
    mean, std = torch.tensor(ABOUT.mean), torch.tensor(ABOUT.std)
    unlabelled = Samples(images, None, mean, std, images)
    with torch.inference_mode():
        guesses = with_statistics(ALL_AT_ONCE)(unlabelled.normalised(images)).argmax(1)
    labels = (guesses + (torch.arange(40) < 4)) % 3
    return replace(unlabelled, labels=labels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, samples):
    pytest.importorskip("onnxruntime")
    network = with_statistics(ALL_AT_ONCE)
    root = tmp_path_factory.mktemp("formats")
    reports = []
    export_network(
        ALL_AT_ONCE, network, root / "normalised", ABOUT,
        card=lambda files: reports.extend(files) or "",
        formats=FormatOptions(NAMES, calibration=40, max_loss=50), samples=samples,
    )  # fmt: skip
    export_network(
        ALL_AT_ONCE, network, root / "raw", ABOUT,
        formats=FormatOptions(("onnx",), with_preprocessing=True, with_features=True),
    )  # fmt: skip
    return root, network, reports


def test_every_format_is_reported(folder):
    _, _, reports = folder
    assert tuple(report.format for report in reports) == ("pytorch", *NAMES)
    sizes = {report.format: report.size for report in reports}
    assert sizes["int4"] < sizes["onnx"] / 2
    for report in reports:
        assert report.deviation < (1e-5 if report.format in EXACT else 0.1)
        # Four of the 40 labels are others than the network's.
        assert report.score == pytest.approx(0.9) or report.format not in EXACT
        assert report.latency_ms > 0


CLEAN = """
import sys
sys.path.insert(0, ".")
import numpy as np, onnxruntime, torch
from model import load, preprocess

def of_onnx(path):
    session = onnxruntime.InferenceSession(path)
    return lambda images: session.run(None, {"images": images.numpy()})[0]

def of_pte(path):
    from executorch.runtime import Runtime
    method = Runtime.get().load_program(path).load_method("forward")
    return lambda images: np.concatenate([method.execute([i])[0].numpy() for i in images.split(1)])

runs = {
    "pytorch": lambda: load(), "int4": lambda: load("model.int4.safetensors"),
    "pt2": lambda: torch.export.load("model.pt2").module(),
    "onnx": lambda: of_onnx("model.onnx"), "int8": lambda: of_onnx("model.int8.onnx"),
    "pte": lambda: of_pte("model.pte"),
}
inputs, outputs, *names = sys.argv[1:]
images = preprocess(torch.from_numpy(np.load(inputs))).contiguous()
with torch.inference_mode():
    found = {name: runs[name]() for name in names}
    np.savez(outputs, **{f"{name} {n}": found[name](images[:n]) for name in names for n in (1, 17, 40)})
assert not {"nas", "trials"} & set(sys.modules)
"""


def test_a_clean_process_computes_the_same(folder, samples, tmp_path):
    """For any number of images; with as many right as the model card says."""
    root, network, reports = folder
    np.save(tmp_path / "images.npy", samples.images.numpy())
    files = (tmp_path / "images.npy", tmp_path / "outputs.npz")
    subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", CLEAN, *map(str, files), "pytorch", *NAMES],
        cwd=root / "normalised", check=True,
    )  # fmt: skip
    with torch.inference_mode():
        expected = network(samples.normalised(samples.images)).numpy()
    outputs = np.load(files[1])
    for report in reports:
        for count in (1, 17, 40):
            found = outputs[f"{report.format} {count}"]
            if report.format in EXACT:
                np.testing.assert_allclose(found, expected[:count], atol=1e-5, rtol=1e-5)
        right = (outputs[f"{report.format} 40"].argmax(1) == samples.labels.numpy()).mean()
        assert report.score == pytest.approx(right), report.format


@pytest.mark.parametrize("name", NAMES)
def test_predictions_are_by_the_format_that_is_named(folder, samples, name):
    root, _, reports = folder
    model = ExportedModel(root / "normalised", name)
    with torch.inference_mode():
        guesses = model.run(samples.normalised(samples.images)).argmax(1)
    accuracy = next(report.score for report in reports if report.format == name)
    assert guesses.eq(samples.labels).double().mean() == pytest.approx(accuracy)


def test_without_executorch_its_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(FORMATS, "pte", replace(FORMATS["pte"], packages=("not_installed",)))
    with pytest.raises(NoModel, match="pte needs not_installed: the extra mobile"):
        ExportedModel(folder[0] / "normalised", "pte")


def test_onnx_takes_images_as_they_are_stored_and_returns_feature_maps(folder):
    import onnxruntime

    root, network, _ = folder
    images = np.random.default_rng(0).integers(0, 256, (5, 17, 17, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(root / "raw" / "model.onnx")
    model = imported(root / "raw")
    normalised = ((images - np.array(ABOUT.mean)) / np.array(ABOUT.std)).transpose(0, 3, 1, 2)
    with torch.inference_mode():
        logits = network(torch.from_numpy(normalised).float()).numpy()
        maps = model.load().features(torch.from_numpy(normalised).float())
    names = ["logits", *(name for name, _, _ in model.FEATURES)]
    assert [output.name for output in session.get_outputs()] == names
    for found, expected in zip(
        session.run(None, {"images": images}), (logits, *map(np.asarray, maps)), strict=True
    ):
        limit = 1e-5 * max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(found, expected, atol=limit, rtol=0)


def test_onnx_has_threads_of_its_own(folder):
    path = folder[0] / "raw" / "model.onnx"
    tasks = Path("/proc/self/task")
    before = len(list(tasks.iterdir()))
    run = FORMATS["onnx"].load(path, 3)
    assert len(list(tasks.iterdir())) == before + 2  # the calling one is the third
    del run


def test_executorch_has_one_pool_of_threads_which_every_program_sees_to(folder, samples):
    """A program that was loaded with another pool would crash."""
    portable_lib = pytest.importorskip(
        "executorch.extension.pybindings.portable_lib", reason="needs executorch"
    )
    root, network, _ = folder
    path, image = root / "normalised" / "model.pte", samples.normalised(samples.images[:1])
    runs = {threads: FORMATS["pte"].load(path, threads) for threads in (1, 2)}
    for threads in (2, 1, 2, 1):
        torch.testing.assert_close(runs[threads](image), network(image), atol=1e-5, rtol=1e-5)
        assert portable_lib._threadpool_get_thread_count() == threads


def test_executorch_sees_to_its_threads_once_and_not_in_every_pass(folder, samples, monkeypatch):
    pytest.importorskip("executorch", reason="needs executorch")
    image = samples.normalised(samples.images[:1])
    run = load_pte(folder[0] / "normalised" / "model.pte")
    monkeypatch.setattr(pte_format, "_quiet", lambda: pytest.fail("the runtime is asked again"))
    run(image)
    run(image)


def test_executorch_takes_grey_images_as_they_are_normalised(tmp_path):
    """One channel: in memory first and last are the same, and the strides may be of either."""
    pytest.importorskip("executorch", reason="needs executorch")
    network = torch.nn.Conv2d(1, 2, 3, padding=1).eval()
    images = torch.randn(4, 5, 5, 1).permute(0, 3, 1, 2)
    assert images.contiguous().stride() == (25, 1, 5, 1)
    path = tmp_path / "model.pte"
    with quiet_exporters(), torch.inference_mode():
        write_pte(Exportable(network, images.contiguous(), images, Provenance("x")), path)
        run = load_pte(path)
        torch.testing.assert_close(run(images.contiguous()), network(images))


@pytest.mark.parametrize("kept", ["normalised", "raw"])
def test_latency_is_that_of_the_files_of_a_folder(folder, kept):
    """Whatever images they take."""
    root, network, _ = folder
    timed = TimedNetwork("a", ALL_AT_ONCE.key, network, ALL_AT_ONCE.input_shape, root / kept)
    settings = settings_of(["onnx"], [1], [2], [""])
    ((_, _, found),) = time_networks([timed], settings)
    assert 0 < found.first_ms <= found.median_ms <= found.third_ms


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


def test_files_have_nothing_of_the_pictures_nor_of_where_they_were_written(folder, samples):
    files = [folder[0] / "normalised" / FORMATS[name].file for name in NAMES]
    for file in (*files, folder[0] / "raw" / "model.onnx"):
        content = file.read_bytes()
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                content = b"".join(map(archive.read, archive.namelist()))
        image = samples.images[:1]
        assert image.numpy().tobytes() not in content
        assert samples.normalised(image).numpy().tobytes() not in content
        assert b".py" not in content  # as in a stack trace


def test_what_has_its_preprocessing_tells_nobody_to_do_it(folder):
    import onnxruntime

    session = onnxruntime.InferenceSession(folder[0] / "raw" / "model.onnx")
    known = session.get_modelmeta().custom_metadata_map
    assert json.loads(known["classes"]) == list(ABOUT.classes)
    assert not {"mean", "std"} & set(known)


def test_a_format_that_computes_something_else_is_not_kept(tmp_path, monkeypatch):
    network = with_statistics(SMALL)
    wrong = replace(
        FORMATS["pt2"], write=lambda _, path: path.touch(),
        load=lambda _path, _threads: lambda images: network(images) + 1e-3,
    )  # fmt: skip
    monkeypatch.setitem(FORMATS, "pt2", wrong)
    with pytest.raises(ExportError, match=r"model.pt2: outputs differ by 1.0.*e-03 for 1 images"):
        export_network(SMALL, network, tmp_path / "out", formats=FormatOptions(("pt2",)))
    assert not (tmp_path / "out").exists()


def test_the_formats_of_an_earlier_export_do_not_stay_beside_another_network(tmp_path):
    for format_ in FORMATS.values():
        (tmp_path / format_.file).touch()
    export_network(SMALL, with_statistics(SMALL), tmp_path)
    assert not any((tmp_path / format_.file).exists() for format_ in FORMATS.values())
