"""A network's layers as a list of operations that the kernels have.

ReLUs are no operations of their own: batch norm applies the one behind it, and any other is applied
by the operation that reads its input. A residual sum is part of a batch norm that it ends in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TypeGuard

from nas.architecture.modules import Layer, SegmentGroup, Shape

ACTIVATIONS = {"ELU": 0, "GELU": 1, "SiLU": 2}
"""By module, the number that the kernels have for it."""


class NoKernel(ValueError):
    """A network has something that there are no kernels for; its message says what."""


@dataclass(frozen=True)
class Value:
    """What an operation makes, (C, H, W) for each image, by its number in the plan."""

    number: int
    shape: Shape


@dataclass(frozen=True)
class Reading:
    """A value as the next operation is to read it.

    Attributes:
        rectify: through a ReLU.
        step: every so many rows and columns of it.
        before: rows and columns of padding above and to the left, where that is given.
    """

    value: Value
    rectify: bool = False
    step: int = 1
    before: tuple[int, int] | None = None


@dataclass(frozen=True)
class Convolution:
    """Groups of segments side by side; ``names`` are those of their weights in the network."""

    input: Value
    output: Value
    rectify: bool
    names: tuple[str, ...]
    groups: tuple[SegmentGroup, ...]
    kernel: int
    stride: int
    dilation: int
    before: tuple[int, int]


@dataclass(frozen=True)
class BatchNorm:
    """Batch norm, perhaps with a ReLU or the sum with a shortcut behind it."""

    input: Value
    output: Value
    rectify: bool
    name: str
    epsilon: float
    addend: Value | None = None


@dataclass(frozen=True)
class Activation:
    """An activation by itself."""

    input: Value
    output: Value
    kind: int


@dataclass(frozen=True)
class MaxPool:
    """Max pooling."""

    input: Value
    output: Value
    kernel: int
    stride: int
    before: tuple[int, int]


@dataclass(frozen=True)
class Reorder:
    """Channel c of the output is channel ``source[c]`` of the input."""

    input: Value
    output: Value
    source: tuple[int, ...]


@dataclass(frozen=True)
class Mean:
    """Over all positions; the output is (C,)."""

    input: Value
    output: Value
    rectify: bool


Operation = Convolution | BatchNorm | Activation | MaxPool | Reorder | Mean


@dataclass(frozen=True)
class Plan:
    """Operations in order, from images to the mean over all positions.

    Attributes:
        images: the value that is read first.
        rest: names of the network's modules behind the mean, which are PyTorch's own.
    """

    images: Value
    operations: tuple[Operation, ...]
    rest: tuple[str, ...]

    @property
    def values(self) -> list[Value]:
        """Of all operations, by their numbers."""
        return [self.images, *(operation.output for operation in self.operations)]


def plan_network(network: Layer) -> Plan:
    """The operations of a network of `nas.architecture.layers.network_layers`.

    Raises:
        NoKernel: one of its layers has no kernel.
    """
    planner = _Planner(network.input)
    if len(network.input) != 3:
        raise NoKernel("a network of clips")
    body = list(network.children)
    stop = body.index("mean") + 1 if "mean" in body else 0
    if not stop:
        raise NoKernel("a network without a mean over all positions")
    planner.sequence({name: network.children[name] for name in body[:stop]}, "", planner.start)
    plan = Plan(planner.start.value, tuple(planner.operations), tuple(body[stop:]))
    _check_gradients(plan)
    return plan


def _check_gradients(plan: Plan) -> None:
    """Refuse a value with several readers, but for one that a sum and then convolutions read.

    Backward, the gradient of the sum is the first part of the value's, and only convolutions add
    to a gradient that is there.
    """
    for value in plan.values:
        readers = [operation for operation in plan.operations if operation.input == value]
        sums = [
            operation.output.number
            for operation in plan.operations
            if isinstance(operation, BatchNorm) and operation.addend == value
        ]
        # Backward comes the last one first; all but it add to what is there.
        adding = readers if sums else readers[:-1]
        in_order = all(reader.output.number < number for reader in readers for number in sums)
        alike = all(isinstance(operation, Convolution) for operation in adding)
        if len(sums) > 1 or not in_order or not alike:
            raise NoKernel("a value that is read by several layers")


class _Planner:
    """Walks the layers and collects operations."""

    def __init__(self, shape: Shape) -> None:
        self.operations: list[Operation] = []
        self.start = Reading(Value(0, shape))

    def value(self, shape: Shape) -> Value:
        """The one that the next operation makes."""
        return Value(len(self.operations) + 1, shape)

    def add(self, operation: Operation) -> Reading:
        self.operations.append(operation)
        return Reading(operation.output)

    def as_it_is(self, reading: Reading) -> Value:
        """The value of a reading that changes nothing of it."""
        if reading != Reading(reading.value):
            raise NoKernel("a ReLU, subsampling or padding before a layer that does not apply it")
        return reading.value

    def layer(self, layer: Layer, name: str, reading: Reading) -> Reading:
        match layer.module:
            case "Sequential":
                return self.sequence(layer.children, f"{name}.", reading)
            case "Residual":
                return self.residual(layer, f"{name}.", reading)
            case "Conv2d":
                return self.convolution({name: layer}, layer, reading)
            case "SegmentedConv2d":
                parts = {f"{name}.{part}": child for part, child in layer.children.items()}
                return self.convolution(parts, layer, reading)
            case "Identity":
                return reading
            case "Subsample":
                return replace(reading, step=layer.arguments[0])
            case "ZeroPad2d":
                left, _, above, _ = layer.arguments[0]
                return replace(reading, before=(above, left))
            case "SamePad":
                return replace(reading, before=_padding_before(layer))
            case "GlobalMean":
                source = self.as_it_is(replace(reading, rectify=False))
                return self.add(Mean(source, self.value(layer.output), reading.rectify))
        return self.simple(layer, name, reading)

    def simple(self, layer: Layer, name: str, reading: Reading) -> Reading:
        """Of layers that read a value as it is."""
        if layer.module == "ReLU":
            return replace(reading, rectify=True)
        if layer.module == "MaxPool2d":
            before = reading.before or (int(layer.options["padding"]),) * 2
            source = self.as_it_is(replace(reading, before=None))
            stride = int(layer.options["stride"])
            pooled = self.value(layer.output)
            return self.add(MaxPool(source, pooled, layer.arguments[0], stride, before))
        source = self.as_it_is(reading)
        output = self.value(layer.output)
        if layer.module == "BatchNorm2d":
            epsilon = layer.options["eps"]
            return self.add(BatchNorm(source, output, rectify=False, name=name, epsilon=epsilon))
        if layer.module == "Interleave":
            return self.add(Reorder(source, output, _interleaved(*layer.arguments)))
        if layer.module in ACTIVATIONS:
            return self.add(Activation(source, output, ACTIVATIONS[layer.module]))
        raise NoKernel(f"{layer.module} has no kernel")

    def sequence(self, layers: Mapping[str, Layer], prefix: str, reading: Reading) -> Reading:
        for name, layer in layers.items():
            last = self.operations[-1] if self.operations else None
            # The first of a sequence may read what a shortcut reads, too.
            if layer.module == "ReLU" and name != next(iter(layers)) and _makes(last, reading):
                self.operations[-1] = replace(last, rectify=True)
                continue
            reading = self.layer(layer, f"{prefix}{name}", reading)
        return reading

    def residual(self, layer: Layer, prefix: str, reading: Reading) -> Reading:
        """The sum is the last batch norm's, which is computed after what it adds."""
        source = Reading(self.as_it_is(reading))
        parts = layer.children
        if _ends_in_norm(parts["branch"]):
            first, second = "shortcut", "branch"
        elif _ends_in_norm(parts["shortcut"]):
            first, second = "branch", "shortcut"
        else:
            raise NoKernel("a residual sum with no batch norm before it")
        addend = self.as_it_is(self.layer(parts[first], f"{prefix}{first}", source))
        self.layer(parts[second], f"{prefix}{second}", source)
        norm = self.operations.pop()
        assert isinstance(norm, BatchNorm)  # what it ends in
        return self.add(replace(norm, addend=addend))

    def convolution(self, parts: Mapping[str, Layer], whole: Layer, reading: Reading) -> Reading:
        first = next(iter(parts.values()))
        options = {name: int(value) for name, value in first.options.items()}
        groups = tuple(_group(part) for part in parts.values())
        if not isinstance(first.arguments[2], int):
            raise NoKernel("a rectangular kernel")
        if reading.step > 1 and (reading.before or first.arguments[2] > 1):
            raise NoKernel("a convolution of several taps, of a subsampled input")
        return self.add(
            Convolution(
                reading.value,
                self.value(whole.output),
                reading.rectify,
                tuple(f"{name}.weight" for name in parts),
                groups,
                first.arguments[2],
                options["stride"] * reading.step,
                options["dilation"],
                reading.before or (options["padding"],) * 2,
            )
        )


def _makes(last: Operation | None, reading: Reading) -> TypeGuard[BatchNorm]:
    """Whether what is read comes from a batch norm alone."""
    return isinstance(last, BatchNorm) and last.output == reading.value and last.addend is None


def _ends_in_norm(layer: Layer) -> bool:
    while layer.module == "Sequential" and layer.children:
        layer = list(layer.children.values())[-1]
    return layer.module == "BatchNorm2d"


def _group(conv: Layer) -> SegmentGroup:
    segments = int(conv.options["groups"])
    return SegmentGroup(conv.arguments[0] // segments, conv.arguments[1] // segments, segments)


def _padding_before(pad: Layer) -> tuple[int, int]:
    """TensorFlow's: of an odd number the smaller part comes first."""
    above, left = (
        (padded - n) // 2 for n, padded in zip(pad.input[1:], pad.output[1:], strict=True)
    )
    return above, left


def _interleaved(channels: int, groups: int) -> tuple[int, ...]:
    """In turn from each group; groups that do not divide the channels differ by one."""
    width, wider = divmod(channels, groups)
    widths = [width + (group < wider) for group in range(groups)]
    starts = [0, *accumulate(widths)]
    return tuple(
        starts[group] + turn
        for turn in range(width + 1)
        for group in range(groups)
        if turn < widths[group]
    )
