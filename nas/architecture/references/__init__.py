"""Published networks that do not lie on the spectrum, as trees of their layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nas.architecture.modules import Layer
from nas.architecture.presets import PRESETS
from nas.architecture.presets.options import (
    PresetError,
    canonical,
    checked,
    from_text,
    known,
    split,
)
from nas.architecture.reference import Reference
from nas.architecture.references.inception_module import inception_module
from nas.architecture.references.inception_v3 import inception_v3
from nas.architecture.serialization import MAX_LENGTH
from nas.architecture.specification import Architecture, ArchitectureError
from trials.bounded_json import JsonError, parse_json, shortened

REFERENCES: dict[str, Callable[..., Layer]] = {
    maker.__name__: maker for maker in (inception_v3, inception_module)
}

PUBLISHED: dict[str, Callable[..., Architecture | Layer]] = {**PRESETS, **REFERENCES}
"""All published networks."""

__all__ = [
    "PUBLISHED",
    "REFERENCES",
    "Reference",
    "check_trainable",
    "is_published",
    "network_from_json",
    "parse",
    "reference_layers",
    "reference_named",
    "with_options",
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


def reference_named(text: str) -> Reference | None:
    """The reference of this name; None where it names a preset, or nothing.

    Raises:
        PresetError: no such option or type; it has a hint.
        ArchitectureError: with these options some layer cannot exist.
    """
    found = parse(text) if text.partition(":")[0] in REFERENCES else None
    return found if isinstance(found, Reference) else None


def network_from_json(text: str) -> Architecture | Reference:
    """What the ``to_json`` of either wrote.

    Raises:
        ArchitectureError: it is something else, or no such network can exist.
    """
    try:
        plain = parse_json(text, most=MAX_LENGTH)
    except JsonError as error:
        raise ArchitectureError(str(error)) from None
    if not isinstance(plain, dict) or plain.keys() != {"reference"}:
        return Architecture.from_json(text)
    name = plain["reference"]
    found = reference_named(name) if isinstance(name, str) else None
    if found is None:
        raise ArchitectureError(f"reference is the name of one; got {shortened(name)}")
    return found


def with_options(reference: Reference, **options: Any) -> Reference:  # noqa: ANN401  # its own
    """The same network with other options.

    Raises:
        PresetError: it has no such option, or one of another type.
        ArchitectureError: with these options some layer cannot exist.
    """
    name, written = split(reference.name)
    return reference_layers(name, **from_text(name, REFERENCES[name], written) | options)


def check_trainable(reference: Reference) -> None:
    """Whether a recipe can train it.

    Raises:
        PresetError: it has no classes, or two heads.
    """
    if len(reference.output_shape) > 1:
        rule = "a network that is trained has classes; this is a part of one"
        raise PresetError(rule, "such as inception_v3")
    if reference.layers.module == "WithAuxiliary":
        rule = "recipes have one loss, for one head; got aux=true"
        raise PresetError(rule, "leave aux out: it has the same network without it")


def is_published(text: str) -> bool:
    """Whether this names a preset or a reference, right or wrong in its options."""
    return text.partition(":")[0] in PUBLISHED
