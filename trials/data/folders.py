"""A folder of pictures, with a folder for each class or labels in a file: ``images:DIR``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NoReturn, get_args

import numpy as np
from numpy.typing import NDArray

from trials.data.images import DataConfig, DataError
from trials.data.label_files import FILES as LABEL_FILES
from trials.data.label_files import SINGLE as METADATA
from trials.data.label_files import LabelFile, label_file
from trials.data.many_labels import ONE_EACH
from trials.data.pictures import Pictures, read_picture
from trials.data.raw_split import Indices, RawSplit, SplitName, require

SPLIT_NAMES: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""Folders at the top that are splits, in small letters or capitals; any other is a class."""

SUFFIXES = frozenset({
    ".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm",
    ".pbm", ".pnm",
})  # fmt: skip
"""Of files that are read, in any case; others are left out."""


@dataclass(frozen=True)
class _Found:
    """What is in a split's folder.

    Attributes:
        files: pictures with the class of each, in the order of their names.
        hidden: files whose name begins with a dot.
        others: files that are no pictures, or lie outside the folder of a class.
        empty: folders of classes without a picture.
        where: pictures have to be, in words.
    """

    files: tuple[tuple[Path, str], ...]
    hidden: int
    others: int
    empty: tuple[str, ...]
    where: str = " in the folder of a class"

    @property
    def notes(self) -> Iterator[str]:
        """What was left out, in words."""
        if self.hidden:
            yield f"{count_of_files(self.hidden, 'hidden ')} left out"
        if self.others:
            yield f"{count_of_files(self.others)} left out, no images{self.where}"
        if self.empty:
            yield f"no images in {', '.join(self.empty)}"


def count_of_files(count: int, kind: str = "") -> str:
    """In words."""
    return f"{count:,} {kind}{'file' if count == 1 else 'files'}"


class FolderSource:
    """``DIR/CLASS/...`` or ``DIR/{train,val,test}/CLASS/...``, as torchvision's `ImageFolder`.

    The first folder is the class, however deep a picture lies in it. The folders at the top are
    splits where all that have pictures have the names of splits; one called ``train`` beside others
    is a class where it holds pictures, and an error where it holds folders.

    A `label_file` at the top, or in the folder of each split, has the labels in place of folders.
    """

    def __init__(self, location: str, config: DataConfig) -> None:
        self.location, self.config = location, config
        self.root = Path(location)
        self._label_files: dict[Path, LabelFile | None] = {}
        if not self.root.is_dir():
            raise DataError(f"no such folder: {location}")

    def splits(self) -> tuple[SplitName, ...]:
        return tuple(name for name in get_args(SplitName) if name in self._folders)

    def read(self, split: SplitName) -> RawSplit:
        require(self, split)
        folder = self._folders[split]
        if file := self._label_file(folder) or self._label_file(self.root):
            return self._labelled(folder, file)
        found = _pictures_in(folder, self.root)
        if not found.files:
            raise DataError(
                f"{folder} has no images in the folder of a class",
                hint="one folder for each class, such as cat/1.png and dog/2.png",
            )
        names = tuple(sorted({name for _, name in found.files}))
        numbers = {name: number for number, name in enumerate(names)}
        labels = np.array([numbers[name] for _, name in found.files], dtype=np.int64)
        notes = tuple(found.notes)
        if (folder / METADATA).is_file():
            notes = (*notes, f"{METADATA} has no columns file_name and label")
        return self._split([file for file, _ in found.files], labels, names, notes)

    def _labelled(self, folder: Path, file: LabelFile) -> RawSplit:
        """A split whose labels are in a file."""
        found = _pictures_in(folder, self.root, flat=True)
        if not found.files:
            raise DataError(f"{folder} has no images")
        files = [picture for picture, _ in found.files]
        others = frozenset(self._folders.values()) - {folder}
        labels, classes = file.labels(file.rows_of(files, others))
        notes = [f"labels of {file.path.relative_to(self.root)}", *file.notes]
        if labels.ndim == 1 and file.path.name != METADATA:
            notes.append(ONE_EACH)
        notes += found.notes
        if file.path.name != METADATA and (file.path.with_name(METADATA)).is_file():
            notes.append(f"{METADATA} left out beside it")
        return self._split(files, labels, classes, tuple(notes))

    def _label_file(self, folder: Path) -> LabelFile | None:
        if folder not in self._label_files:
            self._label_files[folder] = label_file(folder, self.root, self.config)
        return self._label_files[folder]

    def _split(
        self,
        files: list[Path],
        labels: NDArray[Any],
        classes: tuple[str, ...] | None,
        notes: tuple[str, ...],
    ) -> RawSplit:
        def name(index: int) -> str:
            return str(files[index])

        def contents(indices: Indices) -> Iterator[Callable[[], bytes]]:
            return (partial(read_picture, files[i], self.root, str(files[i])) for i in indices)

        pictures = Pictures(contents, name, self.config)
        return RawSplit(
            labels, pictures.decode, name, classes, notes=notes, cropped=pictures.cropped,
            files=lambda: ((str(file.relative_to(self.root)), file) for file in files),
        )  # fmt: skip

    @cached_property
    def _folders(self) -> dict[SplitName, Path]:
        """The folder of each split; the whole is the training split where there are none."""
        tops = [path for path in _subfolders(self.root) if any(pictures_below(path))]
        named = [path for path in tops if path.name.lower() in SPLIT_NAMES]
        labelled = self._label_file(self.root) is not None  # then no folder is a class
        with_classes = [
            path for path in named if labelled or _subfolders(path) or self._label_file(path)
        ]
        if not with_classes:
            return {"train": self.root}
        what = LABEL_FILES[0] if self._label_file(with_classes[0]) else "folders of classes"
        others = [path for path in tops if path not in with_classes]
        if flat := [path for path in others if path in named]:
            raise DataError(
                f"{flat[0]} has no {what}, as {with_classes[0].name} has",
                hint="images of every split need labels: move those without elsewhere",
            )
        return split_folders(self.root, with_classes, others)


def split_folders(
    root: Path, splits: Sequence[Path], others: Sequence[Path]
) -> dict[SplitName, Path]:
    """The folder of each split, by their names.

    Args:
        others: folders beside them that have pictures, or videos.

    Raises:
        DataError: there are any, or two of the same split.
    """
    if others:
        raise DataError(
            f"{root} has {', '.join(path.name for path in others)} beside "
            f"{', '.join(path.name for path in splits)}, which has folders of its own",
            hint="splits stand alone: a class goes into the folder of each split",
        )
    found: dict[SplitName, Path] = {}
    for path in splits:
        split = SPLIT_NAMES[path.name.lower()]
        if split in found:
            raise DataError(f"{root} has {found[split].name} and {path.name}: two {split} splits")
        found[split] = path
    return found


def _subfolders(folder: Path) -> list[Path]:
    return [path for path in _listed(folder) if path.is_dir() and not is_hidden(path)]


def pictures_below(folder: Path) -> Iterator[Path]:
    """Pictures by their suffix, however deep; nothing that is hidden, or in a hidden folder."""
    return files_below(folder, SUFFIXES)


def files_below(folder: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    """Files with one of these suffixes, as `pictures_below`."""
    for file in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if not hidden and file.suffix.lower() in suffixes and file.is_file():
            yield file


def _pictures_in(split: Path, root: Path, flat: bool = False) -> _Found:
    """What there is.

    Args:
        flat: whether pictures need be in no folder, and a label file beside them is no other file.
    """
    files: list[tuple[Path, str]] = []
    hidden = others = 0
    for name, file in _walk(split, root):
        if is_hidden(file):
            hidden += 1
        elif flat and file.name in LABEL_FILES and file.parent in (split, root):
            continue
        elif (name is None and not flat) or file.suffix.lower() not in SUFFIXES:
            others += 1
        else:
            files.append((file, name or ""))
    folders = set() if flat else {path.name for path in _subfolders(split)}
    empty = folders - {name for _, name in files}
    where = "" if flat else _Found.where
    return _Found(tuple(sorted(files)), hidden, others, tuple(sorted(empty)), where)


def _walk(split: Path, root: Path) -> Iterator[tuple[str | None, Path]]:
    """Every file with the class whose folder it is in, None where it is in none."""
    for folder, subfolders, names in os.walk(split, onerror=unreadable):
        here = Path(folder)
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for path in (here / name for name in (*subfolders, *names)):
            if path.is_symlink():
                check_link(path, root)
        inside = here.relative_to(split).parts
        for name in names:
            yield inside[0] if inside else None, here / name


def check_link(link: Path, root: Path) -> None:
    """Links to pictures in the same folder are followed, no others."""
    target = Path(os.path.realpath(link))
    if not target.is_relative_to(root.resolve()):
        raise DataError(
            f"{link} is a link to {target}, outside of {root}",
            hint="name the folder that has the images, or copy them",
        )
    if target.is_dir():
        raise DataError(f"{link} is a link to a folder, whose images would be read twice")


def unreadable(error: OSError) -> NoReturn:
    """Say which folder."""
    raise DataError(f"{error.filename} cannot be read: {error.strerror}")


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from None


def is_hidden(path: Path | os.DirEntry[str]) -> bool:
    """Whether it is left out unread, by its name."""
    return path.name.startswith(".")
