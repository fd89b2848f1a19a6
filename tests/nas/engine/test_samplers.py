"""Who proposes the next architecture, alone and under a driver."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.architecture.cost import count_cost
from nas.architecture.specification import ArchitectureError
from nas.engine.proposal import choice_of, decode_fixed
from nas.engine.samplers import HISTORY, OptunaProposer, make_sampler
from nas.statistics.pareto import pareto_front
from nas.study.records import read_records
from tests.nas.driving import SMALL, SPACE, finish, measured, open_driver


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "nsga3", "random", "grid", "gp"])
@pytest.mark.parametrize("objectives", ["{minimize: macs}", "{maximize: accuracy}"])
def test_every_sampler_proposes_different_architectures(sqlite, sampler, objectives):
    driver = open_driver(
        sqlite, f"study.sampler={sampler}", f"objectives={objectives}", "study.trials=12"
    )
    keys = finish(driver)
    assert len(set(keys)) == 12
    driver.close()
    driver = open_driver(
        sqlite, f"study.sampler={sampler}", f"objectives={objectives}", "study.trials=14"
    )
    assert len(set(finish(driver)) | set(keys)) == 14
    driver.close()


@pytest.mark.parametrize("sampler", ["tpe", "grid", "random"])
def test_a_space_that_is_used_up_ends_the_search(sqlite, sampler):
    driver = open_driver(sqlite, f"study.sampler={sampler}", text=SMALL)
    assert len(finish(driver)) == 4  # two counts of segments and two activations
    assert driver.exhausted
    driver.close()


@pytest.mark.parametrize("sampler", ["tpe", "grid"])
def test_architectures_over_the_budget_leave_no_trial(sqlite, sampler):
    driver = open_driver(sqlite)
    lowest, highest = driver.space.macs_range
    driver.close()
    budget = lowest + (highest - lowest) // 8
    driver = open_driver(
        sqlite, f"macs={{at_most: {budget}}}", f"study.sampler={sampler}", name="bounded"
    )
    finish(driver)
    driver.close()
    records = read_records(sqlite, "bounded")
    assert len(records.trials) == 6
    assert all(record.macs <= budget for record in records.trials)


def test_a_sampler_learns(sqlite):
    """On a task with one right answer, TPE's last proposals are better than its first."""
    space = SPACE.replace("trials: 6", "trials: 60")
    driver = open_driver(sqlite, "objectives={maximize: accuracy}", text=space)
    scores = []
    while (spec := driver.next()) is not None:
        points = [block.point for block in spec.architecture.blocks]
        score = (
            sum(p.activation == "relu" for p in points)
            + sum(p.order == "plain" for p in points) * -2
        )
        score += sum(int(str(p.segments).replace("C", "8")) for p in points) / 8
        scores.append(score)
        driver.record(spec.trial, measured(driver, spec, accuracy=score))
    assert sum(scores[-20:]) / 20 > sum(scores[:10]) / 10 + 0.5
    driver.close()


def test_the_memory_of_a_sampler_is_bounded_and_keeps_the_front(sqlite):
    space = open_driver(sqlite).space
    proposer = OptunaProposer(space, make_sampler("random", 0), 0, ["maximize", "minimize"])
    told = []
    for index in range(2 * HISTORY + 50):
        proposal = proposer.propose()
        values = (index % 97 / 97, float(index % 89))
        told.append(values)
        proposer.tell(proposal.ticket, values)
    trials = proposer.memory.get_trials(deepcopy=False)
    assert len(trials) <= 2 * HISTORY + 60  # and the front
    best = {told[i] for i in pareto_front(told)}
    assert best <= {tuple(t.values) for t in trials}


def test_rejected_proposals_do_not_crowd_out_what_was_measured(sqlite):
    driver = open_driver(sqlite)
    cheapest, _ = driver.space.macs_range
    driver.close()
    space = open_driver(sqlite, f"macs={{at_most: {int(cheapest * 1.2)}}}", name="tight").space
    proposer = OptunaProposer(space, make_sampler("random", 0), 0, ["maximize", "minimize"])
    complete = rejected = 0
    while complete + rejected < 3 * HISTORY:
        try:
            proposer.tell(proposer.propose().ticket, (0.5 - complete / 1e4, 1e6 + complete))
            complete += 1
        except ArchitectureError:
            rejected += 1
    assert rejected > 2 * complete
    kept = proposer.memory.get_trials(deepcopy=False)
    assert sum(t.state.name == "COMPLETE" for t in kept) >= min(HISTORY, complete)


def test_a_running_proposal_survives_the_bounding_of_the_memory(sqlite):
    space = open_driver(sqlite).space
    proposer = OptunaProposer(space, make_sampler("random", 0), 0, ["maximize", "minimize"])
    waiting = [proposer.propose() for _ in range(3)]
    for index in range(2 * HISTORY + 10):
        proposer.tell(proposer.propose().ticket, (0.5, float(index)))
    for proposal in waiting:
        proposer.tell(proposal.ticket, (0.9, 1.0))
    values = [t.values for t in proposer.memory.get_trials(deepcopy=False)]
    assert values.count([0.9, 1.0]) == 3


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "gp", "random"])
def test_what_is_proposed_again_gives_way_to_an_unseen_neighbour_with_its_own_parameters(
    sqlite, sampler
):
    """Of which one or two choices differ, and which the sampler is told the value of."""
    space = open_driver(sqlite).space
    proposer = OptunaProposer(space, make_sampler(sampler, 0), 0, ["maximize", "minimize"])
    seen = set()
    for count in range(15):
        repeated = proposer.propose()
        proposer.tell(repeated.ticket, None)
        seen.add(repeated.architecture.key)
        near = proposer.propose_near(repeated, seen)
        assert near.architecture.key not in seen
        again, params, _ = decode_fixed(
            space, {p.name: choice_of(p, near.params[p.name]) for p in effective(space, near)}
        )
        assert again == near.architecture
        assert params.items() <= near.params.items()
        # An order other than before may add parameters, or leave some without effect.
        differing = [
            n for n in near.params if n in repeated.params and near.params[n] != repeated.params[n]
        ]
        assert 1 <= len(differing) <= 2
        proposer.tell(near.ticket, (0.5, float(count)))
        told = proposer.memory.get_trials(deepcopy=False)[-1]
        assert (told.params, told.values) == (near.params, [0.5, float(count)])


def effective(space, proposal):
    return [p for p in space.parameters if p.name in proposal.params]


def test_a_neighbour_is_within_the_budget(sqlite):
    driver = open_driver(sqlite)
    lowest, highest = driver.space.macs_range
    driver.close()
    budget = lowest + (highest - lowest) // 4
    space = open_driver(sqlite, f"macs={{at_most: {budget}}}", name="bounded").space
    proposer = OptunaProposer(space, make_sampler("random", 0), 0, ["maximize", "minimize"])
    repeated = proposer.propose_unseen(set())
    found = [proposer.propose_near(repeated, {repeated.architecture.key}) for _ in range(20)]
    assert all(count_cost(p.architecture).macs <= budget for p in found if p is not None)
    assert any(found)


def test_two_repeats_are_enough_for_a_new_network(sqlite):
    """However often a sampler wants the same, a trial takes a few proposals, not twenty."""
    driver = open_driver(sqlite, "study.sampler=random")
    first = driver.next()
    proposals = []

    def stubborn():
        proposal = driver.new.proposer.propose_unseen(set())  # any
        proposals.append(replace(proposal, architecture=first.architecture))
        return proposals[-1]

    driver.new.proposer.propose = stubborn
    keys = {driver.next().architecture.key for _ in range(4)}
    assert len(keys | {first.architecture.key}) == 5
    assert len(proposals) == 2 * 4
    driver.close()
