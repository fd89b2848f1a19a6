"""A network's parameters as Keras has them: which layers, their arrays' layouts, their order.

Keras' files list layers as `model.layers` does: those first that have most layers behind them. Ours
are in the order in which they are called, a shortcut behind its branch, and towers side by side as
Keras has them. So layers of one kind and one shape come in the same order in both, and are found
whatever number Keras has given them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.network.exported_layers import Concatenation

Kind = Literal[
    "conv2d", "depthwise_conv2d", "separable_conv2d", "batch_normalization", "dense", "other"
]
"""A layer's class, as Keras' files spell it; ``other`` is none of a network of this project."""

Shape = tuple[int, ...]
Shapes = tuple[Shape, ...]


class KerasFileError(ValueError):
    """A Keras file that cannot be read, or is not of the network; the rule, then the value.

    Attributes:
        hint: what to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class StoredLayer:
    """One layer of a Keras file, its arrays not read yet.

    Attributes:
        name: that Keras has given it.
        read: its arrays, in float32.
    """

    name: str
    kind: Kind
    shapes: Shapes
    read: Callable[[], Sequence[NDArray[np.float32]]]


@dataclass(frozen=True)
class _Array:
    """One parameter or statistic, by its name in Keras, and its tensor in Keras' layout."""

    name: str
    tensor: Tensor

    @property
    def shape(self) -> Shape:
        return tuple(self.tensor.shape)


@dataclass(frozen=True)
class KerasLayer:
    """One layer of Keras, on a network of PyTorch.

    Attributes:
        name: of its module in the network.
        arrays: views on the network's tensors, in Keras' order and layouts.
    """

    name: str
    kind: Kind
    arrays: tuple[_Array, ...]

    @property
    def shapes(self) -> Shapes:
        return tuple(array.shape for array in self.arrays)

    def values(self) -> list[NDArray[np.float32]]:
        """Copies, in float32."""
        return [array.tensor.detach().float().contiguous().numpy().copy() for array in self.arrays]

    @torch.no_grad()
    def fill(self, stored: StoredLayer) -> None:
        """Write a file's values into the network.

        Raises:
            KerasFileError: one is not finite, or a variance below zero.
        """
        for array, values in zip(self.arrays, stored.read(), strict=True):
            if not np.isfinite(values).all():
                raise KerasFileError(f"{stored.name}: {array.name} is finite; got nan or infinity")
            if array.name == "moving_variance" and (values < 0).any():
                raise KerasFileError(f"{stored.name}: a variance is 0 or more; got {values.min()}")
            array.tensor.copy_(torch.from_numpy(values))


def keras_layers(network: nn.Module) -> tuple[KerasLayer, ...]:
    """The layers of a network that have parameters, as Keras has them."""
    found: list[KerasLayer] = []
    depthwise: tuple[str, _Array] | None = None  # one that waits for its 1 x 1
    for name, module in _leaves("", network):
        if isinstance(module, nn.Conv2d):
            kernel = _kernel(module)
            if kernel.name == "depthwise_kernel":
                depthwise = name, kernel
            elif depthwise is None:
                found.append(KerasLayer(name, "conv2d", (kernel,)))
            else:
                pointwise = _Array("pointwise_kernel", kernel.tensor)
                arrays = (depthwise[1], pointwise)
                found.append(KerasLayer(depthwise[0], "separable_conv2d", arrays))
                depthwise = None
        elif isinstance(module, nn.BatchNorm2d):
            if depthwise is not None:  # batch norm between the steps: Keras has two layers
                found.append(KerasLayer(depthwise[0], "depthwise_conv2d", (depthwise[1],)))
                depthwise = None
            found.append(KerasLayer(name, "batch_normalization", tuple(_statistics(module))))
        elif isinstance(module, nn.Linear):
            arrays = (
                _Array("kernel", module.weight.detach().T),
                _Array("bias", module.bias.detach()),
            )
            found.append(KerasLayer(name, "dense", arrays))
    return tuple(found)


_Leaf = tuple[str, nn.Module]


def _leaves(name: str, module: nn.Module) -> Iterator[_Leaf]:
    """Modules without others in them, by name."""
    if isinstance(module, Concatenation):
        found, _ = _with_depths(name, module, 0)
        yield from (leaf for _, leaf in sorted(found, key=lambda one: -one[0]))
    elif any(True for _ in module.children()):
        for key, child in module.named_children():
            yield from _leaves(f"{name}.{key}" if name else key, child)
    else:
        yield name, module


def _with_depths(name: str, module: nn.Module, behind: int) -> tuple[list[tuple[int, _Leaf]], int]:
    """Leaves with the number of layers behind each, and how long the longest way through is.

    Args:
        behind: layers between the module and the end.
    """
    found: list[tuple[int, _Leaf]] = []
    children = [(f"{name}.{key}", child) for key, child in module.named_children()]
    if isinstance(module, Concatenation):
        towers = [_with_depths(key, child, behind + 1) for key, child in children]
        return [leaf for leaves, _ in towers for leaf in leaves], 1 + max(
            long for _, long in towers
        )
    if not children:
        return [(behind, (name, module))], 1
    length = 0
    for key, child in reversed(children):
        leaves, more = _with_depths(key, child, behind + length)
        found, length = [*leaves, *found], length + more
    return found, length


def _kernel(module: nn.Conv2d) -> _Array:
    """(kh, kw, in, out); (kh, kw, C, m) of one that convolves each channel by itself."""
    weight = module.weight.detach()
    channels = module.in_channels
    if module.groups == channels > 1:
        each = weight.reshape(channels, -1, *weight.shape[2:])  # (C, m, kh, kw)
        return _Array("depthwise_kernel", each.permute(2, 3, 0, 1))
    return _Array("kernel", weight.permute(2, 3, 1, 0))


def _statistics(module: nn.BatchNorm2d) -> Iterator[_Array]:
    """A scale that is always 1 is none of Keras'."""
    for name, tensor in (
        ("gamma", module.weight),
        ("beta", module.bias),
        ("moving_mean", module.running_mean),
        ("moving_variance", module.running_var),
    ):
        if tensor is not None and (name != "gamma" or isinstance(tensor, nn.Parameter)):
            yield _Array(name, tensor.detach())


def fill(layers: Sequence[KerasLayer], stored: Sequence[StoredLayer]) -> None:
    """Write the weights of a file into a network, each layer found by its kind and shapes.

    Raises:
        KerasFileError: the file is of another network, or of other shapes.
    """
    _check_counts(layers, stored)
    waiting: dict[tuple[Kind, Shapes], deque[StoredLayer]] = {}
    for one in stored:
        waiting.setdefault((one.kind, one.shapes), deque()).append(one)
    pairs = []
    for layer in layers:
        same = waiting.get((layer.kind, layer.shapes))
        if not same:
            raise _mismatch(layers, stored)
        pairs.append((layer, same.popleft()))
    for layer, one in pairs:
        layer.fill(one)


def _check_counts(layers: Sequence[KerasLayer], stored: Sequence[StoredLayer]) -> None:
    ours, theirs = _counted(layers), _counted(stored)
    if ours != theirs:
        raise KerasFileError(f"the network has {_in_words(ours)}; got {_in_words(theirs)}")


def _counted(layers: Iterable[KerasLayer | StoredLayer]) -> Counter[Kind]:
    return Counter(layer.kind for layer in layers)


def _in_words(counts: Counter[Kind]) -> str:
    return ", ".join(f"{counts[kind]} {kind}" for kind in sorted(counts)) or "no layers"


def _mismatch(layers: Sequence[KerasLayer], stored: Sequence[StoredLayer]) -> KerasFileError:
    """The first layer, in the network's order, whose counterpart has other shapes."""
    theirs = {kind: iter([one for one in stored if one.kind == kind]) for kind in _counted(layers)}
    for layer in layers:
        other = next(theirs[layer.kind])
        if layer.shapes != other.shapes:
            break
    expected, got = _shown(layer.shapes), _shown(other.shapes)
    hint = "the preset's options, such as classes and width, are those of the file's network"
    return KerasFileError(
        f"{layer.name}, a {layer.kind}, is {expected}; {other.name} is {got}", hint
    )


def _shown(shapes: Shapes) -> str:
    return ", ".join(f"({', '.join(map(str, shape))})" for shape in shapes)
