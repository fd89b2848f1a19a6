"""Files that commands read back: one of them damaged, and a command that reads it."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.ground import IDENTITY, KERAS_PRESET
from tests.fuzz.hostile import NUMBERS, TEXTS, TOKENS
from tests.fuzz.mutations import any_value, damage, mutated_json

READ_STUDY = (
    *(("export", "--study", "small", "--output", "out"),) * 3,
    ("report", "--study", "small"),
    ("search", "--space", "space.yaml"),
    ("retrain", "--study", "small", "--output", "out"),
    ("fidelity", "--study", "small", "--sample", "3"),
    ("latency", "--study", "small", "--front"),
    ("verdict", "--study", "small"),
)
READ_PICTURE = (
    ("predict", "--model", "best", "pictures"),
    ("explain", "--model", "best", "--images", "pictures"),
)
READ_KERAS = (
    ("convert", "--from-keras", "small.weights.h5", "--preset", KERAS_PRESET, "--output", "out"),
)
READ_PUBLISHED = (("verdict", "--published", "published"),)
RESUME = (("search", "--space", "waiting.yaml"),)


@dataclass(frozen=True)
class Target:
    """A file, what may come of it, and the commands that read it.

    Attributes:
        weight: how often it is drawn.
    """

    file: str
    commands: tuple[tuple[str, ...], ...]
    change: Callable[[bytes, random.Random], bytes] = field(default=damage)
    weight: int = 1


def damaged_file(ground: Path, rng: random.Random) -> tuple[str, bytes, tuple[str, ...]]:
    """A file of the ground, what it has now, and a command with its arguments."""
    (target,) = rng.choices(TARGETS, [target.weight for target in TARGETS])
    content = (ground / target.file).read_bytes()
    return target.file, target.change(content, rng), rng.choice(target.commands)


def _damaged_often(content: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 1, 2, 6))):
        content = damage(content, rng)
    return content


def changed_database(content: bytes, rng: random.Random) -> bytes:
    """An SQLite database with other cells, rows, columns or tables, which SQLite itself can read."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(content)
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            with suppress(sqlite3.Error):  # a key that is there already, a cell that is too large
                _change(connection, rng)
        connection.commit()
        return connection.serialize()


def _change(connection: sqlite3.Connection, rng: random.Random) -> None:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    table = rng.choice(sorted(name for (name,) in tables))
    columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
    rows = connection.execute(f'SELECT rowid, * FROM "{table}"').fetchall()
    column = rng.randrange(len(columns))
    name = f'"{columns[column]}"'
    kind = rng.randrange(24)
    if kind == 0:
        connection.execute(f'DROP TABLE "{table}"')
    elif kind == 1:
        connection.execute(f'ALTER TABLE "{table}" RENAME COLUMN {name} TO other')
    elif kind == 2:
        connection.execute(f'ALTER TABLE "{table}" DROP COLUMN {name}')
    elif not rows:
        connection.execute(f'INSERT INTO "{table}" ({name}) VALUES (?)', [_cell(None, rng)])
    else:
        row = rng.choice(rows)
        if kind == 3:
            connection.execute(f'DELETE FROM "{table}" WHERE rowid = ?', row[:1])
        elif kind == 4:
            connection.execute(f'DELETE FROM "{table}"')
        else:
            value = _cell(row[column + 1], rng)
            connection.execute(f'UPDATE "{table}" SET {name} = ? WHERE rowid = ?', [value, row[0]])


def _cell(value: object, rng: random.Random) -> object:
    """What a cell may have in its place: JSON of another kind, where it has some."""
    if isinstance(value, str) and value[:1] in ('"', "[", "{") and rng.random() < 0.7:
        with suppress(ValueError):
            return _mutated_text(value, rng)
    found = rng.choice((rng.choice(NUMBERS), rng.choice(TEXTS), rng.choice(TOKENS), None))
    if isinstance(found, str):
        return found.encode("utf-8", "replace").decode()
    whole = isinstance(found, int) and abs(found) >= 2**63
    return str(found) if whole else found


def _mutated_text(text: str, rng: random.Random) -> str:
    """JSON in a cell; what we keep there is text that is JSON again."""
    plain = json.loads(text)
    if isinstance(plain, str) and plain[:1] in ("[", "{") and rng.random() < 0.9:
        inner = mutated_json(plain.encode(), rng).decode("utf-8", "replace")
        return json.dumps(inner)
    return mutated_json(text.encode(), rng).decode("utf-8", "replace")


def _damaged_archive(content: bytes, rng: random.Random) -> bytes:
    """Safetensors: its header is JSON behind eight bytes with its length."""
    length = int.from_bytes(content[:8], "little")
    if rng.random() < 0.5:
        return _damaged_often(content, rng)
    header = mutated_json(content[8 : 8 + length], rng)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def _any_bytes(_content: bytes, rng: random.Random) -> bytes:
    return rng.choice(
        (b"", b"\n", str(any_value(rng)).encode("utf-8", "replace"), rng.choice(TOKENS))
    )


TARGETS = (
    Target("runs/small/study.db", READ_STUDY, changed_database, 24),
    Target("runs/small/study.db", READ_STUDY, _damaged_often, 8),
    Target("runs/small/study.db", READ_STUDY, _any_bytes, 1),
    Target("runs/waiting/study.db", RESUME, changed_database, 8),
    Target(f"runs/waiting/outbox/{IDENTITY}/4.json", RESUME, mutated_json, 6),
    Target("runs/small/space.yaml", READ_STUDY[-6:], _damaged_often, 2),
    Target("runs/small/environment.json", (READ_STUDY[3],), mutated_json, 3),
    Target("runs/small/environment.json", RESUME, mutated_json, 1),
    Target("architecture.json", (("describe", "architecture.json"), ("latency", "architecture.json")), mutated_json, 8),
    Target("best/architecture.json", (("latency", "best"),), mutated_json, 2),
    Target("best/weights.safetensors", (*READ_PICTURE, ("latency", "best")), _damaged_archive, 6),
    Target("small.weights.h5", READ_KERAS, _damaged_often, 6),
    Target("pictures/a.png", READ_PICTURE, _damaged_often, 3),
    Target("pictures/b.jpg", READ_PICTURE, _damaged_often, 3),
    Target("published/plan.json", READ_PUBLISHED, mutated_json, 4),
    Target("published/measurements.csv", READ_PUBLISHED, _damaged_often, 4),
    Target("published/space.yaml", READ_PUBLISHED, _damaged_often, 2),
)  # fmt: skip
