"""Where a study is."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.space.errors import InputError
from nas.study.location import locate_study


def test_a_study_is_found_beside_a_folder_of_its_name_with_something_else():
    """Such as the pictures that it was searched on."""
    Path("birds/train").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no study in birds\b"):
        locate_study("birds", None)
    Path("runs/birds").mkdir(parents=True)
    Path("runs/birds/space.yaml").write_text("name: birds\n")
    assert locate_study("birds", None).folder == Path("runs/birds")
    Path("birds/space.yaml").write_text("name: others\n")
    assert locate_study("birds", None).name == "others"
