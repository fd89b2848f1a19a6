"""What the rungs of a study cost, and whether they rank alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from nas.analysis.rungs import MOST_COMPARED, doubts, rungs_of
from nas.reporting.page import render
from nas.reporting.rungs import rungs_in_words, rungs_table
from nas.space.load import space_file
from nas.study.trial_record import RungResult
from tests.nas.records import network, study, trial

EPOCHS = (2, 6, 18)
ARCHITECTURE = network()


def climbed(*scores: tuple[float, ...]):
    """A study whose trials have these scores at their rungs; a training takes a second an epoch."""
    records = []
    for number, of_trial in enumerate(scores):
        rungs = tuple(
            RungResult(epochs, (score, 1000.0), float(epochs))
            for epochs, score in zip(EPOCHS, of_trial, strict=False)
        )
        record = replace(trial(number, of_trial[-1], ARCHITECTURE), rungs=rungs)
        if len(of_trial) < len(EPOCHS):
            record = replace(record, state="pruned", values=(), accuracy=None)
        records.append(record)
    found = study(*records)
    document = found.document | {"study": {"fidelity": {"rungs": EPOCHS}}}
    return replace(found, file=space_file(document), document=document)


ALIKE = [
    *((0.1,), (0.2,), (0.5, 0.6), (0.6, 0.7, 0.9), (0.7, 0.65), (0.8, 0.9, 0.8)),
    *((0.3 + 0.01 * i, 0.4 + 0.02 * i) for i in range(8)),
]


def test_each_rung_says_its_trials_their_cost_and_how_alike_the_next_one_ranks_them():
    lowest, middle, last = rungs_of(climbed(*ALIKE))
    assert [r.epochs for r in (lowest, middle, last)] == [2, 6, 18]
    assert [r.trials for r in (lowest, middle, last)] == [14, 12, 2]
    assert [r.promoted for r in (lowest, middle, last)] == [12, 2, 0]
    assert [r.seconds for r in (lowest, middle, last)] == [28.0, 72.0, 36.0]
    both = np.array([scores[:2] for scores in ALIKE if len(scores) > 1])
    assert lowest.agreement.tau == pytest.approx(stats.kendalltau(*both.T).statistic)
    assert lowest.agreement.lower <= lowest.agreement.tau <= lowest.agreement.upper
    assert middle.agreement is None  # two trials say nothing of an order
    assert list(doubts((lowest, middle, last))) == []
    assert list(rungs_in_words((lowest, middle, last))) == [
        "rungs: 14 trials trained for 2 epochs, 12 for 6, 2 for 18; 2 min 16 s of training"
    ]


def test_rungs_that_hardly_rank_alike_are_warned_of():
    opposite = [(0.1 * i, 1 - 0.1 * i) for i in range(10)]
    (doubt,) = doubts(rungs_of(climbed(*opposite)))
    assert doubt.startswith("2 and 6 epochs hardly rank alike the 10 trials that have both (tau -1")
    page = render(climbed(*opposite), {}, {})
    assert "<h2>Rungs</h2>" in page
    assert doubt in page


def test_of_few_trials_it_is_said_that_they_are_too_few_to_tell():
    nine = climbed(*[(0.1 * i, 1 - 0.1 * i) for i in range(9)])
    assert list(doubts(rungs_of(nine))) == []
    cells = [row[4] for row in rungs_table(rungs_of(nine)).rows]
    assert cells == ["too few to tell", "too few to tell", ""]


def test_the_page_counts_trials_in_every_state():
    states = ("complete", "failed", "pruned", "rejected", "waiting", "waiting", "running")
    trials = [
        replace(trial(n, 0.5, ARCHITECTURE), state=state, values=(0.5, 1.0) if not n else ())
        for n, state in enumerate(states)
    ]
    assert (
        "1 complete, 1 failed, 1 not promoted, 1 too slow to be trained, 2 to be trained yet, "
        "1 in training"
    ) in render(study(*trials), {}, {})


def test_a_study_without_rungs_says_nothing_of_them():
    plain = study(trial(0, 0.5, ARCHITECTURE))
    assert rungs_of(plain) == ()
    assert list(rungs_in_words(())) == []
    assert "<h2>Rungs</h2>" not in render(plain, {}, {})


def test_of_many_trials_some_are_compared():
    rng = np.random.default_rng(0)
    many = [(x, x + 0.01 * rng.random()) for x in rng.random(2 * MOST_COMPARED)]
    assert rungs_of(climbed(*many))[0].agreement.tau > 0.9
