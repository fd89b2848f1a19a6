"""Everything a user can get wrong in a space: place, rule, value, hint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.space import load_space
from nas.space.errors import InputError
from tests.nas.mistakes import GOOD, shortened

SEARCH = GOOD[GOOD.index("search:") : GOOD.index("macs:")]

# What is replaced in the good file, by what, and the start of the problem's line and its text.
PROBLEMS = [
    # The file as a whole.
    ("name: spectrum\n", "", "1:1", "name is missing"),
    ("name: spectrum", "name: ../../etc", "1:7", "name: a name has at most 64 letters, digits, . _ and -"),
    ("name: spectrum", f"name: {'x' * 65}", "1:7", "name: a name has at most 64 letters"),
    ("name: spectrum", 'name: "spectrum\\n"', "1:7", "name: a name has at most 64 letters"),
    ("name: spectrum", "name: 3", "1:7", "name: must be a valid string; got 3"),
    ("name: spectrum", "nmae: spectrum", "1:1", "nmae: unknown key"),
    ("study: {", "studdy: {", "18:1", "studdy: unknown key"),
    ("study: {", "study: [", "18:", "not YAML"),
    (GOOD, "", "space.yaml", "a search space is empty"),
    (GOOD, "- 1\n", "1:1", "a search space must be a mapping of sections"),
    (GOOD, "name: x\nname: y\n", "2:1", "name: duplicate key; the first is in line 1"),
    # Data.
    ("source: synthetic", "source: digit", "3:11", "data.source: no such source: digit"),
    ("source: synthetic", "source: parquet:nowhere", "3:11", "data.source: no such folder: nowhere"),
    ("source: synthetic", "source: webdataset:{train,val}-*.tar", "3:11", "data.source: no such shard: train-*.tar, of {train,val}-*.tar"),
    ("source: synthetic", "source: npz:none.npz", "3:11", "data.source: no such file: none.npz"),
    ("source: synthetic", "source: ''", "3:11", "data.source: must have at least 1 character; got ''"),
    ("source: synthetic", "source: 5", "3:11", "data.source: must be a valid string; got 5"),
    ("validation: 0.2", "validation: 1.2", "4:15", "expected a fraction between 0 and 1; got 1.2"),
    ("validation: 0.2", "validation: 20", "4:15", "expected a fraction between 0 and 1; got 20"),
    ("validation: 0.2", "limit: 1", "4:10", "data.limit: must be greater than or equal to 2; got 1"),
    ("validation: 0.2", "shape: [3, 8]", "4:10", "data.shape: expected at least 3 items; got 2"),
    ("validation: 0.2", "classes: 1", "4:12", "must be greater than or equal to 2; got 1"),
    ("validation: 0.2", "limit: 10000000000000", "4:10", "data.limit: must be less than or equal to 100000000"),
    ("validation: 0.2", "limit: 100000000", "4:10", "data.limit: 100,000,000 images of 3 x 16 x 16 are"),
    ("validation: 0.2", "shape: [3, 5000, 8]\n  classes: 4", "4:10", "data.shape: an image has channels and a height and width up to 4096; got (3, 5000, 8)"),
    ("validation: 0.2", "resize: {size: [8]}", "4:18", "data.resize.size: the list is too short; got 1 items"),
    ("validation: 0.2", "shape: []", "4:10", "data.shape: expected at least 3 items; got none"),
    ("validation: 0.2", "shape: [3, 4, 8, 8, 8]", "4:10", "data.shape: expected at most 4 items; got 5"),
    ("validation: 0.2", "shape: [3, 8, 8, 8]\n  classes: 4", "4:10", "data.shape: four numbers are of clips, which frames:DIR and npz:FILE have; got synthetic"),
    ("source: synthetic", "source: frames:clips\n  shape: [3, 8, 8]", "4:10", "data.shape: clips have four numbers, [channels, frames, height, width]"),
    ("source: synthetic", "source: frames:none", "3:11", "data.source: no such folder: none"),
    # Successive halving.
    ("study: {", "study: {fidelity: {rungs: [2, 6, 6]}, ", "18:", "study.fidelity.rungs: epochs go up from rung to rung; got 6 after 6"),
    ("study: {", "study: {fidelity: {rungs: [2]}, ", "18:", "study.fidelity.rungs: expected at least two rungs; got 1"),
    ("study: {", "study: {fidelity: {rungs: [0, 8]}, ", "18:", "study.fidelity.rungs[0]: must be greater than or equal to 1; got 0"),
    ("study: {", "study: {fidelity: {rungs: [2, 8], reduction: 1}, ", "18:", "study.fidelity.reduction: must be greater than or equal to 2; got 1"),
    ("study: {", "study: {fidelity: {rungs: [2, 6]}, ", "16:", "training.epochs: the last of study.fidelity.rungs says 6, and this 8"),
    # Network.
    ("{channels: 24, stride: 1}", "24", "6:9", "network.stem: must be a mapping; got 24"),
    ("channels: 24, stride: 1", "channels: [], stride: 1", "6:20", "network.stem.channels: expected at least 1 item; got none"),
    ("{channels: 24, convs: 2", "{channels: []", "8:18", "network.blocks[0].channels: expected at least 1 item; got none"),
    ("{channels: 24, convs: 2, stride: 2}", "5", "8:7", "network.blocks[0]: must be a mapping; got 5"),
    ("repeat: 2}", "repeat: 256}" + 4 * "\n    - {channels: 48, repeat: 256}", "8:5", "network.blocks: a network has at most 1024 blocks, with repeats; got 1281"),
    ("channels: 24, stride: 1", "channels: 0, stride: 1", "6:20", "channels: must be greater"),
    ("channels: 24, stride: 1", "stride: 1", "6:3", "network.stem: channels is missing"),
    ("stride: 1}", "stride: 9}", "6:32", "network.stem.stride: must be less than or equal to 8; got 9"),
    ("stride: 1}", "stride: 1.0}", "6:32", "network.stem.stride: must be a valid integer; got 1.0"),
    ("convs: 2, stride: 2}", "convs: two, stride: 2}", "8:29", "convs: must be a valid integer; got 'two'"),
    ("convs: 2, stride: 2}", "convs: true, stride: 2}", "8:29", "convs: must be a valid integer; got True"),
    ("{channels: 24, convs: 2", "{channels: [24, 24, 24], convs: 2", "8:7", "2 convs have 3 channels"),
    ("repeat: 2", "repeat: 0", "9:51", "blocks[1].repeat: must be greater than or equal to 1; got 0"),
    ("repeat: 2", "reapeat: 2", "9:43", "network.blocks[1].reapeat: unknown key"),
    # Search.
    (SEARCH, "search:\n", "10:8", "search: must be a mapping; got nothing"),
    (SEARCH, "search: [1]\n", "10:9", "search: must be a mapping; got a list"),
    (SEARCH, "search: block\n", "10:9", "search: must be a mapping; got 'block'"),
    ("[1, 3, C/4, C]", "[1, 96, C]", "11:17", "search.segments[1]: 96 is more than the 24 channels of blocks[0]"),
    ("[1, 3, C/4, C]", "96", "11:13", "search.segments: 96 is more than the 24 channels of blocks[0]"),
    ("[1, 3, C/4, C]", "[C/96]", "11:14", "a segment of 96 channels is more than the 24 channels"),
    ("[1, 3, C/4, C]", "1..96", "11:13", "96 is more than the 24 channels of blocks[0]"),
    ("[1, 3, C/4, C]", "C..1", "11:13", "a range is written 1..C or 2..16; got 'C..1'"),
    ("[1, 3, C/4, C]", "8..2", "11:13", "a range goes up from 1 or more; got '8..2'"),
    ("[1, 3, C/4, C]", "[0]", "11:14", "segments are a count, C, or a width such as C/4; got '0'"),
    ("[1, 3, C/4, C]", "[C4]", "11:14", "segments are a count, C, or a width such as C/4; got 'C4'"),
    ("[1, 3, C/4, C]", "[1.5]", "11:14", "a width such as C/4; got '1.5'"),
    ("[1, 3, C/4, C]", "[3, 3]", "11:13", "a choice is listed 2 times: 3"),
    ("[1, 3, C/4, C]", "[]", "11:13", "expected at least one choice; got none"),
    ("[none, relu]", "[none, tanh]", "12:22", "search.activation[1]: must be 'none', 'relu'"),
    ("[spatial_first, pointwise_first]", "[first]", "13:11", "search.order[0]: must be 'spatial_first'"),
    ("[true, false]", "[yes, no]", "14:14", "search.residual[0]: must be a valid boolean; got 'yes'"),
    ("  residual: [true, false]", "  kernel: [2]", "14:12", "search.kernel[0]: must be 3, 5 or 7; got 2"),
    ("  residual: [true, false]", "  pointwise_groups: [1, 25]", "14:25", "25 is more than the 24 channels of blocks[0]"),
    ("  residual: [true, false]", "  dilatoin: [1]", "14:3", "search.dilatoin: unknown key"),
    ("  residual: [true, false]", "  scope: net", "14:10", "search.scope: must be 'block' or 'network'; got 'net'"),
    # Budget, training, objectives, study, resources.
    ("at_most: 100M", "at_most: 2MM", "15:17", "expected a number such as 300000, 300K or 2M; got '2MM'"),
    ("at_most: 100M", "at_most: 10K", "15:17", "10K is less than the cheapest architecture costs"),
    ("at_most: 100M", "match: 1K", "15:15", "no architecture in 20 tries"),
    ("at_most: 100M", "at_most: 2M, match: 1M", "15:7", "expected one of at_most and match"),
    ("at_most: 100M", "at_most: 100M, tolerance: 1%", "15:34", "macs.tolerance: at_most has no tolerance"),
    ("at_most: 100M", "match: 4M, tolerance: 0", "15:30", "expected a fraction between 0 and 1; got 0"),
    ("recipe: proxy", "recipe: prxy", "16:20", "training.recipe: must be 'proxy', 'imagenet', 'jft' or 'final'"),
    ("epochs: 8", "epochs: 0", "16:35", "training.epochs: must be greater than or equal to 1; got 0"),
    ("epochs: 8", "epochs: 1e3", "16:35", "training.epochs: must be a valid integer; got 1000.0"),
    ("epochs: 8", "precision: bf16", "16:38", "training.precision: must be 'float32' or 'bfloat16'; got 'bf16'"),
    ("epochs: 8", "precision: [float32]", "16:38", "training.precision: must be 'float32' or 'bfloat16'; got a list"),
    ("epochs: 8", "learning_rate: .inf", "16:42", "numbers are finite; got .inf"),
    ("minimize: macs", "minimize: [macs, flops]", "17:51", "objectives.minimize[1]: must be 'macs', 'params', 'latency_ms' or 'peak_memory'; got 'flops'"),
    ("minimize: macs", "minimize: [macs, macs]", "17:44", "objectives.minimize: a choice is listed 2 times: macs"),
    ("minimize: macs", "minimize: [macs, params, latency_ms]", "17:44", "objectives.minimize: expected at most 2 items; got 3"),
    ("minimize: macs", "minimize: [macs, peak_memory]", "17:51", "objectives.minimize[1]: peak_memory is measured on GPUs, and trials have none"),
    ("minimize: macs", "minimize: peak_memory", "17:44", "objectives.minimize: peak_memory is measured on GPUs, and trials have none"),
    ("minimize: macs", "minimize: flops", "17:44", "objectives.minimize: must be 'macs', 'params'"),
    ("sampler: tpe", "sampler: bayes", "18:30", "study.sampler: must be 'tpe', 'nsga2'"),
    ("sampler: tpe", "sampler: tpe, seed: -1", "18:", "duplicate key"),
    ("seed: 0}", "seed: -1}", "18:41", "study.seed: must be greater than or equal to 0; got -1"),
    ("cpus_per_trial: 1,", "cpus_per_trial: 0,", "19:29", "must be greater than 0; got 0"),
    ("gpus_per_trial: 0}", "gpus_per_trial: -1}", "19:48", "must be greater than or equal to 0; got -1"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "place", "message"), PROBLEMS, ids=shortened)
def test_a_wrong_space(old, new, place, message):
    assert GOOD.count(old) >= 1
    file = Path("space.yaml")
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        load_space(file)
    problems = [str(problem) for problem in caught.value.problems]
    start = place if place == "space.yaml" else f"space.yaml:{place}"
    assert any(f.startswith(start) and message in f.splitlines()[0] for f in problems), problems


def test_the_file_without_a_mistake_is_right():
    Path("space.yaml").write_text(GOOD)
    load_space("space.yaml")


def test_everything_wrong_is_reported_at_once_in_the_order_of_the_file():
    text = GOOD.replace("validation: 0.2", "validation: 2").replace("[1, 3, C/4, C]", "[1, 96]")
    text = text.replace("[none, relu]", "[tanh]").replace("epochs: 8", "epohcs: 8")
    Path("space.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        load_space("space.yaml")
    assert [problem.place.line for problem in caught.value.problems] == [4, 11, 12, 16]


def test_a_problem_shows_the_line_and_a_hint():
    Path("space.yaml").write_text(GOOD.replace("[1, 3, C/4, C]", "[1, 96, C]"))
    with pytest.raises(InputError) as caught:
        load_space("space.yaml")
    assert str(caught.value) == (
        "space.yaml:11:17: error: search.segments[1]: 96 is more than the 24 channels of blocks[0]\n"
        "   11 |   segments: [1, 96, C]\n"
        "hint: use a count up to 24, or a width such as C/4"
    )


def test_a_typo_does_not_hide_that_the_data_is_not_there():
    text = GOOD.replace("source: synthetic", "source: npz:none.npz").replace("epochs", "epohcs")
    Path("space.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        load_space("space.yaml")
    assert [problem.message for problem in caught.value.problems] == [
        "no such file: none.npz",
        "unknown key",
    ]


def test_a_great_many_problems_are_found_at_once_and_the_first_hundred_are_shown():
    items = ", ".join(["yes"] * 50_000)
    Path("space.yaml").write_text(GOOD.replace("true, false", items))
    with pytest.raises(InputError) as caught:
        load_space("space.yaml")
    assert len(caught.value.problems) == 50_000
    assert str(caught.value).count("must be a valid boolean") == 100
    assert str(caught.value).endswith("\n... and 49,900 more")


@pytest.mark.parametrize("macs", ["macs: {at_most: 100M}", "macs: {match: 100M}", ""])
def test_images_that_no_network_takes_are_a_problem_of_the_data(macs):
    np.savez("data.npz", images=np.zeros((20, 1, 4097), np.uint8), labels=np.arange(20) % 2)
    text = GOOD.replace("macs: {at_most: 100M}", macs)
    Path("space.yaml").write_text(text.replace("source: synthetic", "source: npz:data.npz"))
    with pytest.raises(InputError, match=r"^space.yaml:3:11: error: data.source: .* up to 4096"):
        load_space("space.yaml")


def test_a_misspelt_key_gets_its_likely_name():
    Path("space.yaml").write_text(GOOD.replace("epochs", "epohcs"))
    with pytest.raises(InputError, match=r"hint: did you mean epochs\?"):
        load_space("space.yaml")
