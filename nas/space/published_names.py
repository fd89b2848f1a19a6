"""Names of published networks in a file: ``xception``, ``{preset: xception, segments: 4}``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from nas.architecture.presets import PRESETS, PresetError, parse
from nas.architecture.presets.options import split

PLAIN = "plain"
"""The study's own network with a regular convolution in place of each spectrum convolution."""

OF_STUDY = frozenset({"classes", "image_size", "rho"})
"""Options that say what the images of a study say."""


def _as_text(value: object) -> str:
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
        _check(value)
    return value


def _word(choice: object) -> str:
    return str(choice).lower() if isinstance(choice, bool) else str(choice)


def _check(text: str) -> None:
    try:
        _, options = split(text)
        if own := OF_STUDY & options.keys():
            raise ValueError(f"{min(own)} is that of the study's images; leave it out of {text}")
        parse(text)
    except PresetError as error:
        names = f", {PLAIN}" if text.partition(":")[0] not in PRESETS else ""
        raise ValueError(f"{error} ({error.hint}{names})") from None


Published = Annotated[str, BeforeValidator(_as_text)]
"""A published network by name: ``xception``, ``xception:segments=4``, ``plain``; or a mapping."""
