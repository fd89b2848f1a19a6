from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from nas.architecture.modules import (
    activation,
    batch_norm,
    channel_shuffle,
    segment_groups,
    segmented_convolution,
)
from nas.architecture.pooling import max_pool
from nas.kernels.library import LEVELS, best_level, library
from tests.nas.kernels.direct import direct_convolution
from tests.nas.kernels.running import (
    assert_close,
    built,
    gradients,
    halves,
    on_kernels,
    surrounded,
)

pytestmark = pytest.mark.skipif(best_level() is None, reason="no kernels were compiled")

AVAILABLE = [level for level in LEVELS if library(level)]
LEVEL = st.sampled_from(AVAILABLE or [None])


@st.composite
def convolutions(draw):
    """Any segments of any widths, kernels larger than the image, odd sizes."""
    channels = draw(st.integers(1, 20))
    count = draw(st.integers(1, channels))
    multiplier = draw(st.sampled_from([1, 1, 2]))
    groups = segment_groups(channels, channels * multiplier, count)
    kernel = draw(st.sampled_from([1, 3, 3, 5, 7]))
    stride = draw(st.sampled_from([1, 1, 2, 3]))
    dilation = draw(st.sampled_from([1, 1, 2])) if stride == 1 else 1
    size = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    return groups, kernel, stride, dilation, size


@given(
    shape=convolutions(),
    images=st.sampled_from([1, 2, 15, 16, 17, 33, 64, 70]),
    relu=st.booleans(),
    level=LEVEL,
    seed=st.integers(0, 2**31),
)
@settings(max_examples=200, deadline=None)
def test_any_segmented_convolution_and_its_gradients_are_those_of_direct_sums_in_float64(
    shape, images, relu, level, seed
):
    groups, kernel, stride, dilation, size = shape
    torch.manual_seed(seed)
    channels = sum(group.segments * group.in_width for group in groups)
    layer = surrounded(
        segmented_convolution(groups, kernel, stride, dilation), channels, size, relu
    )
    network = built(layer)
    x, weighting = halves(images, 2, *size), torch.randn(images, layer.output[0])

    def direct(x):
        weights = [w.double() for name, w in parameters.items() if name.startswith("step")]
        x = torch.einsum("nchw,oc->nohw", x, parameters["first.conv.weight"].double()[:, :, 0, 0])
        x = F.relu(x) if relu else x
        before = dilation * (kernel - 1) // 2
        return F.silu(direct_convolution(x, weights, groups, stride, dilation, before)).mean((2, 3))

    parameters = dict(copy.deepcopy(network).named_parameters())
    means = direct(x.double())
    (means * weighting).sum().backward()
    expected = {name: parameter.grad.double() for name, parameter in parameters.items()}
    found = gradients(on_kernels(layer, network, library(level)), x, weighting)
    assert_close(found, {"means": means.detach(), **expected})


LAYERS = {
    "max pool": (max_pool(2), 5),
    "max pool, stride 3": (max_pool(3), 5),
    "max pool, stride 1": (max_pool(1), 5),
    "TensorFlow's max pool": (max_pool(2, "tensorflow"), 5),
    "convolution": (segmented_convolution(segment_groups(7, 7, 3), 3), 7),
    "TensorFlow's convolution": (
        segmented_convolution(segment_groups(6, 6, 3), 3, 2, padding="tensorflow"),
        6,
    ),
    "batch norm": (batch_norm(), 5),
    "shuffle": (channel_shuffle(4), 12),
    "uneven shuffle": (channel_shuffle(3), 11),
    **{name: (activation(name), 5) for name in ("elu", "gelu", "silu")},
}


@pytest.mark.parametrize("level", AVAILABLE)
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("size", [(9, 6), (1, 2)])
def test_every_other_layer_is_pytorchs_in_float64(name, size, level):
    torch.manual_seed(7)
    step, channels = LAYERS[name]
    layer = surrounded(step, channels, size)
    network = built(layer)
    x, weighting = halves(37, 2, *size), torch.randn(37, layer.output[0])
    expected = gradients(copy.deepcopy(network).double(), x.double(), weighting)
    assert_close(gradients(on_kernels(layer, network, library(level)), x, weighting), expected)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", LAYERS)
def test_what_is_not_finite_stays_with_its_image_as_in_pytorch(name, value):
    step, channels = LAYERS[name]
    layer = surrounded(step, channels, (5, 4), relu="convolution" in name)
    network = built(layer).eval()
    x = halves(20, 2, 5, 4)
    x[3, 1, 2, 2] = value
    with torch.no_grad():
        found = on_kernels(layer, network, library()).eval()(x)
        expected = network(x)
    assert torch.equal(found[3].isfinite(), expected[3].isfinite())
    others = [i for i in range(20) if i != 3]
    torch.testing.assert_close(found[others], expected[others], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mean", [0.0, 100.0, 3000.0])
def test_a_mean_far_from_the_running_one_costs_no_digits_of_the_variance(mean):
    """At the first step the running mean is zero, whatever the images are."""
    layer = surrounded(batch_norm(), 1, (9, 6))
    network = built(layer)
    with torch.no_grad():
        network.first.conv.weight.copy_(torch.tensor([1.0, 0.0]).view(1, 2, 1, 1))
    x, weighting = torch.randn(40, 2, 9, 6) + mean, torch.randn(40, 1)
    expected = gradients(copy.deepcopy(network).double(), x.double(), weighting)
    found = gradients(on_kernels(layer, network, library()), x, weighting)
    for name in ("means", "step.weight", "step.bias"):
        torch.testing.assert_close(found[name], expected[name], rtol=1e-3, atol=1e-3)
