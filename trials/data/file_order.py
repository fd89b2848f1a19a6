"""The order of files by their names: ``2`` before ``10``."""

from __future__ import annotations

import re
from pathlib import Path

_NUMBER = re.compile(r"(\d+)", re.ASCII)


def in_order(file: Path) -> tuple[list[list[str | int]], Path]:
    """A file's place among others: names by letters and numbers; folder by folder."""
    parts = (enumerate(_NUMBER.split(part)) for part in file.parts)  # every second is a number
    return [[int(some) if place % 2 else some for place, some in part] for part in parts], file
