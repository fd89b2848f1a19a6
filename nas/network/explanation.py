"""Where in a picture an exported network sees its class: Grad-CAM (Selvaraju 2017, section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn
from torch.nn import functional as F

from nas.network.exported_model import ExportedModel, NoModel

SMALLEST_MAP = 4
"""Positions in each direction; a map of 1 x 1 has no place to point at."""

_BATCH = 32


@dataclass(frozen=True)
class Explanation:
    """The most probable class of a picture, and where it is seen.

    Attributes:
        error: why the picture could not be read; there is nothing else then.
        image: as the network reads it, (H, W, C), uint8.
        heat: (H, W), 1 at the place that speaks for the class most; all 0 where none does.
    """

    file: Path
    error: str = ""
    predicted: str = ""
    probability: float = 0.0
    image: Tensor | None = None
    heat: Tensor | None = None


class Explainer:
    """Explains the guesses of an exported network.

    Args:
        model: in the format ``pytorch``.

    Raises:
        NoModel: it names no feature maps, as one that was exported by an older version.

    Attributes:
        name: of the feature map that is looked at: the last that is not too small.
    """

    def __init__(self, model: ExportedModel) -> None:
        if not getattr(model.module, "FEATURES", ()):
            which = "an older version, or of a network with a second head"
            raise NoModel(f"model.py names no feature maps: it is of {which}")
        assert isinstance(model.run, nn.Module)
        self.model, self.network = model, model.run
        self.name, self.layer = _layer(self.network, model)

    def explain(self, files: Sequence[Path]) -> Iterator[Explanation]:
        """Each picture, in order."""
        for start in range(0, len(files), _BATCH):
            some = files[start : start + _BATCH]
            images, errors = self.model.read(some)
            read = [file for file in some if file not in errors]
            found = iter(self._explained(read, torch.cat(images)) if images else ())
            for file in some:
                yield Explanation(file, errors[file]) if file in errors else next(found)

    def _explained(self, files: Sequence[Path], images: Tensor) -> Iterator[Explanation]:
        inputs = self.model.module.preprocess(images).contiguous()
        guesses = [next(iter(found.items())) for found in self.model.probabilities(images)]
        classes = torch.tensor([self.model.classes.index(name) for name, _ in guesses])
        maps = class_activation(self.network, self.layer, inputs, classes)
        size = images.shape[1:3]
        heat = F.interpolate(maps, size, mode="bilinear", align_corners=False)[:, 0]
        heat /= heat.amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo().tiny)
        for file, guess, image, where in zip(files, guesses, images, heat, strict=True):
            yield Explanation(file, "", *guess, image, where)


def class_activation(
    network: nn.Module, layer: nn.Module, inputs: Tensor, classes: Tensor
) -> Tensor:
    """Grad-CAM of each input for its class: (N, 1, h, w), in the layer's own resolution.

    The gradient of the class' output, averaged over positions, weights the layer's channels; what
    speaks against the class is cut off (equations 1 and 2).

    Args:
        inputs: (N, C, H, W), normalised.
        classes: (N,).
    """
    method = LayerGradCam(network, layer)
    found: Tensor = method.attribute(inputs, target=classes, relu_attributions=True)
    return found.detach()


def _layer(network: Any, model: ExportedModel) -> tuple[str, nn.Module]:  # noqa: ANN401
    """The last feature map that is not too small, as the layers behind it see it.

    Args:
        network: of ``model.py``, whose names no type has.
    """
    names = [name for name, _, _ in model.module.FEATURES]
    height, width = model.module.SIZE
    with torch.no_grad():
        maps = network.features(torch.zeros(1, len(model.module.MEAN), height, width))
    large = [name for name, x in zip(names, maps, strict=True) if min(x.shape[2:]) >= SMALLEST_MAP]
    name = large[-1] if large else names[0]
    first: nn.Module = network.head[0]
    if name == names[-1] and isinstance(first, nn.ReLU):
        return name, first
    layer: nn.Module = getattr(network, name)
    return name, layer
