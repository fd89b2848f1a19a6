"""A network that trains on the kernels, with the parameters of the plain one."""

from __future__ import annotations

import copy
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nas.architecture.layers import network_layers
from nas.architecture.reference import Reference
from nas.architecture.specification import Architecture
from nas.kernels.library import Library, library
from nas.kernels.plan import NoKernel, Plan, plan_network
from nas.kernels.program import Program
from trials.accelerated import Accelerated

EVALUATED = 64
"""Images at once where nothing has been trained before: a block of the kernels' memory."""


def accelerate(
    architecture: Architecture | Reference, network: nn.Module, level: str | None = None
) -> KernelNetwork | None:
    """The network of an architecture on the kernels, with its own parameters.

    None where no kernels were compiled, or where they lack one of its layers.

    Args:
        level: of the kernels; the processor's best where none is given.
    """
    kernels = library(level)
    if kernels is None:
        return None
    try:
        return KernelNetwork(network, plan_network(network_layers(architecture)), kernels)
    except NoKernel:
        return None


class KernelNetwork(Accelerated):
    """A plain network, computed by the kernels: float32 on a CPU, one thread.

    (N, C, H, W) to logits (N, classes), and gradients of all parameters in training mode. In
    evaluation mode with gradients, and of images that want one, the plain network computes.

    Args:
        network: whose parameters and statistics are used and trained; its modules behind the mean
            over all positions are called as they are.
    """

    def __init__(self, network: nn.Module, plan: Plan, kernels: Library) -> None:
        super().__init__()
        self.kernels, self.library = kernels.name, kernels
        self.network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.plan = plan
        self.trained = dict(network.named_parameters())
        self.rest = [network.get_submodule(name) for name in plan.rest]
        self.program: Program | None = None
        self.passes = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> KernelNetwork:
        """With memory of its own."""
        copied = KernelNetwork(copy.deepcopy(self.network, memo), self.plan, self.library)
        return copied.train(self.training)

    def forward(self, images: Tensor) -> Tensor:
        with_gradients = torch.is_grad_enabled()
        if with_gradients and (images.requires_grad or not self.training):
            logits: Tensor = self.network(images)
            return logits
        self._check(images)
        if with_gradients:
            means: Tensor = _Pass.apply(  # type: ignore[no-untyped-call]
                self, images, *self.trained.values()
            )
        else:
            # In training the statistics are those of all images together.
            program = self.program_for(len(images) if self.training else 1)
            parts = torch.split(images, program.capacity)
            means = torch.cat([self.run(program, part) for part in parts])
        for module in self.rest:
            means = module(means)
        return means

    def _check(self, images: Tensor) -> None:
        """Kernels read memory as it is."""
        shape = self.plan.images.shape
        if images.dtype != torch.float32 or images.device.type != "cpu":
            raise TypeError(f"kernels take float32 on a CPU, not {images.dtype}, {images.device}")
        if images.ndim != 4 or images.shape[1:] != shape:
            raise ValueError(f"expected images of shape {shape}, not {tuple(images.shape[1:])}")
        for name, parameter in self.trained.items():
            if parameter.dtype != torch.float32 or not parameter.is_contiguous():
                raise TypeError(f"kernels take contiguous float32 parameters, which {name} is not")

    def run(self, program: Program, images: Tensor) -> Tensor:
        """The means over all positions; the memory of any pass before is overwritten."""
        self.passes += 1
        return program.forward(images, self.training)

    def program_for(self, images: int) -> Program:
        """One that takes so many images at once, or what a training before has left."""
        if self.program is None or images > self.program.capacity:
            capacity = images if self.training else EVALUATED
            self.program = Program(self.plan, self.library, self.network, capacity)
        return self.program


class _Context(Protocol):
    """What the forward pass leaves for the backward one."""

    network: KernelNetwork
    program: Program
    passes: int
    saved_tensors: tuple[Tensor, ...]

    def save_for_backward(self, *tensors: Tensor) -> None: ...


class _Pass(torch.autograd.Function):
    """Everything up to the mean over all positions, as one function of the parameters."""

    @staticmethod
    def forward(
        ctx: _Context, network: KernelNetwork, images: Tensor, *parameters: Tensor
    ) -> Tensor:
        ctx.save_for_backward(*parameters)  # so that PyTorch sees where one is changed meanwhile
        ctx.network, ctx.program = network, network.program_for(len(images))
        means = network.run(ctx.program, images)
        ctx.passes = network.passes
        return means

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.passes != ctx.network.passes:
            raise RuntimeError(
                "the kernels keep one pass: call backward before the network is run again"
            )
        _ = ctx.saved_tensors  # raises where one was
        gradients = ctx.program.backward(gradient)
        return None, None, *(gradients.get(name) for name in ctx.network.trained)
