"""Explained pictures as files, and as one page that needs no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

from nas.network.explanation import Explainer
from nas.reporting.rendering import render_html
from trials.atomic_file import atomic_write_text

MOST_SHOWN = 300
"""On the page; a file for each is written in any case."""

_SMALLEST = 192
"""Pixels of a picture's shorter side: smaller ones are enlarged, pixel by pixel."""

_STRONGEST = 0.65
"""Of the colour where the heat is 1; beneath it the picture is seen."""


@dataclass(frozen=True)
class _Row:
    """A picture of the page.

    Attributes:
        true: its class, where its folder says so.
        blank: nothing speaks for the guess.
    """

    name: str
    predicted: str
    probability: float
    true: str
    picture: str
    overlay: str
    blank: bool


def write_explanations(
    explainer: Explainer, pictures: Sequence[tuple[Path, Path]], output: Path, model: str
) -> list[tuple[Path, str]]:
    """Write an overlay for each picture and ``explain.html``; returns what could not be read.

    Args:
        pictures: folder that was named and file of each; below the folder the first one whose name
            is a class is the true class, as in a data set.
    """
    output.mkdir(parents=True, exist_ok=True)
    classes = frozenset(explainer.model.classes)
    rows: list[_Row] = []
    unreadable: list[tuple[Path, str]] = []
    right = judged = 0
    explanations = explainer.explain([file for _, file in pictures])
    for number, ((folder, file), found) in enumerate(zip(pictures, explanations, strict=True), 1):
        if found.image is None or found.heat is None:
            unreadable.append((file, found.error))
            continue
        picture = _enlarged(found.image)
        overlay = _overlay(picture, found.heat)
        overlay.save(output / f"{number:04d}-{file.stem}.png")
        true = next(iter(_true_classes(folder, file, classes)), "")
        judged += bool(true)
        right += true == found.predicted
        if len(rows) < MOST_SHOWN:
            guess = (found.predicted, found.probability)
            blank = not found.heat.any()
            rows.append(_Row(str(file), *guess, true, _uri(picture), _uri(overlay), blank))
    page = render_html(
        "explain.html.j2",
        model=model,
        layer=explainer.name,
        rows=rows,
        pictures=len(pictures) - len(unreadable),
        right=right,
        judged=judged,
    )
    atomic_write_text(output / "explain.html", page)
    return unreadable


def _true_classes(folder: Path, file: Path, classes: frozenset[str]) -> Iterator[str]:
    """Folders with the name of a class: below the one that was named, then that one itself."""
    parts = (*file.relative_to(folder).parts[:-1], file.resolve().parent.name)
    yield from (part for part in parts if part in classes)


def _enlarged(image: Tensor) -> Image.Image:
    """(H, W, C) uint8 as a picture in colour."""
    pixels = image.numpy()
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    factor = max(1, -(-_SMALLEST // min(picture.size)))
    width, height = picture.size
    return picture.resize((factor * width, factor * height), Image.Resampling.NEAREST)


def _overlay(picture: Image.Image, heat: Tensor) -> Image.Image:
    """The heat over a grey picture: orange, then yellow where there is most of it."""
    grey = Image.fromarray(np.uint8(255 * heat.numpy())).resize(
        picture.size, Image.Resampling.BICUBIC
    )
    coloured = ImageOps.colorize(grey, black="#00204d", mid="#d55e00", white="#ffee33")
    strength = grey.point(lambda value: int(_STRONGEST * value))
    return Image.composite(coloured, ImageOps.grayscale(picture).convert("RGB"), strength)


def _uri(picture: Image.Image) -> str:
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
