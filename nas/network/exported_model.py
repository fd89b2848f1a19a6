"""An exported folder as its user has it: a network that predicts the classes of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import torch
from torch import Tensor

from nas.network.exportable import Run
from nas.network.exported_module import import_model
from nas.network.formats import FORMATS, Format, quiet_exporters

_BATCH = 64

T = TypeVar("T")


class NoModel(LookupError):
    """A folder has no exported network of a format."""


@dataclass(frozen=True)
class Prediction:
    """What a network says of a picture.

    Attributes:
        error: why the picture could not be read; there are no probabilities then.
        probabilities: of each class, the most probable first.
        labels: of a network for images with many labels, those above its threshold; else None.
    """

    file: Path
    probabilities: dict[str, float]
    error: str = ""
    labels: tuple[str, ...] | None = None


class ExportedModel:
    """``model.py`` with the network of one of its formats.

    Args:
        folder: of an export; its ``model.py`` is run.
        format_name: ``pytorch``, or one of `FORMATS`.

    Raises:
        NoModel: the folder has none, it is damaged or another network's, or what reads it is not
            installed.
    """

    def __init__(self, folder: Path, format_name: str = "pytorch") -> None:
        self.module = _module_of_pictures(folder)
        self.classes: Sequence[str] = self.module.CLASSES
        self.threshold: float | None = getattr(self.module, "THRESHOLD", None)
        self.takes_stored = False
        self.run: Run
        if format_name == "pytorch":
            file = folder / "weights.safetensors"
            self.run = loaded(file, self.module.load)
        else:
            format_ = FORMATS[format_name]
            file = folder / format_.file
            self.run = load_format(format_, file, self.module.ARCHITECTURE)
            if format_.takes_stored is not None:
                self.takes_stored = format_.takes_stored(file)
        outputs = loaded(file, lambda _: self._logits(self._black()).shape[1])
        if outputs != len(self.classes):
            raise NoModel(f"{file} has {outputs} outputs, model.py {len(self.classes)} classes")

    def predict(self, files: Sequence[Path]) -> Iterator[Prediction]:
        """Probabilities for each picture, in order."""
        for start in range(0, len(files), _BATCH):
            some = files[start : start + _BATCH]
            images, errors = self.read(some)
            found = iter(self.probabilities(torch.cat(images)) if images else ())
            for file in some:
                probabilities = {} if file in errors else next(found)
                labels = self._labels(probabilities)
                yield Prediction(file, probabilities, errors.get(file, ""), labels)

    def _labels(self, probabilities: dict[str, float]) -> tuple[str, ...] | None:
        if self.threshold is None:
            return None
        return tuple(name for name, p in probabilities.items() if p > self.threshold)

    def read(self, files: Sequence[Path]) -> tuple[list[Tensor], dict[Path, str]]:
        """Pictures that can be read, each (1, H, W, C) uint8, and why the others cannot."""
        images, errors = [], {}
        for file in files:
            try:
                images.append(self.module.read_image(file))
            except Exception as error:  # of Pillow's many readers, or a size that is refused
                errors[file] = str(error).removeprefix(f"{file}: ") or type(error).__name__
        return images, errors

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> list[dict[str, float]]:
        """Of each class for each image (N, H, W, C) uint8, the most probable first."""
        logits = self._logits(images)
        rows = logits.softmax(dim=1) if self.threshold is None else logits.sigmoid()
        order = rows.argsort(dim=1, descending=True).tolist()
        return [
            {self.classes[index]: float(row[index]) for index in indices}
            for row, indices in zip(rows, order, strict=True)
        ]

    @torch.inference_mode()
    def _logits(self, images: Tensor) -> Tensor:
        if not self.takes_stored:
            images = self.module.preprocess(images).contiguous()
        return self.run(images)

    def _black(self) -> Tensor:
        """An image, to see what comes out."""
        return torch.zeros(1, *self.module.SIZE, len(self.module.MEAN), dtype=torch.uint8)


def load_module(folder: Path) -> ModuleType:
    """What the ``model.py`` in a folder defines.

    Raises:
        NoModel: there is none, or it cannot be run.
    """
    file = folder / "model.py"
    if not file.is_file():
        raise NoModel(f"{folder} has no model.py: name the folder of an export")
    return loaded(file, lambda _: import_model(folder))


def load_format(format_: Format, file: Path, architecture: str, threads: int = 1) -> Run:
    """What a file computes.

    Args:
        architecture: key of the network that it is to be.

    Raises:
        NoModel: there is none, it is damaged or another network's, or what reads it is not there.
    """
    if format_.missing:
        packages = ", ".join(format_.missing)
        raise NoModel(f"{format_.name} needs {packages}: the extra {format_.extra}")
    if not file.is_file():
        hint = f"export it with --format {format_.name}"
        raise NoModel(f"{file.parent} has no {format_.file}: {hint}")
    with quiet_exporters():
        saved = loaded(file, format_.architecture) if format_.architecture else ""
        if saved not in ("", architecture):
            raise NoModel(f"{file} is of another network, {saved}")
        return loaded(file, lambda path: format_.load(path, threads))


def loaded(file: Path, load: Callable[[Path], T]) -> T:
    """What is loaded from a file.

    Raises:
        NoModel: it cannot be.
    """
    try:
        return load(file)
    except Exception as error:  # of four libraries, for files that are damaged or others'
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NoModel(f"{file} cannot be loaded: {reason}") from None


def _module_of_pictures(folder: Path) -> ModuleType:
    module = load_module(folder)
    if not hasattr(module, "read_image"):
        file = folder / "model.py"
        raise NoModel(f"{file} does not read pictures: it is of an older version or other images")
    return module
