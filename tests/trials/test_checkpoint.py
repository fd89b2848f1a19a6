"""Checkpoints: whole or not there, the last two kept, and never of another training."""

from __future__ import annotations

import resource

import pytest
import torch

from trials import failpoint as failpoints
from trials.checkpoint import (
    Checkpoint,
    Checkpoints,
    Damaged,
    NotWritten,
    OtherTraining,
    Progress,
)

OURS = {"network": "xception", "epochs": "60"}


def checkpoint(position: int, training: dict[str, str] = OURS) -> Checkpoint:
    tensors = {"weights": torch.full((3, 2), float(position)), "steps": torch.tensor(position)}
    curve = ((1.25, 0.1 + 0.2, 0.5),)
    return Checkpoint(training, Progress(position, curve, seconds=1 / 3), tensors)


@pytest.fixture
def said():
    return []


@pytest.fixture
def kept(tmp_path, said):
    return Checkpoints(tmp_path / "checkpoints", said.append)


def test_the_last_one_comes_back_as_it_was_and_two_are_kept(kept, said):
    assert kept.last(OURS) is None
    for position in range(4):
        kept.write(checkpoint(position))
    found = kept.last(OURS)
    assert found.progress == checkpoint(3).progress
    assert torch.equal(found.tensors["weights"], checkpoint(3).tensors["weights"])
    assert found.tensors["steps"] == 3
    assert [file.name[:6] for file in sorted(kept.folder.iterdir())] == ["000003", "000004"]
    assert not said


@pytest.mark.parametrize("harm", ["cut", "changed", "emptied", "other"])
def test_a_damaged_one_is_named_and_the_one_before_is_used(kept, said, harm):
    kept.write(checkpoint(1))
    kept.write(checkpoint(2))
    first, last = sorted(kept.folder.iterdir())
    content = bytearray(last.read_bytes())
    content[-1] ^= 1
    harmed = {
        "cut": content[: len(content) // 2],
        "changed": content,
        "emptied": b"",
        "other": first.read_bytes(),
    }
    last.write_bytes(harmed[harm])
    assert kept.last(OURS).progress.position == 1
    assert said[0].startswith(f"{last} is damaged: ")
    assert said[1] == f"going on from {first.name}, the one before"
    kept.write(checkpoint(3))
    assert kept.last(OURS).progress.position == 3
    # The two that are kept are whole ones: a second damage loses no more than the first.
    max(kept.folder.iterdir()).write_bytes(b"")
    assert kept.last(OURS).progress.position == 1


def test_where_none_is_whole_nothing_begins_anew(kept, said):
    kept.write(checkpoint(1))
    kept.write(checkpoint(2))
    for file in kept.folder.iterdir():
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(Damaged, match=r"no checkpoint in .*checkpoints is whole"):
        kept.last(OURS)
    assert len(said) == 2


def test_another_training_is_refused_and_all_that_differs_is_named(kept):
    kept.write(checkpoint(1))
    other = {"network": "mobilenet", "epochs": "60", "clip": "1.0"}
    with pytest.raises(OtherTraining) as raised:
        kept.last(other)
    expected = "network was xception and is mobilenet; clip was none and is 1.0"
    assert str(raised.value) == expected


def test_a_file_with_the_right_digest_that_is_no_checkpoint_is_damaged(kept, said):
    """Anybody may name a file by its content."""
    from safetensors.torch import save

    from trials.checkpoint import _digest

    kept.folder.mkdir()
    metadata = ({}, {"training": "{}", "progress": '{"position": "one"}'}, {"training": "[" * 99})
    for number, each in enumerate(metadata, start=1):
        content = save({"a": torch.zeros(1)}, each)
        (kept.folder / f"{number:06d}-{_digest(content)}.safetensors").write_bytes(content)
    with pytest.raises(Damaged):
        kept.last(OURS)
    assert len(said) == 3


@pytest.mark.parametrize("place", ["checkpoint.begin", "file.begun", "file.replace"])
def test_a_disk_that_fills_up_leaves_the_ones_before(kept, monkeypatch, place):
    kept.write(checkpoint(1))
    kept.write(checkpoint(2))
    before = {file.name: file.read_bytes() for file in kept.folder.iterdir()}
    monkeypatch.setattr(failpoints, "_fault", failpoints._fault_of(f"{place}:ENOSPC"))
    with pytest.raises(NotWritten, match=r"No space left on device; 000002-\w+\.safetensors is as"):
        kept.write(checkpoint(3))
    assert {file.name: file.read_bytes() for file in kept.folder.iterdir()} == before


def test_a_write_that_ends_in_the_middle_leaves_the_ones_before(kept):
    """By the system's own limit of a file's size: a part of the checkpoint is really written."""
    kept.write(checkpoint(1))
    size = next(kept.folder.iterdir()).stat().st_size
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))
    try:
        with pytest.raises(NotWritten, match="File too large"):
            kept.write(checkpoint(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
    assert [file.name[:6] for file in kept.folder.iterdir()] == ["000001"]
    assert kept.last(OURS).progress.position == 1
