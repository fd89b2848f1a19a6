"""Searches on a table whose outcome can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import nas
from nas.statistics.pareto import reference_point
from nas.study.storage import quiet_optuna
from tests.nas.tabular import SECTIONS, table_of

SCORES = {("C", "none"): 0.4, ("C", "relu"): 0.5, (1, "none"): 0.45, (1, "relu"): 0.8}


def point(network):
    return network.choices["block0.segments"], network.choices["block0.activation"]


@pytest.fixture(scope="module")
def table():
    """The second of two seeds reaches a tenth more, and each two epochs less cost a tenth."""
    return table_of(
        nas.SearchSpace(SECTIONS),
        lambda network, epochs, seed: SCORES[point(network)] + 0.1 * seed - 0.05 * (4 - epochs),
    )


@pytest.fixture
def keys(table):
    return {point(network): network.key for network in table.networks}


class Scripted:
    """Asks for these trainings, and keeps what it is told."""

    def __init__(self, jobs):
        self.jobs, self.told = list(jobs), []

    def ask(self):
        return self.jobs.pop(0) if self.jobs else None

    def tell(self, job, training):
        self.told.append((job.trial, training.accuracy))


def test_workers_take_trainings_as_they_become_free(table, keys):
    from tabular_searches import Job, simulate

    cheap, dear = keys["C", "relu"], keys[1, "relu"]
    cheap_s, dear_s = table.seconds(cheap, 1), table.seconds(dear, 4)
    assert 3 * cheap_s < dear_s
    script = [Job(0, dear, 4), Job(1, cheap, 1), Job(2, cheap, 2)]
    finished = simulate(table, Scripted(script), 2, dict.fromkeys(keys.values(), 0), 1e9)
    assert [end.job.trial for end in finished] == [1, 2, 0]
    ends = [cheap_s, 3 * cheap_s, dear_s]
    assert [end.spent_s for end in finished] == pytest.approx([2 * end for end in ends])
    alone = simulate(table, Scripted(script), 1, dict.fromkeys(keys.values(), 0), 1e9)
    assert [end.spent_s for end in alone] == pytest.approx(
        [dear_s, dear_s + cheap_s, dear_s + 3 * cheap_s]
    )


def test_no_training_begins_once_the_time_is_spent(table, keys):
    from tabular_searches import Job, simulate

    key = keys["C", "relu"]
    script = [Job(number, key, 4) for number in range(9)]
    time = 2.5 * table.seconds(key, 4)
    assert len(simulate(table, Scripted(script), 1, {key: 0}, time)) == 3


def test_a_network_has_its_seed_in_all_schedules_and_another_when_it_is_trained_again(table, keys):
    from tabular_searches import Job, simulate

    key = keys["C", "relu"]
    search = Scripted([Job(0, key, 1), Job(1, key, 4), Job(2, key, 4), Job(3, key, 4)])
    simulate(table, search, 1, {key: 1}, 1e9)
    assert [a for _, a in search.told] == pytest.approx([0.45, 0.6, 0.5, 0.6])


def test_an_answer_is_judged_by_its_networks_means_not_by_their_luck(table, keys):
    from search_quality import Judge
    from tabular_searches import Finished, Job

    macs = {point(network): network.macs for network in table.networks}
    cheap, dear = macs["C", "none"], macs[1, "none"]
    _, worst = reference_point([cheap, dear])
    best = (dear - cheap) * 0.55 + (worst - dear) * 0.85  # of means over both seeds
    # The network without an activation was lucky, so that one with it is not in the answer.
    replicates = {keys[p]: int(p == ("C", "none")) for p in keys}
    finished = [
        Finished(1.0, Job(0, keys["C", "none"], 1), 0.99),  # a shorter schedule says nothing
        Finished(2.0, Job(0, keys["C", "none"], 4), 0.5),
        Finished(3.0, Job(1, keys["C", "relu"], 4), 0.5),
        Finished(4.0, Job(2, keys[1, "relu"], 4), 0.8),
    ]
    found = Judge(table).trajectory(finished, replicates)
    assert list(found.spent_s) == [2.0, 3.0, 4.0]
    only = (worst - cheap) * 0.45
    both = (dear - cheap) * 0.45 + (worst - dear) * 0.85
    assert found.shares["seeds"] == pytest.approx([only / best, only / best, both / best])
    seen = (dear - cheap) * 0.5 + (worst - dear) * 0.8
    assert found.shares["seen"] == pytest.approx(
        [(worst - cheap) * 0.5 / seen, (worst - cheap) * 0.5 / seen, 1.0]
    )
    tested = (dear - cheap) * 0.44 + (worst - dear) * 0.84
    best_tested = (dear - cheap) * 0.54 + (worst - dear) * 0.84
    assert found.shares["test"][-1] == pytest.approx(tested / best_tested)
    assert found.time_to(only / best, "seeds") == 2.0
    assert found.time_to(1.0, "seeds") == float("inf")
    assert list(found.at(np.array([1.0, 2.5, 9.0]), "seeds")) == pytest.approx(
        [0.0, only / best, both / best]
    )


def test_every_kind_of_search_finds_the_front_where_no_luck_is_to_be_had():
    """In the time of all trainings; each training ends later, and no answer is worse than before."""
    from search_quality import Judge, trajectory_of
    from tabular_searches import CONTENDERS

    quiet_optuna()
    judge = Judge(table_of(nas.SearchSpace(SECTIONS), lambda n, *_: SCORES[point(n)]))
    found = {c.name: trajectory_of(judge, c, seed=3) for c in CONTENDERS}
    default, halving, random, nsga2 = (len(trajectory.spent_s) for trajectory in found.values())
    assert (default, halving, random) == (4, 1, 4)  # of four networks, none twice
    assert nsga2 >= 3
    for trajectory in found.values():
        assert trajectory.shares["seen"] == pytest.approx(trajectory.shares["seeds"])
        assert np.all(np.diff(trajectory.shares["seeds"]) >= 0)
        assert np.all(np.diff(trajectory.spent_s) >= 0)
    for name in ("default (TPE)", "random, none twice"):
        assert found[name].shares["seeds"][-1] == pytest.approx(1.0)
        assert judge.everything_s <= found[name].spent_s[-1] < 2 * judge.everything_s


def test_once_there_are_no_new_networks_all_of_the_best_are_promoted(tmp_path):
    """The first of a rung's best was promoted before the last network, which is better, began."""
    from tabular_searches import ours, simulate

    quiet_optuna()

    def trained_on(scores):
        table = table_of(nas.SearchSpace(SECTIONS), lambda n, *_: scores[point(n)])
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        search = ours("", "random", halving=True).start(table, folder, seed=0)
        finished = simulate(table, search, 1, {n.key: 0 for n in table.networks}, 1e9)
        search.close()
        places = {n.key: point(n) for n in table.networks}
        return [(places[end.job.key], end.job.epochs) for end in finished]

    order = [place for place, epochs in trained_on(SCORES) if epochs == 1]
    better_and_better = {place: 0.2 * number for number, place in enumerate(order, 1)}
    longer = {place for place, epochs in trained_on(better_and_better) if epochs == 2}
    assert longer == {order[2], order[3]}


def test_successive_halving_trains_few_networks_to_the_end_and_the_default_all(table, tmp_path):
    from tabular_searches import ours, simulate

    quiet_optuna()
    replicates = {network.key: 0 for network in table.networks}
    trained = {}
    for halving in (False, True):
        folder = tmp_path / str(halving)
        folder.mkdir()
        search = ours("", "random", halving).start(table, folder, seed=0)
        finished = simulate(table, search, 2, replicates, 1e9)
        search.close()
        trained[halving] = sorted(end.job.epochs for end in finished)
    assert trained == {False: [4] * 4, True: [1, 1, 1, 1, 2, 4]}


def test_intervals_of_medians_know_of_searches_that_never_got_there():
    slow, fast = np.array([600.0] * 3 + [np.inf] * 2), np.full(5, 120.0)
    assert row_of(fast, slow) == ["2.0 (2.0 to 2.0)", "5 of 5", "5.00 (5.00 to inf)"]
    assert row_of(slow, slow) == ["10.0 (10.0 to inf)", "3 of 5", "1"]
    # Of some draws of both nothing is known: it may be that either is faster.
    assert row_of(slow * 2, slow)[2] == "0.50 (0.00 to inf)"


def test_where_half_never_get_there_no_ratio_is_made_up():
    times = np.full(100, 60.0)
    most, few = times.copy(), times.copy()
    most[52:], few[:55] = np.inf, np.inf
    assert row_of(few, most) == ["inf (1.0 to inf)", "45 of 100", "-"]
    assert row_of(most, few)[1:] == ["52 of 100", "-"]


def row_of(times, against):
    from rich.table import Table

    from search_quality import add_row

    table = Table("search", "median", "reached", "ratio")
    add_row(table, "a search", times, against)
    return [next(column.cells) for column in table.columns][1:]


def test_a_share_counts_once_it_is_kept():
    from search_quality import Trajectory

    shares = {"seeds": np.array([0.5, 0.99, 0.97, 0.99, 0.98])}
    found = Trajectory(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), shares)
    assert [found.time_to(share, "seeds") for share in (0.4, 0.95, 0.98)] == [1.0, 2.0, 4.0]
    assert found.time_to(0.99, "seeds") == float("inf")
    assert Trajectory(np.array([]), {"seeds": np.array([])}).time_to(0.5, "seeds") == float("inf")


def test_what_is_seen_of_networks_that_are_trained_again_is_no_share():
    from search_quality import Trajectory, table_of
    from tabular_searches import CONTENDERS

    run = Trajectory(np.array([60.0]), dict.fromkeys(("seeds", "seen"), np.array([1.0])))
    found = {contender.name: [run, run] for contender in CONTENDERS}
    names = {
        judged: list(table_of(found, judged, "", 0.99).columns[0].cells) for judged in run.shares
    }
    assert len(names["seeds"]) == 4
    assert set(names["seeds"]) - set(names["seen"]) == {"NSGA-II, plain loop"}
