"""Labels of pictures in a file beside them: ``labels.csv`` or ``metadata.csv``."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trials.data.images import DataConfig, DataError
from trials.data.labels import checked_labels, shortened
from trials.data.many_labels import labels_of_lists
from trials.data.pictures import read_picture

MANY = "labels.csv"
"""The first column names a picture. The second holds its labels; or, where there are more columns,
each is a class, with a 1 for the pictures that have it and a 0 for the others."""

SINGLE = "metadata.csv"
"""As Hugging Face's `imagefolder` has it: the columns ``file_name`` and ``label``, and others."""

FILES = (MANY, SINGLE)
"""The first that is there counts."""

SEPARATOR = "|"
"""Between labels: nothing else divides them."""

MAX_BYTES = 64 * 2**20
MAX_LINE = 2**20
"""Bytes of a file, and letters of a line: as cells they take a multiple of that."""

_SPARE_ROWS = 10_000
"""That are read beyond the files there are, so that an error can name the picture."""

_NO_CLASSES = frozenset({
    "class", "fold", "is_valid", "label", "labels", "set", "split", "tag", "tags", "target",
})  # fmt: skip
"""Heads of columns that say something else of a picture than whether it is of one class."""


@dataclass(frozen=True)
class LabelFile:
    """What such a file says.

    Attributes:
        path: of the file; it names pictures by their path from its folder.
        columns: with labels.
        names: of pictures, as they are written.
        cells: of the columns, for each picture.
        lines: of each picture in the file.
    """

    path: Path
    columns: tuple[str, ...]
    names: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    @cached_property
    def rows(self) -> dict[Path, int]:
        """Where each picture is in the file.

        Raises:
            DataError: one is outside of the file's folder, or there twice.
        """
        rows: dict[Path, int] = {}
        for row, name in enumerate(self.names):
            inside = PurePosixPath(name)
            if inside.is_absolute() or ".." in inside.parts or not inside.parts:
                raise DataError(
                    f"{self.place(row)}: {shortened(name)!r} is no file in {self.path.parent}"
                )
            path = self.path.parent / inside
            if path in rows:
                first = self.lines[rows[path]]
                raise DataError(
                    f"{self.place(row)}: {shortened(name)} is there twice, first in line {first}"
                )
            rows[path] = row
        return rows

    def place(self, row: int) -> str:
        """For messages."""
        return f"{self.path}, line {self.lines[row]}"

    def rows_of(self, pictures: Sequence[Path], others: frozenset[Path] = frozenset()) -> list[int]:
        """The row of each picture.

        Args:
            others: folders of other splits, whose pictures may be in the file, too.

        Raises:
            DataError: a picture is not in the file, or the file names one that is not there.
        """
        there = set(pictures)
        missing = [
            row
            for path, row in self.rows.items()
            if path not in there and not others.intersection(path.parents)
        ]
        if missing:
            row = missing[0]
            raise DataError(
                f"{self.place(row)}: there is no image {shortened(self.names[row])}",
                hint=f"names are paths from {self.path.parent}, with their suffix",
            )
        unlisted = next((path for path in pictures if path not in self.rows), None)
        if unlisted is not None:
            raise DataError(
                f"{unlisted} is not in {self.path}",
                hint="every image has a line there, also one without a label",
            )
        return [self.rows[path] for path in pictures]

    def labels(self, rows: Sequence[int]) -> tuple[NDArray[Any], tuple[str, ...] | None]:
        """Labels of these rows, (N,) or (N, C), and the classes' names where they are columns.

        Raises:
            DataError: a cell is not as it has to be.
        """

        def place(index: int) -> str:
            return self.place(rows[index])

        if self.path.name == SINGLE:
            return checked_labels(self._single(rows), str(self.path), place), None
        if len(self.columns) > 1:
            return self._by_column(rows), self.columns
        if not self._divided:
            self._check_undivided(rows)
        lists = [_listed(self.cells[row][0]) for row in rows]
        lengths = np.array([len(labels) for labels in lists], np.int64)
        values = np.array([label for labels in lists for label in labels], object)
        return labels_of_lists(lengths, values, None, str(self.path), place)

    @property
    def notes(self) -> Iterator[str]:
        """How it is understood, in words."""
        if self.path.name == MANY and len(self.columns) > 1:
            more = ", ..." if len(self.columns) > 10 else ""
            yield f"columns {', '.join(map(shortened, self.columns[:10]))}{more} are classes"
        elif self.path.name == MANY and not self._divided:
            spaced = (cell for (cell,) in self.cells if " " in cell.strip())
            if first := next(spaced, None):
                yield f"{shortened(first.strip())!r} is one label, without a {SEPARATOR} in it"

    @cached_property
    def _divided(self) -> bool:
        return any(SEPARATOR in cell for (cell,) in self.cells)

    def _single(self, rows: Sequence[int]) -> NDArray[Any]:
        labels = [self.cells[row][0].strip() for row in rows]
        for row, label in zip(rows, labels, strict=True):
            if not label:
                raise DataError(f"{self.place(row)}: {shortened(self.names[row])} has no label")
        return np.array(labels, object)

    def _check_undivided(self, rows: Sequence[int]) -> None:
        """That no cell of a file without a separator looks as if it had several labels.

        Raises:
            DataError: one has another separator; or there are more different cells with spaces than
                words in them, as of tags, of which each is in many combinations.
        """
        cells: dict[str, int] = {}
        for row in rows:
            if cell := self.cells[row][0].strip():
                cells.setdefault(cell, row)
        words = {word for cell in cells for word in cell.split()}
        for cell, row in cells.items():
            sign = next((sign for sign in ",;[" if sign in cell), "")
            sign = sign or (cell[0] if cell[0] in "'\"" else "")
            if sign or (" " in cell and len(words) < len(cells)):
                raise DataError(
                    f"{self.place(row)}: {shortened(cell)!r} may be several labels or one",
                    hint=f"put {SEPARATOR} between labels, as in cat{SEPARATOR}dog; a name with "
                    f"{sign or 'spaces'} in it stays whole in a file that has a {SEPARATOR} "
                    f"somewhere, also at the end of a line, and in {SINGLE}",
                )

    def _by_column(self, rows: Sequence[int]) -> NDArray[Any]:
        known = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
        labels = np.zeros((len(rows), len(self.columns)), np.uint8)
        hint = "a column for each class, or one with all labels: data.label_column"
        for index, row in enumerate(rows):
            for column, cell in enumerate(self.cells[row]):
                if cell.strip() not in known:
                    where = f"{shortened(cell)!r} in column {shortened(self.columns[column])}"
                    raise DataError(f"{self.place(row)}: {where} is neither 0 nor 1", hint=hint)
                labels[index, column] = known[cell.strip()]
        other = next((name for name in self.columns if name.strip().lower() in _NO_CLASSES), None)
        if other is not None:
            raise DataError(
                f"{self.path}: each column is a class, and {other} is no name of one", hint=hint
            )
        return labels


def _listed(cell: str) -> list[str]:
    labels = (label.strip() for label in cell.split(SEPARATOR))
    return [label for label in labels if label]


def label_file(folder: Path, root: Path, config: DataConfig) -> LabelFile | None:
    """The file with the labels of a folder's pictures, if it has one.

    A ``metadata.csv`` without the two columns is something else.

    Args:
        root: of the data set, which the file has to be in.

    Raises:
        DataError: it cannot be read.
    """
    for name in FILES:
        path = folder / name
        if path.is_file() or path.is_symlink():
            return _of_rows(path, _rows(path, root), config)
    return None


def _of_rows(
    path: Path, rows: Iterator[tuple[int, list[str]]], config: DataConfig
) -> LabelFile | None:
    _, heads = next(rows, (0, []))
    key, asked = "file_name", config.label_column
    if path.name == MANY:
        if not heads:
            raise DataError(f"{path} is empty")
        key, chosen = heads[0], [asked] if asked else heads[1:]
    else:
        chosen = [asked or "label"]
        if asked is None and not {key, *chosen} <= set(heads):
            return None
    counts = Counter(heads)
    for name in (key, *chosen):
        if counts[name] != 1:
            count = "no column" if name not in counts else "several columns"
            field = "label_column" if name == asked else "source"
            there = ", ".join(map(shortened, heads[:10])) + (", ..." if len(heads) > 10 else "")
            raise DataError(f"{path} has {count} {shortened(name)}; it has {there}", field)
    if not chosen:
        raise DataError(f"{path} has one column: the images, and no labels")
    at = {name: place for place, name in enumerate(heads)}
    place, places = at[key], [at[name] for name in chosen]
    lines, names, cells = list[int](), list[str](), list[tuple[str, ...]]()
    for line, row in rows:
        lines.append(line)
        names.append(row[place])
        cells.append(tuple(row[place] for place in places))
    if not lines:
        raise DataError(f"{path} has no lines below its head")
    return LabelFile(path, tuple(chosen), tuple(names), tuple(cells), tuple(lines))


def _rows(path: Path, root: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows of a CSV file with the line that each ends in, all as long as the first.

    Raises:
        DataError: it cannot be read, or has far more rows than there are files that they can name.
    """
    content = read_picture(path, root, path.name)
    if len(content) > MAX_BYTES:
        raise DataError(f"{path} has more than {MAX_BYTES // 2**20} MiB")
    files = sum(len(names) for _, _, names in os.walk(path.parent))
    reader = csv.reader(_lines(content, path), strict=True)
    length = None
    try:
        for count, row in enumerate(filter(None, reader)):
            if count > files + _SPARE_ROWS:
                raise DataError(f"{path} has more lines than the {files} files in {path.parent}")
            length = length or len(row)
            if len(row) != length:
                here = f"{path}, line {reader.line_num}"
                raise DataError(f"{here}: {len(row)} cells, and the head has {length}")
            yield reader.line_num, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None


def _lines(content: bytes, path: Path) -> Iterator[str]:
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
    for number, line in enumerate(text, 1):
        if len(line) > MAX_LINE:
            raise DataError(f"{path}, line {number}: more than {MAX_LINE:,} letters")
        yield line
