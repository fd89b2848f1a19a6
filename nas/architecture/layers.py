"""An architecture as the tree of its layers: the one walk over it.

`nas.architecture.cost` counts the tree, `nas.network.build` builds it, `nas.network.source` prints
it and ``nas.describe`` tabulates it. Names are those of the weights in every study's folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial

from nas.architecture.modules import (
    Layer,
    Nonlinearity,
    Padding,
    Row,
    Shape,
    Step,
    activation,
    batch_norm,
    convolution,
    dropout,
    global_mean,
    linear,
    pointwise_convolution,
    residual,
    segment_groups,
    segmented_convolution,
    sequential,
)
from nas.architecture.operators import Unit, spectrum_convolution
from nas.architecture.pooling import max_pool
from nas.architecture.reference import Reference
from nas.architecture.specification import Architecture, Block, Stem


def network_layers(architecture: Architecture | Reference) -> Layer:
    """Stem, blocks, then ReLU, global average pooling, dropout and a linear layer."""
    if isinstance(architecture, Reference):
        return architecture.layers
    blocks = {}
    for index, block in enumerate(architecture.blocks):
        # The stem ends in a ReLU; a second one before the first block would change nothing.
        blocks[str(index)] = partial(
            _block,
            block,
            leading_relu=block.leading_relu and index > 0,
            padding=architecture.padding,
            norm_epsilon=architecture.norm_epsilon,
            nonlinearity=architecture.nonlinearity,
        )
    steps = {
        "stem": _stem(
            architecture.stem,
            architecture.input_shape[0],
            architecture.padding,
            architecture.norm_epsilon,
            architecture.nonlinearity,
        ),
        "blocks": sequential(blocks),
        "relu": activation(architecture.nonlinearity),
        "mean": global_mean(),
    }
    return sequential(steps | _head(architecture))(architecture.input_shape)


def block_layers(
    block: Block, in_channels: int, size: Shape, padding: Padding = "symmetric"
) -> Layer:
    """One block alone, for an input of this (height, width), of clips (frames, height, width)."""
    return _block(block, (in_channels, *size), block.leading_relu, padding, 1e-5, "relu")


def stem_layers(stem: Stem, shape: Shape) -> Layer:
    """The stem alone, for images of this shape."""
    return _stem(stem, shape[0], "symmetric", 1e-5, "relu")(shape)


def head_layers(architecture: Architecture, channels: int) -> Layer:
    """What follows the mean over all positions of so many channels."""
    return sequential(_head(architecture))((channels,))


def _head(architecture: Architecture) -> dict[str, Step]:
    steps = {}
    for index, width in enumerate(architecture.hidden):
        steps[f"linear{index}"] = linear(width)
        steps[f"relu{index}"] = activation(architecture.nonlinearity)
    steps["dropout"] = dropout(architecture.dropout)
    steps["linear"] = linear(architecture.classes)
    return steps


def tabulated(layer: Layer, name: str = "") -> Iterator[tuple[str, Layer, Row]]:
    """All layers that have a row, with their names, shortcuts after their branch."""
    if layer.row is not None:
        yield name, layer, layer.row
        return
    for child_name, child in layer.children.items():
        yield from tabulated(child, f"{name}.{child_name}" if name else child_name)


def _stem(
    stem: Stem, in_channels: int, padding: Padding, norm_epsilon: float, nonlinearity: Nonlinearity
) -> Step:
    """Regular convolutions, the first one strided, each with batch norm and ReLU."""
    steps = {}
    same: Padding = "tensorflow" if padding == "floor" else padding  # as in Keras' MobileNet
    for index, (c_in, c_out) in enumerate(stem.convolution_channels(in_channels)):
        stride = stem.stride if index == 0 else 1
        steps[f"conv{index}"] = (
            convolution(c_out, stem.kernel, stride)
            if stem.valid
            else segmented_convolution(
                segment_groups(c_in, c_out, 1), stem.kernel, stride, padding=same
            )
        )
        steps[f"norm{index}"] = batch_norm(norm_epsilon)
        steps[f"relu{index}"] = activation(nonlinearity)
    return sequential(steps)


@lru_cache(maxsize=256)  # matching changes a few blocks at a time, and networks repeat theirs
def _block(
    block: Block,
    shape: Shape,
    leading_relu: bool,
    padding: Padding,
    norm_epsilon: float,
    nonlinearity: Nonlinearity,
) -> Layer:
    """ReLU, spectrum convolution, batch norm; repeated; and a shortcut around them.

    (C_in, H, W) -> (C_out, ceil(H / stride), ceil(W / stride)), as in Chollet 2016, figure 5; of
    clips frames alike.
    """
    steps = {}
    strides = block.convolution_strides()
    for index, (c_in, c_out) in enumerate(block.convolution_channels(shape[0])):
        if index > 0 or leading_relu:
            steps[f"relu{index}"] = activation(nonlinearity)
        unit = Unit(block.point, c_in, c_out, strides[index], padding, norm_epsilon)
        steps[f"conv{index}"] = partial(spectrum_convolution, unit)
        steps[f"norm{index}"] = batch_norm(norm_epsilon)
    if block.stride > 1 and block.downsample == "max_pool":
        steps["pool"] = max_pool(block.stride, padding)
    branch = sequential(steps)
    kind = block.shortcut(shape[0])
    if kind == "none":
        return sequential({"branch": branch})(shape)
    if kind == "identity":
        return residual(branch, activation("none"))(shape)
    conv = pointwise_convolution(block.channels[-1], block.stride)
    projection = sequential({"conv": conv, "norm": batch_norm(norm_epsilon)})
    return residual(branch, projection)(shape)
