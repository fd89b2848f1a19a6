"""Which files a pattern of shards stands for, and of which split each is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trials.data import DataConfig, DataError, load
from trials.data.shard_files import _expanded, by_split, shard_files


def touched(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("d/train-{000..002}.tar", ["train-000", "train-001", "train-002"]),
        ("d/train-{1..2}.tar", ["train-1", "train-2"]),
        ("d/train-00[12].tar", ["train-001", "train-002"]),
        ("d/{val,train}-00*.tar", ["train-000", "train-001", "train-002", "val-000"]),
        ("d/{train-{1..2},val-000}.tar", ["train-1", "train-2", "val-000"]),
        ("d/{train-001,*-001}.tar", ["train-001"]),
        ("d/odd[1].tar", ["odd[1]"]),
        ("d/*m.tar", ["2m", "10m", "²m"]),
        ("d", ["2m", "10m", "deep/x", "odd[1]", "train-000", "train-001", "train-1", "train-002", "train-2",
               "val-000", "²m"]),
    ],
)  # fmt: skip
def test_a_pattern_stands_for_these_files(tmp_path, monkeypatch, pattern, found):
    monkeypatch.chdir(tmp_path)
    names = ("train-000", "train-001", "train-002", "train-1", "train-2", "val-000", "odd[1]")
    names = (*names, "²m", "10m", "2m")
    touched("d/notes.txt", "d/deep/x.tar", *(f"d/{name}.tar" for name in names))
    assert shard_files(pattern) == [Path(f"d/{name}.tar") for name in found]


@pytest.mark.parametrize(
    "pattern", ["d", "d/*.tar", "d/train-{0..11}.tar", "d/train-{10,11,{0..9}}.tar", "d/**/*.tar"]
)
def test_in_every_notation_numbers_are_in_their_order(tmp_path, monkeypatch, pattern):
    """As the range has them; so the same images have the same order, and so the same weights."""
    monkeypatch.chdir(tmp_path)
    expected = [f"d/train-{number}.tar" for number in range(12)]
    touched(*expected)
    assert shard_files(pattern) == list(map(Path, expected))


@given(st.integers(0, 10**6), st.integers(0, 30), st.integers(0, 7))
def test_a_range_has_the_digits_that_it_is_written_with(first, more, digits):
    last = first + more
    width = max(digits, len(str(last)))
    found = _expanded(f"a-{{{str(first).zfill(width)}..{str(last).zfill(width)}}}")
    assert found == [f"a-{str(number).zfill(width)}" for number in range(first, last + 1)]
    assert _expanded(f"{{{first}..{last}}}") == list(map(str, range(first, last + 1)))


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("d/train-{0..3}.tar", r"no such shard: d/train-1\.tar, of d/train-\{0\.\.3\}\.tar"),
        ("d/val-*.tar", r"no such shard: d/val-\*\.tar"),
        ("pipe:touch x", "no such shard: pipe:touch x"),
        ("https://host/{0..1}.tar", r"no such shard: https://host/0\.tar, of https"),
        ("empty", r"no shards in empty: no file there is called \*\.tar"),
        ("d/{train}.tar", r"\{train\} is neither a range nor a list"),
        ("d/{3..1}.tar", r"the range \{3\.\.1\} ends before it begins"),
        ("d/{0..999999999999}.tar", "stands for more than 50,000 files"),
        ("{a,b}" * 20, "stands for more than 50,000 files"),
        ("a" * 4000, "no such shard: aaa"),
        ("a\0b/*", "no such shard: a\0b"),
        ("\ud800/*", "no such shard: \ud800"),
        ("d/train-test-0.tar", r"d/train-test-0\.tar names two splits, test and train"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused(tmp_path, monkeypatch, pattern, message):
    monkeypatch.chdir(tmp_path)
    touched("d/train-0.tar", "d/train-test-0.tar", "empty/notes.txt")
    with pytest.raises(DataError, match=message):
        load(DataConfig(f"webdataset:{pattern}"))
    assert not Path("x").exists()


def test_splits_are_told_by_words_in_the_names_of_files_or_else_by_their_folder():
    def splits(*names):
        found, unnamed = by_split(list(map(Path, names)))
        return {split: list(map(str, files)) for split, files in found.items()}, len(unnamed)

    assert splits("a/imagenet1k-train-00.tar", "a/ds_VAL_0.tar", "a/testing0.tar", "a/x.tar") == (
        {"train": ["a/imagenet1k-train-00.tar"], "validation": ["a/ds_VAL_0.tar"],
         "test": ["a/testing0.tar"]}, 1,
    )  # fmt: skip
    assert splits("Train/0.tar", "valid/0.tar", "test/val-0.tar") == (
        {"train": ["Train/0.tar"], "validation": ["valid/0.tar", "test/val-0.tar"]}, 0,
    )  # fmt: skip
    # Words that only begin so, and folders further up, say nothing.
    assert splits("test/a/trainer-0.tar", "test_b/contest.tar")[0].keys() == {"train"}
