from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nas.space.errors import InputError
from nas.space.shown_text import printable
from nas.space.yaml_document import MAX_BYTES, assign, dump_yaml, override, parse_yaml, read_yaml


def value(text):
    document = parse_yaml(text, "file.yaml")
    assert not document.problems, document.problems
    return document.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-3", 1e-3),
        ("1.", 1.0),
        (".5", 0.5),
        ("0x1F", 31),
        ("0o17", 15),
        ("-7", -7),
        ("no", "no"),
        ("off", "off"),
        ("Yes", "Yes"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("1_000", "1_000"),
        ("12:30:00", "12:30:00"),
        ("2026-11-22", "2026-11-22"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("C/4", "C/4"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, expected):
    parsed = value(f"key: {text}")["key"]
    assert parsed == expected
    assert type(parsed) is type(expected)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: 1\na: 2", "2:1", "a: duplicate key; the first is in line 1"),
        ("a: &x 1", "1:4", "a: anchor &x is not allowed"),
        ("a: &x 1\nb: *x", "2:4", "b: alias *x is not allowed"),
        ("a: !!python/object:os.system 1", "1:4", "tag tag:yaml.org,2002:python/object:os.system"),
        ("&x name: a", "1:1", "name: anchor &x is not allowed"),
        ("!!str b: 1", "1:1", "b: tag tag:yaml.org,2002:str is not allowed"),
        ("! b: 1", "1:1", "b: tag ! is not allowed"),
        ("{a: 1, &y <<: {b: 1}}", "1:8", "merge key << is not allowed"),
        ("a: 1\n*x : 2", "2:1", "a key is plain text"),
        ("a:\n  <<: {b: 1}", "2:3", "merge key << is not allowed"),
        ("a: 1\n---\nb: 2", "2:1", "a second document starts here"),
        ("? [1, 2]\n: 3", "1:3", "a key is plain text"),
        ("a: .inf", "1:4", "a: numbers are finite; got .inf"),
        ("a: 1e999", "1:4", "a: number is too large: 1e999"),
        (f"a: {10**30}", "1:4", f"a: number is too large: {10**30}"),
    ],
)
def test_what_could_mean_something_else_than_it_seems_is_a_problem(text, place, message):
    document = parse_yaml(text, "file.yaml")
    assert any(
        str(problem).startswith(f"file.yaml:{place}: error:") and message in str(problem)
        for problem in document.problems
    ), document.problems


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: [1, 2", "2:1", "not YAML"),
        ("\ta: 1", "1:1", "not YAML: found character that cannot start any token"),
        ("a: b: c", "1:5", "not YAML: mapping values are not allowed"),
        ("a: \x00", "1:", "not YAML"),
        ("a: \udcff", " error", "not UTF-8"),
        ("[" * 40, "1:18", "nested more than 16 deep"),
        ("a: " + "{b: " * 40, "1:", "nested more than 16 deep"),
    ],
)
def test_text_that_is_not_yaml_is_one_problem_with_its_place(text, place, message):
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "file.yaml")
    assert str(caught.value).startswith(f"file.yaml:{place}")
    assert message in str(caught.value)


def test_unreadable_files_are_problems(tmp_path):
    cases = {
        "latin.yaml": (b"a: 1\nname: caf\xe9", "latin.yaml:2:10: error: not UTF-8: byte 0xe9"),
        "huge.yaml": (b"#" * (MAX_BYTES + 1), "huge.yaml: error: is larger than 1 MiB"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_yaml(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_yaml(tmp_path / "missing.yaml")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)


def test_a_byte_order_mark_is_not_part_of_the_first_key(tmp_path):
    (tmp_path / "windows.yaml").write_bytes(b"\xef\xbb\xbfname: x\r\ndata: 1\r\n")
    assert read_yaml(tmp_path / "windows.yaml").value == {"name": "x", "data": 1}


@given(st.text(max_size=200))
def test_any_text_gives_a_document_or_problems_and_nothing_else(text):
    with contextlib.suppress(InputError):
        parse_yaml(text, "file.yaml")


words = st.text(max_size=20) | st.from_regex(r"[-+.0-9eExXo~nultrfas:_<=]{1,6}", fullmatch=True)
floats = st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | floats | words | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20,
)


@given(plain)
@example({"name": "1e3", "a": "0o17", "b": "0x1F", "c": "", "d": "~", "e": ".inf", "f": "<<"})
@example({"<<": "on", "1": "2026-11-22", "": " x ", "&x": "*x", "!t": "!t", "a: b": "# c"})
@example({"a": 1e-05, "b": 1e300, "c": -0.0, "d": "line\nfeed\r\u2028\x85\ufeff\x00", "e": "😀"})
@example({"long": "many words " * 40, "w": "\u00e9 " * 200})
def test_what_is_dumped_is_read_as_it_was(data):
    document = parse_yaml(dump_yaml(data), "file.yaml")
    assert not document.problems
    assert repr(document.value) == repr(data)  # types and the order of keys too


def test_the_same_value_twice_is_dumped_twice():
    twice = [1, 2]
    assert value(dump_yaml({"a": twice, "b": twice})) == {"a": [1, 2], "b": [1, 2]}


def test_overrides_replace_values_and_keep_their_own_place():
    document = parse_yaml("training: {epochs: 8}\nblocks: [{channels: 4}]", "file.yaml")
    override(document, "training.epochs=3")
    override(document, "blocks[0].channels=[8, 16]")
    assign(document, ("study", "trials"), 5, "--trials")
    assign(document, ("name",), "1e3", "--study")
    assert document.problems == []
    assert document.value == {
        "training": {"epochs": 3},
        "blocks": [{"channels": [8, 16]}],
        "study": {"trials": 5},
        "name": "1e3",
    }
    assert str(document.place(("training", "epochs"))) == "--set training.epochs=3"
    assert str(document.place(("blocks", 0, "channels", 1))) == "--set blocks[0].channels=[8, 16]"
    assert str(document.place(("study", "trials"))) == "--trials"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("epochs", "expected NAME=VALUE"),
        ("=3", "expected NAME=VALUE"),
        ("a..b=3", "expected NAME=VALUE"),
        ("blocks[7].channels=3", r"there is no blocks\[7\] to set"),
        ("training.epochs.x=3", "there is no training.epochs.x to set"),
        ("training.epochs={", "training.epochs: not YAML"),
        ("training.epochs=\udcff", "training.epochs: not UTF-8"),
        ("training.epochs=&x 3", "training.epochs: anchor &x is not allowed"),
    ],
)
def test_wrong_overrides_name_the_option(assignment, message):
    document = parse_yaml("training: {epochs: 8}\nblocks: [{channels: 4}]", "file.yaml")
    override(document, assignment)
    with pytest.raises(InputError, match=message) as caught:
        raise InputError(document.problems)
    assert str(caught.value).startswith(f"--set {printable(assignment)}")
