"""Searches on a table whose outcome can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import nas
from nas.statistics.pareto import reference_point
from nas.study.records import quiet_optuna
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


def test_every_kind_of_search_has_an_answer_that_is_judged(table):
    from search_quality import Judge, trajectory_of
    from tabular_searches import CONTENDERS

    quiet_optuna()
    judge = Judge(table)
    assert len(CONTENDERS) == 4
    for contender in CONTENDERS:
        found = trajectory_of(judge, contender, seed=3)
        assert set(found.shares) == {"seeds", "test", "seen"}
        assert 0 < found.shares["seeds"][-1] <= 1
        assert np.all(np.diff(found.spent_s) >= 0)


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
    from rich.table import Table

    from search_quality import add_row

    table = Table("search", "median", "reached", "ratio")
    slow, fast = np.array([600.0] * 3 + [np.inf] * 2), np.full(5, 120.0)
    add_row(table, "fast", fast, slow)
    add_row(table, "slow", slow, slow)
    cells = [list(column.cells) for column in table.columns]
    assert cells[1] == ["2.0 (2.0 to 2.0)", "10.0 (10.0 to inf)"]
    assert cells[2] == ["5 of 5", "3 of 5"]
    assert cells[3][0] == "5.00 (5.00 to inf)"
