"""A plan with memory: the calls of its passes, for batches of up to some size."""

from __future__ import annotations

import ctypes
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from nas.kernels import structures
from nas.kernels.library import Library
from nas.kernels.memory import Memory
from nas.kernels.plan import BatchNorm, Plan, Value
from nas.kernels.steps import BatchNormStep, ConvolutionStep, Step, step_of


class Program:
    """One network's calls. The memory is the program's own: a pass overwrites the one before.

    Args:
        network: whose parameters and statistics are used; they may move between passes.
        capacity: images of the largest batch.
    """

    def __init__(self, plan: Plan, library: Library, network: nn.Module, capacity: int) -> None:
        self.plan, self.library, self.capacity = plan, library, capacity
        self.memory = Memory(network, library.width, capacity)
        values = [plan.images, *(operation.output for operation in plan.operations[:-1])]
        data = [self.memory.room(value.shape) for value in values]
        channels, height, width = plan.images.shape
        self.input = structures.Input(0, height, width, channels, output=data[0])
        self.steps = [step_of(operation, data, self.memory) for operation in plan.operations]
        normed = [step.operation.input for step in self.steps if isinstance(step, BatchNormStep)]
        self.fewest_positions = min((math.prod(value.shape[1:]) for value in normed), default=2)
        self._let_norms_sum()
        self._place_gradients()
        steps, first = self.steps, (self.input, ("input_forward",))
        self.evaluation = self._calls([first, *((s.arguments, s.forward) for s in steps)])
        self.training = self._calls([first, *((s.arguments, s.training_forward) for s in steps)])
        self.backward_calls = self._calls((s.arguments, s.backward) for s in reversed(steps))

    @torch.no_grad()
    def forward(self, images: Tensor, training: bool) -> Tensor:
        """(n, C, H, W), n at most the capacity, to the mean over all positions: (n, channels).

        In training the statistics are the batch's, and the running ones are updated.

        Raises:
            ValueError: a batch of one value has no statistics, as in PyTorch.
        """
        if training and len(images) * self.fewest_positions == 1:
            raise ValueError("expected more than one value of each channel in training")
        means = torch.empty((len(images), *self.plan.operations[-1].output.shape))
        self.input.images = len(images)
        setattr(self.input, "from", images.data_ptr())
        names = ("image_step", "channel_step", "row_step", "column_step")
        for name, stride in zip(names, images.stride(), strict=True):
            setattr(self.input, name, stride)
        for step in self.steps:
            step.bind(len(images), training)
        self.steps[-1].arguments.output = means.data_ptr()
        self._run(self.training if training else self.evaluation)
        return means

    @torch.no_grad()
    def backward(self, gradient: Tensor) -> dict[str, Tensor]:
        """From the gradient of the means to that of each parameter, by name."""
        gradient = gradient.contiguous()
        self.steps[-1].arguments.output_gradient = gradient.data_ptr()
        gradients = {
            name: torch.empty(self.memory.tensors[name].shape)
            for step in self.steps
            for name in step.parameters
        }
        for step in self.steps:
            step.bind_gradients(gradients)
        self._run(self.backward_calls)
        return gradients

    def _run(self, calls: ctypes.Array[structures.Call]) -> None:
        self.library.run(calls, len(calls))

    def _calls(
        self, steps: Iterable[tuple[ctypes.Structure, Sequence[str]]]
    ) -> ctypes.Array[structures.Call]:
        """One for each kernel of each step, by its name."""
        address = self.library.address
        calls = [
            structures.Call(address[kernel], ctypes.addressof(arguments))
            for arguments, kernels in steps
            for kernel in kernels
        ]
        return (structures.Call * len(calls))(*calls)

    def _let_norms_sum(self) -> None:
        """A convolution sums its results for the batch norm behind it, while it has them."""
        made_by = {step.operation.output: step for step in self.steps}
        for step in self.steps:
            if not isinstance(step, BatchNormStep):
                continue
            before = made_by.get(step.operation.input)
            if isinstance(before, ConvolutionStep):
                before.sum_for(step)
            else:
                step.sum_alone()

    def _place_gradients(self) -> None:
        """Gradients of values have places that they leave to others when they were read.

        That of a sum is that of the shortcut, too, and has been read when others are added to it.
        """
        place: dict[int, int] = {}  # by value
        last: dict[Value, Step] = {}  # that added to a value's gradient
        free: defaultdict[int, list[int]] = defaultdict(list)  # by elements
        users = Counter[int]()
        for step in reversed(self.steps):
            operation, arguments = step.operation, step.arguments
            if step is not self.steps[-1]:
                arguments.output_gradient = place[operation.output.number]
            if isinstance(step, BatchNormStep) and not (
                operation.output in last and last[operation.output].sum_gradient_for(step)
            ):
                step.sum_gradient_alone()
            if isinstance(operation, BatchNorm) and operation.addend:
                place[operation.addend.number] = arguments.output_gradient
                users[arguments.output_gradient] += 1
            source = operation.input
            if source != self.plan.images:
                last[source] = step
                if source.number in place:
                    assert isinstance(step, ConvolutionStep)  # as plans are checked for
                    step.add_input_gradient()
                else:
                    places = free[self.memory.floats(source.shape)]
                    place[source.number] = (places or [self.memory.room(source.shape)]).pop()
                    users[place[source.number]] += 1
                arguments.input_gradient = place[source.number]
            elif isinstance(step, ConvolutionStep):
                step.leave_out_input_gradient()
            if step is not self.steps[-1]:
                done = arguments.output_gradient
                users[done] -= 1
                if not users[done]:
                    free[self.memory.floats(operation.output.shape)].append(done)
