"""PyTorch's modules as data: what makes each of them, with its shapes, parameters and MACs.

A layer is the call that constructs a module, and a tree where modules hold others. A step makes
the layer for an input of some shape, so a network is written as steps and widths follow. Each kind
of module is here once; `nas.network` builds and prints any layer by its fields alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Literal, NamedTuple

Activation = Literal["none", "relu", "elu", "gelu", "silu"]
Padding = Literal["symmetric", "tensorflow"]
Kind = Literal["convolution", "batch norm", "max pool", "average pool", "linear"]
Shape = tuple[int, ...]
"""(channels, height, width), or (channels,) once the positions are averaged."""

_ACTIVATIONS = {"none": "Identity", "relu": "ReLU", "elu": "ELU", "gelu": "GELU", "silu": "SiLU"}


class Layer(NamedTuple):
    """One module, and those inside it. A tuple: networks are counted by the thousand.

    Attributes:
        module: its class, of `torch.nn` or `nas.network.exported_layers`.
        input: shape of its input.
        output: shape of its output.
        arguments: positional ones of the class.
        options: its keyword arguments.
        children: modules inside it, by name and in the order in which they are called.
        params: trainable parameters, those of its children included.
        macs: multiply-accumulates for one image; padding counts, biases and batch norm do not.
        activations: output elements of convolutions and linear layers (Radosavovic 2020, 3.1).
        kind: what it is in a table of layers; modules around and inside such a layer have none.
        kernel: height and width of a convolution or pooling.
        stride: in height and width.
        segments: independent channel segments of a convolution (groups).
    """

    module: str
    input: Shape
    output: Shape
    arguments: tuple[int, ...] = ()
    options: Mapping[str, float] = {}  # never written
    children: Mapping[str, Layer] = {}
    params: int = 0
    macs: int = 0
    activations: int = 0
    kind: Kind | None = None
    kernel: int = 1
    stride: int = 1
    segments: int = 1


Step = Callable[[Shape], Layer]
Steps = Mapping[str, Step]


class Run(NamedTuple):
    """Neighbouring channel segments of equal widths: one grouped convolution."""

    in_width: int
    out_width: int
    segments: int


def segment_runs(in_channels: int, out_channels: int, count: int) -> tuple[Run, ...]:
    """Channels in ``count`` segments whose widths differ by at most one, the wider ones first."""
    (in_width, in_wider), (out_width, out_wider) = (
        divmod(in_channels, count),
        divmod(out_channels, count),
    )
    return tuple(
        Run(in_width + (start < in_wider), out_width + (start < out_wider), stop - start)
        for start, stop in pairwise(sorted({0, in_wider, out_wider, count}))
    )


# Modules that hold others.


def sequential(
    steps: Steps,
    kind: Kind | None = None,
    kernel: int = 1,
    stride: int = 1,
    segments: int = 1,
) -> Step:
    """One after the other; of a kind where they are one layer together."""

    def at(shape: Shape) -> Layer:
        children, output = {}, shape
        params = macs = activations = 0
        for name, step in steps.items():
            layer = children[name] = step(output)
            output = layer.output
            params += layer.params
            macs += layer.macs
            activations += layer.activations
        return Layer(
            "Sequential",
            shape,
            output,
            (),
            {},
            children,
            params,
            macs,
            activations,
            kind,
            kernel,
            stride,
            segments,
        )

    return at


def _sum(children: Mapping[str, Layer]) -> tuple[int, int, int]:
    """Parameters, MACs and activations."""
    params = macs = activations = 0
    for child in children.values():
        params += child.params
        macs += child.macs
        activations += child.activations
    return params, macs, activations


def residual(branch: Step, shortcut: Step) -> Step:
    """The sum of two."""

    def at(shape: Shape) -> Layer:
        children = {"branch": branch(shape), "shortcut": shortcut(shape)}
        output = children["branch"].output
        return Layer("Residual", shape, output, (), {}, children, *_sum(children))

    return at


def concatenation(*towers: Step) -> Step:
    """Side by side over the same input, as in Inception modules (Chollet 2016, figure 1)."""

    def at(shape: Shape) -> Layer:
        children = {str(index): tower(shape) for index, tower in enumerate(towers)}
        output = _concatenated(children)
        return Layer("Concatenation", shape, output, (), {}, children, *_sum(children))

    return at


def _concatenated(children: Mapping[str, Layer]) -> Shape:
    channels = sum(child.output[0] for child in children.values())
    return channels, *children["0"].output[1:]


# Convolutions, without biases: batch norm follows.


def convolution(
    out_channels: int,
    kernel: int = 1,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Step:
    """PyTorch's own, with a square kernel."""

    def at(shape: Shape) -> Layer:
        channels, height, width = shape
        reach = dilation * (kernel - 1) - 2 * padding
        height, width = (height - reach - 1) // stride + 1, (width - reach - 1) // stride + 1
        params = kernel * kernel * channels * out_channels // groups
        return Layer(
            "Conv2d",
            shape,
            (out_channels, height, width),
            (channels, out_channels, kernel),
            {
                "stride": stride,
                "padding": padding,
                "dilation": dilation,
                "groups": groups,
                "bias": False,
            },
            {},
            params,
            params * height * width,
            out_channels * height * width,
            "convolution",
            kernel,
            stride,
            groups,
        )

    return at


def segmented_convolution(
    runs: tuple[Run, ...],
    kernel: int = 1,
    stride: int = 1,
    dilation: int = 1,
    padding: Padding = "symmetric",
) -> Step:
    """A k x k convolution whose channel segments do not see each other, and which keeps the size.

    (C_in, H, W) -> (C_out, ceil(H / stride), ceil(W / stride)). Segments of equal width are one
    grouped convolution; others are convolved side by side and concatenated.
    """
    pad, steps = _padding(kernel, stride, dilation, padding)
    widths = [run.in_width * run.segments for run in runs]
    parts = [
        convolution(run.out_width * run.segments, kernel, stride, pad, dilation, run.segments)
        for run in runs
    ]
    # Named 0, 1, ... also where there is one, as in the weights of all studies.
    steps["parts"] = sequential({"0": parts[0]}) if len(runs) == 1 else _side_by_side(widths, parts)
    segments = sum(run.segments for run in runs)
    return sequential(steps, "convolution", kernel, stride, segments)


def _side_by_side(widths: list[int], parts: list[Step]) -> Step:
    """Each over channels of its own."""

    def at(shape: Shape) -> Layer:
        children = {
            str(index): part((width, *shape[1:]))
            for index, (width, part) in enumerate(zip(widths, parts, strict=True))
        }
        output = _concatenated(children)
        return Layer("SegmentedConv2d", shape, output, (), {}, children, *_sum(children))

    return at


def pointwise_convolution(out_channels: int, stride: int = 1) -> Step:
    """1 x 1; a strided one drops positions first and convolves what is left.

    A strided 1 x 1 in oneDNN has wrong weight gradients on CPU in `channels_last` with fewer than
    eight input channels (uxlfoundation/oneDNN#6035, PyTorch 2.13).
    """
    steps = {"conv": convolution(out_channels)}
    if stride > 1:
        steps = {"subsample": _subsample(stride), **steps}
    return sequential(steps, "convolution", 1, stride)


# Padding, and what moves or drops positions and channels.


def _padding(
    kernel: int, stride: int, dilation: int, padding: Padding, value: float = 0.0
) -> tuple[int, dict[str, Step]]:
    """What a convolution or pooling pads by itself, and the step before it that pads."""
    if padding == "symmetric" or kernel == 1:
        return dilation * (kernel - 1) // 2, {}
    options = {"stride": stride, "dilation": dilation, "value": value}
    reach = dilation * (kernel - 1) + 1

    def at(shape: Shape) -> Layer:
        size = tuple(max((-(-n // stride) - 1) * stride + reach, n) for n in shape[1:])
        return Layer("SamePad", shape, (shape[0], *size), (kernel,), options)

    return 0, {"pad": at}


def _subsample(stride: int) -> Step:
    """Every n-th row and column."""

    def at(shape: Shape) -> Layer:
        size = tuple(-(-n // stride) for n in shape[1:])
        return Layer("Subsample", shape, (shape[0], *size), (stride,))

    return at


def channel_shuffle(groups: int) -> Step:
    """Channels in turn from each group, so that the next groups mix (ShuffleNet, section 3.1)."""
    return lambda shape: Layer("Interleave", shape, shape, (shape[0], groups))


# Pooling.


def max_pool(stride: int, padding: Padding = "symmetric") -> Step:
    """3 x 3: (C, H, W) -> (C, ceil(H / stride), ceil(W / stride))."""
    pad, steps = _padding(3, stride, 1, padding, value=float("-inf"))
    pool = _pool("MaxPool2d", {"stride": stride, "padding": pad}, stride)
    return sequential({**steps, "pool": pool}, "max pool", 3, stride)


def average_pool() -> Step:
    """3 x 3 with stride 1, as in Inception modules; PyTorch counts the padding in the mean."""
    return _pool("AvgPool2d", {"stride": 1, "padding": 1}, 1)


def _pool(module: str, options: Mapping[str, int], stride: int) -> Step:
    kind: Kind = "max pool" if module == "MaxPool2d" else "average pool"

    def at(shape: Shape) -> Layer:
        size = tuple((n + 2 * options["padding"] - 3) // stride + 1 for n in shape[1:])
        output = (shape[0], *size)
        return Layer(module, shape, output, (3,), options, kind=kind, kernel=3, stride=stride)

    return at


# What works on single values, and the head.


def batch_norm(epsilon: float = 1e-5) -> Step:
    """One scale and one shift a channel."""
    options = {"eps": epsilon}
    return lambda shape: Layer(
        "BatchNorm2d", shape, shape, shape[:1], options, params=2 * shape[0], kind="batch norm"
    )


def activation(name: Activation) -> Step:
    """A nonlinearity without parameters; ``none`` is the identity."""
    return lambda shape: Layer(_ACTIVATIONS[name], shape, shape)


def global_mean() -> Step:
    """The average over all positions: (C, H, W) -> (C,)."""
    return lambda shape: Layer("GlobalMean", shape, shape[:1])


def dropout() -> Step:
    """Off until a recipe turns it on."""
    return lambda shape: Layer("Dropout", shape, shape, options={"p": 0.0})


def linear(classes: int) -> Step:
    """With a bias: (C,) -> (classes,)."""
    return lambda shape: Layer(
        "Linear",
        shape,
        (classes,),
        (shape[0], classes),
        params=(shape[0] + 1) * classes,
        macs=shape[0] * classes,
        activations=classes,
        kind="linear",
    )
