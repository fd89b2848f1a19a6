"""Checkpoints of a training in a folder: each is whole or not there, and the last two are kept.

A checkpoint is a safetensors file whose metadata has the rest as JSON: to read one runs nothing.
Its name has its number and the beginning of its SHA-256, so that the one rename that puts it into
place says what has to be in it, too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import ConfigDict, TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from trials.atomic_file import atomic_write, remove_partial
from trials.bounded_json import JsonError, validated
from trials.failpoint import failpoint

KEPT = 2
_NAME = re.compile(r"(\d{6,18})-([0-9a-f]{16})\.safetensors")


class NotWritten(RuntimeError):
    """A checkpoint could not be written; those before it are as they were."""


class Damaged(RuntimeError):
    """No checkpoint that is there is what was written."""


class OtherTraining(ValueError):
    """Checkpoints are of another training than the one that is to go on."""


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        position: steps of the epoch under way that are done.
        curve: (training loss, validation loss, score) of each epoch that is.
        seconds: of training so far, evaluation left out.
        test: score on the test split, once it was read.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    position: int = 0
    curve: tuple[tuple[float, float, float], ...] = ()
    seconds: float = 0.0
    test: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A training in the middle.

    Attributes:
        training: what it is of: a name and a value for all that decides what comes out.
        tensors: see `trials.training_state`.
    """

    training: Mapping[str, str]
    progress: Progress
    tensors: Mapping[str, Tensor]


_TRAINING: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])
_PROGRESS = TypeAdapter(Progress)


class _Named(NamedTuple):
    """A checkpoint's file; the highest number is the last one."""

    number: int
    digest: str
    file: Path


class Checkpoints:
    """The checkpoints of one training.

    Args:
        folder: of them alone; is made with the first one.
        say: is told of one that is damaged.
    """

    def __init__(self, folder: Path, say: Callable[[str], object]) -> None:
        self.folder, self.say = folder, say
        self._damaged = set[Path]()

    def write(self, checkpoint: Checkpoint) -> None:
        """Add one, and remove those before the last two, and any that was found damaged.

        Raises:
            NotWritten: the disk is full, or cannot be written to.
        """
        there = self._files()
        number = there[0].number + 1 if there else 1
        metadata = {
            "training": _TRAINING.dump_json(dict(checkpoint.training)).decode(),
            "progress": _PROGRESS.dump_json(checkpoint.progress).decode(),
        }
        content = save(dict(checkpoint.tensors), metadata)
        file = self.folder / f"{number:06d}-{_digest(content)}.safetensors"
        try:
            failpoint("checkpoint.begin")
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_partial(self.folder)
            with atomic_write(file) as opened:
                opened.write(content)
            failpoint("checkpoint.written")
            whole = [named for named in there if named.file not in self._damaged]
            for old in {*there} - {*whole[: KEPT - 1]}:
                old.file.unlink(missing_ok=True)
        except OSError as error:
            stays = f"; {there[0].file.name} is as it was" if there else ""
            reason = f"a checkpoint cannot be written to {self.folder}: {error.strerror or error}"
            raise NotWritten(reason + stays) from None

    def last(self, training: Mapping[str, str]) -> Checkpoint | None:
        """The last one that is whole; None where there is none at all.

        Args:
            training: that is to go on.

        Raises:
            OtherTraining: it is of another one; names all that differs.
            Damaged: there are some, and none is whole.
        """
        there = self._files()
        for named in there:
            try:
                found = _read(named)
            except (OSError, ValueError, SafetensorError) as error:
                self._damaged.add(named.file)
                self.say(f"{named.file} is damaged: {str(error).splitlines()[0]}")
                continue
            if found.training != training:
                raise OtherTraining("; ".join(_differences(found.training, training)))
            if named is not there[0]:
                self.say(f"going on from {named.file.name}, the one before")
            return found
        if there:
            raise Damaged(f"no checkpoint in {self.folder} is whole")
        return None

    def _files(self) -> list[_Named]:
        """The last one first."""
        if not self.folder.is_dir():
            return []
        found = ((_NAME.fullmatch(file.name), file) for file in self.folder.iterdir())
        named = [_Named(int(name[1]), name[2], file) for name, file in found if name]
        return sorted(named, reverse=True)


class OtherCheckpoints(Checkpoints):
    """Those that another process writes, of the same training."""

    def write(self, checkpoint: Checkpoint) -> None:
        """Nothing: that process does."""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _read(named: _Named) -> Checkpoint:
    """A checkpoint as it was written.

    Raises:
        ValueError: it is not.
    """
    content = named.file.read_bytes()
    if (digest := _digest(content)) != named.digest:
        raise ValueError(f"its SHA-256 begins with {digest}")
    with safe_open(named.file, "pt") as opened:
        metadata = opened.metadata() or {}
    try:
        training = validated(_TRAINING, metadata.get("training"))
        progress = validated(_PROGRESS, metadata.get("progress"))
    except JsonError as error:
        raise ValueError(f"metadata: {error}") from None
    return Checkpoint(training, progress, load(content))


def _differences(saved: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys((*saved, *wanted)):
        before, now = (values.get(name, "none") for values in (saved, wanted))
        if before != now:
            yield f"{name} was {before} and is {now}"
