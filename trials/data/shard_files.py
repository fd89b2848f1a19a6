"""Which tar files a pattern names, and of which split each is: ``train-{000..012}.tar``, globs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from glob import glob
from itertools import chain, islice
from pathlib import Path

from trials.data.file_order import in_order
from trials.data.folders import SPLIT_NAMES
from trials.data.images import DataError
from trials.data.labels import shortened
from trials.data.raw_split import SplitName

MAX_FILES = 50_000
"""That braces may stand for: ImageNet-21k has two thousand shards, LAION-400M 41,456."""

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})", re.ASCII)


def shard_files(pattern: str) -> list[Path]:
    """The files of a folder, or of a pattern in which braces and globs may stand.

    They are in the order of their names, numbers among them by value, whatever notation was used.
    Numbers of a range have as many digits as its ends are written with, and every pattern that
    braces stand for has to have a file: a shard that is missing is not passed over.

    Raises:
        DataError: there is no such file, or the braces are no range and no list.
    """
    if os.path.isdir(pattern):  # noqa: PTH112  # of `Path` an error, where a name is too long
        found = [file for file in Path(pattern).rglob("*.tar") if file.is_file()]
        if not found:
            raise DataError(f"no shards in {pattern}: no file there is called *.tar")
        return sorted(found, key=in_order)
    files: set[Path] = set()
    for each in _expanded(pattern):
        matched = _matched(each)
        if not matched:
            of_all = "" if each == pattern else f", of {pattern}"
            raise DataError(
                f"no such shard: {each}{of_all}",
                hint="a pattern names tar files of this machine: webdataset:DIR/{train,val}-*.tar",
            )
        files.update(matched)
    return sorted(files, key=in_order)


def _matched(pattern: str) -> list[Path]:
    """A file whose name may have a glob's letters in it, or those that a glob stands for."""
    if os.path.isfile(pattern):  # noqa: PTH113  # as above
        return [Path(pattern)]
    try:
        found = glob(pattern, recursive=True)  # noqa: PTH207  # it may be absolute
    except ValueError:  # of a name that no file can have
        return []
    return [file for file in map(Path, found) if file.is_file()]


def _expanded(pattern: str) -> list[str]:
    """Every pattern without braces that one with braces stands for, in order."""
    patterns = [pattern]
    while _BRACES.search(patterns[0]):  # then each of them has the same ones
        patterns = list(islice(chain.from_iterable(map(_without_one, patterns)), MAX_FILES + 1))
        if len(patterns) > MAX_FILES:
            raise DataError(f"{shortened(pattern)} stands for more than {MAX_FILES:,} files")
    return patterns


def _without_one(pattern: str) -> Iterator[str]:
    """Patterns in which a choice stands in place of the first braces that have none inside."""
    found = _BRACES.search(pattern)
    assert found is not None
    before, after = pattern[: found.start()], pattern[found.end() :]
    return (f"{before}{choice}{after}" for choice in _choices(found[1], pattern))


def _choices(inside: str, pattern: str) -> Iterable[str]:
    if ends := _RANGE.fullmatch(inside):
        first, last = int(ends[1]), int(ends[2])
        padded = any(len(end) > 1 and end[0] == "0" for end in ends.groups())
        digits = max(map(len, ends.groups())) if padded else 0
        if first > last:
            raise DataError(f"{pattern}: the range {{{inside}}} ends before it begins")
        return (f"{number:0{digits}}" for number in range(first, last + 1))
    if "," not in inside:
        raise DataError(
            f"{pattern}: {{{shortened(inside)}}} is neither a range nor a list",
            hint="{000000..000012} or {train,val,test}",
        )
    return inside.split(",")


def by_split(files: list[Path]) -> tuple[dict[SplitName, list[Path]], list[Path]]:
    """The files of each split, and those that are of none because others name theirs.

    Raises:
        DataError: a file names two.
    """
    splits: dict[SplitName, list[Path]] = {}
    unnamed = []
    for file in files:
        if split := _split_of(file):
            splits.setdefault(split, []).append(file)
        else:
            unnamed.append(file)
    return (splits, unnamed) if splits else ({"train": unnamed}, [])


def _split_of(file: Path) -> SplitName | None:
    """By a word of the file's name, such as ``imagenet-val-07.tar``, or else by its folder's."""
    words = re.split("[^a-z]+", file.name.lower())
    found = sorted({SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES})
    if len(found) > 1:
        raise DataError(f"{file} names two splits, {' and '.join(found)}")
    return found[0] if found else SPLIT_NAMES.get(file.parent.name.lower())
