"""The curve along the spectrum in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isnan

from nas.analysis.spectrum_curves import SpectrumCurve
from nas.reporting.formats import bounds, points
from nas.statistics.spectrum_fit import Estimate, LackOfFit

_TRAININGS = {"race": "all trainings of the race", "screening": "the screening trainings"}
_SIGNIFICANT = 0.05


def curve_facts(curves: Iterable[SpectrumCurve]) -> Iterator[tuple[str, str]]:
    """A line for each family: where its curve is highest, by how much, and whether it fits."""
    for curve in curves:
        fit = curve.fit
        first, last = map(_in_words, fit.ends)
        yield (
            f"peak of a quadratic in log segments, {curve.family}",
            f"at {fit.peak.value:.2f} ({fit.peak.lower:.2f} to {fit.peak.upper:.2f}), where 0 is "
            "one segment, 1 a segment per channel, and plain is no part of it; above the curve at "
            f"{first} {_height(fit.over_first)}, at {last} {_height(fit.over_last)} percentage "
            f"points; all intervals together 95%; {_lack_of_fit(fit.lack_of_fit)}; by "
            f"{_TRAININGS[curve.stage]}; descriptive, no part of the verdict",
        )


def _in_words(position: float) -> str:
    names = {0.0: "one segment", 1.0: "a segment per channel"}
    return names.get(round(position, 3), f"{position:.2f}")


def _height(height: Estimate) -> str:
    return f"{points(height.value)} ({bounds(height.lower, height.upper)})"


def _lack_of_fit(test: LackOfFit) -> str:
    if isnan(test.p_value):
        return "whether it fits is not known, for seeds do not differ"
    if test.p_value < _SIGNIFICANT:
        return f"the curve does not fit: p = {test.p_value:.2g}"
    return f"no lack of fit is seen: p = {test.p_value:.2g}"
