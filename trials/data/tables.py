"""Tables of images that Hugging Face `datasets` reads: Parquet files, image folders, the hub."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trials.data.images import DataConfig, DataError, Images
from trials.data.raw_split import Indices, RawSplit

TEST_SPLITS = ("test", "validation")
"""Names of the split for the final report; hub data sets without labels in ``test`` have none."""


class TableSource:
    """Parquet files, image folders and hub data sets, all read by Hugging Face `datasets`."""

    def __init__(self, kind: str, location: str, config: DataConfig) -> None:
        self.kind, self.location, self.config = kind, location, config
        self.classes: tuple[str, ...] | None = None
        if kind != "hub" and not Path(location).is_dir():
            raise DataError(f"no such folder: {location}")

    def train(self) -> RawSplit:
        return self._split(("train",))

    def test(self) -> RawSplit:
        return self._split(TEST_SPLITS)

    def _split(self, names: Sequence[str]) -> RawSplit:
        import datasets

        datasets.disable_progress_bars()
        table = self._load(names)
        image_column = self._column("image", table, datasets.Image)
        label_column = self._column("label", table, datasets.ClassLabel)
        feature = table.features[label_column]
        if isinstance(feature, datasets.ClassLabel):
            self.classes = tuple(feature.names)
        labels = np.asarray(table.data[label_column].to_numpy())
        if labels.dtype.kind not in "iu":
            kind = "missing values" if labels.dtype.kind == "f" else str(labels.dtype)
            raise DataError(f"column {label_column} must hold integers; it holds {kind}")
        # Not decoded by `datasets`, so that an error can name its row.
        table = table.cast_column(image_column, datasets.Image(decode=False))

        def name(index: int) -> str:
            path = table[index][image_column]["path"]
            return str(path) if path and self.kind == "images" else f"{self.location}, row {index}"

        def images(indices: Indices) -> Iterator[Images]:
            shape = self.config.shape
            first = _open(table[0][image_column], partial(name, 0))
            grey = shape[0] == 1 if shape else _is_grey(first)
            rows = iter(indices)
            for batch in table.select(indices).iter(batch_size=1000):
                for stored in batch[image_column]:
                    row = int(next(rows))
                    image = _open(stored, partial(name, row))
                    if grey and not shape and not _is_grey(image):
                        raise DataError(
                            f"{name(row)}: an image in colour, and the first one is grey",
                            hint="say which: data.shape: [1, H, W] or [3, H, W]",
                        )
                    yield _pixels(image, grey)

        return RawSplit(labels.astype(np.int64), images, name)

    def _load(self, names: Sequence[str]) -> Any:  # noqa: ANN401  # `datasets` is untyped
        import datasets

        packaged = {"parquet": "parquet", "images": "imagefolder"}
        try:
            if self.kind == "hub":
                available = datasets.get_dataset_split_names(self.location)
            else:
                options = {"drop_labels": False} if self.kind == "images" else {}
                builder = datasets.load_dataset_builder(
                    packaged[self.kind], data_dir=self.location, **options
                )
                available = list(builder.config.data_files)
            wanted = next((name for name in names if name in available), None)
            if wanted is None:
                raise DataError(
                    f"{self.location} has no {names[0]} split; it has {', '.join(available)}"
                )
            if self.kind == "hub":
                return datasets.load_dataset(self.location, split=wanted)
            files = builder.config.data_files[wanted]
            return datasets.load_dataset(
                packaged[self.kind], data_files={wanted: list(files)}, split=wanted, **options
            )
        except DataError:
            raise
        except Exception as error:  # `datasets` raises whatever its readers do
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            hint = (
                "parquet:DIR reads its files where they are already" if self.kind == "hub" else ""
            )
            raise DataError(f"{self.location} cannot be read: {reason}", hint=hint) from None

    def _column(self, what: str, table: Any, feature: type) -> str:  # noqa: ANN401  # untyped
        asked: str | None = getattr(self.config, f"{what}_column")
        columns = list(table.features)
        if asked is not None:
            if asked not in columns:
                raise DataError(
                    f"{self.location} has no column {asked}; it has {', '.join(columns)}",
                    f"{what}_column",
                )
            return asked
        found = [name for name in columns if isinstance(table.features[name], feature)]
        if not found and what == "label":
            integers = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
            found = [n for n in columns if getattr(table.features[n], "dtype", "") in integers]
        if len(found) != 1:
            count = "no column" if not found else f"{len(found)} columns ({', '.join(found)})"
            raise DataError(
                f"{self.location} has {count} of {what}s; its columns are {', '.join(columns)}",
                hint=f"name it: data.{what}_column",
            )
        return str(found[0])


def _open(stored: dict[str, Any] | None, name: Callable[[], str]) -> Image.Image:
    """A decoded image of 8 bits a channel."""
    try:
        if not stored:
            raise DataError(f"{name()}: not a readable image: there is no image")
        content = stored["bytes"] or Path(stored["path"]).read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            if image.mode.startswith(("I", "F")):
                raise DataError(f"{name()}: {image.mode} images are not supported, only 8-bit")
            image.load()
            return image
    except DataError:
        raise
    except (OSError, SyntaxError, TypeError, ValueError, Image.DecompressionBombError) as error:
        reason = "there is no image" if isinstance(error, TypeError) else str(error)
        raise DataError(f"{name()}: not a readable image: {reason}") from None


def _is_grey(image: Image.Image) -> bool:
    return image.mode in ("1", "L", "LA")


def _pixels(image: Image.Image, grey: bool) -> Images:
    pixels = np.asarray(image.convert("L" if grey else "RGB"))
    return pixels[..., None] if grey else pixels
