"""Runs a command in the test's own process."""

from __future__ import annotations

from typer.testing import CliRunner


def run(app, *arguments: object, status: int = 0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, f"{result.output}\n{result.exception!r}"
    return result
