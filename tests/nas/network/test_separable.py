"""TensorFlow's `separable_conv2d` against sums written out, in float64."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nas


def summed(image, depthwise, pointwise, strides, padding, rate):
    """TensorFlow's definition, term by term: (N, H, W, C) to (N, H', W', out).

    output[n, i, j, c] = sum over di, dj, q, r of input[n, s*i + rate*di - top, s*j + rate*dj -
    left, q] * depthwise[di, dj, q, r] * pointwise[0, 0, q*m + r, c], what is outside being zero.
    """
    n, *sizes, channels = image.shape
    kernels, multiplier = depthwise.shape[:2], depthwise.shape[3]
    outputs, first = [], []
    for size, k, s, d in zip(sizes, kernels, strides, rate, strict=True):
        reach = (k - 1) * d + 1
        if padding == "SAME":
            outputs.append(math.ceil(size / s))
            first.append(max((outputs[-1] - 1) * s + reach - size, 0) // 2)
        else:
            outputs.append(math.ceil((size - reach + 1) / s))
            first.append(0)
    between = np.zeros((n, *outputs, channels * multiplier))
    for i, j in itertools.product(*map(range, outputs)):
        for di, dj in itertools.product(*map(range, kernels)):
            y = i * strides[0] + di * rate[0] - first[0]
            x = j * strides[1] + dj * rate[1] - first[1]
            if 0 <= y < sizes[0] and 0 <= x < sizes[1]:
                for q, r in itertools.product(range(channels), range(multiplier)):
                    value = image[:, y, x, q] * depthwise[di, dj, q, r]
                    between[:, i, j, q * multiplier + r] += value
    return between @ pointwise[0, 0]


@st.composite
def cases(draw):
    """Sizes, kernels, strides or rates, multipliers: what one call takes."""
    size, kernel, one = st.integers(5, 16), st.integers(1, 5), st.just(1)
    strided = draw(st.booleans())
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    strides, rate = (draw(pair), (1, 1)) if strided else ((1, 1), draw(pair))
    m, channels = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    shapes = (
        (draw(st.integers(1, 2)), draw(size), draw(size), channels),
        (draw(kernel), draw(kernel), channels, m),
        (1, 1, m * channels, draw(st.one_of(one, st.integers(2, 3)))),
    )
    return shapes, strides, rate, draw(st.sampled_from(["SAME", "VALID"])), draw(st.integers(0, 99))


@settings(max_examples=60)
@given(cases())
def test_it_is_the_sum_that_tensorflow_defines(case):
    shapes, strides, rate, padding, seed = case
    arrays = [np.random.default_rng(seed).normal(size=shape) for shape in shapes]
    tensors = [torch.from_numpy(array) for array in arrays]
    reach = [(k - 1) * d + 1 for k, d in zip(shapes[1][:2], rate, strict=True)]
    if padding == "VALID" and any(r > n for r, n in zip(reach, shapes[0][1:3], strict=True)):
        with pytest.raises(ValueError, match="with VALID padding the filter reaches over at most"):
            nas.separable_conv2d(*tensors, strides, padding, rate)
        return
    expected = summed(*arrays, strides, padding, rate)
    found = nas.separable_conv2d(*tensors, strides, padding, rate)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12)
    first = nas.separable_conv2d(
        tensors[0].permute(0, 3, 1, 2), *tensors[1:], strides, padding, rate, data_format="NCHW"
    )
    np.testing.assert_array_equal(first.permute(0, 2, 3, 1).numpy(), found.numpy())


def tensor(values, *shape: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def test_the_odd_row_of_padding_is_at_the_bottom_and_the_right():
    """Four ones under a filter of ones, 2 x 2: only the last row and column see padding."""
    image, ones = torch.ones(1, 3, 3, 1), torch.ones(2, 2, 1, 1)
    found = nas.separable_conv2d(image, ones, torch.ones(1, 1, 1, 1), 1, "SAME")
    assert found[0, :, :, 0].tolist() == [[4, 4, 2], [4, 4, 2], [2, 2, 1]]


def test_a_stride_begins_where_the_padding_says():
    """Of 4 positions in steps of 2 a filter of 3 pads the end alone: it sees 0-2, then 2-3."""
    image = tensor([1.0, 2.0, 3.0, 4.0], 1, 1, 4, 1)
    found = nas.separable_conv2d(
        image, tensor([1.0, 1.0, 1.0], 1, 3, 1, 1), tensor([1.0], 1, 1, 1, 1), [1, 2], "SAME"
    )
    assert found.flatten().tolist() == [6, 7]


def test_channels_of_the_depthwise_step_are_in_turn_those_of_each_input_channel():
    """Channel q times r-th weight is channel q*m + r: 1*10, 1*20, 2*30, 2*40."""
    image = tensor([1.0, 2.0], 1, 1, 1, 2)
    depthwise = tensor([10.0, 20.0, 30.0, 40.0], 1, 1, 2, 2)
    pointwise = torch.eye(4, dtype=torch.float64).reshape(1, 1, 4, 4)
    found = nas.separable_conv2d(image, depthwise, pointwise, 1, "VALID")
    assert found.flatten().tolist() == [10, 20, 60, 80]


def test_it_has_the_gradients_of_the_sum():
    """In float32, too: strided 1 x 1 convolutions are wrong in oneDNN where channels are few."""
    gradients = []
    for dtype in (torch.float64, torch.float32):
        random = torch.Generator().manual_seed(0)
        shapes = ((4, 11, 12, 6), (1, 1, 6, 2), (1, 1, 12, 5))
        tensors = [torch.randn(shape, generator=random).to(dtype) for shape in shapes]
        tensors = [tensor.requires_grad_() for tensor in tensors]
        nas.separable_conv2d(*tensors, 2, "SAME").square().sum().backward()
        gradients.append([tensor.grad for tensor in tensors])
    for exact, found in zip(*gradients, strict=True):
        assert float((exact - found).abs().max()) < 1e-5 * float(exact.abs().max())


IMAGE, DEPTHWISE, POINTWISE = (2, 6, 6, 3), (3, 3, 3, 2), (1, 1, 6, 4)
WRONG = [
    ((IMAGE, DEPTHWISE, POINTWISE), (2, "SAME", 2), "strides or rate are above 1, not both"),
    ((IMAGE, DEPTHWISE, POINTWISE), ((1, 2), "SAME", (2, 1)), r"got strides \(1, 2\) and rate \(2, 1\)"),
    ((IMAGE, DEPTHWISE, POINTWISE), (1, "same"), "padding is one of SAME, VALID; got 'same'"),
    ((IMAGE, DEPTHWISE, POINTWISE), (1, "SAME", 1, "NWHC"), "data_format is one of NHWC, NCHW; got 'NWHC'"),
    ((IMAGE, DEPTHWISE, POINTWISE), (0, "SAME"), "strides is one number from 1 on, or two; got 0"),
    ((IMAGE, DEPTHWISE, POINTWISE), ((1, 2, 3), "SAME"), "or two; got "),
    ((IMAGE, DEPTHWISE, POINTWISE), ((2, 2, 2, 1), "SAME"), "over images and channels are 1"),
    ((IMAGE, DEPTHWISE, POINTWISE), ((1, 2, 2, 1), "SAME", 1, "NCHW"), "over images and channels are 1"),
    ((IMAGE, DEPTHWISE, POINTWISE), (1, "SAME", (1, 1, 1)), "rate is one number from 1 on, or two"),
    (((6, 6, 3), DEPTHWISE, POINTWISE), (1, "SAME"), r"input has 4 dimensions; got shape \(6, 6, 3\)"),
    ((IMAGE, (3, 3, 4, 2), POINTWISE), (1, "SAME"), r"depthwise_filter is \(kh, kw, 3, m\)"),
    ((IMAGE, DEPTHWISE, (1, 1, 5, 4)), (1, "SAME"), r"pointwise_filter is \(1, 1, 6, out\)"),
    ((IMAGE, DEPTHWISE, (3, 3, 6, 4)), (1, "SAME"), r"pointwise_filter is \(1, 1, 6, out\)"),
]  # fmt: skip


@pytest.mark.parametrize(("shapes", "arguments", "message"), WRONG)
def test_what_does_not_fit_is_refused(shapes, arguments, message):
    with pytest.raises(ValueError, match=message):
        nas.separable_conv2d(*map(torch.ones, shapes), *arguments)


@pytest.mark.parametrize("strides", [2, (2, 2), [1, 2, 2, 1]])
def test_strides_are_one_number_two_or_tensorflows_four(strides):
    shapes = map(torch.ones, (IMAGE, DEPTHWISE, POINTWISE))
    assert nas.separable_conv2d(*shapes, strides, "SAME").shape == (2, 3, 3, 4)
