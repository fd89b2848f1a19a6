"""A race in a space file: what it says, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.space.design_section import LOOKS
from nas.space.errors import InputError
from nas.space.load import build_space, read_document
from tests.nas.planting import MATCHED

RACE = MATCHED.replace("design: {seeds: 3}", "design: {method: race}").replace(
    "confirm: {seeds: 8}\n", ""
)


def built(text: str):
    Path("race.yaml").write_text(text)
    return build_space(read_document("race.yaml"))


def problem(text: str) -> str:
    with pytest.raises(InputError) as error:
        built(text)
    (found,) = error.value.problems
    return str(found)


def test_the_looks_have_a_default():
    assert built(RACE).file.design.seeds_of_looks == LOOKS
    own = built(RACE.replace("race}", "race, looks: [2, 10]}"))
    assert own.file.design.seeds_of_looks == (2, 10)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("race}", "race, seeds: 4}", "a race has looks in place of seeds"),
        ("method: race", "looks: [4, 8]", "looks are of a race: add method: race"),
        ("{method: race}", "{controls: true}", "seeds is missing"),
        ("race}", "race, looks: [8, 4]}", "increase; got 8, 4"),
        ("race}", "race, looks: [1, 4]}", "from 2 on, and increase; got 1, 4"),
        ("match: {macs: 200K, tolerance: 6%}\n", "", "nothing makes their costs equal"),
        ("claim:", "confirm: {seeds: 4}\nclaim:", "a race judges as it goes"),
        ("[1, 2, C/8, C/4, C]", "[2, C/4, C]", None),
        ("[1, 2, C/8, C/4, C]\n  order: [plain, spatial_first]", "[1, 2]", "no depthwise end"),
        ("[1, 2, C/8, C/4, C]\n  order: [plain, spatial_first]", "[2, C]", "no regular end"),
        ("[1, 2, C/8, C/4, C]", "[1, C]", "no point between the ends"),
    ],
)
def test_what_a_race_needs(before, after, said):
    text = RACE.replace(before, after)
    assert text != RACE
    if said is None:
        built(text)  # a plain convolution is a regular end
    else:
        assert said in problem(text)
