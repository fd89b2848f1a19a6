"""The Python API as people would guess it."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest
import torch

import nas
from nas.engine.outcome import SearchFailed
from nas.engine.stage import StageRunner
from nas.space.errors import InputError
from tests.nas.api.sections import SECTIONS
from tests.nas.driving import FAILED, measured


def test_a_space_from_keywords_from_a_mapping_and_from_a_file_is_the_same(tmp_path):
    (tmp_path / "space.yaml").write_text(nas_yaml(SECTIONS))
    from_file = nas.SearchSpace.from_yaml(tmp_path / "space.yaml")
    assert nas.SearchSpace(**SECTIONS) == nas.SearchSpace(SECTIONS) == from_file
    assert nas.SearchSpace(SECTIONS, study={"trials": 9}).file.study.trials == 9
    assert from_file.sample(seed=1).key == nas.SearchSpace(SECTIONS).sample(seed=1).key


def test_a_space_from_keywords_is_checked_as_a_file_is():
    search = {"segments": [1, 96, "C"], "activaton": ["relu"]}
    with pytest.raises(InputError) as caught:
        nas.SearchSpace(SECTIONS, search=search)
    message = str(caught.value)
    assert "search.segments[1]: 96 is more than the 6 channels of blocks[0]" in message
    assert "search.activaton: unknown key" in message
    assert "did you mean activation?" in message


@pytest.mark.usefixtures("without_ray")
def test_a_search_resumes_and_tells_callbacks():
    space = nas.SearchSpace(SECTIONS)
    heard = []
    study = nas.run_search(space, trials=3, output="out", callbacks=[heard.append])
    assert len(heard) == len(study.trials) == 3
    more = nas.run_search(space, trials=5, output="out", callbacks=[heard.append])
    assert len(more.trials) == len({trial.number for trial in heard}) == 5
    assert more.trials[:3] == study.trials
    assert nas.load_study("out").trials == more.trials
    assert repr(more) == "<Study mine: 5 complete trials, in out>"


@pytest.mark.usefixtures("without_ray")
def test_what_a_callback_raises_ends_the_search_which_can_be_resumed():
    def stop(_trial):
        raise StopIteration

    with pytest.raises(StopIteration):
        nas.run_search(SECTIONS, callbacks=[stop])
    assert [trial.state for trial in nas.load_study("mine").trials] == ["complete"]
    assert len(nas.run_search(SECTIONS).trials) == 4


@pytest.mark.usefixtures("without_ray")
def test_a_space_may_be_a_file_a_mapping_or_a_space(spaces):
    study = nas.run_search(spaces / "smoke.yaml", trials=1)
    assert study.name == "smoke"
    assert (study.folder / "space.yaml").is_file()


@pytest.mark.usefixtures("without_ray")
def test_bfloat16_is_refused_before_any_training_where_the_processor_has_none(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("trials.precision._has_bfloat16", lambda _: False)
    space = tmp_path / "space.yaml"
    training = SECTIONS["training"] | {"precision": "bfloat16"}
    space.write_text(nas_yaml(SECTIONS | {"training": training}))
    with pytest.raises(InputError) as caught:
        nas.run_search(space, trials=1)
    line, excerpt, hint = str(caught.value).splitlines()
    assert "training.precision: the cpu of this machine has no bfloat16 (avx512_bf16" in line
    assert "bfloat16" in excerpt
    assert hint == "hint: leave it out, or say float32"


@pytest.mark.usefixtures("without_ray")
def test_another_space_under_the_same_name_is_refused():
    nas.run_search(SECTIONS, trials=1)
    with pytest.raises(Exception, match=r"training.epochs"):
        nas.run_search(SECTIONS | {"training": {"epochs": 2, "batch_size": 16}})


def test_a_search_without_a_complete_trial_fails(monkeypatch):
    def run(_runner, driver, *_, **__):
        while (spec := driver.next()) is not None:
            driver.record(spec.trial, measured(driver, spec, **FAILED))

    monkeypatch.setattr(StageRunner, "run", run)
    with pytest.raises(SearchFailed, match="10 trials in a row have failed"):
        nas.run_search(SECTIONS, trials=20)


@pytest.mark.usefixtures("without_ray")
def test_any_sampler_of_optuna_may_be_passed():
    import optuna

    class Counting(optuna.samplers.RandomSampler):
        asked = 0

        def sample_independent(self, *arguments):
            self.asked += 1
            return super().sample_independent(*arguments)

    sampler = Counting(seed=3)
    study = nas.run_search(SECTIONS, sampler=sampler)
    assert len(study.trials) == 4
    assert sampler.asked >= 8


def nas_yaml(sections):
    from nas.space.yaml_document import dump_yaml

    return dump_yaml(sections)


# On the study of `tests.nas.conftest`, whose networks are trained.


def test_a_study_as_a_table(study):
    table = nas.load_study(study).dataframe()
    assert len(table) == 8
    assert {"accuracy", "macs", "params", "curve", "block0.segments"} <= set(table.columns)
    assert table["curve"].map(len).eq(2).all()
    assert table.index.name == "trial"
    best = table.sort_values("accuracy").iloc[-1]
    assert best.accuracy == nas.load_study(study).best("accuracy").accuracy


def test_the_front_and_the_best_of_a_study(study):
    found = nas.load_study(study)
    assert [t.macs for t in found.front] == sorted(t.macs for t in found.front)
    assert found.best("knee") in found.front
    assert found.best(3).number == 3
    budget = found.front[0].macs
    assert found.best(f"macs<={budget}").macs <= budget
    with pytest.raises(LookupError, match="no trial 99"):
        found.best(99)


@pytest.mark.parametrize("name", ["front", "hypervolume", "segments", "importance", "curves"])
def test_each_figure_of_the_report_is_a_method(study, name):
    found = nas.load_study(study)
    figure = getattr(found, f"plot_{name}")()
    assert isinstance(figure, go.Figure)
    assert figure.layout.title.text


def test_a_network_with_its_weights(study):
    found = nas.load_study(study)
    network = found.load("knee")
    images = torch.zeros(2, *found.best("knee").architecture.input_shape)
    assert network(images).shape == (2, 4)
    assert not network.training
    folder = found.export("exported", "knee")
    assert (folder / "model.py").is_file()


def test_there_is_no_such_study():
    with pytest.raises(InputError, match="there is no study in runs/nothing"):
        nas.load_study("nothing")
