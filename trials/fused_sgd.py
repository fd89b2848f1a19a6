"""Stochastic gradient descent by PyTorch's fused kernel, without what its class loads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.sgd import sgd


class FusedSGD:
    """What ``torch.optim.SGD(fused=True)`` computes, bit for bit.

    The first step of any `torch.optim.Optimizer` imports the compiler, ``torch._dynamo``, which is
    never used here: a second of every worker's start. The function behind the class does not.

    Args:
        groups: of parameters, each with its ``params`` and its ``weight_decay``.
        lr: the learning rate, read at each step from its device.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], lr: Tensor, momentum: float, nesterov: bool
    ) -> None:
        self.groups, self.lr = list(groups), lr
        self.momentum, self.nesterov = momentum, nesterov
        self.velocities: dict[Tensor, Tensor | None] = {}

    @property
    def state(self) -> dict[Tensor, dict[str, Tensor]]:
        """What there is of each parameter, as `torch.optim.Optimizer.state` has it."""
        return {p: {"velocity": v} for p, v in self.velocities.items() if v is not None}

    @torch.no_grad()
    def step(self) -> None:
        """Move all parameters that have a gradient."""
        for group in self.groups:
            moved = [p for p in group["params"] if p.grad is not None]
            begun = [p for p in moved if self.velocities.get(p) is not None]
            # The kernel takes velocities of all parameters or, at their first step, of none.
            for some in (begun, [p for p in moved if self.velocities.get(p) is None]):
                if some:
                    self._step(some, group["weight_decay"])

    def _step(self, moved: list[Tensor], weight_decay: float) -> None:
        velocities = [self.velocities.get(p) for p in moved]
        sgd(
            moved,
            [p.grad for p in moved if p.grad is not None],
            velocities,
            fused=True,
            weight_decay=weight_decay,
            momentum=self.momentum,
            lr=self.lr,  # type: ignore[arg-type]  # a tensor as well
            dampening=0.0,
            nesterov=self.nesterov,
            maximize=False,
        )
        self.velocities.update(zip(moved, velocities, strict=True))

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for group in self.groups:
            for parameter in group["params"]:
                parameter.grad = None
