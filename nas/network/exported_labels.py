"""What ``model.py`` has in place of `exported_functions.predict` where images have many labels."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from nas.network.exported_functions import CLASSES, load, preprocess, read_image

THRESHOLD = 0.5


def predict(path: str | Path, network: nn.Module | None = None) -> dict[str, float]:
    """Probability of each class for a picture, the most probable first: it may have several."""
    network = network or load()
    with torch.inference_mode():
        probabilities = network(preprocess(read_image(path))).sigmoid()[0]
    order = probabilities.argsort(descending=True).tolist()
    return {CLASSES[index]: float(probabilities[index]) for index in order}


def labels(
    path: str | Path, network: nn.Module | None = None, threshold: float = THRESHOLD
) -> list[str]:
    """Classes of a picture that are more probable than the threshold, the most probable first."""
    probabilities = predict(path, network)
    return [name for name, probability in probabilities.items() if probability > threshold]
