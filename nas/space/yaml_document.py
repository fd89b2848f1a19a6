"""Strict YAML 1.2 with the place of every key and value, and YAML that it reads as it was.

The part of YAML that a configuration needs: mappings, sequences and scalars of the core schema.
Anchors, aliases, tags, merge keys, duplicate keys and several documents are problems, because each
lets a file mean something else than it seems to; numbers are finite and fit 64 bits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path as FilePath
from typing import Any

import yaml

from nas.space.errors import InputError, Path, Place, Problem, dotted

MAX_BYTES = 2**20
MAX_DEPTH = 16

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE, _FALSE = re.compile(r"true|True|TRUE"), re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NOT_TEXT = (_NULL, _TRUE, _FALSE, _INTEGER, _FLOAT, _NOT_FINITE)


@dataclass
class Document:
    """Plain data, and where each part of it was written.

    Attributes:
        value: mappings, lists and scalars.
        problems: what was wrong with the text itself; the data leaves those parts out.
    """

    source: str
    value: Any = None
    problems: list[Problem] = field(default_factory=list)
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)

    def place(self, path: Path, of_key: bool = False) -> Place:
        """Place of a value or its key; of the nearest enclosing one where there is no such path."""
        while path:
            if of_key and path in self.keys:
                return self.keys[path]
            if path in self.values:
                return self.values[path]
            path = path[:-1]
            of_key = True
        return self.values.get((), Place(self.source))

    def add_problem(self, path: Path, message: str, hint: str = "", of_key: bool = False) -> None:
        """Note that something is wrong with a value."""
        self.problems.append(Problem(self.place(path, of_key), message, path, hint))

    def error(self, path: Path, message: str, hint: str = "") -> InputError:
        """That one thing is wrong with a value, to be raised."""
        return InputError([Problem(self.place(path), message, path, hint)])


def read_yaml(path: FilePath) -> Document:
    """Read a file.

    Raises:
        InputError: it cannot be read, is not UTF-8, is too large, or is not YAML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError.of(str(path), f"cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise InputError.of(str(path), "is larger than 1 MiB")
    try:
        return parse_yaml(content.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
        place = Place(str(path), line, column)
        raise InputError([Problem(place, f"not UTF-8: byte {content[error.start]:#04x}")]) from None


def parse_yaml(text: str, source: str) -> Document:
    """Parse a text.

    Raises:
        InputError: it is not YAML; all other problems are noted in the document.
    """
    reader = _Reader(text, source)
    try:
        return reader.read()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = reader.place(mark) if mark else Place(source)
        raise InputError([Problem(place, f"not YAML: {error.problem}")]) from None
    except UnicodeEncodeError:  # an argument holds bytes that are not UTF-8 as surrogates
        raise InputError.of(source, "not UTF-8") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InputError(
            [Problem(Place(source, line, 1), f"not YAML: {error.reason} ({error.character!r})")]
        ) from None


def dump_yaml(value: object) -> str:
    """Plain data as YAML that `parse_yaml` reads as it was: keys are text, numbers finite."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text


def document_of(value: object, source: str) -> Document:
    """Data of Python's as a document: mappings and sequences as YAML has them, copied."""
    document = Document(source)
    document.value = _plain(value, (), document)
    return document


def _plain(value: Any, path: Path, document: Document) -> Any:  # noqa: ANN401  # of any shape
    document.values[path] = document.keys[path] = Place(document.source)
    if isinstance(value, Mapping):
        return {key: _plain(item, (*path, key), document) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, (*path, i), document) for i, item in enumerate(value)]
    return value


class _Dumper(yaml.SafeDumper):
    """PyYAML writes YAML 1.1, in which `1e3` is text that needs no quotes."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401  # of any type
        return True

    def text(self, text: str) -> yaml.ScalarNode:
        like_another_type = any(rule.fullmatch(text) for rule in _NOT_TEXT)
        # Double quotes are the one style that has escapes, and so keeps every character.
        style = '"' if like_another_type or not text.isprintable() else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _Dumper.text)


def override(document: Document, assignment: str) -> None:
    """Apply ``training.epochs=3``, as given to ``--set``; problems are noted in the document.

    Lists are indexed as in ``network.blocks[0].channels=32``.
    """
    place = Place(f"--set {assignment}")
    name, equals, text = assignment.partition("=")
    path = _parse_path(name)
    if not equals or path is None:
        document.problems.append(
            Problem(place, "expected NAME=VALUE, such as training.epochs=3 or data.limit=5000")
        )
        return
    try:
        parsed = parse_yaml(text, str(place))
    except InputError as error:
        document.problems.append(Problem(place, error.problems[0].message, path))
        return
    document.problems += [Problem(place, problem.message, path) for problem in parsed.problems]
    _set(document, path, parsed.value, place, parsed.values)


def assign(document: Document, path: Path, value: object, option: str) -> None:
    """Set what an option of the command line stands for; problems are noted in the document."""
    _set(document, path, value, Place(option))


def _set(
    document: Document, path: Path, value: object, place: Place, parts: Iterable[Path] = ()
) -> None:
    """Set a value, and its place as that of each of its parts."""
    target = document.value
    for depth, (part, following) in enumerate(pairwise(path), start=1):
        if isinstance(target, dict) and isinstance(part, str):
            target = target.setdefault(part, {} if isinstance(following, str) else [])
        elif isinstance(target, list) and isinstance(part, int) and part < len(target):
            target = target[part]
        else:
            document.problems.append(Problem(place, f"there is no {dotted(path[:depth])} to set"))
            return
    if not _set_item(target, path[-1], value):
        document.problems.append(Problem(place, f"there is no {dotted(path)} to set"))
        return
    for places in (document.values, document.keys):
        for known in [known for known in places if known[: len(path)] == path]:
            del places[known]
    for inner in parts:
        document.values[path + inner] = place
    document.values[path] = document.keys[path] = place


def _set_item(target: object, key: str | int, value: object) -> bool:
    """Set an item of a mapping, or an existing one of a list; False where there is no such item."""
    if isinstance(target, dict) and isinstance(key, str):
        target[key] = value
        return True
    if isinstance(target, list) and isinstance(key, int) and key < len(target):
        target[key] = value
        return True
    return False


def _parse_path(name: str) -> Path | None:
    if not re.fullmatch(r"[A-Za-z_]\w*(\[\d{1,6}\])*(\.[A-Za-z_]\w*(\[\d{1,6}\])*)*", name.strip()):
        return None
    return tuple(
        int(part[1:-1]) if part.startswith("[") else part
        for part in re.findall(r"\w+(?<!\])|\[\d+\]", name.strip())
    )


class _Reader:
    """Builds a document from parser events, so that depth is capped while parsing."""

    def __init__(self, text: str, source: str) -> None:
        self.lines = re.split("\r\n|\r|\n", text)
        self.events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self.document = Document(source)

    def read(self) -> Document:
        next(self.events)  # stream start
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            return self.document
        self.document.value = self.node(next(self.events), ())
        next(self.events)  # document end
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            self.note(event, (), "a second document starts here", "keep one document in a file")
        return self.document

    def place(self, mark: Any) -> Place:  # noqa: ANN401  # of the C or the Python parser
        text = self.lines[mark.line] if mark.line < len(self.lines) else ""
        return Place(self.document.source, mark.line + 1, mark.column + 1, text[:200])

    def note(self, event: Any, path: Path, message: str, hint: str = "") -> None:  # noqa: ANN401
        self.document.problems.append(Problem(self.place(event.start_mark), message, path, hint))

    def node(self, event: Any, path: Path) -> Any:  # noqa: ANN401  # data of any shape
        if len(path) > MAX_DEPTH:
            place = self.place(event.start_mark)
            raise InputError([Problem(place, f"nested more than {MAX_DEPTH} deep")])
        self.document.values[path] = self.place(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            self.note(event, path, f"alias *{event.anchor} is not allowed", "write the value out")
            return None
        self.refuse_properties(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(item := next(self.events), yaml.SequenceEndEvent):
                items.append(self.node(item, (*path, len(items))))
            return items
        return self.scalar(event, path)

    def refuse_properties(self, event: Any, path: Path) -> None:  # noqa: ANN401  # of any node
        if event.anchor:
            self.note(event, path, f"anchor &{event.anchor} is not allowed", "remove the anchor")
        if event.tag:
            self.note(event, path, f"tag {event.tag} is not allowed", "remove the tag")

    def mapping(self, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self.note(event, path, "a key is plain text")
                self.node(event, (*path, "?"))
                self.node(next(self.events), (*path, "?"))
                continue
            key = event.value
            inner = (*path, key)
            self.refuse_properties(event, inner)
            if key == "<<" and event.implicit[0]:  # not in quotes
                self.note(event, path, "merge key << is not allowed", "write the keys out")
                self.node(next(self.events), inner)
            elif key in result:
                first = self.document.keys[inner].line
                self.note(event, inner, f"duplicate key; the first is in line {first}")
                self.node(next(self.events), (*path, "?"))
            else:
                self.document.keys[inner] = self.place(event.start_mark)
                result[key] = self.node(next(self.events), inner)
        return result

    def scalar(self, event: yaml.ScalarEvent, path: Path) -> str | int | float | bool | None:
        text: str = event.value
        if not event.implicit[0]:  # quoted or block: text, whatever it looks like
            return text
        if _NULL.fullmatch(text):
            return None
        if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
            return bool(_TRUE.fullmatch(text))
        if _NOT_FINITE.fullmatch(text):
            self.note(event, path, f"numbers are finite; got {text}")
            return None
        if _INTEGER.fullmatch(text) and len(text) <= 25:
            number = int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            if abs(number) < 2**63:
                return number
        if _INTEGER.fullmatch(text) or (
            _FLOAT.fullmatch(text) and (len(text) > 400 or math.isinf(float(text)))
        ):
            self.note(event, path, f"number is too large: {text[:40]}")
            return None
        return float(text) if _FLOAT.fullmatch(text) else text
