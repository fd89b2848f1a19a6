"""The curve along the spectrum as it is told and drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.analysis.answer import answer
from nas.analysis.results import read_results
from nas.analysis.spectrum_curves import spectrum_curves
from nas.reporting.answer_text import facts, headline
from nas.reporting.figures.spectrum import plot_spectrum, spectrum_info
from nas.reporting.spectrum_text import curve_facts
from nas.statistics.spectrum_fit import Estimate, LackOfFit
from tests.nas.engine.test_race import RACE
from tests.nas.planting import MATCHED, URL, Planted, planted_results, search

SMOOTH = {"1, spatial first": -0.06, "2, spatial first": -0.02, "C, spatial first": -0.04}
"""A peak between 2 segments and C/4."""

NAME = "peak of a quadratic in log segments, spatial first"


def curve_of(results):
    (curve,) = spectrum_curves(results)
    return curve


def test_a_planted_peak_is_found_between_the_ends():
    fit = curve_of(planted_results(SMOOTH)).fit
    assert fit.ends == (0, 1)
    assert 0.3 < fit.peak.lower < fit.peak.value < fit.peak.upper < 0.9
    assert fit.over_first.lower > 0.03
    assert 0.01 < fit.over_last.lower < 0.04 < fit.over_last.upper


def test_what_a_seed_does_to_all_arms_is_not_in_the_intervals():
    """Planted: 0.003 of a training, 0.01 of a seed."""
    fit = curve_of(planted_results(SMOOTH)).fit
    assert fit.over_first.upper - fit.over_first.lower < 0.03


def test_it_is_told_with_its_lack_of_fit_and_that_it_decides_nothing():
    results = planted_results(SMOOTH)
    told = dict(facts(answer(results)))[NAME]
    assert told.startswith("at 0.")
    for part in ("above the curve at one segment +", "at a segment per channel +", "p = "):
        assert part in told
    assert told.endswith("by the screening trainings; descriptive, no part of the verdict")
    without = replace(answer(results), curves=())
    assert headline(without) == headline(answer(results))
    assert NAME not in dict(facts(without))


@pytest.mark.parametrize(
    ("p_value", "said"),
    [
        (0.004, "; the curve does not fit: p = 0.004; "),
        (0.31, "; no lack of fit is seen: p = 0.31; "),
        (float("nan"), "; whether it fits is not known, for seeds do not differ; "),
    ],
)
def test_whether_it_fits_is_said(p_value, said):
    curve = curve_of(planted_results(SMOOTH))
    test = LackOfFit(1.0, (1.0, 1.0), p_value)
    ((_, told),) = curve_facts([replace(curve, fit=replace(curve.fit, lack_of_fit=test))])
    assert said in told


def test_the_numbers_are_those_of_the_fit():
    curve = curve_of(planted_results(SMOOTH))
    fit = replace(
        curve.fit,
        ends=(0.2, 1.0),
        peak=Estimate(0.63, 0.5, 1.0),
        over_first=Estimate(0.0261, 0.011, 0.042),
        over_last=Estimate(0.0035, 0.0, float("inf")),
    )
    ((_, told),) = curve_facts([replace(curve, fit=fit)])
    assert "at 0.63 (0.50 to 1.00), where 0 is" in told
    assert "at 0.20 +2.61 (+1.10 to +4.20), at a segment per channel +0.35 (at least +0.00)" in told


def test_it_is_drawn_behind_the_points_in_the_colour_of_its_family():
    info = spectrum_info(planted_results(SMOOTH))
    band, line, *points = plot_spectrum(info).data
    (curve,) = info.curves
    assert (band.fill, line.mode) == ("toself", "lines")
    assert list(line.y) == [point.value for point in curve.fit.curve]
    assert max(band.y) == max(point.upper for point in curve.fit.curve)
    own = [trace for trace in points if trace.name.startswith("spatial first")]
    assert {trace.marker.line.color for trace in own} == {line.line.color}
    assert not any("lines" in trace.mode for trace in own)


def test_where_there_is_no_bound_there_is_no_band():
    info = spectrum_info(planted_results(SMOOTH))
    (curve,) = info.curves
    unbounded = tuple(Estimate(p.value, -float("inf"), float("inf")) for p in curve.fit.curve)
    curve = replace(curve, fit=replace(curve.fit, curve=unbounded))
    first, *_ = plot_spectrum(replace(info, curves=(curve,))).data
    assert first.mode == "lines"
    assert first.fill is None


def test_three_places_have_no_curve():
    results = planted_results({}, text=MATCHED.replace("[1, 2, C/8, C/4, C]", "[1, C/4, C]"))
    assert not list(spectrum_curves(results))
    info = spectrum_info(results)
    assert "curves" not in plot_spectrum(info).layout.title.text


def test_a_race_has_one_through_all_its_seeds(monkeypatch):
    search(monkeypatch, Planted(SMOOTH), text=RACE)
    found = answer(read_results(URL, "planted"))
    told = dict(facts(found))[NAME]
    assert told.endswith("by all trainings of the race; descriptive, no part of the verdict")
    (curve,) = found.curves
    assert 0.2 < curve.fit.peak.value < 0.9
