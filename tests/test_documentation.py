"""README and docs are true, as far as it can be read off or run."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import get_args, get_origin

import pytest
import typer
import yaml
from pydantic.fields import FieldInfo
from typer.testing import CliRunner

import nas
from nas.space import load_space
from nas.space.axes import AXES
from nas.space.objectives import OBJECTIVES
from nas.space.quantities import parse_count
from nas.space.schema import Axes, BlockSection, NetworkSection, SpaceFile
from nas.space.section import Section
from tests.conftest import ROOT
from tests.nas.test_imports import MAY_IMPORT
from trials.data.raw_split import Source
from trials.recipe import RECIPES

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMMANDS = [name.removeprefix("nas-") for name in PROJECT["scripts"]]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "studies").rglob("*.md")),
]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TOOLS = {
    "python3", ".", "pip", "pytest", "mkdocs", "pre-commit", "optuna-dashboard", ".venv/bin/pip",
    ".venv/bin/ruff", ".venv/bin/mypy", ".venv/bin/pytest", "apt-get", "dpkg",
}  # fmt: skip
"""What else is called in the shell blocks."""


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def shell_commands() -> list[list[str]]:
    """Words of every command in a shell block, once."""
    lines = [line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines()]
    commands = [part for line in lines for part in line.split(" && ")]
    return [shlex.split(command, comments=True) for command in dict.fromkeys(commands)]


def ours(words: list[str]) -> tuple[str, list[str]] | None:
    """Which of our commands this calls, and with what; None of another program."""
    program, *rest = words
    if program.endswith(("python", "python3")) and rest[0] == "-m" and rest[1].startswith("nas."):
        return rest[1].removeprefix("nas."), rest[2:]
    return (program.removeprefix("nas-"), rest) if program.startswith("nas-") else None


OURS = [(name, words) for name, words in filter(None, map(ours, shell_commands()))]


def described(call: tuple[str, list[str]]) -> str:
    return shlex.join([call[0], *call[1]])


def command_of(name: str):
    return typer.main.get_command(import_module(f"nas.{name}").app)


def section(page: str, heading: str) -> str:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (found,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    return found


def rows(text: str) -> list[list[str]]:
    """Cells of the rows of its tables, the rulers left out."""
    lines = [
        line for line in text.splitlines() if line.startswith("|") and not line.startswith("|--")
    ]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


# Commands


def test_the_shell_blocks_hold_nothing_that_is_not_checked_here():
    for words in shell_commands():
        script = words[0] == "python" and (
            (ROOT / words[1]).is_file() or words[2] in ("tests.chaos", "tests.fuzz")
        )
        assert ours(words) or script or words[0] in TOOLS, words


@pytest.mark.parametrize("call", OURS, ids=described)
def test_a_command_is_one_that_the_command_line_takes(call):
    name, words = call
    command_of(name).make_context(name, list(words))  # raises what a user would be told
    for word in words:
        if word.startswith(("search_spaces/", "studies/")):
            assert (ROOT / word).exists()


DATA = ("data.source=", "data.resize")
"""Options about pictures that are not here."""


@pytest.mark.parametrize("call", [c for c in OURS if c[0] == "search"], ids=described)
def test_a_search_is_of_a_space_without_problems(call):
    """With all it sets; CIFAR-10 is replaced by synthetic images of its shape."""
    options = command_of("search").make_context("search", list(call[1])).params
    sets = [item for item in options["overrides"] or () if not item.startswith(DATA)]
    space = ROOT / options["space"]
    if yaml.safe_load(space.read_text())["data"]["source"] not in ("digits", "synthetic"):
        sets += ["data.source=synthetic", "data.shape=[3, 32, 32]", "data.classes=10"]
        sets += ["data.resize=null"]  # which is of pictures alone
    load_space(space, sets)


FAST = [
    (name, words)
    for name, words in OURS
    if (name == "describe" and not words[0].startswith("runs/"))
    or (name == "verdict" and "--published" in words and "--figures" not in words)
]


@pytest.mark.parametrize("call", FAST, ids=described)
def test_a_fast_command_runs(call, monkeypatch):
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(import_module(f"nas.{call[0]}").app, call[1])
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) > 3


@pytest.mark.parametrize(
    "words",
    [w for w in shell_commands() if w[:1] == ["python"] and "benchmarks/" in w[1]],
    ids=shlex.join,
)
def test_a_benchmark_takes_its_options(words, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")  # where Python looks first when it runs one
    app = typer.Typer()
    app.command()(runpy.run_path(str(ROOT / words[1]))["main"])
    typer.main.get_command(app).make_context(words[1], words[2:])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_described(name):
    options = {option for parameter in command_of(name).params for option in parameter.opts}
    table = rows(section("commands.md", f"nas-{name}"))
    written = {option for row in table for option in re.findall(r"`(--[a-z-]+)", row[0])}
    assert written == {option for option in options if option.startswith("--")} - {"--help"}


def test_every_command_is_a_program():
    files = {file.stem for file in (ROOT / "nas").glob("*.py")} - {"__init__", "cli"}
    assert PROJECT["scripts"] == {f"nas-{name}": f"nas.{name}:app" for name in files}


def test_ci_runs_the_test_command():
    lines = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    (command,) = [line for line in lines if "/pytest" in line]
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == command


def test_both_commands_install_what_was_tested():
    installing = [words for words in shell_commands() if "install" in words and "-e" in words]
    assert len(installing) >= 2
    assert all({"-c", "constraints.txt"} <= set(words) for words in installing)


@pytest.mark.ray
@pytest.mark.usefixtures("one_ray")
@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "docs" / "python-api.md"], ids=lambda page: page.stem
)
def test_python_runs_as_it_is_written(page, tmp_path, monkeypatch):
    """With fewer trials and epochs, and no report."""
    monkeypatch.setattr("nas.api.run_search._write_results", lambda *_: None)
    (tmp_path / "search_spaces").mkdir()
    space = (ROOT / "search_spaces" / "spectrum.yaml").read_text()
    (tmp_path / "search_spaces" / "spectrum.yaml").write_text(
        re.sub(r"epochs: \d+", "epochs: 1", space)
    )
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(re.sub(r"trials=\d+", "trials=3", block), str(page), "exec"), names)
    assert "network" in names


# What the pages say of the code


def keys_of(model: type[Section], prefix: str = "") -> dict[str, FieldInfo]:
    """Fields by name, those of a section inside it as `stem.channels`; blocks have their own table."""
    keys = {}
    for key, field in model.model_fields.items():
        inner = section_of(field)
        keys |= keys_of(inner, f"{key}.") if inner else {prefix + key: field}
    return keys


def section_of(field: FieldInfo) -> type[Section] | None:
    """The section that a field holds, an optional one too."""
    inside = () if get_origin(field.annotation) is tuple else get_args(field.annotation)
    types = (field.annotation, *inside)
    return next((t for t in types if isinstance(t, type) and issubclass(t, Section)), None)


TABLES = {
    **{name: keys_of(section_of(field)) for name, field in SpaceFile.model_fields.items() if section_of(field)},
    "network": {
        key: field
        for model in (NetworkSection, BlockSection)
        for key, field in keys_of(model).items()
        if key not in Axes.model_fields
    },
}  # fmt: skip
"""Keys of each section of the reference."""


@pytest.mark.parametrize("name", TABLES)
def test_every_key_of_a_search_space_is_described(name):
    written = {row[0].strip("`") for row in rows(section("search-space.md", name))}
    assert set(TABLES[name]) <= written


@pytest.mark.parametrize("name", TABLES)
def test_defaults_are_those_of_the_code(name):
    for key, default, *_ in rows(section("search-space.md", name)):
        field = TABLES[name].get(key.strip("`"))
        if field is not None and isinstance(field.default, str | int | float):
            assert yaml_value(default) == field.default, key


@pytest.mark.parametrize("axis", AXES.values(), ids=lambda axis: axis.name)
def test_every_axis_is_described_with_its_default_and_values(axis):
    table = {row[0].strip("`"): row for row in rows(section("search-space.md", "search"))}
    _, default, choices = table[axis.name]
    assert yaml_value(default) == axis.default
    values = axis.valid_values.split(", ")
    if len(values) > 1 and not axis.values:
        assert [value for value in values if not re.search(rf"\b{value}\b", choices)] == []


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=lambda objective: objective.name)
def test_every_objective_is_described(objective):
    table = {row[0].strip("`"): row for row in rows(section("search-space.md", "objectives"))}
    assert f"`{objective.name}`" in " ".join(table[objective.direction])


def yaml_value(cell: str) -> object:
    text = cell.strip("`")
    if re.fullmatch("[0-9]+[KMGT]", text):
        return parse_count(text)
    return float(text[:-1]) / 100 if text.endswith("%") else yaml.safe_load(text)


def test_the_recipes_are_those_of_the_code():
    heads, *table = [row for row in rows(section("search-space.md", "training")) if len(row) > 3]
    names = [head.strip("`") for head in heads[1:-1]]
    assert names == list(RECIPES)
    for row in table:
        values = [getattr(RECIPES[name], row[0].strip("`")) for name in names]
        shown = [None if cell == "none" else float(yaml.safe_load(cell)) for cell in row[1:-1]]
        assert shown == values, row[0]


def test_the_table_of_imports_is_the_one_that_is_tested():
    table = rows(section("architecture.md", "Who may import whom"))[1:]
    names = [re.findall(r"`([\w.]+)`", " ".join(row)) for row in table]
    assert {folder: set(others) for folder, *others in names} == MAY_IMPORT


def test_the_reference_has_every_public_name_and_every_folder():
    pages = (ROOT / "docs" / "reference").glob("*.md")
    named = {
        name for page in pages for name in re.findall(r"^::: ([\w.]+)", page.read_text(), re.M)
    }
    assert named == {f"nas.{name}" for name in nas.__all__} | set(MAY_IMPORT)


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == nas.__version__
    released = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert next(version for version in released if version != "Unreleased") == nas.__version__


def test_what_is_needed_is_pinned():
    extras = PROJECT["optional-dependencies"].values()
    needed = [*PROJECT["dependencies"], *(item for extra in extras for item in extra)]
    names = {re.split(r"[\[><= ]", item)[0] for item in needed} - {PROJECT["name"]}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    assert {name.lower().replace("_", "-") for name in names} <= pinned


# The pages themselves


def test_the_readme_fits_a_reader():
    assert len(README.splitlines()) <= 150


LINKS = [
    (page, target)
    for page in PAGES
    for target in re.findall(r"\]\((?!http)([^)]+)\)", page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("page", "target"), LINKS, ids=lambda value: getattr(value, "stem", value))
def test_every_link_leads_somewhere(page, target):
    file, _, anchor = target.partition("#")
    there = page.parent / file if file else page
    assert there.exists()
    if anchor:
        headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.M)
        assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_nothing_is_left_to_fill_in(page):
    assert not re.search(r"@@|TODO|FIXME|TBD", page.read_text(encoding="utf-8"))


def test_the_site_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "reference" / "index.html").is_file()


def test_what_a_data_source_has_is_named_where_one_is_added():
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    section = contributing.split("### A data source")[1].split("### ")[0]
    members = [name for name in vars(Source) if not name.startswith("_")]
    assert {"location", "splits", "read"} <= set(members)
    for name in members:
        assert re.search(rf"`{name}(\(|`)", section), name
