"""Weights in bfloat16, copied all at once in a step and not cast one by one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call


class Bfloat16Copies:
    """A network whose convolutions and linear layers find their weights in bfloat16.

    Autocast casts each weight in every forward pass, and its gradient in every backward pass: two
    small kernels for each of them, where here there are two for all. Everything else is left to
    autocast, so that results are the same bit for bit.

    Args:
        network: keeps its weights in float32.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        cast = {
            f"{place}.{name}".removeprefix("."): weight
            for place, module in network.named_modules()
            if type(module) in (nn.Conv2d, nn.Conv3d, nn.Linear)
            for name, weight in module.named_parameters(recurse=False)
            if weight.requires_grad
        }
        self.copies = {w: w.detach().bfloat16().requires_grad_() for w in cast.values()}
        self.gradients = {weight: torch.zeros_like(weight) for weight in self.copies}
        self.by_name = {name: self.copies[weight] for name, weight in cast.items()}

    def __call__(self, images: Tensor) -> Tensor:
        """The network's output; inside autocast."""
        logits: Tensor = functional_call(self.network, self.by_name, (images,))
        return logits

    @torch.no_grad()
    def hand_over_gradients(self) -> None:
        """From the copies to the weights, in float32."""
        found = {w: copy.grad for w, copy in self.copies.items() if copy.grad is not None}
        torch._foreach_copy_([self.gradients[weight] for weight in found], list(found.values()))
        for weight in found:
            weight.grad, self.copies[weight].grad = self.gradients[weight], None

    def forget_gradients(self) -> None:
        """Of a step that was broken off."""
        for copy in self.copies.values():
            copy.grad = None

    @torch.no_grad()
    def refresh(self) -> None:
        """Copy the weights, which an optimizer has moved."""
        torch._foreach_copy_(list(self.copies.values()), list(self.copies))
