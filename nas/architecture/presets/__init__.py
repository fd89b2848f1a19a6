"""Published networks, as architectures where they lie on the spectrum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nas.architecture.presets.mobilenet import mobilenet
from nas.architecture.presets.xception import xception
from nas.architecture.specification import Architecture, ArchitectureError

PRESETS: dict[str, Callable[..., Architecture]] = {"mobilenet": mobilenet, "xception": xception}

__all__ = ["PRESETS", "preset"]


def preset(name: str, **options: Any) -> Architecture:  # noqa: ANN401  # each preset names its own
    """The architecture of a published network.

    Args:
        name: ``xception`` or ``mobilenet``.
        **options: those of `xception` or `mobilenet`, such as ``classes``, ``image_size`` and
            ``width``.

    Raises:
        ArchitectureError: no such preset, or an option that the preset does not have.
    """
    if name not in PRESETS:
        raise ArchitectureError(f"preset is one of {', '.join(PRESETS)}; got {name!r}")
    try:
        return PRESETS[name](**options)
    except TypeError as error:
        raise ArchitectureError(f"preset {name}: {error}") from None
