"""One network that several processes train, each on its part of every batch.

All have the same weights and make the same step, so nothing is ever sent but sums over a batch:
gradients, the loss, and the statistics of batch norm. What comes out is what one process gives that
has the whole batch, but for the order in which numbers are added. (PyTorch's
`DistributedDataParallel` normalises each part by its own statistics, and its `SyncBatchNorm`, which
does not, is for GPUs alone.)

The processes find each other by PyTorch's default group; see `torch.distributed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def average(tensors: Sequence[Tensor]) -> None:
    """Replace tensors by their means over all processes: one message for all of them."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    means = torch.split(flat, [tensor.numel() for tensor in tensors])
    for tensor, mean in zip(tensors, means, strict=True):
        tensor.copy_(mean.view(tensor.shape))


def one_says_so(says_so: bool) -> bool:
    """Whether any process does: the same answer in all of them, which all have to ask."""
    votes = torch.tensor(float(says_so))  # on the CPU, so that no GPU is waited for
    dist.all_reduce(votes, dist.ReduceOp.MAX)
    return bool(votes)


@torch.no_grad()
def rolled(batch: Tensor) -> Tensor:
    """A part (B, ...) of a batch of which each has the place of the next, over all parts.

    The first is the last of the part before.
    """
    last = batch[-1].contiguous()
    lasts = [torch.empty_like(last) for _ in range(dist.get_world_size())]
    dist.all_gather(lasts, last)
    moved = batch.roll(1, dims=0)
    moved[0] = lasts[dist.get_rank() - 1]
    return moved


def over_whole_batches(network: nn.Module, more: Mapping[type, type] | None = None) -> None:
    """Make a network, in place, compute what depends on a batch from all parts of it.

    Parameters, statistics and their names stay.

    Args:
        more: classes of other modules that do, each with the one that takes its place.
    """
    replaced: dict[type, type] = {nn.Dropout: WholeDropout, **(more or {})}
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.__class__ = WholeBatchNorm
        elif type(module) in replaced:
            module.__class__ = replaced[type(module)]


class WholeDropout(nn.Dropout):
    """Drops from a part what dropout would drop from it in the whole batch.

    All processes draw the same numbers, for the whole batch: (N, ...) -> (N, ...).
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.p:
            return x
        count = len(x) * dist.get_world_size()
        kept = torch.empty((count, *x.shape[1:]), dtype=torch.bool, device=x.device)
        kept.bernoulli_(1 - self.p)
        return x * kept.chunk(dist.get_world_size())[dist.get_rank()] / (1 - self.p)


class WholeBatchNorm(_BatchNorm):
    """Batch norm by the mean and variance of the whole batch: (N, C, ...) -> (N, C, ...)."""

    def _check_input_dim(self, input: Tensor) -> None:  # PyTorch's own
        """It has as many as the one that this takes the place of."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        mean, variance = self._moments(x)
        count = x.numel() // x.shape[1] * dist.get_world_size()
        self._remember(mean, variance * count / (count - 1))
        by = self.weight, self.bias, mean, variance, self.eps
        return cast("Tensor", _Normalised.apply(x, *by))  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and biased variance of each channel, (C,), in float32.

        From those of the parts, which are equally large: no square of a mean is subtracted.
        """
        assert self.running_mean is not None
        assert self.running_var is not None
        # The running statistics say the type. Copies: of a single value the unbiased variance is
        # none, and PyTorch takes it in also with a momentum of zero. (torch.var_mean, which needs
        # none, takes twenty times as long where channels are last.)
        running = self.running_mean.clone(), self.running_var.clone()
        own = torch.batch_norm_update_stats(x, *running, 0.0)
        parts = [torch.empty_like(torch.stack(own)) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, torch.stack(own))
        means, variances = torch.stack(parts, dim=1)  # (parts, C) each
        mean = means.mean(0)
        return mean, variances.mean(0) + (means - mean).square().mean(0)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1


class _Normalised(torch.autograd.Function):
    """Normalises by moments that depend on the images of all processes."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401  # PyTorch's own
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.eps = eps
        return F.batch_norm(x, mean, variance, weight, bias, eps=eps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """As if the moments were constants, and then what they add.

        With y = (x - mean) / deviation and g the gradient by it, that by x is
        (g - mean(g) - y * mean(g * y)) / deviation, with means over the whole batch (Ioffe and
        Szegedy 2015, section 3). Gradients by scale and shift are sums over the own part: those of
        all processes are averaged with all other gradients.
        """
        x, weight, mean, variance = ctx.saved_tensors
        by_x, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        means = torch.stack([by_bias, by_weight]) / (x.numel() // x.shape[1])
        average([means])
        scale = torch.rsqrt(variance + ctx.eps)
        slope = weight * scale.square() * means[1]
        shift = weight * scale * means[0] - slope * mean
        channels = (-1, *[1] * (x.ndim - 2))  # (C, 1, 1), as often as a channel has dimensions
        by_x -= torch.addcmul(shift.view(channels), slope.view(channels), x)
        return by_x, by_weight, by_bias, None, None, None
