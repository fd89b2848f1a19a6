"""Clips by the commands: a search on moving shapes, its exports, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import Conv3d

from nas import Architecture, Block, SpectrumPoint, Stem, build_network, count_cost
from nas.describe import app as describe_app
from nas.engine.ray_cluster import RayCluster
from nas.engine.stage import StageRunner
from nas.explain import app as explain_app
from nas.export import app as export_app
from nas.latency import app as latency_app
from nas.network.subject import subject_of
from nas.predict import app as predict_app
from nas.search import app as search_app
from nas.space.load import build_space, read_document
from nas.space.published import published_network
from nas.study.identity import identity
from nas.study.records import read_records
from nas.study.selection import choose
from nas.study.trained_network import load_trained
from nas.train import app as train_app
from tests.nas.commands import run
from tests.nas.exporting import imported
from trials.train import Resident
from trials.trial import run_trial

SPACE = """
name: moving
data: {source: "npz:clips.npz"}
network:
  dims: 3
  stem: {channels: 8}
  blocks:
    - {channels: 12, stride: 2}
    - {channels: 16}
search:
  scope: network
  segments: [1, C/4]
  order: [spatial_first, space_then_time]
training: {epochs: 5, batch_size: 8, crop: 0, flip: false}
study: {trials: 2, sampler: random}
confirm: none
"""

STEPS = {"down": (1, 0), "left": (0, -1), "right": (0, 1), "up": (-1, 0)}


def moving_shapes(count: int = 100, frames: int = 5, size: int = 8):
    """A bright square that goes one way, and comes in again at the other side.

    It begins anywhere: no frame by itself tells which way it goes.
    """
    rng = np.random.default_rng(0)
    names = np.array(list(STEPS))[np.arange(count) % len(STEPS)]
    clips = rng.integers(0, 60, (count, frames, size, size, 1), dtype=np.uint8)
    for clip, name in zip(clips, names, strict=True):
        start = rng.integers(0, size, 2)
        for t, frame in enumerate(clip):
            row, column = start + t * np.array(STEPS[name])
            places = np.ix_((row + np.arange(3)) % size, (column + np.arange(3)) % size)
            frame[places] += 180
    return clips, names


def in_this_process(_runner, driver, data, *_others):
    """What Ray and its workers do."""
    resident = Resident(data, torch.device("cpu"))
    while (spec := driver.next()) is not None:
        subject = subject_of(spec.architecture, spec.cost)
        weights = Path("runs/moving/weights") / f"{spec.trial}.safetensors"
        fingerprint = data.summary.fingerprint
        measured = run_trial(
            subject, resident, fingerprint, spec.recipe, spec.seeds, weights=weights
        )
        driver.record(spec.trial, measured)


def without_ray(patched: pytest.MonkeyPatch) -> None:
    """A search in this process, which writes no figures."""
    patched.setattr(RayCluster, "start_soon", lambda _: None)
    patched.setattr(StageRunner, "run", in_this_process)
    patched.setattr("nas.api.run_search._write_results", lambda *_: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where a search on moving shapes was run."""
    root = tmp_path_factory.mktemp("clips")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(root)
        without_ray(patched)
        clips, names = moving_shapes()
        np.savez("clips.npz", images=clips, labels=names)
        Path("space.yaml").write_text(SPACE)
        run(search_app, "--space", "space.yaml")
    return root


@pytest.fixture
def searched(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return read_records("sqlite:///runs/moving/study.db", "moving")


def test_a_search_finds_networks_that_see_movement(searched):
    assert len(searched.complete) == 2
    assert all(trial.architecture.input_shape == (1, 5, 8, 8) for trial in searched.complete)
    assert choose(searched, best="accuracy").accuracy > 0.8  # of four ways, none of them in a frame


@pytest.mark.usefixtures("searched")
def test_the_shape_of_clips_may_be_said_and_is_of_the_identity():
    """As that of images is: recorded before there were clips."""
    said = build_space(read_document("space.yaml", ["data.shape=[1, 5, 8, 8]"]))
    assert said.input_shape == (1, 5, 8, 8)
    assert identity(said.file)["data.shape"] == [1, 5, 8, 8]
    assert identity(build_space(read_document("space.yaml")).file)["data.shape"] is None


@pytest.mark.usefixtures("searched")
def test_a_search_may_say_the_dimensions_or_not_and_goes_on(monkeypatch):
    without_ray(monkeypatch)
    Path("same.yaml").write_text(SPACE.replace("  dims: 3\n", ""))
    run(search_app, "--space", "same.yaml")
    assert len(read_records("sqlite:///runs/moving/study.db", "moving").complete) == 2


def test_a_space_of_clips_is_described(searched):
    shown = run(describe_app, "space.yaml").stdout
    assert "1 x 5 x 8 x 8 in 4 classes" in shown
    assert "3 x 3 x 3" in shown
    assert "the same" in shown  # as ptflops counts
    network = next(
        t.architecture for t in searched.complete if "space_then_time" in t.architecture.to_json()
    )
    Path("network.json").write_text(network.to_json())
    shown = run(describe_app, "network.json", "--svg", "network.svg").stdout
    assert "1 x 3 x 3" in shown
    assert "3 x 1 x 1" in shown
    assert Path("network.svg").exists()


def test_what_is_exported_computes_the_trained_network(searched):
    arguments = ("--study", "runs/moving", "--trial", 0, "--output", "out")
    run(
        export_app, *arguments, "--format", "pytorch,pt2,onnx,int4", "--max-loss", 50,
        "--with-preprocess", "--features",
    )  # fmt: skip
    module, clips = imported(Path("out")), moving_shapes(8)[0]
    inputs = module.preprocess(torch.from_numpy(clips))
    assert inputs.shape == (8, 1, 5, 8, 8)
    trained = load_trained(searched, searched.trials[0], Path("runs/moving"))
    with torch.inference_mode():
        logits = trained(inputs)
        torch.testing.assert_close(module.load()(inputs), logits, rtol=1e-4, atol=1e-4)
        rounded = module.load("out/model.int4.safetensors")(inputs)
    assert 0 < (rounded - logits).abs().mean() < logits.abs().mean() / 2
    with pytest.raises(ValueError, match=r"images are \(N, T, H, W, 1\)"):
        module.preprocess(torch.zeros(2, 8, 8, 1, dtype=torch.uint8))
    card = Path("out/README.md").read_text()
    assert "| input | 1 x 5 x 8 x 8, normalised" in card
    assert "logits of clips (N, 5, 8, 8, 1), uint8" in card
    assert "Pillow" not in card


def test_formats_and_commands_of_pictures_refuse_clips(searched):
    arguments = ("--study", "runs/moving", "--trial", 0)
    Path("network.json").write_text(searched.trials[0].architecture.to_json())
    rule = "pte has no layers for clips, which the network takes; pt2, onnx, int8, int4 have"
    for app, more in (
        (export_app, (*arguments, "--output", "phone", "--format", "pte")),
        (latency_app, ("network.json", "--runtime", "pte")),
    ):
        assert f"error: {rule}" in run(app, *more, status=2).stderr
    assert not Path("phone").exists()
    run(export_app, *arguments, "--output", "source", "--format", "pytorch")
    for app, more in (
        (predict_app, ("--model", "source", "clips.npz")),
        (explain_app, ("--model", "source", "--images", "clips.npz")),
    ):
        assert "does not read pictures" in run(app, *more, status=2).stderr


def test_one_network_is_trained_on_clips(searched):
    Path("network.json").write_text(searched.trials[0].architecture.to_json())
    shown = run(
        train_app, *("--architecture", "network.json", "--data", "npz:clips.npz", "--recipe"),
        *("proxy", "--epochs", 2, "--set", "training.flip=false", "--output", "long"),
    ).stdout  # fmt: skip
    assert ", 2 epochs: accuracy " in shown
    assert "| input | 1 x 5 x 8 x 8, normalised" in Path("long/README.md").read_text()


def test_a_search_and_a_training_read_folders_of_frames(tmp_path, monkeypatch):
    """The training takes as many frames of each clip as its network has, in its size."""
    monkeypatch.chdir(tmp_path)
    without_ray(monkeypatch)
    for number, (clip, name) in enumerate(zip(*moving_shapes(40, frames=7, size=9), strict=True)):
        for t, frame in enumerate(clip):
            file = Path(f"clips/{name}/{number}/{t}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(frame[..., 0]).save(file)
    Path("space.yaml").write_text(SPACE.replace("npz:clips.npz", "frames:clips"))
    assert "1 x 7 x 9 x 9 in 4 classes" in run(describe_app, "space.yaml").stdout
    changes = ("data.shape=[1, 5, 9, 9]", "training.epochs=1")
    run(search_app, "--space", "space.yaml", *(o for c in changes for o in ("--set", c)))
    complete = read_records("sqlite:///runs/moving/study.db", "moving").complete
    assert [trial.architecture.input_shape for trial in complete] == [(1, 5, 9, 9)] * 2
    small = Architecture((1, 3, 8, 8), 4, Stem((8,)), (Block((8,)),))
    Path("network.json").write_text(small.to_json())
    run(
        train_app, *("--architecture", "network.json", "--data", "frames:clips", "--recipe"),
        *("proxy", "--epochs", 1, "--set", "training.batch_size=8", "--output", "long"),
    )  # fmt: skip
    assert "| input | 1 x 3 x 8 x 8, normalised" in Path("long/README.md").read_text()


@pytest.mark.usefixtures("searched")
def test_a_network_of_images_is_not_trained_on_frames():
    message = run(
        train_app, *("--preset", "mobilenet:alpha=0.25", "--data", "frames:clips"),
        *("--recipe", "proxy", "--epochs", 1, "--output", "never"), status=2,
    ).stderr  # fmt: skip
    assert "takes images of 3 x 224 x 224 (channels, height, width); got frames:clips" in message
    assert "hint: images:DIR reads each picture by itself" in message


def test_a_network_of_images_is_not_trained_on_clips(folder, monkeypatch):
    monkeypatch.chdir(folder)
    message = run(
        train_app, *("--preset", "mobilenet:alpha=0.25", "--data", "npz:clips.npz"),
        *("--recipe", "proxy", "--epochs", 1, "--output", "never"), status=2,
    ).stderr  # fmt: skip
    assert "takes images of 3 x 224 x 224, and these are 1 x 5 x 8 x 8" in message


@pytest.mark.parametrize("source", ["images:pictures", "synthetic"])
def test_a_network_of_clips_is_not_trained_on_pictures(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clips = Architecture((1, 5, 8, 8), 4, Stem((8,)), (Block((8,)),))
    Path("network.json").write_text(clips.to_json())
    said = run(
        train_app, *("--architecture", "network.json", "--data", source, "--recipe", "proxy"),
        *("--epochs", 1, "--output", "never"), status=2,
    ).stderr  # fmt: skip
    rule = "the network takes clips of 1 x 5 x 8 x 8 (channels, frames, height, width)"
    assert f"--data: error: {rule}; got {source}" in said
    assert (
        "hint: clips are folders of frames (frames:DIR), or arrays (N, T, H, W, C) of npz:FILE"
        in said
    )
    assert not Path("never").exists()


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        (("network.dims=2",),
         ["network.dims: 2 dimensions, and the data has clips of 1 x 5 x 8 x 8 (channels, frames, "
          "height, width)", "hint: say 3"]),
        (("data.source=digits",),
         ["network.dims: 3 dimensions, and the data has images of 1 x 8 x 8 (channels, height, "
          "width)", "hint: clips are folders of frames (frames:DIR), or arrays (N, T, H, W, C) of npz:FILE"]),
        (("data.source=digits", "network.dims=null"),
         ["search.order[1]: order space_then_time is of clips, and these are images"]),
        (("search.order=[plain, mixture]",),
         ["search.order[1]: order mixture is of images, and these are clips"]),
        (("network.dims=4",), ["network.dims"]),
        (("references=[mobilenet]",), ["mobilenet is a network of images, and these are clips"]),
        (("data.layout=NHWC",), ["data.layout", "which is not N, H, W, C"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(folder, monkeypatch, changes, messages):
    monkeypatch.chdir(folder)
    options = [part for change in changes for part in ("--set", change)]
    said = run(describe_app, "space.yaml", *options, status=2).stderr
    for message in messages:
        assert message in " ".join(said.split())


def test_plain_is_a_reference_with_the_shape_of_the_clips(folder, monkeypatch):
    monkeypatch.chdir(folder)
    space = build_space(read_document("space.yaml", ["references=[plain]"]))
    plain = published_network(space, "plain")
    assert plain.input_shape == (1, 5, 8, 8)
    assert [block.point for block in plain.blocks] == [SpectrumPoint(1, order="plain")] * 2
    convolutions = [m.kernel_size for m in build_network(plain).modules() if isinstance(m, Conv3d)]
    assert convolutions == [(3, 3, 3), (3, 3, 3), (1, 1, 1), (3, 3, 3), (1, 1, 1)]


def test_the_cheapest_and_dearest_are_counted(folder, monkeypatch):
    monkeypatch.chdir(folder)
    space = build_space(read_document("space.yaml"))
    costs = [count_cost(space.sample(seed)).macs for seed in range(12)]
    assert space.macs_range == (min(costs), max(costs))
