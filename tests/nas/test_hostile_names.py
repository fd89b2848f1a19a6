"""Names and texts of others, in what is printed: none moves the cursor, is markup or ends in a traceback."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from typer.testing import CliRunner

from nas.engine.progress import SearchProgress
from nas.export import app as export_app
from nas.network.export import export_network
from nas.predict import app as predict_app
from nas.report import app as report_app
from nas.search import app as search_app
from tests.nas.exporting import SMALL, with_statistics
from tests.nas.mistakes import GOOD
from tests.nas.planting import SEARCH, Planted, search
from tests.nas.records import network, trial
from tests.trials.data_sets import encoded, numbered, pixels, write

SHORT = SEARCH.replace("trials: 10", "trials: 3").replace("{seeds: 6}", "none")
HOSTILE = "\x1b[2J\u202ereal\x9b1m"


def harmless(text: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in text)


def run(app, *arguments: object, status: int):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, f"{result.output}\n{result.exception!r}"
    return result


def test_a_study_whose_folder_has_any_name_is_searched_reported_and_resumed(monkeypatch):
    folder = Path(f"[/a] {HOSTILE}?b=c%41")
    first, again = Planted(), Planted()
    result = search(monkeypatch, first, "--output", str(folder), text=SHORT, results=True)
    assert result.exit_code == 0, result.output
    assert harmless(result.output)
    assert "[/a] \\x1b[2J\\u202ereal\\x9b1m?b=c%41/report.html" in result.stdout
    assert (folder / "report.html").is_file()
    assert list(Path().rglob("study.db")) == [folder / "study.db"]
    (folder / "report.html").unlink()
    run(report_app, "--study", folder, status=0)
    assert (folder / "report.html").is_file()
    assert search(monkeypatch, again, "--output", str(folder), text=SHORT).exit_code == 0
    assert again.trainings == []


def test_a_file_of_any_name_is_named_in_the_folder_as_one_line(monkeypatch):
    file = Path("x\nname: other \x1b.yaml")
    file.write_text(SHORT)
    result = search(monkeypatch, Planted(), "--space", str(file), text=SHORT)
    assert result.exit_code == 0, result.output
    first, second = Path("runs/planted/space.yaml").read_text().splitlines()[:2]
    assert first == "# As searched: x\\nname: other \\x1b.yaml with all options applied."
    assert second == "name: planted"


def test_classes_and_pictures_of_any_name_are_said_in_one_line(monkeypatch):
    names = [f"{HOSTILE}\nx", "dog"]
    for name in names:
        write(*numbered(f"data/{name}", 40), content=encoded(pixels(8, 8)))
    text = SHORT.replace("{source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4}",
                         "{source: images:data}")  # fmt: skip
    Path("data/dog/broken\nx.png").write_bytes(b"no picture")
    result = search(monkeypatch, Planted(), text=text)
    assert result.exit_code == 2
    assert harmless(result.stderr)
    assert "dog/broken\\nx.png" in result.stderr


def test_a_folder_whose_name_is_no_text_is_refused(monkeypatch):
    result = search(monkeypatch, Planted(), "--output", "a\udcff", text=SHORT)
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "--output: error: the name of a study's folder is UTF-8: a\\udcff",
        "hint: name another folder",
    ]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        (GOOD + '"\\e[2J\\u202E\\nx": 1\n', []),
        (GOOD + 'study: {sampler: "\\e[2J\\nx"}\n', []),
        (GOOD, ["--sampler", f"{HOSTILE}\nx"]),
        (GOOD, ["--set", f"{HOSTILE}\nx=1"]),
        (GOOD, ["--set", f"data.source=images:{HOSTILE}\nx"]),
        (GOOD, ["--budget", f"{HOSTILE}\nx"]),
        (GOOD, ["--storage", f"sqlite:///{HOSTILE}.db"]),
        (None, []),
    ],
)
def test_what_is_wrong_is_said_in_harmless_letters(text, arguments):
    file = Path("space.yaml" if text else f"{HOSTILE}\nx.yaml")
    if text:
        file.write_text(text)
    result = run(search_app, "--space", file, *arguments, status=2)
    assert harmless(result.stderr)
    assert re.search(r"\\x1b|\\e", result.stderr)
    lines = result.stderr.splitlines()
    assert not any(line.startswith("x") for line in lines)  # no line of its own


@pytest.mark.parametrize(
    "arguments",
    [
        ["--trials", HOSTILE],
        [f"--{HOSTILE}"],
        [HOSTILE],
        ["--cpus-per-trial", "postgresql://me:secret@db/x"],
    ],
)
def test_what_is_wrong_with_an_option_by_itself_is_said_in_harmless_letters(arguments):
    result = run(search_app, "--space", "space.yaml", *arguments, status=2)
    assert harmless(result.stderr)
    assert "Error" in result.stderr
    assert "secret" not in result.stderr


def test_the_names_that_a_database_has_are_said_in_harmless_letters():
    Path("s").mkdir()
    Path("s/space.yaml").write_text("name: mine\n")
    name = f"{HOSTILE}\nhint: run something"
    optuna.create_study(study_name=name, storage="sqlite:///s/study.db")
    result = run(export_app, "--study", "s", "--output", "out", status=2)
    assert harmless(result.stderr)
    assert "\nhint: run" not in result.stderr


@pytest.mark.parametrize("state", ["failed", "rejected"])
def test_why_a_trial_failed_is_one_harmless_line(capsys, state):
    shown = SearchProgress("spectrum", ("accuracy", "macs"), 5, {})
    record = trial(6, 0.5, network(), 1000.0)
    shown.finished(replace(record, state=state, reason=f"[/a] {HOSTILE}\nx"))
    shown.returned(7, f"[/a] {HOSTILE}\nx")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert harmless(line)
        assert line.endswith("[/a] \\x1b[2J\\u202ereal\\x9b1m\\nx")


@pytest.mark.parametrize("style", ["table", "csv", "json"])
def test_pictures_with_any_name_are_predicted(style):
    export_network(SMALL, with_statistics(SMALL), Path("best"))
    content = encoded(pixels(9, 8))
    names = [os.fsdecode(b"a\xff.png"), f"[b] {HOSTILE}.png"]
    write(*names, content=content)
    write("c\udcff.png", content=b"no picture")
    result = run(predict_app, "--model", "best", "--as", style, *names, "c\udcff.png", status=2)
    assert harmless(result.stderr)
    assert result.stderr.startswith("c\\udcff.png: error: ")
    if style == "table":
        assert harmless(result.stdout)
        assert "a\\udcff.png" in result.stdout
        assert "[b] \\x1b[2J" in result.stdout
    if style == "json":
        assert [row["file"] for row in json.loads(result.stdout)] == names
