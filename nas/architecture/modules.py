"""PyTorch's modules as data: what makes each of them, with its shapes, parameters and MACs.

A layer is the call that constructs a module, and a tree where modules hold others. A step makes
the layer for an input of some shape, so a network is written as steps and widths follow. Each kind
of module is here once; `nas.network` builds and prints any layer by its fields alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any, Literal, NamedTuple

Activation = Literal["none", "relu", "elu", "gelu", "silu", "relu6"]
Nonlinearity = Literal["relu", "relu6"]
Padding = Literal["symmetric", "tensorflow", "floor"]
Shape = tuple[int, ...]
"""(channels, height, width), (channels, frames, height, width) of clips, or (channels,) once the
positions are averaged."""

Along = int | tuple[int, ...]
"""The same along all axes, or one for each."""

_ACTIVATIONS = {
    **{"none": "Identity", "relu": "ReLU", "elu": "ELU", "gelu": "GELU", "silu": "SiLU"},
    "relu6": "ReLU6",
}


class Row(NamedTuple):
    """What a layer is in a table; ``segments`` are the independent ones of a convolution."""

    kind: Literal["convolution", "batch norm", "max pool", "average pool", "linear"]
    kernel: Along = 1
    stride: int = 1
    segments: int = 1


class Layer(NamedTuple):
    """One module, and those inside it. A tuple: networks are counted by the thousand.

    Attributes:
        module: its class, of `torch.nn` or `nas.network.exported_layers`.
        input: shape of its input.
        output: shape of its output.
        arguments: positional ones of the class, numbers or a few of them.
        options: its keyword arguments.
        children: modules inside it, by name and in the order in which they are called.
        params: trainable parameters, those of its children included.
        macs: multiply-accumulates for one image; padding counts, biases and batch norm do not.
        activations: output elements of convolutions and linear layers (Radosavovic 2020, 3.1).
        row: of a table; modules around and inside such a layer have none.
    """

    module: str
    input: Shape
    output: Shape
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = {}  # never written
    children: Mapping[str, Layer] = {}
    params: int = 0
    macs: int = 0
    activations: int = 0
    row: Row | None = None


Step = Callable[[Shape], Layer]
Steps = Mapping[str, Step]


def _holding(
    module: str, shape: Shape, output: Shape, children: Mapping[str, Layer], row: Row | None = None
) -> Layer:
    params = macs = activations = 0
    for child in children.values():
        params += child.params
        macs += child.macs
        activations += child.activations
    return Layer(module, shape, output, (), {}, children, params, macs, activations, row)


def sequential(steps: Steps, row: Row | None = None) -> Step:
    """Modules one after the other; with a row where they are one layer together."""

    def at(shape: Shape) -> Layer:
        children, output = {}, shape
        for name, step in steps.items():
            layer = children[name] = step(output)
            output = layer.output
        return _holding("Sequential", shape, output, children, row)

    return at


def residual(branch: Step, shortcut: Step) -> Step:
    """The sum of two modules over the same input."""

    def at(shape: Shape) -> Layer:
        children = {"branch": branch(shape), "shortcut": shortcut(shape)}
        return _holding("Residual", shape, children["branch"].output, children)

    return at


def with_auxiliary(trunk: Step, auxiliary: Step, rest: Step) -> Step:
    """A network with a second head in the middle, in training alone: its MACs are not counted."""

    def at(shape: Shape) -> Layer:
        early = trunk(shape)
        children = {
            "trunk": early,
            "auxiliary": auxiliary(early.output),
            "rest": rest(early.output),
        }
        whole = _holding("WithAuxiliary", shape, children["rest"].output, children)
        side = children["auxiliary"]
        macs, activations = whole.macs - side.macs, whole.activations - side.activations
        return whole._replace(macs=macs, activations=activations)

    return at


def concatenation(*towers: Step) -> Step:
    """Modules side by side over one input, as in Inception modules (Chollet 2016, figure 1)."""
    return lambda shape: _concatenated("Concatenation", shape, [tower(shape) for tower in towers])


def _concatenated(module: str, shape: Shape, layers: list[Layer]) -> Layer:
    output = (sum(layer.output[0] for layer in layers), *layers[0].output[1:])
    return _holding(module, shape, output, {str(i): layer for i, layer in enumerate(layers)})


class SegmentGroup(NamedTuple):
    """Neighbouring channel segments of equal widths: one grouped convolution."""

    in_width: int
    out_width: int
    segments: int


def segment_groups(in_channels: int, out_channels: int, count: int) -> tuple[SegmentGroup, ...]:
    """Channels in ``count`` segments whose widths differ by at most one, the wider ones first."""
    ins, in_wider = divmod(in_channels, count)
    outs, out_wider = divmod(out_channels, count)
    if not in_wider and not out_wider:
        return (SegmentGroup(ins, outs, count),)
    return tuple(
        SegmentGroup(ins + (start < in_wider), outs + (start < out_wider), stop - start)
        for start, stop in pairwise(sorted({0, in_wider, out_wider, count}))
    )


def named(kind: str, shape: Shape) -> str:
    """PyTorch's class of a kind for the axes of this shape: ``Conv2d`` or ``Conv3d``."""
    return f"{kind}{len(shape) - 1}d"


def _of_each(value: Along, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else value


def convolution(
    out_channels: int,
    kernel: Along = 1,
    stride: Along = 1,
    padding: Along = 0,
    dilation: Along = 1,
    groups: int = 1,
) -> Step:
    """PyTorch's own, without a bias: batch norm follows.

    Of images or of clips, by the shape of its input.
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    options["bias"] = False
    steps = stride if isinstance(stride, int) else max(stride)
    row = Row("convolution", kernel, steps, groups)

    def at(shape: Shape) -> Layer:
        axes = len(shape) - 1
        kernels, *others = (_of_each(one, axes) for one in (kernel, stride, padding, dilation))
        size = [
            (n + 2 * pad - d * (k - 1) - 1) // step + 1
            for n, k, step, pad, d in zip(shape[1:], kernels, *others, strict=True)
        ]
        params, positions = prod(kernels) * shape[0] * out_channels // groups, prod(size)
        costs = params, params * positions, out_channels * positions
        module, arguments = named("Conv", shape), (shape[0], out_channels, kernel)
        return Layer(module, shape, (out_channels, *size), arguments, options, {}, *costs, row)

    return at


def segmented_convolution(
    groups: tuple[SegmentGroup, ...],
    kernel: int = 1,
    stride: int = 1,
    dilation: int = 1,
    padding: Padding = "symmetric",
) -> Step:
    """A k x k convolution whose channel segments do not see each other, and which keeps the size.

    (C_in, H, W) -> (C_out, ceil(H / stride), ceil(W / stride)), the floor with that padding; of
    clips frames alike.
    """
    pad, before = padding_of(kernel, stride, dilation, padding)
    row = Row("convolution", kernel, stride)
    part = partial(convolution, kernel=kernel, stride=stride, padding=pad, dilation=dilation)
    return in_segments(groups, part, row, before)


def in_segments(
    groups: tuple[SegmentGroup, ...],
    part: Callable[..., Step],
    row: Row,
    before: Steps | None = None,
) -> Step:
    """A convolution in segments: those of equal width are one grouped convolution.

    Others are convolved side by side and concatenated.

    Args:
        part: the grouped convolution to so many channels, with this number of ``groups``.
        row: of all together, but for the segments.
        before: what pads.
    """
    parts = [part(group.out_width * group.segments, groups=group.segments) for group in groups]

    def side_by_side(shape: Shape) -> Layer:
        inputs = [(group.in_width * group.segments, *shape[1:]) for group in groups]
        layers = [part(shape) for part, shape in zip(parts, inputs, strict=True)]
        return _concatenated("SegmentedConv2d", shape, layers)

    # Named 0, 1, ... also where there is one, as in the weights of all studies.
    together = sequential({"0": parts[0]}) if len(groups) == 1 else side_by_side
    segments = sum([group.segments for group in groups])
    return sequential({**(before or {}), "parts": together}, row._replace(segments=segments))


def pointwise_convolution(out_channels: int, stride: int = 1) -> Step:
    """A 1 x 1 convolution; a strided one drops positions first and convolves what is left.

    A strided 1 x 1 in oneDNN has wrong weight gradients on CPU in `channels_last` with fewer than
    eight input channels (uxlfoundation/oneDNN#6035, PyTorch 2.13).
    """
    steps = {"subsample": _subsample(stride)} if stride > 1 else {}
    steps["conv"] = convolution(out_channels)
    return sequential(steps, Row("convolution", 1, stride))


def padding_of(
    kernel: int, stride: int, dilation: int, padding: Padding, value: float = 0.0
) -> tuple[int, dict[str, Step]]:
    """What a convolution or pooling pads by itself, and the step before it that pads."""
    if padding == "symmetric" or kernel == 1 or (padding == "floor" and stride == 1):
        return dilation * (kernel - 1) // 2, {}
    if padding == "floor":
        return 0, _pad_as_if_divided(kernel, stride)
    options = {"stride": stride, "dilation": dilation, "value": value}
    reach = dilation * (kernel - 1) + 1

    def at(shape: Shape) -> Layer:
        size = [max((-(-n // stride) - 1) * stride + reach, n) for n in shape[1:]]
        return Layer("SamePad", shape, (shape[0], *size), (kernel,), options)

    return 0, {"pad": at}


def _pad_as_if_divided(kernel: int, stride: int) -> dict[str, Step]:
    """TensorFlow's padding of a size that the stride divides, whatever the size is.

    Of a 3 x 3 kernel with stride 2 one row below and one column at the right, as in Keras'
    MobileNet. What is left over at those ends is dropped.
    """
    total = max(kernel - stride, 0)
    before, after = total // 2, total - total // 2

    def at(shape: Shape) -> Layer:
        size = [n + total for n in shape[1:]]
        return Layer("ZeroPad2d", shape, (shape[0], *size), ((before, after, before, after),))

    return {"pad": at} if total else {}


def _subsample(stride: int) -> Step:
    """Every n-th row and column; of clips every n-th frame, too."""

    def at(shape: Shape) -> Layer:
        output = shape[0], *[-(-n // stride) for n in shape[1:]]
        if len(shape) == 4:
            return Layer("AvgPool3d", shape, output, (1, stride))
        return Layer("Subsample", shape, output, (stride,))

    return at


def channel_shuffle(groups: int) -> Step:
    """Channels in turn from each group, so that the next groups mix (ShuffleNet, section 3.1)."""
    return lambda shape: Layer("Interleave", shape, shape, (shape[0], groups))


def batch_norm(epsilon: float = 1e-5, scale: bool = True) -> Step:
    """Batch norm: one scale and one shift a channel; or the shift alone, as Keras may have it."""
    options, row = {"eps": epsilon}, Row("batch norm")
    kind, params = ("BatchNorm", 2) if scale else ("ShiftNorm", 1)
    return lambda shape: Layer(
        named(kind, shape), shape, shape, shape[:1], options, {}, params * shape[0], row=row
    )


def activation(name: Activation) -> Step:
    """A nonlinearity without parameters; ``none`` is the identity."""
    return lambda shape: Layer(_ACTIVATIONS[name], shape, shape)


def global_mean() -> Step:
    """The average over all positions: (C, H, W) or (C, T, H, W) -> (C,)."""
    return lambda shape: Layer("GlobalMean", shape, shape[:1])


def dropout(probability: float = 0.0) -> Step:
    """Dropout; off, or with the network's own probability, until a recipe sets another."""
    return lambda shape: Layer("Dropout", shape, shape, options={"p": probability})


def linear(classes: int) -> Step:
    """A linear layer with a bias: (C,) -> (classes,)."""

    def at(shape: Shape) -> Layer:
        macs = shape[0] * classes
        costs, arguments = (macs + classes, macs, classes), (shape[0], classes)
        return Layer("Linear", shape, (classes,), arguments, {}, {}, *costs, Row("linear"))

    return at
