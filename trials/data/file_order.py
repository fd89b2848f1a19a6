"""The order of files by their names: ``2`` before ``10``."""

from __future__ import annotations

import re
from pathlib import Path

_NUMBER = re.compile(r"(\d+)", re.ASCII)


def in_order(file: Path) -> tuple[list[list[str | int]], Path]:
    """A file's place among others: names by letters and numbers; folder by folder."""
    return [_letters_and_numbers(part) for part in file.parts], file


def in_order_of_names(name: str) -> tuple[list[str | int], str]:
    """The place of a name among others of the same folder, as `in_order` has it."""
    return _letters_and_numbers(name), name


def _letters_and_numbers(name: str) -> list[str | int]:
    parts = enumerate(_NUMBER.split(name))  # every second is a number
    return [int(part) if place % 2 else part for place, part in parts]
