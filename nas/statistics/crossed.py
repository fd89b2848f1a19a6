"""A difference of two arms over seeds and images at once, and how sure it is for new ones.

Two arms are trained with the same seeds and judged on the same images. Of a seed and an image the
difference is whether the one was right minus whether the other was: -1, 0 or 1. It is taken apart
as the mean, what the seed adds, what the image adds, and the rest, all random and crossed, for each
seed meets each image. With S seeds and n images the mean of all then has the variance

    seeds / S + images / n + rest / (S n)

(Owen 2007, "The pigeonhole bootstrap", Annals of Applied Statistics 1, section 2; of more factors
Owen and Eckles 2012, "Bootstrapping data arrays of arbitrary order"). All three are estimated by
the mean squares of the two-way analysis of variance. The bootstrap over both factors, which
needs thousands of draws for the same, counts the rest three times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from nas.statistics.paired import Interval


@dataclass(frozen=True)
class Crossed:
    """The mean of a table of seeds and images, and its variance by what is drawn anew.

    Attributes:
        of_seeds: variance of the mean over new seeds on these images; nan of a single seed.
        of_images: of these trainings on new images.
        of_rest: the part that is in both; nan of a single seed.
    """

    mean: float
    seeds: int
    images: int
    of_seeds: float
    of_images: float
    of_rest: float

    @classmethod
    def of(cls, table: ArrayLike) -> Crossed:
        """Take a table apart.

        Args:
            table: (seeds, images), at least one seed and two images.

        Raises:
            ValueError: there are fewer, or numbers that are not finite.
        """
        values = np.asarray(table, dtype=np.float64)
        if values.ndim != 2 or values.shape[0] < 1 or values.shape[1] < 2:
            raise ValueError(f"a table has at least 1 seed and 2 images; got shape {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError("differences are finite numbers")
        seeds, images = values.shape
        by_seed, by_image, mean = values.mean(axis=1), values.mean(axis=0), values.mean()
        of_seeds = of_rest = float("nan")
        if seeds > 1:
            of_seeds = float(by_seed.var(ddof=1)) / seeds
            rest = values - by_seed[:, None] - by_image + mean
            of_rest = float((rest**2).sum()) / ((seeds - 1) * (images - 1)) / (seeds * images)
        return cls(
            float(mean), seeds, images, of_seeds, float(by_image.var(ddof=1)) / images, of_rest
        )

    @property
    def of_both(self) -> float:
        """Variance of the mean over new seeds and new images; nan of a single seed.

        Each of the other two has the rest in it, which counts once. A component below zero is none.
        """
        return (
            self.of_rest
            + max(0.0, self.of_seeds - self.of_rest)
            + max(0.0, self.of_images - self.of_rest)
        )

    def for_new_images(self, alpha: float) -> Interval:
        """The mean between its bounds for these trainings, each with confidence 1 - alpha."""
        return self._interval(self.of_images, self.images - 1, alpha)

    def for_new_seeds_and_images(self, alpha: float) -> Interval:
        """The mean between its bounds for new seeds and images, each with confidence 1 - alpha.

        Student's t with the degrees of freedom of Satterthwaite (1946), of the seeds where these
        are what varies, and never with more than the images alone have: what is drawn besides
        makes nothing surer. Infinite of a single seed.
        """
        if self.seeds < 2:
            return Interval(self.mean, -np.inf, np.inf)
        squared = self.of_seeds**2 / (self.seeds - 1) + self.of_images**2 / (self.images - 1)
        freedom = self.of_both**2 / squared if squared else 1.0
        freedom = min(max(1.0, freedom), self.images - 1)
        return self._interval(self.of_both, freedom, alpha)

    def _interval(self, variance: float, freedom: float, alpha: float) -> Interval:
        half = float(stats.t.ppf(1 - alpha, freedom) * np.sqrt(variance))
        return Interval(self.mean, self.mean - half, self.mean + half)
