"""Where the samples of a tar file are: read once, so that each image is found by its offset.

Nothing is extracted, and of all members only labels are read: an image, and whatever else there is
(``.pyd`` and ``.pth`` may run a program once they are loaded), stays bytes in its place.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, NamedTuple

from trials.bounded_json import JsonError, parse_json
from trials.data.folders import SUFFIXES
from trials.data.images import DataConfig, DataError
from trials.data.labels import shortened
from trials.data.pictures import MAX_BYTES

MAX_LABEL_BYTES = 2**20
"""Of a ``.cls`` or ``.json``."""

MAX_ZEROS = tarfile.RECORDSIZE + tarfile.BLOCKSIZE
"""Bytes at the end of a file: two blocks, of which the second may begin a record of 20 that is
filled up. Longer records (``tar -b``, for tapes) are refused: more zeros may be samples that were
lost, as where a disk keeps the length of a file and not what was written last."""

_MEMBER = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
"""The key, up to the first dot of the file's name, and the rest."""

_META = re.compile(r"(?:\./)*__[^/]*__(?:/|\Z)")
"""Names that WebDataset keeps for itself, also as ``tar -C DIR .`` writes them."""

_LABEL = re.compile(r"\s*(\d{1,18})\s*", re.ASCII)

_DAMAGED = (tarfile.TarError, OSError, ValueError, OverflowError, RecursionError)
"""What `tarfile` raises on a file that was cut off, overwritten, or never was a tar file."""


class Sample(NamedTuple):
    """An image in a tar file, and its label.

    Attributes:
        name: of the image's member.
        offset: of its first byte in the file.
        size: in bytes.
    """

    name: str
    offset: int
    size: int
    label: int


class _Member(NamedTuple):
    """A file of a sample; its kind in small letters, as those that are asked for are."""

    key: str
    kind: str
    info: tarfile.TarInfo


def samples_of(file: Path, config: DataConfig) -> Iterator[Sample]:
    """All samples of a tar file: members after each other that differ behind the first dot alone.

    Raises:
        DataError: it is no tar file or is cut off; a sample has no image, or several, or no label.
    """
    try:
        with file.open("rb") as opened, tarfile.TarFile(fileobj=opened, encoding="utf-8") as tar:
            for key, members in groupby(_members(file, tar, opened), lambda member: member.key):
                yield _sample(f"{file}: {key}", list(members), opened, config)
    except DataError:
        raise
    except _DAMAGED as error:
        raise DataError(
            f"{file} cannot be read: {error}",
            hint="a shard is a whole tar file that is not compressed",
        ) from None


def _members(path: Path, tar: tarfile.TarFile, file: BinaryIO) -> Iterator[_Member]:
    """Files that belong to samples, in their order; no folders, hidden or other files.

    Raises:
        DataError: one of them is a link, or no plain file otherwise; the file is damaged.
        ValueError: it is damaged, too.
    """
    for info in tar:
        if info.size < 0:
            raise ValueError(f"{info.name!r} claims {info.size} bytes")
        found = _MEMBER.fullmatch(info.name)
        if not found or info.isdir() or _META.match(info.name):
            continue
        if not info.isreg() or info.issparse():
            link = f"a link to {shortened(info.linkname)}, not a file"
            raise DataError(
                f"{path}: {info.name} is {link if info.linkname else 'no plain file'}",
                hint="write the shard with tar --dereference --hard-dereference, without --sparse",
            )
        yield _Member(found[1], found[2].lower(), info)
    _check_end(path, file, tar.offset)


def _check_end(path: Path, file: BinaryIO, end: int) -> None:
    """Check that after the last member there are zeros alone, as many as end a tar file.

    `tarfile` just stops, at any block of zeros and at what is no head.

    Raises:
        DataError: there is something else behind zeros, or too many of them.
        ValueError: there are not enough.
    """
    file.seek(end)
    rest = file.read(MAX_ZEROS + 1)
    zeros = len(rest) - len(rest.lstrip(tarfile.NUL))
    if zeros < tarfile.BLOCKSIZE:
        raise ValueError(f"it is cut off or damaged at byte {end:,}")
    if zeros < len(rest):
        raise DataError(
            f"{path}: at byte {end:,} are the zeros that end a tar file, "
            f"but there is more at byte {end + zeros:,}",
            hint="it is damaged, or several in one: tar --concatenate makes one of them, not cat",
        )
    if zeros < 2 * tarfile.BLOCKSIZE:
        raise ValueError(f"it is cut off at byte {end + zeros:,}, where two blocks of zeros end it")
    if zeros > MAX_ZEROS:
        raise DataError(
            f"{path}: from byte {end:,} on there are more than {MAX_ZEROS:,} zeros, "
            "with which a tar file ends",
            hint="what was there is lost, or it was written with tar -b: write it again without",
        )


def _sample(name: str, members: list[_Member], file: BinaryIO, config: DataConfig) -> Sample:
    """One of them.

    Args:
        name: of the file and the key, for messages.
    """
    kinds = {member.kind: member.info for member in members}
    if len(kinds) < len(members):
        raise DataError(f"{name}: a file is there twice among {_listed(members)}")
    image = kinds[_image_kind(name, members, config)]
    if image.size > MAX_BYTES:
        raise DataError(f"{name}: the image has more than {MAX_BYTES // 2**20} MiB")
    return Sample(image.name, image.offset_data, image.size, _label(name, kinds, file, config))


def _image_kind(name: str, members: list[_Member], config: DataConfig) -> str:
    kinds = [member.kind for member in members]
    if config.image_column is not None:
        asked = config.image_column.lower()
        if asked not in kinds:
            raise DataError(
                f"{name}: there is no .{asked}, only {_listed(members)}", "image_column"
            )
        return asked
    found = [kind for kind in kinds if f".{kind.rpartition('.')[2]}" in SUFFIXES]
    if not found:
        raise DataError(
            f"{name}: there is no image, only {_listed(members)}",
            hint="a sample is KEY.jpg, .png or .webp, followed by KEY.cls or KEY.json",
        )
    if len(found) > 1:
        raise DataError(
            f"{name}: {len(found)} images, {', '.join(found)}", hint="name one: data.image_column"
        )
    return found[0]


def _label(name: str, kinds: dict[str, tarfile.TarInfo], file: BinaryIO, config: DataConfig) -> int:
    """By ``.cls``, or else by a value of ``.json``: ``label`` or the one that is configured."""
    asked = config.label_column
    kind = next((kind for kind in ((asked or "cls").lower(), "json") if kind in kinds), None)
    if kind is None:
        raise DataError(
            f"{name}: there is no label: no .{asked or 'cls'} and no .json",
            "label_column" if asked else "source",
            "the files of a sample follow each other in the shard, as tar --sort=name has them",
        )
    text = _text(f"{name}.{kind}", kinds[kind], file)
    if kind != "json":
        return _number(f"{name}.{kind}", text)
    key = asked or "label"
    try:
        values = parse_json(text)
    except JsonError as error:
        raise DataError(f"{name}.json: {error}") from None
    if not isinstance(values, dict) or key not in values:
        there = ", ".join(values) if isinstance(values, dict) else "no object"
        raise DataError(
            f"{name}.json has no {key}; it has {shortened(there) or 'nothing'}",
            "label_column" if asked else "source",
            "name the label's key: data.label_column",
        )
    return _number(f"{name}.json", values[key])


def _text(name: str, info: tarfile.TarInfo, file: BinaryIO) -> str:
    if info.size > MAX_LABEL_BYTES:
        raise DataError(f"{name} has {info.size:,} bytes, more than {MAX_LABEL_BYTES:,}")
    file.seek(info.offset_data)
    try:
        return file.read(info.size).decode()
    except UnicodeDecodeError:
        raise DataError(f"{name} is not text in UTF-8") from None


def _number(name: str, value: object) -> int:
    """A label of a text, or of JSON."""
    found = _LABEL.fullmatch(str(value)) if isinstance(value, str | int) else None
    if found is None:
        raise DataError(
            f"{name}: a label is an integer, 0 or more; got {shortened(repr(value))}",
            hint="number the classes from 0",
        )
    return int(found[1])


def _listed(members: list[_Member]) -> str:
    return shortened(", ".join(f".{member.kind}" for member in members))
