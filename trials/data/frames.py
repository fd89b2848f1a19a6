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

from trials.data.file_order import in_order_of_names
from trials.data.folders import (
    SPLIT_NAMES,
    SUFFIXES,
    check_link,
    count_of_files,
    files_below,
    is_hidden,
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

_MEANT = SUFFIXES | VIDEOS
"""Of files that were meant to be read, whether they can be or not."""

_LAYOUT = "a clip is a folder of its frames in the folder of its class, such as cat/clip1/0001.png"


@dataclass(frozen=True)
class _Clip:
    """A folder of frames.

    Attributes:
        label: the name of its class.
        frames: how many there are.
        taken: names of those that are read, in order.
    """

    folder: Path
    label: str
    frames: int
    taken: tuple[str, ...]

    @property
    def length(self) -> str:
        """Its frames, in words."""
        return f"{self.frames:,} {'frame' if self.frames == 1 else 'frames'}"


class FrameSource:
    """``DIR/CLASS/CLIP/0001.png`` or ``DIR/{train,val,test}/CLASS/CLIP/0001.png``.

    Folders at the top that have the names of splits are splits where they hold folders. Frames are
    pictures as those of images are: upright, of one size or resized, all grey or all in colour.
    """

    def __init__(self, location: str, config: DataConfig) -> None:
        self.location, self.config = location, config
        self.root = Path(location)
        if not self.root.is_dir():
            raise DataError(f"no such folder: {location}")
        if config.shape and len(config.shape) != 4:
            raise DataError(f"clips have four numbers, {AXES}", "shape")

    def splits(self) -> tuple[SplitName, ...]:
        return tuple(name for name in get_args(SplitName) if name in self._top[0])

    def read(self, split: SplitName) -> RawSplit:
        require(self, split)
        left_out = self._top[1].copy()
        clips = self._clips(split, left_out)
        count = _frames_taken([*clips, *self._compared(split)], self.config)
        names = tuple(sorted({clip.label for clip in clips}))
        numbers = {name: number for number, name in enumerate(names)}

        def frame(index: int) -> Path:
            clip = clips[index // count]
            return clip.folder / clip.taken[index % count]

        def contents(indices: Indices) -> Iterator[Callable[[], bytes]]:
            files = map(frame, indices)
            return (partial(read_picture, file, self.root, str(file)) for file in files)

        pictures = Pictures(contents, lambda i: str(frame(i)), self.config, animations=False)

        def images(indices: Indices) -> Iterator[Images]:
            decoded = pictures.decode((indices[:, None] * count + np.arange(count)).reshape(-1))
            return (np.stack(list(islice(decoded, count))) for _ in indices)

        return RawSplit(
            np.array([numbers[clip.label] for clip in clips], dtype=np.int64),
            images,
            lambda index: str(clips[index].folder),
            names,
            notes=tuple(f"{count_of_files(n, kind)} left out" for kind, n in left_out.items()),
            files=lambda: (
                (str(frame(i).relative_to(self.root)), frame(i)) for i in range(len(clips) * count)
            ),
        )

    def _compared(self, split: SplitName) -> Iterator[_Clip]:
        """Clips of the other splits where it is the training split, and none otherwise.

        Without a shape they have to be as long as those that are trained on; and what is wrong with
        the test split's folders is said before a search, not after it.
        """
        for other in self.splits():
            if split == "train" and other != split:
                yield from self._clips(other, Counter())

    def _clips(self, split: SplitName, left_out: Counter[str]) -> list[_Clip]:
        """Those of a split, of which there is at least one."""
        folder = self._top[0][split]
        count = self.config.shape[1] if self.config.shape else None
        clips = list(_clips_in(folder, self.root, count, left_out))
        if not clips:
            raise DataError(f"{folder} has no folders of classes", hint=_LAYOUT)
        return clips

    @cached_property
    def _top(self) -> tuple[dict[SplitName, Path], Counter[str]]:
        """The folder of each split, and how many files beside them are left out, by their kind.

        The whole is the training split where there are none.
        """
        left_out: Counter[str] = Counter()
        names, files = _entries(self.root, self.root, left_out)
        tops = [self.root / name for name in names]
        splits = [
            path
            for path in tops
            if path.name.lower() in SPLIT_NAMES and _entries(path, self.root, Counter())[0]
        ]
        if not splits:
            return {"train": self.root}, Counter()
        beside = (path for path in tops if path not in splits)
        others = [path for path in beside if any(files_below(path, _MEANT))]
        folders = split_folders(self.root, splits, others)
        _check_beside(self.root, files, left_out)
        return folders, left_out


def evenly(length: int, count: int) -> list[int]:
    """Which frames are taken: those in the middle of equal parts, floor((2i + 1) length / 2count).

    As the code of temporal segment networks takes them to validate and to test (`TSNDataSet` in
    dataset.py of github.com/yjxiong/tsn-pytorch: ``int(tick / 2 + tick * x)`` with tick = length /
    count). Of as many frames as there are it is each of them.

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
    shortest = min(clips, key=lambda clip: clip.frames)
    longest = max(clips, key=lambda clip: clip.frames)
    least = shortest.frames
    if config.shape is None and least < longest.frames:
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


def _clips_in(
    split: Path, root: Path, count: int | None, left_out: Counter[str]
) -> Iterator[_Clip]:
    """The clips of a split in the order of their names.

    Args:
        count: frames that are taken of each; None for all. Of fewer it is all, too.
        left_out: counts files that are hidden, or beside the folders of clips, by their kind.

    Raises:
        DataError: a class has no clips, or there is a picture or a video in the place of one.
    """
    classes, files = _entries(split, root, left_out)
    _check_beside(split, files, left_out)
    for label in classes:
        of_class = split / label
        folders, files = _entries(of_class, root, left_out)
        _check_beside(of_class, files, left_out)
        if not folders:
            raise DataError(f"{of_class}, the folder of a class, has no clips", hint=_LAYOUT)
        for folder in folders:
            names = _frames_in(of_class / folder, root, left_out)
            taken = evenly(len(names), min(len(names), count or len(names)))
            yield _Clip(of_class / folder, label, len(names), tuple(names[i] for i in taken))


def _check_beside(folder: Path, files: Sequence[str], left_out: Counter[str]) -> None:
    """What is not in the folder of a clip is left out, unless it was meant to be read."""
    for name in files:
        if _is_picture(folder, name):
            message = f"{folder / name} is a picture where the folder of a clip has to be"
            raise DataError(message, hint=f"{_LAYOUT}; images:DIR reads pictures by themselves")
        left_out["other "] += 1


def _frames_in(folder: Path, root: Path, left_out: Counter[str]) -> list[str]:
    """All files of a clip: of one that is not read it would be without a frame, unnoticed."""
    folders, files = _entries(folder, root, left_out)
    if folders:
        raise DataError(
            f"{folder / folders[0]} is a folder among the frames of a clip", hint=_LAYOUT
        )
    for name in files:
        if not _is_picture(folder, name):
            raise DataError(
                f"{folder / name} is no picture, and all files in the folder of a clip are its "
                "frames",
                hint=f"frames are {', '.join(sorted(SUFFIXES))}",
            )
    if not files:
        raise DataError(f"{folder}, the folder of a clip, has no frames", hint=_LAYOUT)
    return files


def _is_picture(folder: Path, name: str) -> bool:
    """By its suffix.

    Raises:
        DataError: it is a video.
    """
    suffix = Path(name).suffix.lower()
    if suffix in VIDEOS:
        video, clip = quote(str(folder / name)), "DIR/CLASS/CLIP"
        command = f"mkdir -p {clip} && ffmpeg -i {video} {clip}/%06d.png"
        hint = f"write its frames into the folder of a clip, and move it elsewhere: {command}"
        raise DataError(f"{folder / name} is a video, which is not decoded", hint=hint)
    return suffix in SUFFIXES


def _entries(folder: Path, root: Path, left_out: Counter[str]) -> tuple[list[str], list[str]]:
    """Names of folders and files in one that are not hidden, in order.

    Args:
        left_out: counts files that are hidden.

    Raises:
        DataError: it cannot be read, or has a link to a folder or out of the root.
    """
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as found:
            for entry in found:
                if is_hidden(entry):
                    left_out.update([] if entry.is_dir(follow_symlinks=False) else ["hidden "])
                    continue
                if entry.is_symlink():
                    check_link(Path(entry.path), root)
                (folders if entry.is_dir() else files).append(entry.name)
    except OSError as error:
        unreadable(error)
    return sorted(folders, key=in_order_of_names), sorted(files, key=in_order_of_names)
