"""Tables of images that Hugging Face `datasets` reads: Parquet files and the hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from itertools import repeat
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from trials.data.images import DataConfig, DataError
from trials.data.labels import checked_labels
from trials.data.many_labels import ONE_EACH, labels_of_lists
from trials.data.pictures import MAX_BYTES, Pictures, read_picture
from trials.data.raw_split import Indices, RawSplit, SplitName, require

_ROWS = 100
"""That are read at once: of large pictures a hundred take some hundred MB."""


class TableSource:
    """A column of images and one of labels: integers, names, or lists of either.

    Args:
        kind: ``parquet`` or ``hub``.
    """

    def __init__(self, kind: str, location: str, config: DataConfig) -> None:
        self.kind, self.location, self.config = kind, location, config
        if kind == "parquet" and not Path(location).is_dir():
            raise DataError(f"no such folder: {location}")

    def splits(self) -> tuple[SplitName, ...]:
        return tuple(name for name in get_args(SplitName) if name in self._files)

    def read(self, split: SplitName) -> RawSplit:
        require(self, split)
        table = self._load(split)
        raw = split_of_table(table, self.location, self._folder, self.config, tuple(self._notes()))
        return replace(raw, files=lambda: self._read_files(split, table))

    @property
    def _folder(self) -> Path:
        """Where files may be that the table names."""
        import datasets

        if Path(self.location).is_dir():
            return Path(self.location)
        return Path(datasets.config.HF_CACHE_HOME)  # of the hub: where `datasets` puts them

    @cached_property
    def _files(self) -> dict[str, list[str]]:
        """Files of each split; of the hub the splits' names alone."""
        import datasets

        try:
            if self.kind == "hub":
                return {name: [] for name in datasets.get_dataset_split_names(self.location)}
            builder = datasets.load_dataset_builder("parquet", data_dir=self.location)
            return {str(name): list(files) for name, files in builder.config.data_files.items()}
        except Exception as error:  # `datasets` raises whatever its readers do
            raise self._unreadable(error) from None

    def _load(self, split: SplitName) -> Any:  # noqa: ANN401  # `datasets` is untyped
        import datasets

        try:
            if self.kind == "hub":
                # From its copy on the disk, whose files a key of the cache is made of.
                return datasets.load_dataset(self.location, split=split, keep_in_memory=False)
            files = {split: self._files[split]}
            return datasets.load_dataset("parquet", data_files=files, split=split)
        except Exception as error:  # `datasets` raises whatever its readers do
            raise self._unreadable(error) from None

    def _read_files(self, split: SplitName, table: Any) -> Iterator[tuple[str, Path]]:  # noqa: ANN401
        """Of the hub its copy here, else the Parquet files; and the pictures beside them."""
        copied = (file["filename"] for file in table.cache_files)
        for file in map(Path, self._files[split] or copied):
            yield file.name, file
        column = _column("image", table, _image_columns(table), self.location, self.config)
        for path in _paths_beside(_encoded(table, column, self.location), column):
            yield path, self._folder / path

    def _notes(self) -> Iterator[str]:
        """Parquet files that belong to no split, because others name theirs."""
        if self.kind == "parquet":
            read = {Path(file).name for files in self._files.values() for file in files}
            there = {file.name for file in Path(self.location).rglob("*.parquet")}
            if left_out := sorted(there - read):
                yield f"{', '.join(left_out)} left out, whose name tells no split"

    def _unreadable(self, error: Exception) -> DataError:
        hint = "parquet:DIR reads its files where they are already" if self.kind == "hub" else ""
        return DataError(f"{self.location} cannot be read: {_first_line(error)}", hint=hint)


def split_of_table(
    table: Any,  # noqa: ANN401  # `datasets` is untyped
    location: str,
    folder: Path,
    config: DataConfig,
    notes: tuple[str, ...] = (),
) -> RawSplit:
    """A table of `datasets` as a split.

    Args:
        folder: where files may be that the table names.

    Raises:
        DataError: it has no column of images or of labels, or several.
    """
    import datasets

    datasets.disable_progress_bars()
    table = table.with_format(None)  # without a transform, which would see encoded pictures
    image_column = _column("image", table, _image_columns(table), location, config)
    label_column = _column("label", table, _label_columns(table), location, config)
    # Through the table's order of rows, which is another one where it was shuffled.
    stored = table.select_columns([label_column]).with_format("arrow")[:][label_column]
    encoded = _encoded(table, image_column, location)

    def name(index: int) -> str:
        return f"{location}, row {index}"

    def contents(indices: Indices) -> Iterator[Callable[[], bytes]]:
        rows = encoded.select(indices).iter(batch_size=_ROWS)
        stored = (picture for batch in rows for picture in batch[image_column])
        return map(partial, repeat(_content), stored, repeat(folder), map(name, indices))

    labels, classes = _labels(stored, table.features[label_column], label_column, name)
    notes = (*notes, f"labels of column {label_column}")
    if labels.ndim == 1 and _items(table.features[label_column]):
        notes = (*notes, ONE_EACH)
    pictures = Pictures(contents, name, config)
    return RawSplit(labels, pictures.decode, name, classes, notes=notes, cropped=pictures.cropped)


def _labels(
    stored: Any,  # noqa: ANN401  # `pyarrow` is untyped
    feature: object,
    column: str,
    name: Callable[[int], str],
) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Labels of a column, (N,) or of lists (N, C), and the classes that it names."""
    what, items = f"column {column}", _items(feature)
    if items is None:
        return checked_labels(stored.to_numpy(), what, name), _names(feature)
    if stored.null_count:
        missing = f"{stored.null_count} of {len(stored)} lists are missing"
        raise DataError(f"{what}: {missing}", hint="the list of an image without a label is empty")
    lists = stored.combine_chunks()
    values = lists.flatten().to_numpy(zero_copy_only=False)
    lengths = lists.value_lengths().to_numpy().astype(np.int64)
    return labels_of_lists(lengths, values, _names(items), what, name)


def _items(feature: object) -> object | None:
    """What the lists of a column hold; None of a column of something else."""
    import datasets

    lists = (datasets.List, datasets.LargeList)
    return feature.feature if isinstance(feature, lists) else None


def _names(feature: object) -> tuple[str, ...] | None:
    """Of the classes that a column counts, where it has them."""
    import datasets

    return tuple(feature.names) if isinstance(feature, datasets.ClassLabel) else None


def _encoded(table: Any, column: str, location: str) -> Any:  # noqa: ANN401  # untyped
    """The table with images that `datasets` does not decode, so that an error can name its row."""
    import datasets

    try:
        return table.cast_column(column, datasets.Image(decode=False))
    except Exception as error:  # of `pyarrow`, for a column of something else
        message = f"column {column} of {location} holds no images: {_first_line(error)}"
        raise DataError(message, "image_column") from None


def _paths_beside(encoded: Any, column: str) -> Iterator[str]:  # noqa: ANN401  # untyped
    """Of the pictures whose content is not in the table itself."""
    import pyarrow.compute as pc

    pictures = encoded.data.column(column)
    elsewhere = pc.is_null(pc.struct_field(pictures, "bytes"))
    paths = pc.struct_field(pictures.filter(elsewhere), "path")
    return (path for path in paths.to_pylist() if path)


def _content(stored: dict[str, Any] | None, folder: Path, name: str) -> bytes:
    """An encoded picture: in the table itself, or in a file beside it."""
    if not stored or (stored["bytes"] is None and not stored["path"]):
        raise DataError(f"{name}: not a readable image: there is no image")
    if stored["bytes"] is None:
        return read_picture(folder / stored["path"], folder, name)
    content: bytes = stored["bytes"]
    if len(content) > MAX_BYTES:
        raise DataError(f"{name}: the image has more than {MAX_BYTES // 2**20} MiB")
    return content


def _column(
    what: str,
    table: Any,  # noqa: ANN401  # `datasets` is untyped
    found: list[str],
    location: str,
    config: DataConfig,
) -> str:
    """The column of images or labels: the one that is configured, or the only one there is."""
    asked: str | None = getattr(config, f"{what}_column")
    columns = list(table.features)
    if asked is not None:
        if asked not in columns:
            raise DataError(
                f"{location} has no column {asked}; it has {', '.join(columns)}", f"{what}_column"
            )
        return asked
    if len(found) != 1:
        count = "no column" if not found else f"{len(found)} columns ({', '.join(found)})"
        raise DataError(
            f"{location} has {count} of {what}s; its columns are {', '.join(columns)}",
            hint=f"name it: data.{what}_column",
        )
    return found[0]


def _image_columns(table: Any) -> list[str]:  # noqa: ANN401  # `datasets` is untyped
    """Columns of images by their type, or of encoded ones: bytes, or bytes with a path."""
    import datasets

    def encoded(feature: object) -> bool:
        if isinstance(feature, dict):
            return "bytes" in feature and feature.keys() <= {"bytes", "path"}
        return getattr(feature, "dtype", "") in ("binary", "large_binary")

    features = table.features
    found = [name for name in features if isinstance(features[name], datasets.Image)]
    return found or [name for name in features if encoded(features[name])]


def _label_columns(table: Any) -> list[str]:  # noqa: ANN401  # `datasets` is untyped
    """Columns of class labels; where there is none, of integers or else names, and all of lists."""
    import datasets

    numbers = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
    texts = ["string", "large_string", "bool"]
    items = {name: _items(feature) or feature for name, feature in table.features.items()}
    if named := [name for name, item in items.items() if isinstance(item, datasets.ClassLabel)]:
        return named
    types = {name: getattr(item, "dtype", "") for name, item in items.items()}
    lists = [name for name in types if _items(table.features[name])]
    single = [name for name in types if name not in lists]
    of_lists = [name for name in lists if types[name] in (*numbers, *texts)]
    of_numbers = [name for name in single if types[name] in numbers]
    found = of_numbers or [name for name in single if types[name] in texts]
    return [name for name in types if name in (*found, *of_lists)]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
