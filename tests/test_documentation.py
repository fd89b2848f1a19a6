"""The reference of a search space has what the registries have."""

from __future__ import annotations

import re

import pytest

from nas.space.axes import AXES
from tests.conftest import ROOT

REFERENCE = next(
    file for file in (ROOT / "docs/search-space.md", ROOT / "README.md") if file.is_file()
).read_text(encoding="utf-8")


@pytest.mark.parametrize("axis", AXES.values(), ids=lambda axis: axis.name)
def test_every_axis_is_described_with_its_values(axis):
    (line,) = [line for line in REFERENCE.splitlines() if f"`{axis.name}`" in line][:1]
    values = axis.valid_values.split(", ")
    if len(values) > 1 and not axis.values and axis.valid_values != "true, false":
        after = line[line.index(f"`{axis.name}`") :]
        assert [value for value in values if not re.search(rf"\b{value}\b", after)] == []
