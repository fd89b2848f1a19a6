"""Clips as folders of their frames, in a folder for each class: ``frames:DIR``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import get_args

import numpy as np

from trials.data.file_order import in_order
from trials.data.folders import (
    SPLIT_NAMES,
    SUFFIXES,
    check_link,
    count_of_files,
    is_hidden,
    pictures_below,
    split_folders,
    unreadable,
)
from trials.data.images import DataConfig, DataError, Images
from trials.data.pictures import Pictures, read_picture
from trials.data.raw_split import Indices, RawSplit, SplitName, require

AXES = "[channels, frames, height, width]"
"""Of a clip, as ``data.shape`` has them."""

VIDEOS = frozenset({
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp",
    ".ogv", ".mts", ".m2ts",
})  # fmt: skip
"""Suffixes of files that would have to be decoded by a program such as FFmpeg."""

_LAYOUT = "a clip is a folder of its frames in the folder of its class, such as cat/clip1/0001.png"


@dataclass(frozen=True)
class _Clip:
    """A folder of frames.

    Attributes:
        label: the name of its class.
        frames: its pictures in the order of their names.
    """

    folder: Path
    label: str
    frames: tuple[Path, ...]

    @property
    def length(self) -> str:
        """Its frames, in words."""
        return f"{len(self.frames):,} {'frame' if len(self.frames) == 1 else 'frames'}"


class FrameSource:
    """``DIR/CLASS/CLIP/0001.png`` or ``DIR/{train,val,test}/CLASS/CLIP/0001.png``.

    Folders at the top that have the names of splits are splits. Frames are pictures as those of
    images are: upright, of one size or resized, all grey or all in colour.
    """

    def __init__(self, location: str, config: DataConfig) -> None:
        self.location, self.config = location, config
        self.root = Path(location)
        if not self.root.is_dir():
            raise DataError(f"no such folder: {location}")
        if config.shape and len(config.shape) != 4:
            raise DataError(f"clips have four numbers, {AXES}", "shape")

    def splits(self) -> tuple[SplitName, ...]:
        return tuple(name for name in get_args(SplitName) if name in self._folders)

    def read(self, split: SplitName) -> RawSplit:
        require(self, split)
        left_out: Counter[str] = Counter()
        clips = list(_clips_in(self._folders[split], self.root, left_out))
        if not clips:
            raise DataError(f"{self._folders[split]} has no folders of classes", hint=_LAYOUT)
        names = tuple(sorted({clip.label for clip in clips}))
        numbers = {name: number for number, name in enumerate(names)}
        count = _frames_taken(clips, self.config)
        frames = [clip.frames[i] for clip in clips for i in evenly(len(clip.frames), count)]

        def contents(indices: Indices) -> Iterator[Callable[[], bytes]]:
            return (partial(read_picture, frames[i], self.root, str(frames[i])) for i in indices)

        pictures = Pictures(contents, lambda index: str(frames[index]), self.config)

        def images(indices: Indices) -> Iterator[Images]:
            decoded = pictures.decode((indices[:, None] * count + np.arange(count)).reshape(-1))
            return (np.stack(list(islice(decoded, count))) for _ in indices)

        return RawSplit(
            np.array([numbers[clip.label] for clip in clips], dtype=np.int64),
            images,
            lambda index: str(clips[index].folder),
            names,
            notes=tuple(f"{count_of_files(n, kind)} left out" for kind, n in left_out.items()),
            files=lambda: ((str(file.relative_to(self.root)), file) for file in frames),
        )

    @cached_property
    def _folders(self) -> dict[SplitName, Path]:
        """The folder of each split; the whole is the training split where there are none."""
        tops, _ = _entries(self.root, self.root, Counter())
        splits = [path for path in tops if path.name.lower() in SPLIT_NAMES]
        others = [path for path in tops if path not in splits and any(pictures_below(path))]
        return split_folders(self.root, splits, others) if splits else {"train": self.root}


def evenly(length: int, count: int) -> list[int]:
    """Which frames are taken: those in the middle of equal parts, floor((2i + 1) length / 2count).

    As temporal segment networks are tested (Wang 2016, arXiv:1608.00859). Of as many frames as
    there are it is each of them.

    Args:
        length: frames that there are.
        count: frames that are taken, at most ``length``: then no frame is taken twice.
    """
    return [(2 * i + 1) * length // (2 * count) for i in range(count)]


def _frames_taken(clips: Sequence[_Clip], config: DataConfig) -> int:
    """Of each clip: as many as the shape says, or all where all have as many.

    Raises:
        DataError: clips have different lengths and no shape is said, or one has too few.
    """
    shortest = min(clips, key=lambda clip: len(clip.frames))
    longest = max(clips, key=lambda clip: len(clip.frames))
    least = len(shortest.frames)
    if config.shape is None and least < len(longest.frames):
        raise DataError(
            f"{longest.folder} has {longest.length} and {shortest.folder} has {shortest.length}",
            "shape",
            f"say how many are taken of each, evenly, up to {least:,}: data.shape: {AXES}",
        )
    count = config.shape[1] if config.shape else least
    if least < count:
        raise DataError(
            f"{shortest.folder} has {shortest.length}, fewer than the {count:,} that are taken of "
            "each clip",
            "shape",
            f"take fewer (data.shape: {AXES}), or leave the clip out",
        )
    return count


def _clips_in(split: Path, root: Path, left_out: Counter[str]) -> Iterator[_Clip]:
    """The clips of a split in the order of their names.

    Args:
        left_out: counts files that are hidden, or beside the folders of clips, by their kind.

    Raises:
        DataError: a class has no clips, or there is a picture or a video in the place of one.
    """
    classes, files = _entries(split, root, left_out)
    _check_beside(files, left_out)
    for of_class in classes:
        folders, files = _entries(of_class, root, left_out)
        _check_beside(files, left_out)
        if not folders:
            raise DataError(f"{of_class}, the folder of a class, has no clips", hint=_LAYOUT)
        for folder in folders:
            yield _Clip(folder, of_class.name, _frames_in(folder, root, left_out))


def _check_beside(files: Sequence[Path], left_out: Counter[str]) -> None:
    """What is not in the folder of a clip is left out, unless it was meant to be read."""
    for file in files:
        _refuse_video(file)
        if file.suffix.lower() in SUFFIXES:
            message = f"{file} is a picture where the folder of a clip has to be"
            raise DataError(message, hint=f"{_LAYOUT}; images:DIR reads pictures by themselves")
        left_out["other "] += 1


def _frames_in(folder: Path, root: Path, left_out: Counter[str]) -> tuple[Path, ...]:
    """All files of a clip: of one that is not read it would be without a frame, unnoticed."""
    folders, files = _entries(folder, root, left_out)
    if folders:
        raise DataError(f"{folders[0]} is a folder among the frames of a clip", hint=_LAYOUT)
    for file in files:
        _refuse_video(file)
        if file.suffix.lower() not in SUFFIXES:
            message = f"{file} is no picture, and all files in the folder of a clip are its frames"
            raise DataError(message, hint=f"frames are {', '.join(sorted(SUFFIXES))}")
    if not files:
        raise DataError(f"{folder}, the folder of a clip, has no frames", hint=_LAYOUT)
    return tuple(files)


def _refuse_video(file: Path) -> None:
    if file.suffix.lower() in VIDEOS:
        folder = quote(str(file.with_suffix("")))
        command = f"mkdir -p {folder} && ffmpeg -i {quote(str(file))} {folder}/%06d.png"
        hint = f"write its frames into a folder, and move the video elsewhere: {command}"
        raise DataError(f"{file} is a video, which is not decoded", hint=hint)


def _entries(folder: Path, root: Path, left_out: Counter[str]) -> tuple[list[Path], list[Path]]:
    """Folders and files in one that are not hidden, in the order of their names.

    Raises:
        DataError: it cannot be read, or has a link to a folder or out of the root.
    """
    folders: list[Path] = []
    files: list[Path] = []
    try:
        with os.scandir(folder) as found:
            for entry in found:
                path = Path(entry.path)
                if is_hidden(path):
                    left_out.update(["hidden "] if entry.is_file() else [])
                    continue
                if entry.is_symlink():
                    check_link(path, root)
                (folders if entry.is_dir() else files).append(path)
    except OSError as error:
        unreadable(error)
    return sorted(folders, key=in_order), sorted(files, key=in_order)
