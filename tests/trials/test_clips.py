"""Clips: how they are read, cut, flipped and trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from trials.data import DataConfig, DataError, load, probe
from trials.data.from_python import arrays_of, layout_of
from trials.data.resident import ResidentSplit
from trials.layout import layout_of as layout_of_network
from trials.recipe import RECIPES
from trials.train import Resident, evaluate, train

CPU = torch.device("cpu")


def archive(clips, labels=None):
    """Of two classes that differ in brightness, unless labels are given."""
    labels = np.arange(len(clips)) % 2 if labels is None else labels
    np.savez("clips.npz", images=clips, labels=labels)
    return DataConfig("npz:clips.npz")


def clips_of(count=40, shape=(5, 8, 6, 3)):
    rng = np.random.default_rng(0)
    bright = 100 * (np.arange(count) % 2)
    noise = rng.integers(0, 100, (count, *shape))
    return (noise + bright.reshape(-1, *[1] * len(shape))).astype(np.uint8)


def test_both_layouts_are_the_same_clips(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clips = clips_of()
    last = load(archive(clips))
    first = load(archive(np.moveaxis(clips, -1, 1)))
    assert probe(DataConfig("npz:clips.npz")).input_shape == (3, 5, 8, 6)
    assert last.input_shape == first.input_shape == (3, 5, 8, 6)
    assert last.summary == first.summary
    assert last.mean == pytest.approx(clips_mean(last), abs=1e-9)
    batch, _ = ResidentSplit(last.train, last, CPU).batch(torch.arange(4))
    assert batch.shape == (4, 3, 5, 8, 6)
    assert batch.is_contiguous(memory_format=torch.channels_last_3d)
    pixels = torch.from_numpy(last.train.images[:4]).permute(0, 4, 1, 2, 3).double()
    mean, std = (torch.tensor(v).double().reshape(3, 1, 1, 1) for v in (last.mean, last.std))
    torch.testing.assert_close(batch.double(), (pixels - mean) / std, rtol=0, atol=1e-5)


def clips_mean(data) -> tuple[float, ...]:
    return tuple(data.train.images.mean(axis=(0, 1, 2, 3)))


def test_a_layout_that_a_shape_does_not_tell_has_to_be_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = archive(clips_of(shape=(3, 8, 6, 3)))
    with pytest.raises(DataError, match=r"may be \(N, T, H, W, C\) or \(N, C, T, H, W\)") as error:
        load(config)
    assert error.value.hint == "say which: data.layout: NTHWC or NCTHW"
    assert load(replace(config, layout="NTHWC")).input_shape == (3, 3, 8, 6)
    with pytest.raises(DataError, match=r"which is not N, H, W, C"):
        load(replace(config, layout="NHWC"))


def test_a_shape_that_is_said_is_checked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = archive(clips_of())
    assert load(replace(config, shape=(3, 5, 8, 6))).input_shape == (3, 5, 8, 6)
    with pytest.raises(DataError, match=r"\(channels, frames, height, width\); got shape") as error:
        load(replace(config, shape=(3, 4, 8, 6)))
    assert error.value.field == "shape"


def test_data_from_python_may_be_clips():
    clips = clips_of()
    arrays, tensors = arrays_of((clips, [0, 1] * 20)), torch.from_numpy(clips).movedim(-1, 1)
    np.testing.assert_array_equal(arrays["images"], clips)
    assert layout_of(arrays) is None
    np.testing.assert_array_equal(arrays_of((tensors, [0, 1] * 20))["images"], clips)
    one_by_one = arrays_of([(clip, index % 2) for index, clip in enumerate(clips)])
    np.testing.assert_array_equal(one_by_one["images"], clips)


def test_all_frames_are_cut_and_flipped_alike_and_as_images_are(tmp_path, monkeypatch):
    """With the same random numbers each frame is what an image of it alone would become."""
    monkeypatch.chdir(tmp_path)
    clips = clips_of()
    data = load(archive(clips))
    whole, _ = augmented(data)
    original, _ = ResidentSplit(data.train, data, CPU).batch(torch.arange(32))
    assert not torch.equal(whole, original)
    for frame in range(5):
        images = replace(data.train, images=np.ascontiguousarray(data.train.images[:, frame]))
        alone, _ = augmented(replace(data, train=images, pool=None))
        assert torch.equal(whole[:, :, frame], alone)
    assert whole.is_contiguous(memory_format=torch.channels_last_3d)


def augmented(data):
    generator = torch.Generator().manual_seed(3)
    split = ResidentSplit(data.train, data, CPU)
    return split.batch(torch.arange(32), crop=2, flip=True, generator=generator)


class Small(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv3d(3, 4, 3, padding=1, stride=2, bias=False),
            nn.BatchNorm3d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
            nn.Linear(4, 2),
        )


def test_a_network_learns_from_clips_and_twice_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = Resident(load(archive(clips_of())), CPU)
    recipe = replace(RECIPES["proxy"], epochs=4, batch_size=8, crop=1, flip=True)
    weights = []
    for _ in range(2):
        torch.manual_seed(0)
        network = Small()
        training = train(network, data, recipe, seed=1)
        weights.append([p.detach().clone() for p in network.parameters()])
        assert network[0].weight.is_contiguous(memory_format=torch.channels_last_3d)
        assert training.curve[-1].score == evaluate(network, data.validation).score == 1
    assert all(torch.equal(*pair) for pair in zip(*weights, strict=True))


def test_what_has_other_axes_keeps_its_layout():
    assert layout_of_network(Small()) is torch.channels_last_3d
    assert layout_of_network(nn.Conv2d(3, 4, 1)) is torch.channels_last


CONVOLUTIONS = (
    ((1, 1, 1), (1, 1, 1)),
    ((1, 3, 3), (1, 1, 1)),
    ((1, 3, 3), (1, 2, 2)),
    ((3, 1, 1), (1, 1, 1)),
    ((3, 1, 1), (2, 1, 1)),
    ((3, 3, 3), (1, 1, 1)),
    ((3, 3, 3), (2, 2, 2)),
)
"""Kernels and strides that networks are built of: see `tests.nas.architecture.test_clips`."""


@pytest.mark.parametrize("channels", [1, 12])
@pytest.mark.parametrize(("kernel", "stride"), CONVOLUTIONS)
def test_gradients_in_the_layout_of_trainings_are_right(kernel, stride, channels):
    """In two dimensions some are not (oneDNN): a strided 1x1 of few channels."""
    torch.manual_seed(0)
    padding = tuple(k // 2 for k in kernel)
    exact = nn.Conv3d(channels, 6, kernel, stride, padding, bias=False).double()
    conv = nn.Conv3d(channels, 6, kernel, stride, padding, bias=False)
    conv.load_state_dict(exact.state_dict())
    conv.to(memory_format=torch.channels_last_3d)
    for shape in ((4, 5, 7), (3, 2, 1)):
        x = torch.randn(4, channels, *shape, dtype=torch.float64, requires_grad=True)
        y = x.detach().float().clone(memory_format=torch.channels_last_3d).requires_grad_()
        expected, found = exact(x), conv(y)
        direction = torch.randn_like(expected)
        wanted = torch.autograd.grad((expected * direction).sum(), [exact.weight, x])
        given = torch.autograd.grad((found * direction.float()).sum(), [conv.weight, y])
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)
        for w, g in zip(wanted, given, strict=True):
            torch.testing.assert_close(g.double(), w, rtol=1e-4, atol=1e-4)


def test_synthetic_images_are_no_clips():
    with pytest.raises(DataError, match="synthetic images are no clips") as said:
        load(DataConfig("synthetic", shape=(3, 4, 8, 8)))
    assert "frames:DIR" in said.value.hint
