"""What an exported network takes its validation images for, kept beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter

from trials.bounded_json import read_json, validated

CONFUSION_FILE = "confusion.json"


@dataclass(frozen=True)
class KeptConfusion:
    """Of one network.

    Attributes:
        architecture: its key.
        classes: their names.
        counts: validation images of each class (rows) by the class that was guessed (columns).
    """

    architecture: str
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    def write(self, folder: Path) -> None:
        """As `CONFUSION_FILE`."""
        (folder / CONFUSION_FILE).write_bytes(_KEPT.dump_json(self) + b"\n")


_KEPT = TypeAdapter(KeptConfusion)


def read_confusion(folder: Path) -> KeptConfusion | None:
    """What an export has; None where it has none, or something else under its name."""
    try:
        return read_json(folder / CONFUSION_FILE, partial(validated, _KEPT))
    except (OSError, ValueError):
        return None
