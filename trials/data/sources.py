"""Where images come from: each source gives labels at once and decodes images on demand."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trials.data.images import DataConfig, DataError, Images, Labels

Indices = NDArray[np.intp]

TEST_SPLITS = ("test", "validation")
"""Names of the split for the final report; hub data sets without labels in ``test`` have none."""

MAX_SYNTHETIC = 2**30
"""Values of all generated images together."""


@dataclass(frozen=True)
class RawSplit:
    """Labels, and images that are decoded on demand.

    Attributes:
        images: decodes the images of these indices, in order: (H, W, C) uint8 each.
        name: the file or row of an index, for messages.
    """

    labels: Labels
    images: Callable[[Indices], Iterator[Images]]
    name: Callable[[int], str]


class Source(Protocol):
    """A data set that has not been read yet."""

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Their names, where the source has them; known once a split has been read."""

    def train(self) -> RawSplit:
        """The training split."""

    def test(self) -> RawSplit:
        """The test split: for the final report only."""


def open_source(config: DataConfig) -> Source:
    """Find a source without reading its images.

    Raises:
        DataError: there is no such source.
    """
    kind, colon, location = config.source.partition(":")
    if not colon and kind == "digits":
        return _Digits()
    if not colon and kind == "synthetic":
        return _Synthetic(config)
    if location and kind == "npz":
        return _Npz(location)
    if location and kind in ("parquet", "images", "hub"):
        return _Table(kind, location, config)
    raise DataError(
        f"no such source: {config.source}",
        hint="digits, synthetic, parquet:DIR, hub:NAME, images:DIR or npz:FILE",
    )


def stratified(labels: Labels, fraction: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """A mask with this fraction of each class, at least one image of it."""
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        chosen[members[: max(1, round(fraction * len(members)))]] = True
    return chosen


def _from_arrays(images: Images, labels: Labels, what: str) -> RawSplit:
    return RawSplit(
        labels,
        lambda indices: (images[index] for index in indices),
        lambda index: f"{what}, image {index}",
    )


class _Digits:
    """scikit-learn's 1,797 handwritten digits, 8 x 8, a fifth of them held out for the test."""

    classes = tuple("0123456789")

    def _split(self, test: bool) -> RawSplit:
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
        labels = digits.target.astype(np.int64)
        held_out = stratified(labels, 0.2, np.random.default_rng(0))
        chosen = held_out if test else ~held_out
        return _from_arrays(images[chosen], labels[chosen], "digits")

    def train(self) -> RawSplit:
        return self._split(test=False)

    def test(self) -> RawSplit:
        return self._split(test=True)


class _Synthetic:
    """Noisy class patterns, generated from a fixed seed: easy, but not trivially so."""

    def __init__(self, config: DataConfig) -> None:
        self.shape = config.shape or (3, 16, 16)
        self.classes = tuple(f"class {index}" for index in range(config.classes or 10))
        self.images = config.limit or 2000
        values = self.images * math.prod(self.shape)
        if values > MAX_SYNTHETIC:
            raise DataError(
                f"{self.images:,} images of {' x '.join(map(str, self.shape))} are {values:,} "
                f"values, more than {MAX_SYNTHETIC:,}",
                "limit",
            )

    def _split(self, seed: int, images: int) -> RawSplit:
        channels, height, width = self.shape
        # Coarse patterns, so that small convolutions on small images can tell them apart.
        coarse = np.random.default_rng(0).normal(size=(len(self.classes), 4, 4, channels))
        rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
        labels = np.random.default_rng(seed).permutation(np.arange(images) % len(self.classes))

        def image(index: int) -> Images:
            pattern = coarse[labels[index]][rows][:, columns]
            noise = np.random.default_rng((seed, index)).normal(scale=1.5, size=pattern.shape)
            pixels: Images = np.clip(128 + 40 * (pattern + noise), 0, 255).astype(np.uint8)
            return pixels

        return RawSplit(
            labels.astype(np.int64),
            lambda indices: (image(int(index)) for index in indices),
            lambda index: f"synthetic, image {index}",
        )

    def train(self) -> RawSplit:
        return self._split(seed=1, images=self.images)

    def test(self) -> RawSplit:
        return self._split(seed=2, images=max(len(self.classes), self.images // 5))


_DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy and Python raise on an archive that was cut off or overwritten."""


class _Npz:
    """A NumPy archive: ``x_train, y_train, x_test, y_test`` or ``train_images, train_labels, ...``
    or, without a test split, ``images, labels``. Images are (N, H, W) or (N, H, W, C), uint8.
    """

    classes = None

    def __init__(self, location: str) -> None:
        self.path = Path(location)
        if not self.path.is_file():
            raise DataError(f"no such file: {location}")

    def _split(self, pairs: Sequence[tuple[str, str]]) -> RawSplit:
        try:
            archive = np.load(self.path, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{self.path} is a single array, not an archive of several (.npz)")
            with archive:
                names = next((pair for pair in pairs if set(pair) <= set(archive.files)), None)
                if names is None:
                    raise DataError(
                        f"{self.path} has no arrays {' and '.join(pairs[0])}; "
                        f"it has {', '.join(archive.files) or 'none'}"
                    )
                images, labels = (archive[name] for name in names)
        except _DAMAGED as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{self.path} cannot be read: {error}") from None
        images = images[..., None] if images.ndim == 3 else images
        if images.dtype != np.uint8 or images.ndim != 4:
            raise DataError(
                f"{self.path}: {names[0]} must be uint8 of shape (N, H, W) or (N, H, W, C); "
                f"got {images.dtype} of shape {images.shape}"
            )
        labels = labels.reshape(-1) if labels.size == len(labels) else labels
        if labels.dtype.kind not in "iu" or labels.shape != (len(images),):
            raise DataError(
                f"{self.path}: {names[1]} must be {len(images)} integers; "
                f"got {labels.dtype} of shape {labels.shape}"
            )
        return _from_arrays(images, labels.astype(np.int64), f"{self.path}: {names[0]}")

    def train(self) -> RawSplit:
        names = [("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels")]
        return self._split(names)

    def test(self) -> RawSplit:
        return self._split([("x_test", "y_test"), ("test_images", "test_labels")])


class _Table:
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
        # Not decoded by `datasets`, so that a fault can name its row.
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
