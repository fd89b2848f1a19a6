"""What a hand, a disk or an enemy makes of plain data and of bytes.

Everything here is drawn by a `random.Random`: one with a seed in a campaign, where a case is repeated
by its number, and one of hypothesis in the tests, which makes a case that fails small.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator
from typing import Any

from tests.fuzz.hostile import NUMBERS, TEXTS, TOKENS


def any_value(rng: random.Random) -> Any:
    """A value that is seldom what was expected."""
    match rng.randrange(10):
        case 0 | 1 | 2:
            return rng.choice(NUMBERS)
        case 3 | 4 | 5 | 6:
            return rng.choice(TEXTS)
        case 7:
            return rng.choice((None, True, False, [], {}, [[]], [None], {"": None}, {"a": []}))
        case 8:
            return [rng.choice((*NUMBERS, *TEXTS)) for _ in range(rng.choice((1, 2, 70, 2000)))]
        case _:
            return nested(rng.choice(TEXTS), rng.choice((1, 3, 14, 17, 33, 200)), rng)


def nested(value: Any, deep: int, rng: random.Random) -> Any:
    """A value inside so many lists and mappings."""
    for _ in range(deep):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def mutate(plain: Any, rng: random.Random) -> Any:
    """The same data with one thing wrong."""
    plain = copy.deepcopy(plain)
    places = list(_places(plain))
    if not places:
        return any_value(rng)
    box, key = rng.choice(places)
    match rng.randrange(9):
        case 0:
            del box[key]
        case 1 if isinstance(box, dict):
            box[_other_name(str(key), rng)] = box.pop(key)
        case 1:
            box.insert(rng.randrange(len(box) + 1), box[key])
        case 2 if isinstance(box, dict):
            box[rng.choice(TEXTS)] = any_value(rng)
        case 2:
            box += [box[key]] * rng.choice((1, 2, 300))
        case 3:
            box[key] = nested(box[key], rng.choice((1, 2, 40)), rng)
        case 4:
            other, place = rng.choice(places)
            box[key] = copy.deepcopy(other.get(place) if isinstance(other, dict) else None)
        case 5:
            box[key] = _other_type(box[key], rng)
        case _:
            box[key] = any_value(rng)
    return plain


def _places(plain: Any) -> Iterator[tuple[Any, Any]]:
    """Every item of every mapping and list: the one that holds it, and its key there."""
    keys = (
        plain if isinstance(plain, dict) else range(len(plain)) if isinstance(plain, list) else ()
    )
    for key in list(keys):
        yield plain, key
        yield from _places(plain[key])


def _other_name(name: str, rng: random.Random) -> str:
    at = rng.randrange(len(name) + 1)
    swapped = name[:at] + name[at + 1 : at + 2] + name[at : at + 1] + name[at + 2 :]
    return rng.choice(
        (swapped, name.upper(), f"{name} ", name[:-1], name + name, rng.choice(TEXTS))
    )


def _other_type(value: Any, rng: random.Random) -> Any:
    others: tuple[Any, ...] = (str(value), [value], {"value": value}, not value, [value, value])
    if isinstance(value, int | float):
        others += (
            -value,
            float(value) if abs(value) < 1e300 else value,
            value * 10**6,
            value + 0.5,
        )
    return rng.choice(others)


def damage(content: bytes, rng: random.Random) -> bytes:
    """The same bytes with one thing wrong."""
    at = rng.randrange(len(content) + 1)
    until = min(len(content), at + rng.choice((1, 1, 4, 40, 4096)))
    match rng.randrange(9):
        case 0:
            return content[:at]
        case 1:
            return content[:at] + content[until:]
        case 2:
            return content[:until] + content[at:until] * rng.choice((1, 2, 50)) + content[until:]
        case 3:
            flipped = bytes(byte ^ 1 << rng.randrange(8) for byte in content[at:until])
            return content[:at] + flipped + content[until:]
        case 4:
            return content[:at] + bytes(until - at) + content[until:]
        case 5:
            return _with_a_name_twice(content, rng)
        case 6:
            return _lines_moved(content, rng)
        case _:
            return content[:at] + rng.choice(TOKENS) + content[at:]


def _with_a_name_twice(content: bytes, rng: random.Random) -> bytes:
    """A key of JSON, or of YAML in braces, once more in the same object."""
    keys = list(re.finditer(rb'[{,] ?("?[\w.]+"?): ?', content))
    if not keys:
        return content + content
    key = rng.choice(keys)
    return content[: key.start() + 1] + key[1] + b": 0, " + content[key.start() + 1 :]


def _lines_moved(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    line = rng.choice(lines)
    lines.insert(rng.randrange(len(lines) + 1), rng.choice((b"", b"  ", b"\t")) + line)
    if rng.random() < 0.3:
        lines.remove(line)
    return rng.choice((b"\n", b"\n", b"\n", b"\r\n", b"\r")).join(lines)


def json_of(plain: Any, rng: random.Random) -> bytes:
    """JSON as Python writes it: with NaN, lone surrogates and whole numbers of any length."""
    return json.dumps(plain, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def mutated_json(content: bytes, rng: random.Random) -> bytes:
    """A JSON file with something wrong in its data, in its text or in both."""
    plain = json.loads(content)
    for _ in range(rng.choice((0, 1, 1, 2))):
        plain = mutate(plain, rng)
    content = json_of(plain, rng)
    for _ in range(rng.choice((0, 0, 1, 1, 3))):
        content = damage(content, rng)
    return content
