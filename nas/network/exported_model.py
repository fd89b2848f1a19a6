"""An exported folder as its user has it: a network that predicts the classes of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from nas.network.exportable import Run
from nas.network.exported_module import import_model
from nas.network.formats import FORMATS, quiet_exporters

_BATCH = 64


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
        NoModel: the folder has none, or what reads it is not installed.
    """

    def __init__(self, folder: Path, format_name: str = "pytorch") -> None:
        self.module = _module(folder)
        self.classes: Sequence[str] = self.module.CLASSES
        self.threshold: float | None = getattr(self.module, "THRESHOLD", None)
        self.takes_stored = False
        self.run: Run
        if format_name == "pytorch":
            self.run = self._load(folder / "weights.safetensors", self.module.load)
            return
        format_ = FORMATS[format_name]
        file = folder / format_.file
        if format_.missing:
            packages = ", ".join(format_.missing)
            raise NoModel(f"{format_name} needs {packages}: the extra {format_.extra}")
        if not file.is_file():
            raise NoModel(f"{folder} has no {format_.file}: export it with --format {format_name}")
        with quiet_exporters():
            self.run = self._load(file, lambda path: format_.load(path, 1))
            if format_.takes_stored is not None:
                self.takes_stored = format_.takes_stored(file)

    def _load(self, file: Path, load: Callable[[Path], Run]) -> Run:
        try:
            return load(file)
        except Exception as error:  # of three libraries, for files that are damaged or others'
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise NoModel(f"{file} cannot be loaded: {reason}") from None

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
        inputs = images if self.takes_stored else self.module.preprocess(images).contiguous()
        logits = self.run(inputs)
        rows = logits.softmax(dim=1) if self.threshold is None else logits.sigmoid()
        order = rows.argsort(dim=1, descending=True).tolist()
        return [
            {self.classes[index]: float(row[index]) for index in indices}
            for row, indices in zip(rows, order, strict=True)
        ]


def _module(folder: Path) -> ModuleType:
    file = folder / "model.py"
    if not file.is_file():
        raise NoModel(f"{folder} has no model.py: name the folder of an export")
    module = import_model(folder)
    if not hasattr(module, "read_image"):
        raise NoModel(f"{file} does not read pictures: it is of an older version or other images")
    return module
