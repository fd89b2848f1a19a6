"""Published networks, as architectures where they lie on the spectrum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nas.architecture.presets.aligned_xception import xception41, xception65, xception71
from nas.architecture.presets.mobilenet import mobilenet
from nas.architecture.presets.options import PresetError, checked, from_text, known, split
from nas.architecture.presets.xception import xception
from nas.architecture.specification import Architecture

PRESETS: dict[str, Callable[..., Architecture]] = {
    maker.__name__: maker for maker in (mobilenet, xception, xception41, xception65, xception71)
}

__all__ = ["PRESETS", "PresetError", "parse", "preset"]


def preset(name: str, **options: Any) -> Architecture:  # noqa: ANN401  # each preset names its own
    """The architecture of a published network.

    Args:
        name: ``mobilenet``, ``xception``, or the aligned ``xception41``, ``xception65`` and
            ``xception71``.
        **options: those of the function of that name, such as ``classes``, ``image_size`` and
            ``alpha``.

    Raises:
        PresetError: no such preset, or an option or a type of one that the preset does not have.
        ArchitectureError: with these options some layer cannot exist.
    """
    maker = known(name, PRESETS, "preset")
    return maker(**checked(name, maker, options))


def parse(text: str) -> Architecture:
    """A preset by its name and options: ``mobilenet:alpha=.5,image_size=160``.

    Raises:
        PresetError: no such preset, option or type; it has a hint.
        ArchitectureError: with these options some layer cannot exist.
    """
    name, options = split(text)
    maker = known(name, PRESETS, "preset")
    return maker(**from_text(name, maker, options))
