"""Report, export, retrain and describe over a study that was made without Ray."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from nas.describe import app as describe_app
from nas.export import app as export_app
from nas.report import app as report_app
from nas.reporting import figures
from nas.reporting.export_trial import export_trial
from nas.reporting.figures import study_figures
from nas.retrain import app as retrain_app
from nas.space.load import build_space, read_document
from nas.study.importances import Importance
from nas.study.selection import NoSuchTrial, choose
from nas.study.trained_network import load_trained
from tests.nas.commands import run
from tests.nas.conftest import SPACE

SOURCE_ALONE = ("--format", "pytorch")
"""The other formats take seconds: `tests/nas/network/test_formats.py` is about them."""


# Which trial.


def test_the_best_trial_is_chosen_by_knee_accuracy_or_budget(records):
    most_accurate = choose(records, "accuracy")
    assert most_accurate.accuracy == max(t.accuracy for t in records.complete)
    equals = [t for t in records.complete if t.accuracy == most_accurate.accuracy]
    assert most_accurate.macs == min(t.macs for t in equals)
    assert choose(records, "knee") in records.front
    costs = sorted(t.macs for t in records.complete)
    budget = choose(records, f"macs<={costs[3]}")
    assert budget.macs <= costs[3]
    assert budget.accuracy == max(t.accuracy for t in records.complete if t.macs <= costs[3])
    assert choose(records, trial=3).number == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"best": "macs<=1"}, "no trial costs at most 1 MACs; the cheapest costs"),
        ({"best": "macs<=x"}, "expected a number such as 300000, 300K or 2M; got 'x'"),
        ({"best": "loss"}, "--best is knee, accuracy, macs<=N or params<=N"),
        ({"trial": 99}, "study small has no trial 99"),
    ],
)
def test_a_trial_that_is_not_there_is_named(records, options, message):
    with pytest.raises(NoSuchTrial, match=re.escape(message)):
        choose(records, **options)


# Export and retraining.


def test_export_by_trial_and_by_budget(study, records):
    result = run(export_app, *SOURCE_ALONE, "--study", study, "--trial", 2, "--output", "out")
    assert result.stdout == "trial 2 is in\nout\n"
    card = Path("out/README.md").read_text()
    record = choose(records, trial=2)
    assert f"| accuracy on the validation split | {record.accuracy:.4f} |" in card
    assert f"| multiply-accumulates (MACs) of an image | {record.macs:,} (" in card
    assert f"validation accuracy {record.accuracy:.4f}" in Path("out/model.py").read_text()
    most = max(t.macs for t in records.complete)
    result = run(
        export_app, *SOURCE_ALONE, "--study", study, "--best", f"macs<={most}", "--output", "out"
    )
    assert result.stdout == f"trial {choose(records, 'accuracy').number} is in\nout\n"


def test_weights_that_are_gone_are_trained_again_from_the_seed(study):
    weights = study / "weights" / "1.safetensors"
    run(export_app, *SOURCE_ALONE, "--study", study, "--trial", 1, "--output", "kept")
    content = weights.read_bytes()
    weights.unlink()
    try:
        result = run(export_app, *SOURCE_ALONE, "--study", study, "--trial", 1, "--output", "again")
    finally:
        weights.write_bytes(content)
    assert "training it again" in result.stderr
    kept, again = (load_file(Path(f, "weights.safetensors")) for f in ("kept", "again"))
    assert all(torch.equal(kept[name], again[name]) for name in kept.keys() | again.keys())


def test_weights_of_another_training_are_not_exported(study, records):
    first, second = (study / "weights" / f"{n}.safetensors" for n in (1, 2))
    content = second.read_bytes()
    second.write_bytes(first.read_bytes())
    try:
        result = run(export_app, *SOURCE_ALONE, "--study", study, "--trial", 2, "--output", "copy")
    finally:
        second.write_bytes(content)
    assert "2.safetensors are of another training; training it again" in result.stderr
    assert f"{records.trials[2].accuracy:.4f}" in Path("copy/README.md").read_text()


# The program of somebody who has the exported folder and PyTorch.
WITHOUT_THE_PROJECT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("nas", "trials", "safetensors", "ray", "optuna"):
            raise ImportError(f"{name} must not be needed")

sys.meta_path.insert(0, Refuse())
sys.path.insert(0, "exported")
import numpy, torch, model
with torch.inference_mode():
    logits = model.load()(torch.from_numpy(numpy.load("images.npy")))
numpy.save("logits.npy", logits.numpy())
"""


def test_the_export_computes_what_the_trained_network_does_without_this_project(study, records):
    def unevenness(record):  # segments that do not divide the channels
        return sum(block.point.segments in (2, 4) for block in record.architecture.blocks)

    record = max(records.complete, key=unevenness)
    assert unevenness(record)
    run(
        export_app,
        *SOURCE_ALONE,
        "--study",
        study,
        "--trial",
        record.number,
        "--output",
        "exported",
    )
    images = np.random.default_rng(0).normal(size=(16, 3, 8, 8)).astype(np.float32)
    np.save("images.npy", images)
    subprocess.run([sys.executable, "-c", WITHOUT_THE_PROJECT], check=True)
    with torch.inference_mode():
        expected = load_trained(records, record, study)(torch.from_numpy(images))
    np.testing.assert_allclose(np.load("logits.npy"), expected, atol=1e-5)


def test_retraining_takes_more_epochs_and_exports(study):
    result = run(retrain_app, "--study", study, "--trial", 0, "--epochs", 5, "--output", "long")
    shown = re.fullmatch(r"trial 0, 5 epochs: (accuracy 0\.\d{4}), in long\n", result.stdout)
    accuracy = shown[1]
    source, card = (Path("long", name).read_text() for name in ("model.py", "README.md"))
    assert f"Trained for 5 epochs: validation {accuracy}." in source
    assert f"{accuracy.removeprefix('accuracy ')} |" in card
    assert "| proxy recipe, 5 epochs, batches of 16, " in card


def test_changed_data_is_not_trained_on(study, monkeypatch):
    monkeypatch.setattr("trials.data.loading.SPLIT_SEED", 1)
    result = run(retrain_app, "--study", study, "--trial", 0, "--output", "x", status=2)
    assert "the images are not those of the study" in result.stderr
    assert not Path("x").exists()


def test_a_study_is_found_by_its_name_under_runs(study, monkeypatch):
    monkeypatch.chdir(study.parent.parent)
    assert run(report_app, "--study", "small").stdout == "runs/small/report.html\n"
    assert "studies here: small" in run(report_app, "--study", "smal", status=2).stderr


def test_a_mean_over_seeds_is_not_called_the_accuracy_of_the_weights(study, records):
    """The weights are those of the first seed; trained again, their own accuracy is known."""
    record = replace(choose(records, trial=1), seeds=(*choose(records, trial=1).seeds, 8, 9))
    export_trial(records, replace(record, accuracy=0.0), study, Path("mean"))
    export_trial(records, replace(record, accuracy=0.0), Path("nowhere"), Path("again"))
    for name in ("README.md", "model.py"):
        assert (
            "0.0000 (mean of 3 seeds; these weights: the first)" in Path("mean", name).read_text()
        )
        assert f"{records.trials[1].accuracy:.4f}" in Path("again", name).read_text()
        assert "seeds;" not in Path("again", name).read_text()


# Report and figures.


def test_the_report_is_one_page_that_needs_no_network(study):
    run(report_app, "--study", study)
    page = (study / "report.html").read_text()
    body = page.split("</script>", 1)[1]
    assert not re.search(r"(src|href)\s*=", body.replace("data-src", ""))
    assert "plotly.js" in page
    for name in ("front", "hypervolume", "segments", "importance", "curves"):
        assert f'id="{name}"' in page


def test_the_report_escapes_what_it_shows(records):
    from nas.reporting.page import render

    document = records.document | {"data": {"source": "<script>alert(1)</script>"}}
    page = render(replace(records, name="<b>", document=document), {}, {})
    assert "<script>alert(1)</script>" not in page
    assert "<title>&lt;b&gt;" in page


def test_the_front_as_csv(study, records):
    run(report_app, "--study", study)
    rows = list(csv.DictReader((study / "front.csv").open()))
    assert [int(row["trial"]) for row in rows] == [t.number for t in records.front]
    assert [int(row["macs"]) for row in rows] == sorted(int(row["macs"]) for row in rows)
    assert all(float(row["accuracy"]) > 0 for row in rows)
    assert json.loads(rows[0]["architecture"])["classes"] == 4


def test_the_front_figure_shows_every_trial_once(records):
    info = figures.front_info(records)
    shown = [*info.dominated, *info.front]
    assert sorted(point.trial for point in shown) == [t.number for t in records.complete]
    assert [point.cost for point in info.front] == sorted(point.cost for point in info.front)
    assert [point.score for point in info.front] == sorted(p.score for p in info.front)
    assert info.knee in {point.trial for point in info.front}
    assert all(len(point.architecture) == 3 for point in shown)  # the stem and two blocks


def test_the_hypervolume_grows_and_ends_at_that_of_the_front(records):
    info = figures.hypervolume_info(records)
    assert len(info.shares) == len(records.complete)
    assert list(info.shares) == sorted(info.shares)
    assert 0 < info.shares[-1] < 1
    # By hand: strips between the costs of the front, up to the most expensive trial.
    front = [(t.accuracy, t.macs) for t in records.front]
    ends = [macs for _, macs in front[1:]] + [info.reference[1]]
    area = sum(a * (end - macs) for (a, macs), end in zip(front, ends, strict=True))
    assert info.shares[-1] == pytest.approx(area / info.reference[1])


def test_the_segments_figure_has_each_block_of_each_trial_from_regular_to_depthwise(records):
    info = figures.segments_info(records)
    assert sum(len(group.trials) for group in info.groups) == 2 * len(records.complete)
    order = [choice for choice in ("plain", "1", "2", "4", "C") if choice in info.choices]
    assert list(info.choices) == order


def test_curves_are_those_of_the_front(records):
    info = figures.curves_info(records)
    assert [curve for _, curve in info.curves] == [t.curve for t in records.front]
    assert all(len(curve) == 2 for _, curve in info.curves)


def test_importances_are_shown_largest_first():
    shares = {"a": 0.1, "b": 0.7, "c": 0.2}
    info = figures.importance_info([Importance(n, share, 0.0, 1.0) for n, share in shares.items()])
    assert [found.parameter for found in info.shares] == ["b", "c", "a"]


def test_every_figure_can_be_drawn_of_nothing(records):
    for figure in study_figures(replace(records, trials=()), ()).values():
        assert figure.to_dict()["layout"]["title"]["text"]


# Description.


def test_a_space_is_described_with_its_size_costs_and_an_architecture():
    Path("space.yaml").write_text(SPACE)
    out = run(describe_app, "space.yaml").output
    assert "combinations          81 (81)" in out  # (4 counts x 2 activations + plain) squared
    space = build_space(read_document("space.yaml"))
    low, high = space.macs_range
    assert f"{low:,} to {high:,} MACs" in out
    assert space.sample(0).key in out


def test_a_space_of_more_architectures_than_can_be_written_is_described():
    Path("space.yaml").write_text(SPACE)
    blocks = "network.blocks=[{channels: 128, repeat: 130}]"
    out = run(describe_app, "space.yaml", "--set", blocks, "--set", "search.segments=1..C").output
    assert re.search(r"combinations +10\^3\d\d\b", out)


def test_an_architecture_is_described_layer_by_layer(study, records):
    run(export_app, *SOURCE_ALONE, "--study", study, "--trial", 0, "--output", "out")
    out = run(describe_app, "out/architecture.json", "--svg", "drawn.svg").output
    assert Path("drawn.svg").read_text() == Path("out/architecture.svg").read_text()
    record = choose(records, trial=0)
    assert f"{record.params:,} parameters, {record.macs:,} MACs ({2 * record.macs:,} FLOPs)" in out
    table = [line for line in out.splitlines() if re.match(r"(stem|blocks|linear)", line)]
    macs = [
        int(line.split()[-1].replace(",", ""))
        for line in table
        if "conv" in line or "linear" in line
    ]
    assert sum(macs) == record.macs


def test_presets_are_described():
    out = run(describe_app, "xception").output
    assert "22,855,952 parameters, 8,357,403,496 MACs" in out
    assert "ptflops counts 8,357,403,496 MACs: the same" in out


def test_the_shipped_spaces_are_described_without_their_data(spaces):
    for file in sorted(spaces.glob("*.yaml")):
        name = yaml.safe_load(file.read_text())["name"]
        assert run(describe_app, file).output.startswith(name)
