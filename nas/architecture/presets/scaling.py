"""Published widths, multiplied."""

from __future__ import annotations

from math import prod

from nas.architecture.point import require

_LARGEST = 100.0


def require_factor(factor: float, name: str) -> None:
    """Refuse a factor that scales nothing to anything."""
    require(0 < factor <= _LARGEST, f"{name} is above 0 and at most {_LARGEST:g}; got {factor}")


def scaled(channels: tuple[int, ...], **factors: float) -> tuple[int, ...]:
    """Channels times all factors, one at least.

    Raises:
        ArchitectureError: a factor is not above 0, or far too large.
    """
    for name, factor in factors.items():
        require_factor(factor, name)
    return tuple(max(1, round(prod(factors.values()) * count)) for count in channels)
