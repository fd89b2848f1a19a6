"""In which precision a network is trained and evaluated: float32, or bfloat16 by autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from trials.recipe import Precision


class Unsupported(ValueError):
    """Arithmetic in the precision that was asked for is not to be had, or wrong.

    Attributes:
        hint: what to do about it.
    """

    hint = "leave it out, or say float32"


def check_precision(precision: Precision | None, device: torch.device) -> None:
    """Refuse bfloat16 where a processor would only emulate it, slower than float32.

    Raises:
        Unsupported: it would.
    """
    if precision == "bfloat16" and not _has_bfloat16(device):
        of_cpu = " (avx512_bf16 or amx_bf16)" if device.type == "cpu" else ""
        raise Unsupported(f"the {device.type} of this machine has no bfloat16{of_cpu}")


def autocast(precision: Precision | None, device: torch.device) -> AbstractContextManager[object]:
    """Convolutions and linear layers in the precision; weights and sums stay float32.

    Batch norm adds up in float32 whatever its input has.

    Args:
        precision: None is bfloat16 on GPUs that have it, and float32 elsewhere.
    """
    if in_bfloat16(precision, device):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def in_bfloat16(precision: Precision | None, device: torch.device) -> bool:
    """Whether that is what a precision is on a device."""
    if precision is None:
        return device.type == "cuda" and _has_bfloat16(device)
    return precision == "bfloat16"


@torch.no_grad()
def check_convolutions(network: nn.Module, images: Tensor) -> None:
    """Refuse what PyTorch computes wrong in bfloat16 on a CPU.

    Where one column is left by a stride, outputs or the weights' gradients are memory that nothing
    was written to (PyTorch 2.13, oneDNN, in `channels_last`). Other shapes are right.

    Args:
        images: (N, C, H, W) or (N, C, T, H, W), of the size that the network will be given.

    Raises:
        Unsupported: there is such a convolution.
    """
    found: list[str] = []

    def look(convolution: nn.Module, _: object, output: Tensor) -> None:
        if output.shape[-1] == 1:
            found.append(str(convolution))

    convolutions = (m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Conv3d))
    strided = [convolution for convolution in convolutions if convolution.stride[-1] > 1]
    hooks = [module.register_forward_hook(look) for module in strided]
    if strided:
        network.eval()(images)
    for hook in hooks:
        hook.remove()
    if found:
        raise Unsupported(f"the stride of {found[0]} leaves one column, wrong in bfloat16 on a CPU")


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # AMX came with bfloat16: there is no processor with its tiles and without.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
