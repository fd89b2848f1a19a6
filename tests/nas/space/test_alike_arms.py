"""Arms that are the same network, or nearly, are named, and refused where that is asked for."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from nas.describe import app
from nas.space.alike_arms import alike_arms
from nas.space.errors import InputError
from nas.space.load import load_space
from tests.nas.planting import MATCHED

PLAIN = MATCHED.replace("match: {macs: 200K, tolerance: 6%}\n", "")
CHOICES = "segments: [1, 2, C/8, C/4, C]"
NEARLY = PLAIN.replace(CHOICES, "segments: [2, C/8, C]").replace(
    "- {channels: 16, stride: 2}", "- {channels: 24, stride: 2}"
)
"""The blocks receive 16 and 24 channels: C/8 makes two and three segments."""


def space(tmp_path, text, *overrides):
    file = tmp_path / "space.yaml"
    file.write_text(text)
    return load_space(file, list(overrides))


def test_the_same_network_under_two_names_is_one_arm_and_said(tmp_path):
    """Both blocks receive 16 channels."""
    text = PLAIN.replace(CHOICES, "segments: [2, C/8, C]")
    assert list(alike_arms(space(tmp_path, text))) == [
        "2, spatial first and C/8, spatial first are the same network: one arm"
    ]


def test_one_segment_more_in_one_block_is_said(tmp_path):
    assert list(alike_arms(space(tmp_path, NEARLY))) == [
        "2, spatial first and C/8, spatial first have as many segments but for one segment in one "
        "block"
    ]


def test_arms_of_another_order_or_of_other_segments_are_not_alike(tmp_path):
    text = PLAIN.replace(CHOICES, "segments: [1, 4, C]")
    text = text.replace("order: [plain, spatial_first]", "order: [spatial_first, pointwise_first]")
    assert list(alike_arms(space(tmp_path, text))) == []


def test_a_design_may_refuse_them(tmp_path):
    with pytest.raises(InputError, match=r"design\.duplicates: 2, spatial first and C/8") as error:
        space(tmp_path, NEARLY, "design.duplicates=refuse")
    assert "hint: leave one of them out" in str(error.value)


def test_describe_names_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.yaml").write_text(NEARLY)
    result = CliRunner().invoke(app, ["space.yaml"])
    assert "note: 2, spatial first and C/8, spatial first have as many segments" in result.stdout
