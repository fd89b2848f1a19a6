"""Average precision of rankings: of each class over the images, of each image over the classes."""

from __future__ import annotations

import torch
from torch import Tensor

_SORTED_AT_ONCE = 2**22
"""Scores; of many classes or images some at a time, so that a ranking fits into memory."""


def average_precisions(scores: Tensor, targets: Tensor) -> Tensor:
    """Of each class: mean over its images of the precision down to them, the best score first.

    Images of equal score come at once, as in scikit-learn's `average_precision_score`.

    Args:
        scores: (N, C); larger means surer.
        targets: (N, C), 1 where an image has the class.

    Returns:
        (C,) float64; not a number of a class that no image has.
    """
    step = max(1, _SORTED_AT_ONCE // max(1, len(scores)))
    parts = zip(torch.split(scores, step, dim=1), torch.split(targets, step, dim=1), strict=True)
    return torch.cat([_of_columns(some, hits) for some, hits in parts])


def _of_columns(scores: Tensor, targets: Tensor) -> Tensor:
    ranked, order = scores.sort(dim=0, descending=True)
    hits = targets.gather(0, order).double()
    count = len(scores)
    places = torch.arange(count, device=scores.device)[:, None].expand_as(order)
    # The last place of each run of equal scores, found from the end.
    ends = torch.full_like(order, count - 1)
    ends[:-1] = torch.where(ranked[:-1] != ranked[1:], places[:-1], count - 1)
    ends = ends.flip(0).cummin(dim=0).values.flip(0)
    precisions = hits.cumsum(dim=0).gather(0, ends) / (ends + 1)
    return (precisions * hits).sum(dim=0) / hits.sum(dim=0)


def mean_average_precision(scores: Tensor, targets: Tensor) -> float:
    """Mean of `average_precisions` over the classes that some image has."""
    return float(average_precisions(scores, targets).nanmean())


def map_at(k: int, scores: Tensor, targets: Tensor) -> float:
    """MAP@k: mean over the images of the average precision of their k best guesses.

    That of an image is the sum of the precisions down to each right guess, divided by its classes
    or k, whichever are fewer (Chollet 2016, section 4.2, with k = 100 for JFT's FastEval14k).
    Images without a class are left out; equal scores are taken in the order of the classes.

    Args:
        scores: (N, C); larger means surer.
        targets: (N, C), 1 where an image has the class.
    """
    step = max(1, _SORTED_AT_ONCE // max(1, scores.shape[1]))
    parts = zip(torch.split(scores, step), torch.split(targets, step), strict=True)
    return float(torch.cat([_of_rows(k, some, hits) for some, hits in parts]).nanmean())


def _of_rows(k: int, scores: Tensor, targets: Tensor) -> Tensor:
    best = scores.sort(dim=1, descending=True, stable=True).indices[:, :k]
    hits = targets.gather(1, best).double()  # (N, k)
    places = torch.arange(1, best.shape[1] + 1, device=scores.device)
    found = (hits.cumsum(dim=1) / places * hits).sum(dim=1)
    return found / targets.sum(dim=1).clamp(max=k)
