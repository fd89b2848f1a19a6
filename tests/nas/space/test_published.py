"""Published networks as arms of a design: at the study's images, of its cost, and refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.architecture.cost import count_cost
from nas.architecture.presets import preset
from nas.space.errors import InputError
from nas.space.load import build_space, read_document
from nas.space.published import published_network
from nas.study.design import arms_of

PUBLISHED = """
name: planted
data: {source: synthetic, limit: 100, shape: [3, 32, 32], classes: 12}
network:
  stem: {channels: 16}
  blocks:
    - {channels: 16, stride: 2}
    - {channels: 24, stride: 2}
search: {scope: network, segments: [1, C/4, C]}
training: {epochs: 2, batch_size: 16}
match: {macs: 2M, tolerance: 2%}
design: {seeds: 3, arms: [xception, mobilenet, {preset: xception, segments: 4}, plain]}
"""
UNMATCHED = PUBLISHED.replace("match: {macs: 2M, tolerance: 2%}\n", "")


def built(text: str = PUBLISHED, *overrides: str):
    Path("published.yaml").write_text(text)
    return build_space(read_document("published.yaml", overrides))


def problems(*overrides: str) -> list[str]:
    with pytest.raises(InputError) as error:
        built(PUBLISHED, *overrides)
    return [str(problem) for problem in error.value.problems]


def test_they_are_arms_of_the_matched_cost_for_the_study_s_images():
    arms = {arm.name: arm for arm in arms_of(built())}
    assert list(arms) == ["1", "C/4", "C", "xception", "mobilenet", "xception:segments=4", "plain"]
    for name in list(arms)[3:]:
        network = arms[name].architecture
        assert arms[name].role == "published"
        assert (network.input_shape, network.classes) == ((3, 32, 32), 12)
        assert count_cost(network).macs == pytest.approx(2_000_000, rel=0.02)
    assert len(arms["xception"].architecture.blocks) == 14
    four = arms["xception:segments=4"].architecture
    assert {block.point.segments for block in four.blocks} == {4}
    assert {block.point.order for block in arms["plain"].architecture.blocks} == {"plain"}


def test_unmatched_they_are_as_wide_as_published():
    space = built(UNMATCHED)
    arms = {arm.name: arm.architecture for arm in arms_of(space)}
    assert arms["xception"] == preset("xception", classes=12, image_size=32)
    assert arms["mobilenet"] == preset("mobilenet", classes=12, image_size=32)
    assert arms["plain"].blocks[0].channels == (16,)


def test_an_arm_of_the_space_is_not_named_again():
    """Two arms of one name would be one whose trainings are wanted twice."""
    (problem,) = problems("search.order=[spatial_first, plain]", "design.arms=[mobilenet, plain]")
    assert "design.arms[1]: the space has an arm plain already" in problem
    built(PUBLISHED, "search.order=[spatial_first, plain]", "design.arms=[mobilenet]")


def test_images_may_be_oblong():
    space = built(UNMATCHED.replace("[3, 32, 32]", "[1, 32, 48]"))
    assert published_network(space, "mobilenet").input_shape == (1, 32, 48)


@pytest.mark.parametrize(("name", "smallest"), [("xception", 23), ("mobilenet", 17)])
def test_strides_that_leave_nothing_are_refused_with_the_smallest_image(name, smallest):
    size = f"data.shape=[3, 16, {smallest}]"
    problem = next(p for p in problems(size, f"design.arms={name}") if "design.arms" in p)
    assert f"{name} has more strides than images of 16 x {smallest} have room for" in problem
    assert f"the smallest that it fits is {smallest} x {smallest}" in problem
    assert "hint: larger images" in problem
    built(UNMATCHED, f"data.shape=[3, {smallest}, {smallest}]", f"design.arms={name}")


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ("[plain, resnet]", "design.arms[1]: preset is one of"),
        ("'xception:depth=3'", "xception has no option 'depth'"),
        ("[{preset: xception, classes: 10}]", "classes is that of the study's images"),
        ("[{segments: 4}]", "a mapping names a preset, as in {preset: xception, segments: 4}"),
        ("[3]", "must be the name of a published network; got 3"),
        ("[plain, plain]", "listed 2 times: plain"),
        ("['xception:segments=400']", "400 segments are more than the 64 channels"),
    ],
)
def test_what_is_none_is_refused(arms, said):
    assert any(said in problem for problem in problems(f"design.arms={arms}"))


def test_a_cost_that_no_width_has_is_a_problem_of_that_arm():
    found = problems("match.macs=9000", "design.arms=[mobilenet]", "match.tolerance=0.01%")
    assert any("mobilenet: no widths cost 9,000 MACs" in problem for problem in found)


def test_at_several_budgets_they_have_the_cost_of_each():
    small, large = built(PUBLISHED, "match.macs=[2M, 4M]", "match.tolerance=5%").budgets
    for space, macs in ((small, 2_000_000), (large, 4_000_000)):
        (found,) = [arm.architecture for arm in arms_of(space) if arm.name == "mobilenet"]
        assert count_cost(found).macs == pytest.approx(macs, rel=0.05)
    problem = next(p for p in problems("match.macs=[5000, 2M]") if "design.arms[0]" in p)
    assert "xception: no widths cost 5,000 MACs" in problem


def test_they_are_no_part_of_an_ablation():
    (problem,) = problems("claim.ablate=[residual]", "search.residual=[true, false]")
    assert "differ in one choice alone" in problem
