"""Labels of pictures in a file beside them: ``labels.csv`` or ``metadata.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trials.data.images import DataConfig, DataError
from trials.data.labels import checked_labels
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
"""Between labels; spaces in a file that has none."""


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
                raise DataError(f"{self.place(row)}: {name!r} is no file in {self.path.parent}")
            path = self.path.parent / inside
            if path in rows:
                first = self.lines[rows[path]]
                raise DataError(f"{self.place(row)}: {name} is there twice, first in line {first}")
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
                f"{self.place(row)}: there is no image {self.names[row]}",
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
        if self.path.name == SINGLE:
            return self._single(rows), None
        if len(self.columns) > 1:
            return self._by_column(rows), self.columns
        separator = SEPARATOR if any(SEPARATOR in cell for (cell,) in self.cells) else None
        lists = [_listed(self.cells[row][0], separator) for row in rows]
        lengths = np.array([len(labels) for labels in lists], np.int64)
        values = np.array([label for labels in lists for label in labels], np.str_)
        return labels_of_lists(
            lengths, values, None, str(self.path), lambda index: self.place(rows[index])
        )

    def _single(self, rows: Sequence[int]) -> NDArray[Any]:
        labels = [self.cells[row][0].strip() for row in rows]
        for row, label in zip(rows, labels, strict=True):
            if not label:
                raise DataError(f"{self.place(row)}: {self.names[row]} has no label")
        return checked_labels(np.array(labels, np.str_), str(self.path))

    def _by_column(self, rows: Sequence[int]) -> NDArray[Any]:
        known = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
        labels = np.zeros((len(rows), len(self.columns)), np.uint8)
        for index, row in enumerate(rows):
            for column, cell in enumerate(self.cells[row]):
                if cell.strip() not in known:
                    raise DataError(
                        f"{self.place(row)}: {cell!r} in column {self.columns[column]} is neither "
                        "0 nor 1",
                        hint="a column for each class, or one with all labels: data.label_column",
                    )
                labels[index, column] = known[cell.strip()]
        return labels


def _listed(cell: str, separator: str | None) -> list[str]:
    labels = (label.strip() for label in cell.split(separator))
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
            lines, table = _table(path, root)
            return _of_table(path, lines, table, config)
    return None


def _of_table(
    path: Path, lines: list[int], table: list[list[str]], config: DataConfig
) -> LabelFile | None:
    heads, *rows = table
    key, asked = "file_name", config.label_column
    if path.name == MANY:
        key, chosen = heads[0], [asked] if asked else heads[1:]
    else:
        chosen = [asked or "label"]
        if asked is None and not {key, *chosen} <= set(heads):
            return None
    for name in (key, *chosen):
        if heads.count(name) != 1:
            count = "no column" if name not in heads else "several columns"
            field = "label_column" if name == asked else "source"
            raise DataError(f"{path} has {count} {name}; it has {', '.join(heads)}", field)
    if not chosen:
        raise DataError(f"{path} has one column: the images, and no labels")
    places = [heads.index(name) for name in chosen]
    return LabelFile(
        path,
        tuple(chosen),
        tuple(row[heads.index(key)] for row in rows),
        tuple(tuple(row[place] for place in places) for row in rows),
        tuple(lines[1:]),
    )


def _table(path: Path, root: Path) -> tuple[list[int], list[list[str]]]:
    """Rows of a CSV file that has some, all as long as the first, and their lines."""
    try:
        text = read_picture(path, root, path.name).decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        found = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if len(found) < 2:
        raise DataError(f"{path} has no lines below its head")
    for line, row in found:
        if len(row) != len(found[0][1]):
            raise DataError(
                f"{path}, line {line}: {len(row)} cells, and the head has {len(found[0][1])}"
            )
    return [line for line, _ in found], [row for _, row in found]
