"""The README keeps what it promises, as far as it can be read off."""

from __future__ import annotations

import re

import pytest
import typer

from nas.search import app
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Lines of its shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_ci_runs_the_test_command():
    (command,) = [line for line in commands() if line.endswith("pytest")]
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == command


def test_both_commands_install_what_was_tested():
    installing = [line for line in commands() if "pip install" in line]
    assert len(installing) == 2
    assert all("-c constraints.txt" in line for line in installing)
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().split()


def test_every_option_of_the_search_is_described():
    parameters = typer.main.get_command(app).params
    options = {option for parameter in parameters for option in parameter.opts}
    described = set(re.findall(r"(?<=[`| ])--[a-z-]+", README[: README.index("Results are in")]))
    assert options - described <= {"--help"}


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_every_link_leads_somewhere(target):
    assert (ROOT / target).exists()


def test_nothing_is_left_to_fill_in():
    assert "@@" not in README
    assert "TODO" not in README
