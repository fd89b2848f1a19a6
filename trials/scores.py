"""How good a classifier is where accuracy tells little: rare classes, or many labels an image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trials.average_precision import map_at, mean_average_precision
from trials.data.resident import ResidentSplit
from trials.recipe import Precision
from trials.train import outputs


@dataclass(frozen=True)
class Confusion:
    """Counts of a classifier's guesses.

    Attributes:
        counts: (C, C), int64: images of each class (rows) by the class that was guessed (columns).
        in_top5: images whose class is among the five best guesses.
    """

    counts: Tensor
    in_top5: int

    @property
    def recalls(self) -> Tensor:
        """Accuracy on the images of each class, (C,); not a number where there are none."""
        return self.counts.diag().double() / self.counts.sum(dim=1)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the classes' accuracies, of those that have images."""
        return float(self.recalls.nanmean())

    @property
    def macro_f1(self) -> float:
        """Mean of the classes' F1, of those that have images or guesses (as scikit-learn's)."""
        right = 2 * self.counts.diag().double()
        seen = self.counts.sum(dim=0) + self.counts.sum(dim=1)
        return float((right / seen).nanmean())

    @property
    def top5_accuracy(self) -> float:
        """Share of images whose class is among the five best guesses."""
        return self.in_top5 / int(self.counts.sum())


@torch.no_grad()
def confusion_of(
    network: nn.Module, split: ResidentSplit, classes: int, precision: Precision | None = None
) -> Confusion:
    """Guesses of a network, in evaluation mode, for all images of a split."""
    counts = torch.zeros((classes, classes), dtype=torch.int64, device=split.labels.device)
    in_top5 = torch.zeros((), dtype=torch.int64, device=split.labels.device)
    for logits, labels in outputs(network, split, precision):
        best = logits.topk(min(5, classes), dim=1).indices
        in_top5 += (best == labels[:, None]).sum()
        counts += count_guesses(labels, logits.argmax(dim=1), classes)
    return Confusion(counts.cpu(), int(in_top5))


@torch.no_grad()
def ranking_of(network: nn.Module, split: ResidentSplit) -> dict[str, float]:
    """`average_precision` and `map_at_100` of a network, by the fields of a measurement.

    Where images have one label, of the probabilities that a softmax gives, one class against the
    others.
    """
    logits, labels = map(torch.cat, zip(*outputs(network, split, "float32"), strict=True))
    if labels.ndim == 1:
        logits = logits.softmax(dim=1)
        labels = torch.nn.functional.one_hot(labels, logits.shape[1])
    return {
        "average_precision": mean_average_precision(logits, labels),
        "map_at_100": map_at(100, logits, labels),
    }


def count_guesses(labels: Tensor, guesses: Tensor, classes: int) -> Tensor:
    """Images of each class (rows) by the class that was guessed (columns): (C, C), int64."""
    pairs = torch.bincount(labels * classes + guesses, minlength=classes * classes)
    return pairs.reshape(classes, classes)
