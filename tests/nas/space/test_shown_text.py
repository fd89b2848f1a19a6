"""What is shown of an address, in messages, in `environment.json` and in the report."""

from __future__ import annotations

import os
import subprocess
from shutil import which

import pytest

from nas.space.shown_text import shown_address, shown_command, shown_line, shown_message

PLACEMENTS = [
    ["--storage", "postgresql://me:hunter2@db/studies"],
    ["--storage=postgresql://me:hunter2@db/studies"],
    ["--storage", "postgresql://me:hunter2@db/studies", "--storage", "sqlite:///x.db"],
    ["--storage=postgresql://me:hunter2@db/studies", "--storage=sqlite:///x.db"],
    ["--storage", "postgresql://:hunter2@db/studies"],
    ["--storage", "postgresql://me:hunter2@/studies?host=/tmp"],
    ["--storage", "postgresql://m/e:hunter2@db/studies"],
    ["--storage", "postgresql://me:hunter2"],
    ["--storage", "postgresql://me:hunter2/studies"],
    ["--storage", "postgresql://me:2hunter2?host=db"],
    ["--storage", "postgresql:///me:hunter2@db/studies"],
    ["--storage", "postgresql://me:no hunter2 no@db/studies"],
    ["--storage", "postgresql://me:a@hunter2@db/studies"],
    ["--storage", "postgresql://me:a/hunter2@db/studies"],
    ["--storage", "postgresql://me:a?hunter2@db/studies"],
    ["--storage", "postgresql://me:a#hunter2@db/studies"],
    ["--storage", "postgresql://me:a\nhunter2@db/studies"],
    ["--storage", "postgresql://me:a?key=b&c=hunter2@db/studies"],
    ["--storage", "postgresql://db:5432/studies?password=a@hunter2"],
    ["--storage", "postgresql://db/studies?password=a:b@hunter2"],
    ["--storage", "postgresql://db/studies?password=***hunter2"],
    ["--storage", "postgresql://db/studies?user=me&password=hunter2"],
    ["--storage", "postgresql://db/studies?password=hunter2&user=me"],
    ["--storage", "postgresql://db/studies?PassWord=hunter2"],
    ["--storage", "postgresql://db/studies?pass%77ord=no hunter2"],
    ["--storage", "postgresql://db/studies?sslpassword=hunter2"],
    ["--storage", "postgresql://db/studies?passwd=hunter2"],
    ["--storage", "postgresql://db/studies?pwd=hunter2"],
    ["--storage", "postgresql://db/studies?secret=hunter2"],
    ["--storage", "postgresql://db/studies?token=hunter2"],
    ["--storage", "postgresql://db/studies?a=1&api_key=hunter2"],
    ["--storage", "host=db password=hunter2", "--storage", "sqlite:///x.db"],
    ["--storage", "postgresql:me:hunter2@db", "--storage", "sqlite:///x.db"],
    ["--storage=host=db password=hunter2", "--storage", "sqlite:///x.db"],
    ["--set", "data.source=https://me:hunter2@host/data"],
    ["--set=data.source=https://host/data?token=hunter2"],
    ["--ray-address", "ray://me:hunter2@head:10001"],
    ["--ray-address=ray://head:10001?token=hunter2"],
    ["--output", "ftp://me:hunter2@host/a"],
    ["postgresql://me:hunter2@db/studies"],
]


@pytest.mark.parametrize("arguments", PLACEMENTS, ids=repr)
def test_a_password_is_not_shown_wherever_it_is_in_a_command(arguments):
    shown = shown_command(["--space", "space.yaml", *arguments, "--trials", "3"])
    assert "hunter2" not in shown
    assert shown.startswith("--space space.yaml ")
    assert shown.endswith(" --trials 3")
    assert shown_message(shown) == shown  # where it is part of a message


@pytest.mark.parametrize(
    "argument",
    [
        "sqlite:///runs/a b/study.db",
        "sqlite:///a%3Fb/study.db",
        "sqlite:///a:b@c/study.db",
        "postgresql+psycopg://me@db:5432/studies?sslmode=require&sslkey=me.key",
        "ray://head:10001",
        "ray://[::1]:10001/x",
        "postgresql://db:/x",
        "data.source=images:a@b:c",
        "data.source=hf:user/name@main?key=1",
        "a:b@c",
        "",
    ],
)
def test_what_has_no_secret_is_shown_as_it_is(argument):
    assert shown_address(argument) == argument


def test_what_is_left_out_is_seen():
    assert shown_address("postgresql://me:hunter2@db/x") == "postgresql://me:***@db/x"
    shown = shown_address("postgresql://db/x?password=hunter2&sslmode=require")
    assert shown == "postgresql://db/x?password=***&sslmode=require"


@pytest.mark.parametrize(
    ("character", "shown"),
    [
        ("\x1b", "\\x1b"),
        ("\r", "\\r"),
        ("\x9b", "\\x9b"),
        ("\u202e", "\\u202e"),
        ("\u2028", "\\u2028"),
        ("\udcff", "\\udcff"),
        ("é", "é"),
        ("日本", "日本"),
        ("\t", "\t"),
    ],
)
def test_no_text_moves_a_cursor_or_turns_what_follows(character, shown):
    assert shown_message(f"a{character}b\nc") == f"a{shown}b\nc"
    assert shown_line(f"a{character}b\nc") == f"a{shown}b\\nc"


@pytest.mark.skipif(which("bash") is None, reason="needs Bash")
@pytest.mark.parametrize(
    "argument", ["a b", "it's", "\x1b[2J'\\1", "\x9b", "a\nb", "a\udcffb", "é\x07f"]
)
def test_a_command_with_any_letters_is_shown_for_a_shell_in_harmless_ones(argument):
    line = shown_command(["printf", "%s", argument])
    assert line.isprintable()
    printed = subprocess.run(["bash", "-c", line], stdout=subprocess.PIPE, check=True).stdout
    assert os.fsdecode(printed) == argument


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("cannot fetch https://hf.co: 404 not found",) * 2,
        (
            "GET https://x.org/a?token=abc failed: 404, put it right",
            "GET https://x.org/a?token=*** failed: 404, put it right",
        ),
        ("tcp://10.0.0.1:6379 is gone: worker pid@node died of 137",) * 2,
    ],
)
def test_what_is_said_of_an_address_stays(said, shown):
    assert shown_line(said) == shown
