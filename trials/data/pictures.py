"""Encoded pictures to arrays: upright, of one size, all grey or all in colour."""

from __future__ import annotations

import io
import os
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice, repeat
from pathlib import Path
from threading import Condition
from typing import TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from trials.data.images import DataConfig, DataError, Images, Resize
from trials.data.raw_split import Crop, Indices

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""Raster images that Pillow decodes itself: for others it starts programs such as Ghostscript."""

SEVERAL = frozenset({"PNG", "GIF", "WEBP", "TIFF"})
"""Formats whose files may be animations, or stacks of pictures."""

MAX_PIXELS = 100_000_000
"""Of one picture, before it is resized: 300 MB in colour."""

MAX_BYTES = 256 * 2**20
"""Of one picture's file."""

THREADS = min(16, os.cpu_count() or 1)
"""That decode: Pillow lets others run while it does."""

AT_ONCE, PIXELS_OF_A_TASK = 8, 2**19
"""Pictures, and pixels of them, that a thread takes: to hand over one of 32 x 32 alone takes as
long as to decode it. What is decoded waits in memory, so that of large ones it takes one."""

PIXELS_AT_ONCE = 2 * MAX_PIXELS
"""Of pictures that threads hold in full size, in 4 bytes each (twice, while one is turned): 16 of a
camera's 12 million, or two of the largest."""

# Pillow takes blocks of 16 MB, which glibc keeps for the thread that freed them: only larger ones
# than 32 MB are always given back at once (M_MMAP_THRESHOLD in mallopt(3)).
Image.core.set_block_size(64 * 2**20)  # type: ignore[attr-defined]

Contents = Callable[[Indices], Iterator[Callable[[], bytes]]]
"""Readers of the encoded pictures of these indices, in order."""

T = TypeVar("T")


class _OtherSize(Exception):
    """A picture is not of the size of the first."""

    def __init__(self, name: str, size: tuple[int, int]) -> None:
        super().__init__()
        self.name, self.size = name, size


class Pictures:
    """Decodes the pictures of a split.

    Args:
        contents: what reads encoded pictures.
        name: the file or row of an index, for messages.
        animations: whether the first picture of several in one file stands for them.
    """

    def __init__(
        self,
        contents: Contents,
        name: Callable[[int], str],
        config: DataConfig,
        animations: bool = True,
    ) -> None:
        self.contents, self.name, self.animations = contents, name, animations
        self.shape, self.resize = config.shape, config.resize

    def decode(self, indices: Indices) -> Iterator[Images]:
        """(H, W, C) uint8 each, in order, decoded by `THREADS` a few pictures ahead.

        Raises:
            DataError: a picture cannot be read, or differs from the first in its size or in
                whether it has colours.
        """
        return self._decode(indices, repeat(None))

    def cropped(self, indices: Indices, crops: Iterable[Crop]) -> Iterator[Images]:
        """A part of each, in the size that pictures are resized to.

        Raises:
            DataError: a picture cannot be read, or has colours where the first has none.
        """
        return self._decode(indices, crops)

    def _decode(self, indices: Indices, crops: Iterable[Crop | None]) -> Iterator[Images]:
        room = _Room(PIXELS_AT_ONCE)
        first = self._open(0)
        grey = self.shape[0] == 1 if self.shape else is_grey(first)
        size = upright_size(first)

        def pixels(index: int, content: Callable[[], bytes], crop: Crop | None) -> Images:
            name = self.name(index)
            image = open_picture(content(), name)
            if not self.animations:
                _check_single(image, name)
            if self.resize is None and upright_size(image) != size:
                raise _OtherSize(name, upright_size(image))
            if grey and not self.shape and not is_grey(image):
                raise DataError(
                    f"{name}: an image in colour, and the first one is grey",
                    hint="say which: data.shape, with 1 or 3 channels",
                )
            with room.of(image.width * image.height):
                return _pixels(image, name, grey, self.resize, crop)

        numbers = map(int, indices)
        pictures = zip(numbers, self.contents(indices), crops, strict=False)
        at_once = max(1, min(AT_ONCE, PIXELS_OF_A_TASK // (first.width * first.height)))
        try:
            yield from _ahead(pixels, pictures, at_once)
        except _OtherSize as error:
            raise self._mixed_sizes(error.name, error.size, size, indices) from None

    def _open(self, index: int) -> Image.Image:
        content = next(iter(self.contents(np.array([index]))))
        return open_picture(content(), self.name(index))

    def _mixed_sizes(
        self, name: str, size: tuple[int, int], first: tuple[int, int], indices: Indices
    ) -> DataError:
        """Which sizes there are: their heads are read, which takes a thousandth of decoding."""
        counts: Counter[tuple[int, int]] = Counter()
        for index, content in zip(indices, self.contents(indices), strict=True):
            counts[upright_size(open_picture(content(), self.name(int(index))))] += 1
        common = ", ".join(f"{_shown(s)} ({n:,})" for s, n in counts.most_common(5))
        more = f" and {len(counts) - 5:,} others" if len(counts) > 5 else ""
        return DataError(
            f"{name}: the image is {_shown(size)} (height x width), the first is {_shown(first)}; "
            f"there are {common}{more}",
            hint="resize them: data.resize: {size: 64, mode: crop}",
        )


class _Room:
    """For so many pixels; who needs more than are left waits for others to leave."""

    def __init__(self, pixels: int) -> None:
        self.left, self.changed = pixels, Condition()

    @contextmanager
    def of(self, pixels: int) -> Iterator[None]:
        with self.changed:
            self.changed.wait_for(lambda: pixels <= self.left)
            self.left -= pixels
        try:
            yield
        finally:
            with self.changed:
                self.left += pixels
                self.changed.notify_all()


def _ahead(
    call: Callable[[int, Callable[[], bytes], Crop | None], T],
    arguments: Iterable[tuple[int, Callable[[], bytes], Crop | None]],
    at_once: int,
) -> Iterator[T]:
    """What calls return, in order, made by threads a few calls ahead; the first error ends it.

    Args:
        at_once: calls that a thread takes.
    """
    waiting: deque[Future[list[T]]] = deque()
    left = iter(arguments)
    with ThreadPoolExecutor(THREADS) as pool:
        while some := list(islice(left, at_once)):
            waiting.append(pool.submit(lambda some: [call(*each) for each in some], some))
            if len(waiting) > 2 * THREADS:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def open_picture(content: bytes, name: str) -> Image.Image:
    """A picture whose head is read and whose pixels are not decoded yet.

    Raises:
        DataError: it is no raster image of 8 bits a channel, or too large.
    """
    try:
        with warnings.catch_warnings():
            # Of sizes that ours is below, and of metadata that nobody reads.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        known = ", ".join(FORMATS)
        raise DataError(f"{name}: not a readable image", hint=f"images are {known}") from None
    except Exception as error:  # of Pillow's many readers, on damaged files
        raise DataError(f"{name}: not a readable image: {error}") from None
    if image.mode.startswith(("I", "F")):
        raise DataError(f"{name}: {image.mode} images are not supported, only 8-bit")
    if image.width * image.height > MAX_PIXELS:
        raise DataError(
            f"{name}: the image is {_shown((image.height, image.width))}, "
            f"more than {MAX_PIXELS:,} pixels"
        )
    return image


def _check_single(image: Image.Image, name: str) -> None:
    """Raise `DataError` where a file has several pictures in a row; previews in JPEG are none."""
    try:
        several = image.format in SEVERAL and getattr(image, "is_animated", False)
    except Exception as error:  # of Pillow's many readers, on damaged files
        raise DataError(f"{name}: not a readable image: {error}") from None
    if several:
        raise DataError(f"{name}: several pictures in one file", hint="write each into its own")


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(height, width) as it is to be looked at; cameras store portraits lying."""
    lying = _orientation(image) in (5, 6, 7, 8)
    return (image.width, image.height) if lying else (image.height, image.width)


def _orientation(image: Image.Image) -> int:
    """As Exif has it, 1 where it says nothing; never decodes, which Pillow does to look for it."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    if image.format == "JPEG" and image.info.keys().isdisjoint(("exif", "xmp")):
        return 1  # without looking for it, which takes a fifth of decoding a small one
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # of damaged metadata, which says nothing of the pixels
        return 1


def resized(image: Image.Image, resize: Resize) -> Image.Image:
    """A picture in another size, antialiased.

    ``crop`` fills the size and cuts off what is over, half at each side; ``pad`` fits into the size
    and fills up with black; ``stretch`` changes the proportions.
    """
    height, width = resize.size
    filter_ = Image.Resampling.BILINEAR
    if image.size == (width, height):
        return image
    if resize.mode == "crop":
        return ImageOps.fit(image, (width, height), filter_)
    if resize.mode == "pad":
        return ImageOps.pad(image, (width, height), filter_)
    return image.resize((width, height), filter_)


def read_picture(file: Path, folder: Path, name: str) -> bytes:
    """The content of a picture's file.

    Args:
        folder: that the file has to be in, links resolved: a data set names no file elsewhere.

    Raises:
        DataError: it is elsewhere, no regular file, too large or cannot be read.
    """
    try:
        if not file.resolve().is_relative_to(folder.resolve()):
            raise DataError(f"{name}: {file} is not in {folder}")
        if not file.is_file():
            raise DataError(f"{name}: {file} is no file")
        if file.stat().st_size > MAX_BYTES:
            raise DataError(f"{name}: {file} has more than {MAX_BYTES // 2**20} MiB")
        return file.read_bytes()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name}: {file} cannot be read: {error}") from None


def is_grey(image: Image.Image) -> bool:
    """Whether a picture has no colours to lose."""
    return image.mode in ("1", "L", "LA")


def _pixels(
    image: Image.Image, name: str, grey: bool, resize: Resize | None, crop: Crop | None
) -> Images:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            upright = image if _orientation(image) == 1 else ImageOps.exif_transpose(image)
            mode = "L" if grey else "RGB"
            upright.load()
            image = upright if upright.mode == mode else upright.convert(mode)  # no copy of it
    except Exception as error:  # of Pillow's many readers, on damaged files
        raise DataError(f"{name}: not a readable image: {error}") from None
    if resize is not None and crop is not None:
        height, width = resize.size
        image = image.resize((width, height), Image.Resampling.BILINEAR, crop(*image.size))
    elif resize is not None:
        image = resized(image, resize)
    pixels = np.asarray(image)
    return pixels[..., None] if grey else pixels


def _shown(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
