"""What the kernels are compared with: sums in float64, written out tap by tap."""

from __future__ import annotations

import torch
from torch import Tensor

from nas.architecture.modules import SegmentGroup


def direct_convolution(
    x: Tensor,
    weights: list[Tensor],
    groups: tuple[SegmentGroup, ...],
    stride: int,
    dilation: int,
    before: int,
) -> Tensor:
    """(N, C, H, W) -> (N, C_out, ceil(H / s), ceil(W / s)): padded by zeros, each tap by itself."""
    kernel = weights[0].shape[-1]
    height, width = (-(-n // stride) for n in x.shape[2:])
    reach = dilation * (kernel - 1) + stride * max(height, width)
    padded = torch.nn.functional.pad(x, (before, reach, before, reach))
    outputs, start = [], 0
    for weight, group in zip(weights, groups, strict=True):
        for segment in range(group.segments):
            some = padded[:, start : start + group.in_width]
            own = weight[segment * group.out_width : (segment + 1) * group.out_width]
            total = torch.zeros(len(x), group.out_width, height, width, dtype=torch.float64)
            for row in range(kernel):
                for column in range(kernel):
                    taken = some[:, :, row * dilation :: stride, column * dilation :: stride]
                    taken = taken[:, :, :height, :width]
                    total = total + torch.einsum("nchw,oc->nohw", taken, own[:, :, row, column])
            outputs.append(total)
            start += group.in_width
    return torch.cat(outputs, dim=1)
