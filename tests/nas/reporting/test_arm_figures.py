"""What the figures of arms and seeds show, asserted on their info; and that they become files."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from statistics import fmean, stdev

import numpy as np
import pytest
from PIL import Image

from nas.reporting import figures
from nas.reporting.figures import arm_figures
from nas.reporting.figures.files import Size, write_images
from nas.statistics.paired import paired_intervals
from nas.study.design import design_seeds
from tests.nas.planting import ARMS, CONTROLS, ENDS, MATCHED, planted_results

ABLATION = (
    MATCHED.replace("segments: [1, 2, C/8, C/4, C]", "segments: [C/4, C]")
    .replace("order: [plain, spatial_first]", "activation: [none, relu]\n  residual: [true, false]")
    .replace("confirm: {seeds: 8}", "")
)


def places_of(info, stage: str):
    return {p.arm: p for series in info.series if series.stage == stage for p in series.places}


def test_arms_are_along_the_spectrum_with_their_ends_marked():
    results = planted_results({"C/4, spatial first": 0.05}, CONTROLS)
    info = figures.spectrum_info(results)
    assert info.cost == "equal MACs"
    screening = {s.family: s.places for s in info.series if s.stage == "screening"}
    assert set(screening) == {"plain", "spatial first"}
    assert [place.label for place in screening["spatial first"]] == ["1", "2", "C/8", "C/4", "C"]
    places = places_of(info, "screening")
    assert set(places) == set(ARMS)  # no control is a place
    assert {name for name, place in places.items() if place.is_end} == set(ENDS)
    assert (places["1, spatial first"].x, places["C, spatial first"].x) == (0.0, 1.0)
    assert places["plain"].x < 0
    assert 0 < places["2, spatial first"].x < places["C/4, spatial first"].x < 1


def test_each_stage_is_by_its_own_seeds():
    results = planted_results({"C/4, spatial first": 0.05})
    info = figures.spectrum_info(results)
    confirmed = places_of(info, "confirmation")
    assert set(confirmed) == {"C/4, spatial first", *ENDS}
    for stage, seeds in (("screening", 3), ("confirmation", 8)):
        for arm, place in places_of(info, stage).items():
            values = [m.accuracy for m in results.of_stage(stage)[arm].values()]
            assert place.seeds == seeds == len(values)
            assert place.score == pytest.approx(fmean(values))
            # Planted: 0.003 for each training, and 0.01 of a seed, which is taken out.
            assert (place.upper - place.lower) / 2 < {3: 0.02, 8: 0.005}[seeds]


def test_intervals_of_paired_arms_are_those_of_the_noise_that_is_not_shared():
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 1, 12)
    table = np.arange(5.0)[:, None] + shared + rng.normal(0, 0.1, (5, 12))
    lower, upper = paired_intervals(table)
    assert (upper - lower) / 2 == pytest.approx([0.1 * 2.2 / 12**0.5] * 5, rel=0.5)
    assert (lower + upper) / 2 == pytest.approx(table.mean(axis=1))
    # A single arm has Student's interval; a single seed has none.
    low, high = paired_intervals([[1.0, 2.0, 3.0, 4.0]])
    assert (high - low) / 2 == pytest.approx([3.182446 * 1.290994 / 2], rel=1e-5)
    assert paired_intervals([[0.5], [0.6]])[0] == pytest.approx([0.5, 0.6])


def test_learning_curves_are_the_mean_and_spread_of_the_seeds_that_all_arms_have():
    results = planted_results({"C/4, spatial first": 0.05})
    best, *others = figures.arm_curves_info(results).curves
    assert (best.arm, best.seeds) == ("C/4, spatial first", 3)
    trainings = results.of_stage("screening")["C/4, spatial first"].values()
    finals = [training.accuracy for training in trainings]
    assert best.mean == pytest.approx((fmean(finals) / 2, fmean(finals)))
    assert best.deviation == pytest.approx((stdev(finals) / 2, stdev(finals)))
    assert {curve.arm for curve in others} == set(ARMS) - {best.arm}


def test_a_choice_is_compared_over_arms_that_differ_in_it_alone():
    """The residual is planted to be worth 0.04, the activation nothing."""
    results = planted_results({'"residual":false': -0.04}, text=ABLATION)
    residual = figures.ablation_info(results, "residual")
    levels = {level.name: level for level in residual.levels}
    assert set(levels) == {"with residual", "without residual"}
    gain = levels["with residual"].curve[-1] - levels["without residual"].curve[-1]
    assert gain == pytest.approx(0.04, abs=0.005)
    assert (residual.arms, residual.seeds) == (4, 3)
    activation = figures.ablation_info(results, "activation")
    none, relu = activation.levels
    assert [none.name, relu.name] == ["no activation", "relu"]
    assert none.curve[-1] == pytest.approx(relu.curve[-1], abs=0.005)
    assert all(
        low < mean < high
        for low, mean, high in zip(none.lower, none.curve, none.upper, strict=True)
    )
    assert figures.ablation_info(results, "order") is None  # there is one only


def test_arms_without_a_counterpart_are_left_out():
    results = planted_results({}, text=ABLATION)
    without = tuple(
        training for training in results.trainings if training.arm != "C, relu, no residual"
    )
    residual = figures.ablation_info(replace(results, trainings=without), "residual")
    assert residual.arms == 3


def test_a_plain_convolution_is_no_counterpart_of_an_order():
    results = planted_results({}, text=MATCHED.replace("confirm:", "#"))
    assert figures.ablation_info(results, "order") is None
    assert figures.widths_info(results) is None


def test_activation_and_width_are_crossed():
    effects = {'"activation":"relu"': -0.02}
    results = planted_results(effects, text=ABLATION)
    info = figures.widths_info(results)
    assert info.segments == ("C/4", "C")
    cells = {(c.activation, c.segments): c for c in info.cells}
    assert len(cells) == 4
    for segments in info.segments:
        gap = cells["none", segments].score - cells["relu", segments].score
        assert gap == pytest.approx(0.02, abs=0.005)


def test_the_confirmed_front_varies_with_the_seed():
    text = MATCHED.replace("match:", "#").replace("claim:", "objectives: {minimize: macs}\nclaim:")
    results = planted_results({"plain": 0.05}, text=text)
    info = figures.attainment_info(results)
    assert info.seeds == 8
    surfaces = dict(info.surfaces)
    best = {
        percent: max(accuracy for accuracy, _ in points) for percent, points in surfaces.items()
    }
    finals = sorted(m.accuracy for m in results.of_stage("confirmation")["plain"].values())
    assert best[10] == pytest.approx(finals[-1])  # one seed of eight reaches it
    assert best[90] == pytest.approx(finals[0])  # all eight do
    assert figures.attainment_info(planted_results({})) is None


def test_seeds_are_enough_for_every_figure_to_be_drawn():
    drawn = arm_figures(planted_results({}, text=ABLATION))
    assert set(drawn) == {"spectrum", "arms", "residual", "activation", "widths"}
    assert all(len(figure.data) for figure in drawn.values())
    assert len(design_seeds("planted", 0, "screening", 3)) == 3


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
def test_figures_become_files_for_a_paper(monkeypatch, tmp_path):
    drawn = arm_figures(planted_results({}, text=ABLATION))
    monkeypatch.delenv("BROWSER_PATH")
    some = {name: drawn[name] for name in ("spectrum", "arms")}
    assert write_images(some, tmp_path / "figures", Size(500, 430))
    png, svg, pdf = (tmp_path / "figures" / f"spectrum.{kind}" for kind in ("png", "svg", "pdf"))
    assert pdf.read_bytes().startswith(b"%PDF")
    assert 'width="500" height="430"' in svg.read_text()[:300]
    assert "Accuracy at equal MACs" in svg.read_text()
    with Image.open(png) as picture:
        assert picture.size == (1000, 860)
        # Nothing stands at the edge, where a frame would cut it.
        edge = np.asarray(picture.convert("L"))
        assert min(edge[:12].min(), edge[:, :12].min()) == 255
    with Image.open(tmp_path / "figures" / "arms.png") as picture:
        assert picture.size == (1000, 2 * (130 + 170 * 3))  # as high as its three rows need


def test_a_small_figure_grows_with_its_legend_and_breaks_its_words(monkeypatch, tmp_path):
    written = {}
    monkeypatch.setattr(
        "plotly.io.write_images",
        lambda shown, files, **_: written.update(
            zip((file.name for file in files), shown, strict=True)
        ),
    )
    drawn = arm_figures(planted_results({}, text=ABLATION))
    assert write_images(
        {name: drawn[name] for name in ("spectrum", "arms")}, tmp_path, Size(500, 350)
    )
    spectrum, arms = written["spectrum.png"].layout, written["arms.png"].layout
    # Title of three lines, least plot, axis, its second line, and four rows of the legend.
    assert spectrum.height == 72 + 2 * 18 + 150 + 70 + 20 + 4 * 20
    assert spectrum.xaxis.title.text.count("<br>") == 1
    assert {len(line) <= 21 for note in arms.annotations for line in note.text.split("<br>")} == {
        True
    }


def test_without_a_browser_there_are_no_pictures_and_no_error(tmp_path):
    drawn = arm_figures(planted_results({}, text=ABLATION))
    assert os.environ["BROWSER_PATH"] == "/nonexistent"
    assert not write_images({"spectrum": drawn["spectrum"]}, tmp_path)
