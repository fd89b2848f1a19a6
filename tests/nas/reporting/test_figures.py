"""What figures and the report say of a study made of plain records: no database, no training."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import pytest

from nas import Block, SpectrumPoint, count_cost
from nas.architecture.description import describe_architecture, describe_block
from nas.reporting.figures import (
    front_info,
    hypervolume_info,
    importance_info,
    plot_front,
    plot_hypervolume,
    plot_importance,
    plot_segments,
    segments_info,
    style,
)
from nas.reporting.front_csv import front_csv
from nas.reporting.page import render
from nas.statistics.pareto import hypervolume, reference_point
from nas.study.importances import Importance
from nas.study.records import Records
from tests.nas.records import network, study, trial


def hovers(records: Records) -> list[str]:
    figure = plot_front(front_info(records))
    return [text for trace in figure.data[:2] for text in trace.text]


# In words.


def test_a_block_is_described_in_one_line():
    assert describe_block(Block((24, 24), SpectrumPoint("C/4", "relu")), 24) == (
        "24 channels, 2 convolutions in 6 segments, spatial first, relu between, shortcut"
    )
    everything = SpectrumPoint("C/4", "elu", "pointwise_first", 5, 2, 2, 3, True)
    assert describe_block(Block((16, 24), everything, residual=False), 24) == (
        "16, 24 channels, 2 convolutions of 5 x 5 in 4 and 6 segments, pointwise first, "
        "batch norm and elu between, multiplier 2, dilation 2, 3 pointwise groups, no shortcut"
    )
    plain = SpectrumPoint(1, order="plain", kernel=7, dilation=2)
    assert describe_block(Block((8,), plain), 8) == (
        "8 channels, 1 plain convolution of 7 x 7, dilation 2, shortcut"
    )


def test_networks_that_differ_in_one_axis_are_described_differently():
    networks = [
        network(),
        network(SpectrumPoint(3)),
        network(SpectrumPoint("C", "relu")),
        network(SpectrumPoint("C", order="pointwise_first")),
        network(SpectrumPoint(1, order="plain")),
        network(SpectrumPoint("C", kernel=5)),
        network(SpectrumPoint("C", multiplier=2)),
        network(SpectrumPoint("C", dilation=2)),
        network(SpectrumPoint("C", pointwise_groups=2)),
        network(SpectrumPoint("C", norm_between=True)),
        network(residual=False),
        network(width=13),
    ]
    assert len({describe_architecture(a) for a in networks}) == len(networks)


# The front.


def test_points_that_differ_in_the_residual_do_not_look_alike():
    records = study(
        trial(0, 0.5, network(residual=True)),
        trial(1, 0.6, network(residual=False)),
    )
    first, second = (h[h.index("stem") :] for h in hovers(records))
    assert first == second.replace("no shortcut", "shortcut")
    assert first != second


def test_the_hover_has_every_cost_and_a_line_for_stem_and_blocks():
    record = trial(3, 0.5, network())
    macs = count_cost(network()).macs
    timed = replace(record, values=(0.5, macs, 1.23456))
    (text,) = hovers(study(timed, objectives=("accuracy", "macs", "latency_ms")))
    assert text.split("<br>") == [
        f"<b>trial 3</b>: accuracy 0.5000, {macs / 1000:.3g}K MACs, 1.12K parameters, 1.23 ms",
        "0.3003 to 0.6650 by 25 images (Wilson, 95%), one seed",
        "stem: 12 channels",
        "block 0: 12 channels, 2 convolutions in 12 segments, spatial first, nothing between, "
        "shortcut",
    ]
    (text,) = hovers(study(record))
    assert " ms" not in text


def test_the_reports_table_has_the_latency_where_it_is_an_objective():
    record = trial(3, 0.5, network(residual=False), 1.23456)
    timed = render(study(record, objectives=("accuracy", "latency_ms")), {}, {})
    assert "<th>latency, ms</th>" in timed
    assert "<td>1.23</td>" in timed
    assert "<td>stem: 12 channels\nblock 0: 12 channels, " in timed
    assert "no shortcut</td>" in timed
    assert "latency" not in render(study(trial(3, 0.5, network())), {}, {})
    assert len(front_csv(study(record)).splitlines()) == 2


def of_three() -> Records:
    """Two costs: trial 1 is in the middle of both; trial 3 is dominated by it."""
    return study(
        *(
            replace(trial(number, values[0], network(width=8 + number)), values=values)
            for number, values in enumerate(
                [(0.5, 100.0, 1.0), (0.85, 200.0, 2.0), (0.9, 1000.0, 9.0), (0.6, 300.0, 3.0)]
            )
        ),
        objectives=("accuracy", "macs", "latency_ms"),
    )


def test_a_second_cost_is_shown_by_colour_with_a_bar_that_tells_it():
    info = front_info(of_three())
    assert (info.cost, info.second_cost, info.knee) == ("macs", "latency_ms", 1)
    assert [point.second_cost for point in info.front] == [1.0, 2.0, 9.0]
    dominated, front, _ = plot_front(info).data
    assert len(dominated.x) == 1
    assert front.mode == "markers"
    bar = front.marker.colorbar
    assert "latency" in bar.title.text
    assert (bar.ticktext[0], bar.ticktext[-1]) == ("1", "9")
    assert len(front.marker.color) == 3


SURENESS = "seeds,p_on_front,low,high,tie"


def test_tables_have_a_column_for_every_objective():
    page = render(of_three(), {}, {})
    assert "<th>MACs</th><th>parameters</th><th>latency, ms</th>" in page
    assert "accuracy 0.8500 at " in page
    header, *rows = front_csv(of_three()).splitlines()
    assert header == f"trial,accuracy,macs,params,latency_ms,{SURENESS},seconds,key,architecture"
    assert [row.split(",")[4] for row in rows] == ["1.0", "2.0", "9.0"]
    with_memory = replace(of_three(), objectives=("accuracy", "macs", "peak_memory"))
    header, *rows = front_csv(with_memory).splitlines()
    assert (
        header
        == f"trial,accuracy,macs,params,latency_ms,peak_memory,{SURENESS},seconds,key,architecture"
    )
    assert [row.split(",")[4:6] for row in rows] == [["", "1.0"], ["", "2.0"], ["", "9.0"]]


# Hypervolume.


def test_a_single_trial_covers_a_part_of_the_rectangle():
    """Accuracy 0.5 at 1/1.1 of the reference's cost."""
    info = hypervolume_info(study(trial(0, 0.5, network())))
    assert info.shares == pytest.approx([0.5 * (1 - 1 / 1.1)])


def test_the_most_expensive_trial_adds_to_the_hypervolume():
    cheap, dear = trial(0, 0.5, network(), 100.0), trial(1, 0.9, network(width=20), 1000.0)
    info = hypervolume_info(study(cheap, dear))
    assert info.reference == pytest.approx((0.0, 1100))
    assert info.shares == pytest.approx([0.5 * 1000 / 1100, (0.5 * 900 + 0.9 * 100) / 1100])


def test_two_costs_cover_a_part_of_a_box():
    info = hypervolume_info(of_three())
    assert info.reference == pytest.approx((0.0, 1100, 9.9))
    assert info.shares[0] == pytest.approx(0.5 * 1000 / 1100 * 8.9 / 9.9)
    assert list(info.shares) == sorted(info.shares)


def test_figures_are_drawn_without_optuna():
    """They need a study's data, not the database that it is read from."""
    run = subprocess.run(
        [sys.executable, "-c", "import nas.reporting.figures, sys; print({'optuna', 'ray'} & set(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert re.fullmatch(r"set\(\)\n", run.stdout)


# Of thousands of trials.


@pytest.fixture
def large(monkeypatch) -> Records:
    """Forty trials, of which figures draw eight."""
    monkeypatch.setattr(style, "MOST_POINTS", 8)
    return study(*(trial(n, n * 37 % 41 / 41, network(), 100.0 + n * 11 % 23) for n in range(40)))


def test_a_figure_of_many_trials_draws_some_says_so_and_keeps_the_front(large):
    info = front_info(large)
    beaten = len(large.complete) - len(large.front)
    assert [point.trial for point in info.front] == [t.number for t in large.front]
    assert (len(info.dominated), info.beaten) == (8, beaten)
    numbers = [point.trial for point in info.dominated]
    assert numbers == sorted(set(numbers))
    assert numbers[0] < 5
    assert numbers[-1] > 30  # evenly, to the end of the search
    title = plot_front(info).layout.title.text
    assert f"8 of {beaten} dominated trials, evenly over the search" in title
    assert (
        "dominated trials" not in plot_front(front_info(study(*large.trials[:6]))).layout.title.text
    )


def test_the_means_of_segments_are_of_all_trials_whatever_is_drawn(large, monkeypatch):
    figure = plot_segments(segments_info(large))
    assert "points: 8 of 40 trials, evenly" in figure.layout.title.text
    points, means = figure.data
    assert len(points.x) == 8
    assert list(means.y) == pytest.approx([sum(t.score for t in large.trials) / 40])
    monkeypatch.setattr(style, "MOST_POINTS", 40)
    assert "points: trials;" in plot_segments(segments_info(large)).layout.title.text


def test_the_hypervolume_is_that_of_all_trials_so_far_and_drawn_where_it_changes(large):
    points = large.points
    reference = reference_point(points[:, 1:])
    info = hypervolume_info(large)
    expected = [hypervolume(points[: n + 1], reference) / reference[1] for n in range(40)]
    assert list(info.shares) == pytest.approx(expected)
    (drawn,) = plot_hypervolume(info).data
    assert drawn.x[0] == 1
    assert drawn.x[-1] == 40
    at = dict(zip(drawn.x, drawn.y, strict=True))
    now = 0.0
    for count, share in enumerate(info.shares, 1):
        now = at.get(count, now)
        assert now == share


def test_importances_say_how_many_trials_they_are_of():
    def title(*trials: int) -> str:
        shares = [Importance("segments", 1.0, 0.9, 1.0, trials)]
        return plot_importance(importance_info(shares)).layout.title.text

    assert "fANOVA of 200 of 10,000 trials, drawn at random; lines" in title(200, 10_000)
    assert "fANOVA; lines" in title(200, 200)
