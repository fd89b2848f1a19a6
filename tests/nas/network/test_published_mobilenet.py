"""MobileNet as Keras computes it, written out with its own weights: each fact that cost time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas import count_cost, preset
from nas.network.build import build_network
from tests.nas.exporting import with_statistics

KERAS = {"activation": "relu6", "padding": "floor", "norm_epsilon": 1e-3}
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)


def mobilenet(size: int, **changes: object) -> nn.Module:
    options = {"alpha": 0.25, "image_size": size, "classes": 7, **KERAS, **changes}
    torch.manual_seed(0)
    return with_statistics(preset("mobilenet", **options)).eval()


def as_in_keras(network: nn.Module, x: Tensor) -> Tensor:
    """``keras.applications.MobileNet`` over the network's weights, in their order.

    ``Conv2D`` with SAME padding at the start; then ``ZeroPadding2D(((0, 1), (0, 1)))`` and a VALID
    ``DepthwiseConv2D`` where it strides; batch norm with epsilon 1e-3 and ReLU6 after every step.
    """
    tensors = iter([t for name, t in network.state_dict().items() if "num_batches" not in name])

    def norm(y: Tensor) -> Tensor:
        scale, shift, mean, variance = (next(tensors)[:, None, None] for _ in range(4))
        return (scale * (y - mean) / (variance + 1e-3).sqrt() + shift).clamp(0, 6)

    total = max((-(-x.shape[2] // 2) - 1) * 2 + 3 - x.shape[2], 0)
    before, after = total // 2, total - total // 2
    x = norm(F.conv2d(F.pad(x, (before, after, before, after)), next(tensors), stride=2))
    for stride in STRIDES:
        weight = next(tensors)
        padded = F.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        x = norm(F.conv2d(padded, weight, stride=stride, groups=len(weight)))
        x = norm(F.conv2d(x, next(tensors)))
    return F.linear(x.mean((2, 3)), next(tensors), next(tensors))


@pytest.mark.parametrize("size", [64, 75])
@torch.inference_mode()
def test_mobilenet_is_keras(size):
    network = mobilenet(size).double()
    images = 3 * torch.randn(2, 3, size, size, dtype=torch.float64)
    torch.testing.assert_close(network(images), as_in_keras(network, images))


@pytest.mark.parametrize(
    "change", [{"activation": "relu"}, {"norm_epsilon": 1e-5}, {"padding": "tensorflow"}], ids=str
)
@torch.inference_mode()
def test_without_one_of_these_facts_it_is_another_network(change):
    """On an odd size: on an even one TensorFlow's SAME is the same padding."""
    network = mobilenet(75, **change).double()
    images = 3 * torch.randn(2, 3, 75, 75, dtype=torch.float64)
    expected = as_in_keras(network, images)
    assert float((network(images) - expected).abs().max() / expected.abs().max()) > 1e-4


@pytest.mark.parametrize(("size", "floor", "same"), [(64, 2, 2), (75, 2, 3), (224, 7, 7)])
def test_on_odd_sizes_there_is_one_row_and_column_fewer_than_with_same(size, floor, same):
    maps = []
    for padding in ("floor", "tensorflow"):
        network = build_network(preset("mobilenet", alpha=0.25, image_size=size, padding=padding))
        maps.append(network.blocks(network.stem(torch.zeros(1, 3, size, size))).shape[2:])
    assert maps == [(floor, floor), (same, same)]


def test_one_segment_keeps_the_1x1_and_is_not_the_network_of_full_convolutions():
    """Howard 2017, table 4: 4866 million mult-adds and 29.3 million parameters."""
    full = count_cost(preset("mobilenet", separable=False))
    assert (round(full.macs, -6), round(full.params, -5)) == (4_867_000_000, 29_300_000)
    one_segment = count_cost(preset("mobilenet", segments=1))
    assert one_segment.params > full.params
