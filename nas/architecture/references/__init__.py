"""Published networks that do not lie on the spectrum, as trees of their layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nas.architecture.modules import Layer
from nas.architecture.presets import PRESETS
from nas.architecture.presets.options import canonical, checked, from_text, known, split
from nas.architecture.reference import Reference
from nas.architecture.references.inception_module import inception_module
from nas.architecture.references.inception_v3 import inception_v3
from nas.architecture.specification import Architecture

REFERENCES: dict[str, Callable[..., Layer]] = {
    maker.__name__: maker for maker in (inception_v3, inception_module)
}

PUBLISHED: dict[str, Callable[..., Architecture | Layer]] = {**PRESETS, **REFERENCES}
"""All published networks."""

__all__ = [
    "PUBLISHED",
    "REFERENCES",
    "Reference",
    "is_published",
    "parse",
    "reference_layers",
    "with_classes",
]


def reference_layers(name: str, **options: Any) -> Reference:  # noqa: ANN401  # each names its own
    """A reference by its name; it is built by `nas.build_network`.

    Args:
        name: ``inception_v3`` or ``inception_module``.
        **options: those of the function of that name.

    Raises:
        PresetError: no such reference, or an option or a type of one that it does not have.
        ArchitectureError: with these options some layer cannot exist.
    """
    maker = known(name, REFERENCES, "reference")
    layers = maker(**checked(name, maker, options))
    return Reference(canonical(name, maker, options), layers)


def parse(text: str) -> Architecture | Reference:
    """A preset or a reference by its name and options: ``inception_v3:aux=true``.

    Raises:
        PresetError: no such network, option or type; it has a hint.
        ArchitectureError: with these options some layer cannot exist.
    """
    name, written = split(text)
    maker = known(name, PUBLISHED, "a published network")
    options = from_text(name, maker, written)
    made = maker(**options)
    if isinstance(made, Architecture):
        return made
    return Reference(canonical(name, maker, options), made)


def with_classes(reference: Reference, classes: int) -> Reference:
    """The same network with another number of outputs.

    Raises:
        ArchitectureError: it is a part of a network, which has none, or there are too few.
    """
    name, written = split(reference.name)
    options = from_text(name, REFERENCES[name], written) | {"classes": classes}
    return reference_layers(name, **options)


def is_published(text: str) -> bool:
    """Whether this names a preset or a reference, right or wrong in its options."""
    return text.partition(":")[0] in PUBLISHED
