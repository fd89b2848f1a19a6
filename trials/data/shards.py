"""Tar files of samples as WebDataset has them: ``webdataset:DIR/{train,val,test}-*.tar``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np

from trials.data.images import DataConfig, DataError
from trials.data.pictures import Pictures
from trials.data.raw_split import Indices, RawSplit, SplitName, require
from trials.data.shard_files import by_split, shard_files
from trials.data.shard_index import Sample, samples_of


class ShardSource:
    """``KEY.jpg``, ``.png`` or ``.webp`` beside ``KEY.cls`` or ``KEY.json``, in many tar files."""

    def __init__(self, location: str, config: DataConfig) -> None:
        self.location, self.config = location, config
        self.shards, self.left_out = by_split(shard_files(location))

    def splits(self) -> tuple[SplitName, ...]:
        return tuple(name for name in get_args(SplitName) if name in self.shards)

    def read(self, split: SplitName) -> RawSplit:
        require(self, split)
        files = self.shards[split]
        indexed = [list(samples_of(file, self.config)) for file in files]
        samples = [sample for of_file in indexed for sample in of_file]
        shard_of = np.repeat(np.arange(len(files)), [len(of_file) for of_file in indexed])

        def name(index: int) -> str:
            return f"{files[shard_of[index]]}: {samples[index].name}"

        def contents(indices: Indices) -> Iterator[Callable[[], bytes]]:
            return (partial(_content, files[shard_of[i]], samples[i], name(i)) for i in indices)

        pictures = Pictures(contents, name, self.config)
        labels = np.array([sample.label for sample in samples], dtype=np.int64)
        return RawSplit(
            labels, pictures.decode, name, notes=tuple(self._notes()), cropped=pictures.cropped,
            files=lambda: zip(map(_named, files, indexed), files, strict=True),
            stored=lambda indices: (content() for content in contents(indices)),
        )  # fmt: skip

    def _notes(self) -> Iterator[str]:
        """Shards that belong to no split, because others name theirs."""
        if self.left_out:
            more = f" and {len(self.left_out) - 3:,} others" if len(self.left_out) > 3 else ""
            names = ", ".join(file.name for file in self.left_out[:3])
            yield f"{names}{more} left out, whose name tells no split"


def _named(file: Path, samples: Sequence[Sample]) -> str:
    """A name that is another one where an image has another name, place, size or label.

    The file's size would not tell: it is counted in blocks of ten thousand bytes.
    """
    return f"{file.name} {hashlib.sha256(repr(samples).encode()).hexdigest()}"


def _content(file: Path, sample: Sample, name: str) -> bytes:
    """An encoded image; of what came to lie there, where the shard is another one by now."""
    try:
        with file.open("rb", buffering=0) as opened:
            opened.seek(sample.offset)
            return opened.read(sample.size)
    except OSError as error:
        raise DataError(f"{name}: {file} cannot be read: {error.strerror}") from None
