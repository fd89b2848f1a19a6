"""Property tests draw the same examples in every process, whatever of the project it has loaded."""

from __future__ import annotations

from hypothesis.internal.conjecture import providers

import nas.architecture.width_search


def test_no_constants_of_the_project_are_drawn():
    assert nas.architecture.width_search.STEP == 1.1
    assert 1.1 not in providers._get_local_constants().floats
