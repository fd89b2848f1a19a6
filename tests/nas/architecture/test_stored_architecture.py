"""JSON of an architecture that anything may have written: the same network, or one type of error."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings

from nas.architecture.serialization import MAX_LENGTH
from nas.architecture.specification import MAX_BLOCKS, Architecture, ArchitectureError, Block, Stem
from nas.network.build import build_network
from tests.nas.strategies import architectures
from tests.trials.test_bounded_json import BREAKS_A_RULE, damaged

NETWORK = Architecture((1, 8, 8), 10, Stem((4,)), (Block((4,)),))
VALID = NETWORK.to_json()


def with_values(**values: object) -> str:
    return json.dumps(json.loads(VALID) | values)


WRONG = [
    *BREAKS_A_RULE,
    ("[" * 30 + "]" * 30, "architecture: expected an object; got [[["),
    (" " * MAX_LENGTH + VALID, "JSON has at most 1,048,576 characters"),
    (VALID[:-1] + ',"classes":3}', "a name stands once in an object; got 'classes' twice"),
    (with_values(norm_epsilon=float("nan")), "a number is finite; got NaN"),
    (VALID.replace(":10", ":" + "9" * 400), "a whole number has at most 64 bits; got 999"),
    (VALID.replace(":10", ":1e999"), "a number is finite; got 1e999"),
    (with_values(x="y" * 10**5, **{"z" * 10**5: 1}), "unknown field 'x'"),
    (with_values(classes="y" * 10**5), "classes: expected int; got 'yyy"),
    (with_values(stem={"channels": [4] * 9999 + [0]}), "stem channels are 1 to 65536; got [4, 4"),
    (with_values(blocks=[{"channels": [4]}] * 1025), "at most 1024 blocks; got 1025"),
]


@pytest.mark.parametrize(("text", "said"), WRONG, ids=range(len(WRONG)))
def test_what_is_out_of_bounds_is_refused_in_a_short_line(text, said):
    with pytest.raises(ArchitectureError) as caught:
        Architecture.from_json(text)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.timeout(20)
def test_a_megabyte_of_names_is_refused_at_once():
    names = json.dumps(dict.fromkeys(map(str, range(70_000)), 0))
    with pytest.raises(ArchitectureError, match="a name stands once in an object; got '69999'"):
        Architecture.from_json(names[:-1] + ', "69999": 0}')


def test_no_network_is_made_that_could_not_be_read_again():
    blocks = (Block((4,)),) * MAX_BLOCKS
    largest = replace(NETWORK, blocks=blocks)
    assert Architecture.from_json(largest.to_json()) == largest
    with pytest.raises(ArchitectureError, match="at most 1024 blocks; got 1025"):
        replace(NETWORK, blocks=(*blocks, Block((4,))))


@settings(max_examples=200, deadline=None)
@given(architectures().map(Architecture.to_json).flatmap(damaged))
def test_a_damaged_text_is_an_architecture_or_refused_with_one_type_of_error(text):
    with suppress(ArchitectureError):  # every other error is one too many
        assert Architecture.from_json(text).key


def test_a_network_that_would_take_all_memory_is_not_built():
    wide = Architecture.from_json(
        with_values(
            blocks=[{"channels": [65_536, 65_536], "point": {"order": "plain", "segments": 1}}]
        )
    )
    with pytest.raises(ArchitectureError, match="at most 2,147,483,648 parameters; got 38,65"):
        build_network(wide)
