"""JSON from a disk or a database: what is out of bounds is refused in a line, whatever it is."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trials.measurements import MEASUREMENT
from trials.bounded_json import MAX_BYTES, JsonError, parse_json, read_json, shortened
from trials.measurement import from_json, to_json

BREAKS_A_RULE = [
    ('{"a": 1, "a": 2}', "a name stands once in an object; got 'a' twice"),
    ("9" * 5000, "a whole number has at most 64 bits; got 999"),
    (str(2**63), "a whole number has at most 64 bits"),
    (str(-(2**63) - 1), "a whole number has at most 64 bits"),
    ("[-1e999]", "a number is finite; got -1e999"),
    ("1e999", "a number is finite; got 1e999"),
    ("NaN", "a number is finite; got NaN"),
    ("[-Infinity]", "a number is finite; got -Infinity"),
    ("{'a': 1}", "not JSON: "),
    ("", "not JSON: "),
    (None, "expected JSON as text; got None"),
    (b"{}", "expected JSON as text; got b'{}'"),
]
"""Of an architecture, too."""

WRONG = [
    *BREAKS_A_RULE,
    ("[" * 100_000, "nested at most 32 deep"),
    ('{"a":' * 100_000, "nested at most 32 deep"),
    ('"' + "x" * MAX_BYTES + '"', "at most 16,777,216 characters"),
]


@pytest.mark.parametrize(("text", "said"), WRONG, ids=lambda value: shortened(value)[:12])
def test_json_out_of_bounds_is_refused_in_a_line(text, said):
    with pytest.raises(JsonError) as caught:
        parse_json(text)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


LARGE = {
    "quotes in a text that never ends": "[" + "[]," * 40 + '"' + '\\"' * 500_000,
    "backslashes in a text that never ends": "[" + "[]," * 40 + '"' + "\\" * 1_000_001,
    "texts": "[" + ",".join(['"[{\\\\\\""'] * 100_000) + ",]",
    "names": json.dumps(dict.fromkeys(map(str, range(70_000)), 0))[:-1] + ', "69999": 0}',
}
"""A megabyte each, which looks at every part of a text for every other would take minutes for."""


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", LARGE)
def test_a_large_text_of_any_kind_is_refused_at_once(name):
    with pytest.raises(JsonError):
        parse_json(LARGE[name])


def test_brackets_in_texts_are_no_nesting():
    text = json.dumps(["[" * 100, '\\"[{' * 50, "\\", {}, *([{}],) * 50])
    assert parse_json(text) == json.loads(text)
    with pytest.raises(JsonError, match="not JSON"):
        parse_json(text[:-1])
    with pytest.raises(JsonError, match="nested at most 32 deep"):
        parse_json(text[:-1] + "," + "[" * 32 + "]" * 33)
    assert parse_json(json.dumps(text)) == text


def test_a_file_is_read_up_to_its_limit_alone(tmp_path):
    file = tmp_path / "large.json"
    with file.open("wb") as opened:
        opened.truncate(2**30)  # of a gigabyte nothing is on the disk
    with pytest.raises(JsonError, match="at most 16,777,216 bytes"):
        read_json(file)
    file.write_bytes(b'["\xff"]')
    with pytest.raises(JsonError, match="not text in UTF-8: invalid start byte at byte 2"):
        read_json(file)
    file.write_text('["Zürich"]', encoding="utf-8")
    assert read_json(file) == ["Zürich"]


VALID = to_json([MEASUREMENT, replace(MEASUREMENT, state="failed", accuracy=None)])
VALUES = ["NaN", "1e999", "-1", "9" * 30, "null", '"x"', "[[[]]]", '{"a":' * 40]


@st.composite
def damaged(draw, valid: str) -> str:
    """A text that was cut, or has a part replaced or twice."""
    start = draw(st.integers(0, len(valid)))
    end = draw(st.integers(start, min(len(valid), start + 20)))
    parts = st.sampled_from(["", *VALUES]) | st.text(max_size=3) | st.just(valid[start:end] * 2)
    return draw(st.sampled_from([valid[:start], valid[:start] + draw(parts) + valid[end:]]))


@settings(max_examples=200, deadline=None)
@given(damaged(VALID))
def test_damaged_measurements_are_read_or_refused_with_one_type_of_error(text):
    with suppress(JsonError):  # every other error is one too many
        assert to_json(from_json(text))
