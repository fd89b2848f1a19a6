"""Which images a network was right on, as text: a bit for each image, in their order.

``N:BASE64``, the number of images, for the last byte may have bits over, and what `numpy.packbits`
makes of them: 1,674 characters for 10,000 images.
"""

from __future__ import annotations

import base64
import binascii

import numpy as np
from numpy.typing import NDArray

from trials.bounded_json import shortened

MOST_IMAGES = 2**22
"""Of a larger split nothing is kept: a training's record has less than a megabyte of each."""


def packed(right: NDArray[np.bool_]) -> str | None:
    """The text of answers (N,); None where they are too many, or none."""
    if not 0 < len(right) <= MOST_IMAGES:
        return None
    return f"{len(right)}:{base64.b64encode(np.packbits(right).tobytes()).decode()}"


def unpacked(text: str) -> NDArray[np.bool_]:
    """The answers (N,) that `packed` wrote.

    Raises:
        ValueError: it is something else.
    """
    number, _, bits = text.partition(":")
    if not (number.isascii() and number.isdecimal() and 0 < len(number) <= 7):
        raise ValueError(f"right answers begin with the number of images; got {shortened(text)}")
    images = int(number)
    try:
        content = base64.b64decode(bits, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"right answers are bits in base64; got {shortened(text)}") from None
    if not 0 < images <= MOST_IMAGES or len(content) != -(-images // 8):
        raise ValueError(
            f"right answers have a bit for each of 1 to {MOST_IMAGES:,} images; "
            f"got {8 * len(content)} bits for {images:,}"
        )
    found = np.unpackbits(np.frombuffer(content, dtype=np.uint8))
    if found[images:].any():
        raise ValueError(f"right answers end with the last image; got {shortened(text)}")
    return found[:images].astype(bool)


def checked(text: str) -> str:
    """The text itself.

    Raises:
        ValueError: `packed` did not write it.
    """
    unpacked(text)
    return text
