"""Fronts on plain arrays: the first objective is maximized, the others are minimized."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray


def pareto_front(points: ArrayLike) -> NDArray[np.intp]:
    """Indices of the points that no other point dominates, by increasing cost.

    Args:
        points: (n, m); accuracy first, then costs such as MACs. Of equal points the first counts.

    Returns:
        Indices, sorted by the first cost; the best alone where there are no costs.

    Raises:
        ValueError: not a two-dimensional array of finite numbers.
    """
    values = _checked(points)
    if len(values) == 0:
        return np.array([], dtype=np.intp)
    if values.shape[1] == 1:  # a single objective has no front, but a best
        return np.array([np.argmax(values[:, 0])], dtype=np.intp)
    keep = moocore.is_nondominated(values, maximise=_directions(values), keep_weakly=False)
    indices = np.flatnonzero(keep)
    return indices[np.argsort(values[indices, 1], kind="stable")]


class GrowingFront:
    """The front of points that come one by one: each takes time of the front's size alone.

    Attributes:
        points: of the front by their numbers; the others are forgotten.
    """

    def __init__(self) -> None:
        self.points: dict[int, tuple[float, ...]] = {}

    def add(self, number: int, point: tuple[float, ...]) -> None:
        """Take a point into account, by the rule of `pareto_front`."""
        if not any(_as_good(other, point) for other in self.points.values()):
            beaten = [n for n, other in self.points.items() if _as_good(point, other)]
            for there in beaten:
                del self.points[there]
            self.points[number] = point


def _as_good(point: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether a point is at least as good as another one in every objective."""
    return point[0] >= other[0] and all(a <= b for a, b in zip(point[1:], other[1:], strict=True))


MARGIN = 1.1
"""A reference point's cost over the highest one: that point would add nothing at its own cost."""


def reference_point(costs: ArrayLike) -> tuple[float, ...]:
    """Accuracy and costs that are worse than those of all points: a reference for `hypervolume`.

    Args:
        costs: (n,), or (n, m) where there are several.
    """
    return 0.0, *(MARGIN * np.atleast_1d(np.max(costs, axis=0))).tolist()


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """Volume that the points dominate, up to a reference point that is worse than all of them.

    Args:
        points: (n, m), as for `pareto_front`.
        reference: (m,); points that are not better than it in every objective add nothing.
    """
    values = _checked(points)
    if len(values) == 0:
        return 0.0
    worst = np.asarray(reference, dtype=np.float64)
    return float(moocore.hypervolume(values, ref=worst, maximise=_directions(values)))


def nondominated_order(points: ArrayLike, count: int | None = None) -> NDArray[np.intp]:
    """Indices from best to worst: front after front, each by hypervolume contribution.

    The first front is what no point dominates, the next what no other of the rest does (Deb et al.
    2002, NSGA-II). Contributions are compared inside a front alone, scaled to its ranges, from a
    reference point a step beyond its worst values: so far that points evenly along a line
    contribute alike, its ends too (Ishibuchi et al. 2018, "How to specify a reference point").
    Of equal contributions the better first objective is first, then the earlier point; a point
    that is there twice contributes once.

    Args:
        points: (n, m), as for `pareto_front`; by the first objective alone where there is but one.
        count: how many are wanted; all unless given.

    Raises:
        ValueError: not a two-dimensional array of finite numbers.
    """
    values = _checked(points)
    wanted = len(values) if count is None else min(count, len(values))
    if wanted == 0:
        return np.array([], dtype=np.intp)
    ranks = moocore.pareto_rank(values, maximise=_directions(values))
    order: list[int] = []
    for rank in range(ranks.max() + 1):
        front = np.flatnonzero(ranks == rank)
        by_contribution = np.lexsort((front, -values[front, 0], -_contributions(values[front])))
        order.extend(front[by_contribution])
        if len(order) >= wanted:
            break
    return np.array(order[:wanted], dtype=np.intp)


def _contributions(front: NDArray[np.float64]) -> NDArray[np.float64]:
    """What of the volume that a front dominates is dominated by each of its points alone (n,)."""
    _, first = np.unique(front, axis=0, return_index=True)
    found = np.zeros(len(front))
    objectives = front.shape[1]
    if objectives == 1 or len(first) == 1:
        found[first] = 1.0
        return found
    losses = front[first] * np.where(_directions(front), -1.0, 1.0)
    ranges = np.ptp(losses, axis=0)
    scaled = (losses - losses.min(axis=0)) / np.where(ranges > 0, ranges, 1.0)
    # Points evenly on a simplex with so many steps along each edge.
    steps = 1
    while comb(steps + objectives, objectives - 1) <= len(first):
        steps += 1
    volumes = moocore.hv_contributions(scaled, ref=[1 + 1 / steps] * objectives)
    found[first] = np.round(volumes, 12)  # equal ones are not told apart by how they were rounded
    return found


def attainment_surface(fronts: Sequence[ArrayLike], percentile: float) -> NDArray[np.float64]:
    """What at least so many percent of several fronts attain (weakly dominate).

    Args:
        fronts: (n, m) each, as for `pareto_front`: of repetitions, such as one for each seed.
        percentile: above 0, up to 100.

    Returns:
        The non-dominated points (n, m) of that surface, by increasing cost.

    Raises:
        ValueError: there are no fronts, or one of them is not an array of finite numbers.
    """
    if not fronts:
        raise ValueError("an attainment surface needs at least one front")
    values = [_checked(front) for front in fronts]
    points = np.concatenate(values)
    sets = np.repeat(np.arange(len(values)), [len(front) for front in values])
    signs = np.where(_directions(points), -1.0, 1.0)  # moocore minimizes
    surface: NDArray[np.float64] = (
        moocore.eaf(points * signs, sets, percentiles=[percentile])[:, :-1] * signs
    )
    return surface[np.argsort(surface[:, -1], kind="stable")]


def knee(points: ArrayLike) -> int:
    """Index of the front's best compromise between accuracy and (logarithmic) costs.

    All are scaled to 0..1 over the front; the knee is the point farthest above the plane on which
    the accuracy gained equals the mean of the costs paid. With one cost that plane is the line
    between the ends of the front (Das 1999, normal-boundary intersection). Two costs count alike,
    and one that is the same on the whole front does not count. Where no point is above the plane
    (two points, or a front on which cost pays more and more) it is the most accurate one.

    Raises:
        ValueError: there are no points.
    """
    values = _checked(points)
    front = pareto_front(values)
    if len(front) == 0:
        raise ValueError("a knee needs at least one point")
    if len(front) == 1:
        return int(front[0])
    accuracy, costs = values[front, 0], np.log(np.maximum(values[front, 1:], 1e-12))
    costs = costs[:, np.ptp(costs, axis=0) > 0]
    if not costs.shape[1]:
        return int(front[np.argmax(accuracy)])
    gain = (accuracy - accuracy.min()) / (np.ptp(accuracy) or 1)
    price = ((costs - costs.min(axis=0)) / np.ptp(costs, axis=0)).mean(axis=1)
    above = gain - price  # with one cost zero at both ends
    return int(front[np.argmax(above if above.max() > 1e-9 else accuracy)])


def _checked(points: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(points, dtype=np.float64)
    if values.size == 0:
        return values.reshape(0, values.shape[-1] if values.ndim == 2 else 1)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(f"points are an (n, m) array of finite numbers; got shape {values.shape}")
    return values


def _directions(values: NDArray[np.float64]) -> list[bool]:
    return [True] + [False] * (values.shape[1] - 1)
