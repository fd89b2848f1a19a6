"""Cases of each kind, drawn by a `random.Random`."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.files import TARGETS, damaged_file
from tests.fuzz.options import command_line
from tests.fuzz.readers import READERS
from tests.fuzz.rule import Case
from tests.fuzz.spaces import space_text


def _space(_ground: Path, rng: random.Random) -> Case:
    commands = (
        ("describe", "space.yaml"),
        ("describe", "space.yaml"),
        ("search", "--space", "space.yaml"),
    )
    return Case("spaces", rng.choice(commands), {"space.yaml": space_text(rng)})


def _options(_ground: Path, rng: random.Random) -> Case:
    return Case("options", command_line(rng))


def _files(ground: Path, rng: random.Random) -> Case:
    name, content, command = damaged_file(ground, rng)
    return Case("files", command, {name: content})


def _readers(ground: Path, rng: random.Random) -> Case:
    reader = rng.choice((*READERS, "read-space", "read-study"))
    name = READERS[reader][0]
    if name == "space.yaml":
        return Case("readers", (reader,), {name: space_text(rng)})
    changes = [target.change for target in TARGETS if target.file == name]
    change = rng.choice((changes[0], *changes))
    return Case("readers", (reader,), {name: change((ground / name).read_bytes(), rng)})


KINDS: dict[str, Callable[[Path, random.Random], Case]] = {
    "spaces": _space,
    "options": _options,
    "files": _files,
    "readers": _readers,
}


def case_of(seed: int, kind: str, number: int, ground: Path) -> Case:
    """A case by its number: the same whenever it is asked for."""
    return KINDS[kind](ground, random.Random(f"{seed}:{kind}:{number}"))
