"""A network's weights as slices of those of a shared one: a grouped kernel out of a dense one.

Convolved, a kernel in segments is a dense one that is zero outside of the segments' blocks. So one
network at a space's widths holds every point of its segments, as in once-for-all (Cai 2020) and
single-path one-shot (Guo 2020). Of the other axes:

* ``kernel``: the middle of the largest one, without the transformation that Cai 2020 learns;
* ``multiplier``: the first m channels of each input channel's (of each output channel's, where the
  1 x 1 comes first);
* ``pointwise_groups``: blocks of the dense 1 x 1, as of the k x k;
* ``order``: each has weights of its own, for what is between its steps has another meaning;
* ``residual``, ``activation``, ``dilation``: the same weights; a projection where there is one.

Of batch norms scale and shift are shared by all points, and statistics by none: they are those of
the batch while anything is trained, and are computed anew for whatever is evaluated (Guo 2020).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nas.architecture.layers import network_layers
from nas.architecture.modules import Layer, SegmentGroup
from nas.architecture.specification import Architecture
from nas.network.build import build_network


def block_diagonal(dense: Tensor, groups: Sequence[SegmentGroup], kernel: int) -> list[Tensor]:
    """The kernels of a convolution in segments, out of one that sees all channels.

    Args:
        dense: (C_out, C_in, K, K).
        groups: of neighbouring segments, which have all these channels together.
        kernel: k, odd and at most K, as that is; the middle of the dense one is taken.

    Returns:
        Of each group (C_out of the group, C_in of a segment, k, k), as PyTorch has a grouped
        convolution's. Gradients reach what was taken.
    """
    edge = (dense.shape[-1] - kernel) // 2
    middle = dense[..., edge : edge + kernel, edge : edge + kernel]
    kernels, row, column = [], 0, 0
    for in_width, out_width, segments in groups:
        rows, columns = segments * out_width, segments * in_width
        block = middle[row : row + rows, column : column + columns]
        # Every segment with every one, of which each with itself is wanted.
        block = block.reshape(segments, out_width, segments, in_width, kernel, kernel)
        kernels.append(block.diagonal(dim1=0, dim2=2).movedim(-1, 0).flatten(0, 1))
        row, column = row + rows, column + columns
    return kernels


def of_multiplier(dense: Tensor, shape: tuple[int, int], multiplier: int) -> Tensor:
    """A dense kernel of a smaller channel multiplier: channel q*M + r is left where r < m.

    Args:
        dense: (C_out, C_in, K, K), one of them of the largest multiplier M.
        shape: (C_out, C_in) of the smaller one, m.
    """
    for dim, channels in enumerate(shape):
        if dense.shape[dim] != channels:
            before, after = dense.shape[:dim], dense.shape[dim + 1 :]
            each = dense.reshape(*before, channels // multiplier, -1, *after)
            dense = each.narrow(dim + 1, 0, multiplier).flatten(dim, dim + 1)
    return dense


class _Step(NamedTuple):
    """One step of a unit: the name of its dense kernel, its convolutions and their names."""

    name: str
    multiplier: int
    convolutions: Mapping[str, Layer]

    def of(self, dense: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Its weights out of a dense kernel, by their names."""
        layers = self.convolutions.values()
        shape = sum(c.output[0] for c in layers), sum(c.input[0] for c in layers)
        groups = [
            SegmentGroup(c.input[0] // count, c.output[0] // count, count)
            for c in layers
            for count in (int(c.options["groups"]),)
        ]
        (kernel,) = {c.arguments[2] for c in layers}
        whole = of_multiplier(dense, shape, self.multiplier)
        yield from zip(self.convolutions, block_diagonal(whole, groups, kernel), strict=True)


def slice_weights(
    shared: Mapping[str, Tensor], architecture: Architecture, names: Sequence[str]
) -> dict[str, Tensor]:
    """The weights of an architecture's network out of those of the shared one.

    Args:
        shared: as `dense_weights` names them.
        names: of all parameters of the network.
    """
    steps = list(_steps(architecture))
    sliced = {n: weight for step in steps for n, weight in step.of(shared[step.name])}
    return {name: sliced[name] if name in sliced else shared[name] for name in names}


def dense_weights(widest: Sequence[Architecture]) -> dict[str, Tensor]:
    """The weights of a shared network, freshly drawn from PyTorch's generator.

    Args:
        widest: networks of one segment and of the largest kernels and multipliers, which have all
            orders and projections among them.
    """
    dense: dict[str, Tensor] = {}
    for architecture in widest:
        renamed = {n: s.name for s in _steps(architecture) for n in s.convolutions}
        for name, weight in build_network(architecture).named_parameters():
            dense.setdefault(renamed.get(name, name), weight.detach())
    return dense


def build_slice(shared: Mapping[str, Tensor], architecture: Architecture) -> nn.Module:
    """The network of an architecture, with the weights that the shared one has of it."""
    network = build_network(architecture)
    parameters = dict(network.named_parameters())
    sliced = slice_weights(shared, architecture, list(parameters))
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(sliced[name])
    return network


def _steps(architecture: Architecture) -> Iterator[_Step]:
    """The steps of all units."""
    blocks = network_layers(architecture).children["blocks"].children
    for (index, layer), block in zip(blocks.items(), architecture.blocks, strict=True):
        for unit, steps in layer.children["branch"].children.items():
            for step in ("spatial", "pointwise"):
                if step in steps.children:
                    place = f"blocks.{index}.branch.{unit}"
                    found = _convolutions(steps.children[step], f"{place}.{step}")
                    name = f"{place}.{block.point.order}.{step}"
                    yield _Step(name, block.point.multiplier, dict(found))


def _convolutions(layer: Layer, name: str) -> Iterator[tuple[str, Layer]]:
    """The convolutions inside a layer, by the names of their weights."""
    if layer.module == "Conv2d":
        yield f"{name}.weight", layer
    for child_name, child in layer.children.items():
        yield from _convolutions(child, f"{name}.{child_name}")
