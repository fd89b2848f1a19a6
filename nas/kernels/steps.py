"""Operations with their places in memory, as the kernels take them."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from ctypes import addressof
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nas.kernels import structures
from nas.kernels.memory import Memory
from nas.kernels.plan import (
    Activation,
    BatchNorm,
    Convolution,
    MaxPool,
    Mean,
    Operation,
    Reorder,
)
from nas.kernels.reach import Axis


class Step:
    """An operation and its arguments.

    Attributes:
        forward, backward: kernels to call.
        training_forward: the same where the statistics are the batch's.
        parameters: names of those that get a gradient.
    """

    forward: Sequence[str] = ()
    backward: Sequence[str] = ()
    parameters: Sequence[str] = ()
    arguments: Any  # a structure

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.training_forward = self.forward

    def bind(self, images: int, training: bool) -> None:
        """Before a forward pass: where everything is now."""
        self.arguments.images = images

    def bind_gradients(self, gradients: Mapping[str, Tensor]) -> None:
        """Before a backward pass."""

    def sum_gradient_for(self, norm: BatchNormStep) -> bool:
        """Leave sums of the input's gradient for a batch norm, if this operation can."""
        return False


def step_of(operation: Operation, data: Sequence[int], memory: Memory) -> Step:
    """The step of an operation.

    Args:
        data: the address of each value but the last, by its number.
    """
    match operation:
        case Convolution():
            return ConvolutionStep(operation, data, memory)
        case BatchNorm():
            return BatchNormStep(operation, data, memory)
        case MaxPool():
            return MaxPoolStep(operation, data, memory)
    return PlainStep(operation, data, memory)


def _addresses(operation: Operation, data: Sequence[int]) -> dict[str, int]:
    """Of input and output; the last output is PyTorch's, and somewhere else each time."""
    output = operation.output.number
    return {
        "input": data[operation.input.number],
        "output": data[output] if output < len(data) else 0,
    }


def _reaches(operation: Convolution | MaxPool, dilation: int, memory: Memory) -> dict[str, int]:
    """Tables of both axes, in both directions."""
    tables = {}
    for axis, name in enumerate(("rows", "columns")):
        shape = Axis(
            operation.input.shape[axis + 1],
            operation.output.shape[axis + 1],
            operation.kernel,
            operation.stride,
            dilation,
            operation.before[axis],
        )
        tables[f"out_{name}"] = memory.keep(shape.forward())
        tables[f"in_{name}"] = memory.keep(shape.backward())
    return tables


def _sizes(operation: Convolution | MaxPool) -> dict[str, int]:
    _, in_height, in_width = operation.input.shape
    _, out_height, out_width = operation.output.shape
    return {
        "kernel": operation.kernel,
        "in_height": in_height,
        "in_width": in_width,
        "out_height": out_height,
        "out_width": out_width,
    }


class ConvolutionStep(Step):
    """A convolution, which packs its weights into room that all share."""

    forward: Sequence[str] = ("convolution_forward",)
    backward: Sequence[str] = ("convolution_weights_gradient", "convolution_input_gradient")

    def __init__(self, operation: Convolution, data: Sequence[int], memory: Memory) -> None:
        super().__init__(operation)
        self.parameters = operation.names
        self.weights = [memory.tensors[name] for name in operation.names]
        self.groups = (structures.Group * len(operation.groups))()
        first_in = first_out = 0
        for group, widths in zip(self.groups, operation.groups, strict=True):
            group.segments, group.ins, group.outs = (
                widths.segments,
                widths.in_width,
                widths.out_width,
            )
            group.first_in, group.first_out = first_in, first_out
            first_in += widths.segments * widths.in_width
            first_out += widths.segments * widths.out_width
            group.packed, group.partial = memory.packed, memory.partial
        self.arguments = structures.Convolution(
            groups=len(self.groups),
            group=addressof(self.groups),
            in_channels=operation.input.shape[0],
            out_channels=operation.output.shape[0],
            rectify=operation.rectify,
            **_sizes(operation),
            **_reaches(operation, operation.dilation, memory),
            **_addresses(operation, data),
        )
        self.norm: BatchNormStep | None = None

    def sum_for(self, norm: BatchNormStep) -> None:
        """Leave sums of the results for a batch norm."""
        self.norm = norm

    def bind(self, images: int, training: bool) -> None:
        super().bind(images, training)
        if self.norm:
            following = addressof(self.norm.arguments) if training else None
            self.arguments.following = following
        for group, weight in zip(self.groups, self.weights, strict=True):
            group.weights = weight.data_ptr()

    def bind_gradients(self, gradients: Mapping[str, Tensor]) -> None:
        for group, name in zip(self.groups, self.parameters, strict=True):
            group.gradient = gradients[name].data_ptr()

    def sum_gradient_for(self, norm: BatchNormStep) -> bool:
        self.arguments.preceding = addressof(norm.arguments)
        return True

    def add_input_gradient(self) -> None:
        """To a part of it that is there."""
        self.arguments.accumulate = True

    def leave_out_input_gradient(self) -> None:
        """The input is the images."""
        self.backward = ("convolution_weights_gradient",)


class BatchNormStep(Step):
    """Batch norm, which has the running statistics of the network's module."""

    forward: Sequence[str] = ("batch_norm_forward",)
    backward: Sequence[str] = ("batch_norm_backward",)

    def __init__(self, operation: BatchNorm, data: Sequence[int], memory: Memory) -> None:
        super().__init__(operation)
        channels = operation.output.shape[0]
        self.tensors = {
            field: memory.tensors[f"{operation.name}.{name}"]
            for field, name in (
                ("weight", "weight"),
                ("bias", "bias"),
                ("running_mean", "running_mean"),
                ("running_variance", "running_var"),
                ("batches", "num_batches_tracked"),
            )
        }
        self.parameters = (f"{operation.name}.weight", f"{operation.name}.bias")
        rooms = ("pivots", "mean", "inverse", "scale", "shift")
        self.arguments = structures.BatchNorm(
            positions=math.prod(operation.output.shape[1:]),
            channels=channels,
            rectify=operation.rectify,
            epsilon=operation.epsilon,
            momentum=memory.network.get_submodule(operation.name).momentum,
            addend=data[operation.addend.number] if operation.addend else None,
            sums=memory.keep(torch.empty(channels * 2 * memory.width)),
            **{name: memory.keep(torch.empty(channels)) for name in rooms},
            **_addresses(operation, data),
        )

    def sum_alone(self) -> None:
        """No convolution leaves sums of the input."""
        self.training_forward = ("batch_norm_sums", *self.forward)

    def sum_gradient_alone(self) -> None:
        """No operation leaves sums of the gradient."""
        self.backward = ("batch_norm_gradient_sums", *self.backward)

    def bind(self, images: int, training: bool) -> None:
        super().bind(images, training)
        self.arguments.training = training
        for field, tensor in self.tensors.items():
            setattr(self.arguments, field, tensor.data_ptr())

    def bind_gradients(self, gradients: Mapping[str, Tensor]) -> None:
        weight, bias = self.parameters
        self.arguments.weight_gradient = gradients[weight].data_ptr()
        self.arguments.bias_gradient = gradients[bias].data_ptr()


class MaxPoolStep(Step):
    """Max pooling, which remembers what it chose."""

    forward = ("max_pool_forward",)
    backward = ("max_pool_backward",)

    def __init__(self, operation: MaxPool, data: Sequence[int], memory: Memory) -> None:
        super().__init__(operation)
        chosen = torch.empty(memory.floats(operation.output.shape), dtype=torch.uint8)
        self.arguments = structures.MaxPool(
            channels=operation.output.shape[0],
            chosen=memory.keep(chosen),
            **_sizes(operation),
            **_reaches(operation, 1, memory),
            **_addresses(operation, data),
        )

    def sum_gradient_for(self, norm: BatchNormStep) -> bool:
        self.arguments.preceding = addressof(norm.arguments)
        return True


class PlainStep(Step):
    """Operations without parameters or taps."""

    def __init__(
        self, operation: Activation | Reorder | Mean, data: Sequence[int], memory: Memory
    ) -> None:
        super().__init__(operation)
        shape = operation.input.shape
        common = {
            "positions": math.prod(shape[1:]),
            "channels": shape[0],
            **_addresses(operation, data),
        }
        arguments: ctypes.Structure
        match operation:
            case Activation():
                kind = "activation"
                arguments = structures.Activation(kind=operation.kind, **common)
            case Reorder():
                kind = "reorder"
                source = np.array(operation.source, dtype=np.int32)
                arguments = structures.Reorder(source=memory.keep(source), **common)
            case Mean():
                kind = "mean"
                arguments = structures.Mean(rectify=operation.rectify, **common)
        self.arguments = arguments
        self.forward, self.backward = (f"{kind}_forward",), (f"{kind}_backward",)
        self.training_forward = self.forward
