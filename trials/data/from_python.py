"""Images and labels that are in memory already, as an archive that ``npz:FILE`` reads."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from trials.atomic_file import atomic_write
from trials.data.archives import ARRAYS, certain_layout
from trials.data.images import DataConfig, DataError, Images
from trials.data.labels import numbered
from trials.data.many_labels import by_name, labels_of_array
from trials.data.pictures import is_grey, resized
from trials.data.raw_split import RawSplit, SplitName
from trials.data.tables import split_of_table


class MapDataset(Protocol):
    """A map-style data set, such as a `torch.utils.data.Dataset` with a length."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image and the label of an index."""


PythonData = MapDataset | tuple[Any, Any] | Mapping[str, Any]
"""A map-style data set of (image, label), a pair of arrays or tensors (images, labels), or a
`datasets.Dataset`; or a mapping with one of these as ``train`` and, where there are such,
``validation`` and ``test``.

Images are uint8, or floats from 0 to 1, which are rounded to uint8. Where their shape does not tell
the layout, arrays and pictures are (N, H, W, C), tensors (N, C, H, W) as PyTorch has them; clips of
T frames are (N, T, H, W, C) or (N, C, T, H, W), or one by one without the N. Labels
are integers from 0, or names; or (N, classes) with a 1 for each class that an image has.
"""

Arrays = dict[str, NDArray[Any]]

_AS_IT_IS = DataConfig("data from Python")


def write_archive(arrays: Arrays, folder: Path) -> tuple[Path, bool]:
    """Write an archive named by its content, unless it is there.

    So other data never replaces that of a study.

    Returns:
        Its absolute path, and whether it was written now.
    """
    digest = hashlib.sha256()
    for name, array in arrays.items():
        about = "" if name in ("images", "labels") else name
        about += repr(array.shape) if array.ndim > 1 else ""
        digest.update(about.encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    path = folder.absolute() / f"data-{digest.hexdigest()[:16]}.npz"
    if path.is_file():
        return path, False
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:  # whole or not at all
        np.savez(file, **cast("dict[str, Any]", arrays))
    return path, True


def arrays_of(data: PythonData, config: DataConfig = _AS_IT_IS) -> Arrays:
    """Arrays as `trials.data.archives` names them.

    Args:
        config: which columns a table is read by, and what pictures are resized to.

    Raises:
        DataError: a size, type or value is not as `PythonData` says; the message names the image.
    """
    if not isinstance(data, Mapping):
        raw = _split(data, config)
        return _with_classes(raw, {"images": _images(raw), "labels": raw.labels})
    if unknown := [name for name in data if name not in ARRAYS]:
        hint = "a mapping has train, validation and test: leave others out"
        raise DataError(f"{unknown[0]!r} is no split", hint=hint)
    if "train" not in data:
        raise DataError(f"there is no train split; there is {', '.join(data) or 'none'}")
    splits = {cast("SplitName", name): _split(part, config) for name, part in data.items()}
    train = splits["train"]
    arrays: Arrays = {}
    for name, raw in splits.items():
        of_images, of_labels = ARRAYS[name][0]
        arrays[of_images] = _images(raw)
        # By the names of the training classes, where there are any: another split may count others.
        named = train.classes is not None and raw is not train
        arrays[of_labels] = _by_name(raw, train.classes or (), config) if named else raw.labels
    return _with_classes(train, arrays)


def _with_classes(raw: RawSplit, arrays: Arrays) -> Arrays:
    """The arrays, with the names that integer labels count."""
    if raw.classes is None:
        return arrays
    _by_name(raw, raw.classes, DataConfig(""))  # whether each label is one of them
    return arrays | {"classes": np.asarray(raw.classes)}


def _by_name(raw: RawSplit, names: tuple[str, ...], config: DataConfig) -> NDArray[Any]:
    return by_name(raw, names) if raw.labels.ndim == 2 else numbered(raw, names, config)


def _images(raw: RawSplit) -> Images:
    return np.stack(list(raw.images(np.arange(len(raw.labels)))))


def layout_of(arrays: Arrays) -> str | None:
    """The layout that has to be said of images as `arrays_of` returns them."""
    images = next(iter(arrays.values()))
    if certain_layout(images.shape):
        return None
    return "NTHWC" if images.ndim == 5 else "NHWC"


def _split(data: MapDataset | tuple[Any, Any], config: DataConfig) -> RawSplit:
    """Images (N, H, W, C), uint8, and labels (N,), integers or names."""
    if _is_table(data):
        raw = split_of_table(data, "the data set", Path.cwd(), config)
        if len(raw.labels) == 0:
            raise DataError("there are no images")
        return raw
    if isinstance(data, tuple):
        if len(data) != 2:
            raise DataError(f"a pair is (images, labels); got a tuple of {len(data)}")
        if config.resize is not None:
            raise DataError("arrays are not resized, only pictures", "resize")
        images, labels = _batch(data[0]), _array(data[1], "the labels")
    else:
        images, labels = _items(data, config)

    def name(index: int) -> str:
        return f"data[{index}]"

    labels = labels_of_array(labels, len(images), "the labels", name)
    return RawSplit(labels, lambda indices: (images[index] for index in indices), name)


def _is_table(data: object) -> bool:
    """Whether it is a `datasets.Dataset`, which takes a second to load where nobody uses it."""
    datasets = sys.modules.get("datasets")
    return datasets is not None and isinstance(data, datasets.Dataset)


def _items(data: MapDataset, config: DataConfig) -> tuple[Images, NDArray[Any]]:
    if not isinstance(data, Sized):
        raise DataError(f"a map-style data set has a length; {type(data).__name__} has none")
    images, labels = [], []
    for index in range(len(data)):
        item = data[index]
        if not (isinstance(item, tuple | list) and len(item) == 2):
            raise DataError(f"data[{index}]: an item is (image, label); got {type(item).__name__}")
        images.append(_image(item[0], f"data[{index}]", config))
        labels.append(item[1])
        if images[-1].shape != images[0].shape:
            raise DataError(
                f"data[{index}]: the image has shape {images[-1].shape}, the first has "
                f"{images[0].shape}",
                hint="all images must have the same size; pictures can be resized: data.resize",
            )
    if not images:
        raise DataError("there are no images")
    return np.stack(images), _array(labels, "the labels")


def _image(image: object, name: str, config: DataConfig) -> Images:
    """One image (H, W, C) or clip (T, H, W, C)."""
    if isinstance(image, Image.Image):
        if image.mode.startswith(("I", "F")):
            raise DataError(f"{name}: {image.mode} images are not supported, only 8-bit")
        upright = ImageOps.exif_transpose(image)
        picture = upright.convert("L" if is_grey(upright) else "RGB")
        image = np.asarray(resized(picture, config.resize) if config.resize else picture)
    elif config.resize is not None:
        raise DataError(f"{name}: arrays are not resized, only pictures", "resize")
    pixels = _uint8(_array(image, name), name)
    if pixels.ndim not in (2, 3, 4):
        rule = "an image is (H, W) or (H, W, C), a clip (T, H, W, C)"
        raise DataError(f"{name}: {rule}; got shape {pixels.shape}")
    of_one: Images = _channels_last(pixels[None], isinstance(image, torch.Tensor))[0]
    return of_one


def _batch(images: object) -> Images:
    """All images, (N, H, W, C), or clips, (N, T, H, W, C)."""
    pixels = _uint8(_array(images, "the images"), "the images")
    if pixels.ndim not in (3, 4, 5) or len(pixels) == 0:
        rule = "images are (N, H, W) or (N, H, W, C), clips (N, T, H, W, C)"
        raise DataError(f"{rule}; got shape {pixels.shape}")
    return _channels_last(pixels, isinstance(images, torch.Tensor))


def _channels_last(pixels: Images, tensor: bool) -> Images:
    if pixels.ndim == 3:
        return pixels[..., None]
    layout = certain_layout(pixels.shape) or ("NCHW" if tensor else "NHWC")
    return np.moveaxis(pixels, 1, -1) if layout in ("NCHW", "NCTHW") else pixels


def _array(values: object, name: str) -> NDArray[Any]:
    """As NumPy's."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{name}: no array can be made of them: {error}") from None


def _uint8(pixels: NDArray[Any], name: str) -> Images:
    if pixels.dtype == np.uint8:
        return cast("Images", pixels)
    if pixels.dtype.kind == "f" and pixels.size:
        low, high = float(pixels.min()), float(pixels.max())
        if 0 <= low <= high <= 1:
            return cast("Images", np.round(pixels * 255).astype(np.uint8))
        raise DataError(
            f"{name}: floats are from 0 to 1; got {low:g} to {high:g}",
            hint="give images as they are, before any normalisation",
        )
    raise DataError(f"{name}: images are uint8, or floats from 0 to 1; got {pixels.dtype}")
