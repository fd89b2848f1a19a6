"""Names of published networks in a file: ``xception``, ``{preset: xception, segments: 4}``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator

from nas.architecture import presets, references
from nas.architecture.presets import PresetError
from nas.architecture.presets.options import split
from nas.architecture.references import PUBLISHED, REFERENCES

PLAIN = "plain"
"""The study's own network with a regular convolution in place of each spectrum convolution."""

OF_STUDY = frozenset({"classes", "image_size", "rho"})
"""Options that say what the images of a study say."""


def _as_text(value: object, parse: Callable[[str], object]) -> str:
    """A name with options, ``xception:segments=4``, also where it is written as a mapping."""
    if isinstance(value, dict):
        options = dict(value)
        name = options.pop("preset", None)
        if not isinstance(name, str):
            raise ValueError("a mapping names a preset, as in {preset: xception, segments: 4}")
        said = ",".join(f"{option}={_word(choice)}" for option, choice in options.items())
        value = f"{name}:{said}" if said else name
    if not isinstance(value, str):
        raise ValueError(f"must be the name of a published network; got {value!r}")
    if value != PLAIN:
        _check(value, parse)
    return value


def _word(choice: object) -> str:
    return str(choice).lower() if isinstance(choice, bool) else str(choice)


def _check(text: str, parse: Callable[[str], object]) -> None:
    try:
        _, options = split(text)
        if own := OF_STUDY & options.keys():
            raise ValueError(f"{min(own)} is that of the study's images; leave it out of {text}")
        parse(text)
    except PresetError as error:
        names = f", {PLAIN}" if text.partition(":")[0] not in PUBLISHED else ""
        raise ValueError(f"{error} ({error.hint}{names})") from None


def _arm(text: str) -> object:
    """A preset: an arm is compared by its point of the spectrum."""
    name = text.partition(":")[0]
    if name in REFERENCES:
        rule = f"arms of a design are points of the spectrum; {name} is none"
        raise PresetError(rule, f"a search is shown beside it with references: [{name}]")
    return presets.parse(text)


Published = Annotated[str, BeforeValidator(lambda value: _as_text(value, _arm))]
"""A published network by name: ``xception``, ``xception:segments=4``, ``plain``; or a mapping."""

PublishedOrReference = Annotated[
    str, BeforeValidator(lambda value: _as_text(value, references.parse))
]
"""The same, or what is no point of the spectrum: ``inception_v3``."""
