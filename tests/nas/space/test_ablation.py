"""An ablation in a space file: what it says, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.space.ablation import ablation_of
from nas.space.errors import InputError
from nas.space.load import build_space, load_space, read_document
from nas.study.design import arms_of
from tests.conftest import ROOT
from tests.nas.analysis.test_ablation import ABLATION

DATA = ("data.source=synthetic", "data.limit=200")


def built(text: str):
    Path("ablation.yaml").write_text(text)
    return build_space(read_document("ablation.yaml"))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("design: {seeds: 8}", "", "the arms of a design are compared, and there is no design"),
        ("{seeds: 8}", "{method: race}", "a race is about the ends of the spectrum"),
        ("claim:", "confirm: {seeds: 4}\nclaim:", "none of which choose"),
        ("claim:", "tune: {activation: [none, relu]}\nclaim:", "differs in one choice alone"),
        ("[residual, activation]", "[residual, order]", "no arms differ in order alone"),
        ("[residual, activation]", "residual, on: test", "there are none"),
        ("[residual, activation]", "[residual, residual]", "listed 2 times: residual"),
        ("[residual, activation]", "[kernel]", "got 'kernel'"),
        (
            "  residual: [true, false]\n",
            "",
            "no arms differ in residual alone, in all blocks alike",
        ),
    ],
)
def test_what_an_ablation_needs(before, after, said):
    text = ABLATION.replace(before, after)
    assert text != ABLATION
    with pytest.raises(InputError) as error:
        built(text)
    assert any(said in str(problem) for problem in error.value.problems), str(error.value)


def test_one_axis_needs_no_list():
    assert built(ABLATION.replace("[residual, activation]", "residual")).file.claim.ablate == (
        "residual",
    )


def test_plain_convolutions_have_no_order_to_compare():
    text = ABLATION.replace("[residual, activation]", "order").replace(
        "activation: [none, relu, elu]", "order: [plain, spatial_first, pointwise_first]"
    )
    networks = {arm.name: arm.architecture for arm in arms_of(built(text))}
    found = ablation_of(networks, "order")
    assert found.choices == ("spatial_first", "pointwise_first")
    assert found.arms == 4  # two widths of a segment, with a residual and without


@pytest.mark.parametrize(
    ("file", "sizes", "is_matched"),
    [("ablations", (24, 16, 24), True), ("ablations-unmatched", (3, 2, None), False)],
)
def test_the_files_are_the_paper_s_figures_matched_and_as_they_are(file, sizes, is_matched):
    space = load_space(ROOT / f"search_spaces/{file}.yaml", DATA)
    assert (space.file.matched is not None) == is_matched
    networks = {arm.name: arm.architecture for arm in arms_of(space)}
    for axis, size in zip(("residual", "activation", "order"), sizes, strict=True):
        if size is not None:
            assert ablation_of(networks, axis).arms == size
            assert axis in space.file.claim.ablate
    assert ablation_of(networks, "activation").choices == ("none", "relu", "elu")
