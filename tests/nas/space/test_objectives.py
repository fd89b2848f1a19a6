"""Objectives: what a registry's entry says of itself, and what follows from it."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from nas.architecture.cost import Cost
from nas.space.objectives import MINIMIZED, OBJECTIVES, measured_fields
from nas.space.schema import ObjectivesSection
from nas.study.identity import identity
from nas.study.selection import NoSuchTrial, choose
from tests.nas.driving import SPACE, measured, open_driver, read_space
from tests.nas.records import network, study, trial
from tests.trials.training import QUICK
from tests.trials.training import network as small_network
from trials.data import DataConfig, load
from trials.measurement import Measurement
from trials.train import Resident
from trials.trial import Subject, run_trial

COST = Cost(macs=1_234_567, params=1000, activations=5)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=lambda objective: objective.name)
def test_an_objective_is_counted_or_measured(objective):
    assert bool(objective.counted) != bool(objective.measured)
    kind, field = (
        (Cost, objective.counted) if objective.counted else (Measurement, objective.measured)
    )
    assert field in {f.name for f in fields(kind)}


def test_values_are_counted_or_means_over_the_seeds():
    seed = Measurement("k", "{}", "d", "r", 1, 0, 1, 1, accuracy=0.5, latency_ms=1.0)
    both = [seed, replace(seed, seed=1, accuracy=0.7, latency_ms=3.0)]
    values = {
        name: OBJECTIVES[name].value(COST, both) for name in ("accuracy", "macs", "latency_ms")
    }
    assert values == {"accuracy": pytest.approx(0.6), "macs": 1_234_567.0, "latency_ms": 2.0}


@pytest.mark.parametrize(
    ("name", "value", "words", "heading", "cell"),
    [
        ("accuracy", 0.91236, "accuracy 0.9124", "accuracy", "0.9124"),
        ("macs", 1_234_567, "1.23M MACs", "MACs", "1,234,567"),
        ("params", 1000.0, "1K parameters", "parameters", "1,000"),
        ("latency_ms", 1.23456, "1.23 ms", "latency, ms", "1.23"),
        ("peak_memory", 2_500_000_000, "peak memory 2.5GB", "peak memory", "2.5GB"),
    ],
)
def test_a_value_in_sentences_and_in_tables(name, value, words, heading, cell):
    objective = OBJECTIVES[name]
    assert (objective.in_words(value), objective.heading, objective.cell(value)) == (
        words,
        heading,
        cell,
    )


@pytest.mark.parametrize(
    "objective",
    [
        pytest.param(o, marks=pytest.mark.gpu) if o.needs_gpu else o
        for o in OBJECTIVES.values()
        if o.measured
    ],
    ids=lambda objective: objective.name,
)
def test_a_training_measures_what_is_asked_for(objective):
    if objective.needs_gpu and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    data = load(DataConfig("synthetic", limit=60, shape=(3, 8, 8), classes=4))
    resident = Resident(data, torch.device("cuda" if objective.needs_gpu else "cpu"))
    subject = Subject("k", "{}", small_network, (3, 8, 8), macs=100, params=10)
    wanted = measured_fields((objective.name, "macs"))
    assert wanted == {objective.measured}
    made = run_trial(subject, resident, "f", replace(QUICK, epochs=1), (1,), wanted)
    assert objective.value(COST, made) >= 0


# In a file.


@pytest.mark.parametrize(
    ("minimize", "kept"),
    [("macs", "macs"), (("macs",), "macs"), (("macs", "latency_ms"), ["macs", "latency_ms"])],
)
def test_one_cost_is_kept_by_its_name_as_before_there_could_be_two(minimize, kept):
    section = ObjectivesSection(minimize=minimize)
    assert section.model_dump(mode="json") == {"maximize": "accuracy", "minimize": kept}
    assert ObjectivesSection().model_dump(mode="json")["minimize"] is None


def test_two_costs_are_part_of_what_makes_a_study_the_same():
    file = read_space(SPACE + "objectives: {minimize: [macs, latency_ms]}\n").file
    assert file.objective_names == ("accuracy", "macs", "latency_ms")
    assert file.times_networks
    assert file.counted_costs == ("macs",)
    assert identity(file)["objectives.minimize"] == ["macs", "latency_ms"]
    assert identity(file)["resources.device"] == "cpu"


def test_a_study_of_three_objectives(sqlite):
    driver = open_driver(sqlite, "objectives.minimize=[params, latency_ms]", "study.trials=4")
    while (spec := driver.next()) is not None:
        driver.record(spec.trial, measured(driver, spec, latency_ms=1.0 + spec.trial))
    records = driver.records()
    driver.close()
    assert records.objectives == ("accuracy", "params", "latency_ms")
    assert [t.values[1:] for t in records.complete] == [
        (t.params, 1.0 + t.number) for t in records.complete
    ]
    assert records.value(records.complete[2], "latency_ms") == 3.0
    assert records.value(records.complete[2], "macs") == records.complete[2].macs
    assert choose(records, "latency_ms<=1.5").number == 0


# Budgets of `--best`.


def of_three():
    return study(
        *(
            replace(trial(n, values[0], network(width=8 + n)), values=values)
            for n, values in enumerate([(0.5, 100.0, 1.0), (0.8, 200.0, 2.0), (0.9, 300.0, 9.0)])
        ),
        objectives=("accuracy", "macs", "latency_ms"),
    )


def test_a_budget_may_be_of_any_cost_that_is_known():
    records = of_three()
    assert choose(records, "latency_ms<=5").number == 1
    assert choose(records, "latency_ms <= 9").number == 2
    params = records.complete[1].params
    assert choose(records, f"params<={params}").number == 1
    assert choose(records, "macs<=1G").number == 2


@pytest.mark.parametrize(
    ("best", "message"),
    [
        ("latency_ms<=0.5", "no trial costs at most 0.5 ms; the cheapest costs 1 ms"),
        ("latency_ms<=fast", "--best latency_ms<=fast: expected a number above 0"),
        ("macs<=fast", "--best macs<=fast: expected a number such as 300000"),
        ("peak_memory<=1G", "--best peak_memory<=1G: peak memory was not measured"),
        ("accuracy<=0.5", "--best is knee, accuracy, macs<=N or params<=N or latency_ms<=N"),
    ],
)
def test_a_budget_that_cannot_be_kept_says_why(best, message):
    with pytest.raises(NoSuchTrial, match="^" + message.replace("(", r"\(")):
        choose(of_three(), best)


def test_what_can_be_minimized():
    assert MINIMIZED == ("macs", "params", "latency_ms", "peak_memory")
