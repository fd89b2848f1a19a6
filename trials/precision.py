"""In which precision a network is trained and evaluated: float32, or bfloat16 by autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from trials.recipe import Precision


class Unsupported(ValueError):
    """A processor without arithmetic in the precision that was asked for.

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
    unset = precision is None and device.type == "cuda" and _has_bfloat16(device)
    if precision == "bfloat16" or unset:
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # AMX came with bfloat16: there is no processor with its tiles and without.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
