"""What a network is and what it costs: frozen data and closed forms, without PyTorch."""

from nas.architecture.specification import (
    Activation,
    Architecture,
    ArchitectureError,
    Block,
    Order,
    SpectrumPoint,
    Stem,
)

__all__ = [
    "Activation",
    "Architecture",
    "ArchitectureError",
    "Block",
    "Order",
    "SpectrumPoint",
    "Stem",
]
