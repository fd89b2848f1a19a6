"""What all commands share: their options, and errors that end them without a traceback."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from nas.architecture.presets import PresetError
from nas.architecture.reference import Reference
from nas.architecture.references import PUBLISHED
from nas.architecture.references import parse as parse_published
from nas.architecture.specification import Architecture, ArchitectureError
from nas.engine.signals import ended_by_requests
from nas.space.errors import InputError
from nas.space.shown_text import shown_command, shown_line, shown_message
from trials.bounded_json import JsonError, read_json
from trials.data import DataError
from trials.data.folders import pictures_below

_UsageError: Any = typer.BadParameter.__base__
"""What is wrong with an option by itself; its module depends on the version of Typer."""

_STUDY = typer.Option(help="Name of a study under runs/, or its folder.")
StudyOption = Annotated[str, _STUDY]
OptionalStudyOption = Annotated[str | None, _STUDY]
StorageOption = Annotated[
    str | None,
    typer.Option(help="Database URL; default: $NAS_STORAGE, or SQLite in the study's folder."),
]
TrialOption = Annotated[int | None, typer.Option(help="Number of the trial.")]
BestOption = Annotated[
    str, typer.Option(help="Choice where no trial is named: knee, accuracy or macs<=300K.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Any value of the space, such as training.epochs=3; may be repeated."
    ),
]
NoCacheOption = Annotated[
    bool,
    typer.Option("--no-cache", help="Decode all images into memory, whatever data.memory says."),
]
RayOption = Annotated[
    str | None, typer.Option(help="Address of a running Ray cluster; default: this machine.")
]
StallOption = Annotated[
    str, typer.Option(help="How long nothing may happen before it ends, such as 30m.")
]


NAMES = f"{', '.join(PUBLISHED)} [:option=value,...]"
"""How a published network is named."""


class Style(StrEnum):
    """How results are printed."""

    table = "table"
    csv = "csv"
    json = "json"


StyleOption = Annotated[Style, typer.Option("--as", help="Style of the output.")]


class _Command(TyperCommand):
    """One whose words about a wrong option show what was typed as all other messages do."""

    def make_context(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401  # of Typer's own click
        try:
            return super().make_context(*args, **more)
        except _UsageError as error:
            error.message = shown_line(error.message)
            raise


class _Program(typer.Typer):
    """A program of one command."""

    def command(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401  # a decorator
        return super().command(*args, cls=_Command, **more)


def command() -> typer.Typer:
    """A command-line program of this project."""
    return _Program(add_completion=False, pretty_exceptions_enable=False)


def fail(message: object, hint: str = "", status: int = 2) -> typer.Exit:
    """Say what is wrong; raise the result to end with this status."""
    text = str(message)
    tell(text if ": error: " in text else f"error: {text}")
    if hint:
        tell(f"hint: {hint}")
    return typer.Exit(status)


def tell(message: str) -> None:
    """Print what is no result."""
    print(shown_message(message), file=sys.stderr)


def read_architecture(path: Path) -> Architecture:
    """An architecture's JSON.

    Raises:
        InputError: the file has none.
    """
    try:
        return read_json(path, Architecture.from_json)
    except OSError as error:
        raise InputError.of(str(path), f"cannot be read: {error.strerror}") from None
    except (ArchitectureError, JsonError) as error:
        raise InputError.of(str(path), str(error)) from None


def published_network(text: str) -> Architecture | Reference:
    """A preset or a reference by its name and options, as they were typed.

    Raises:
        InputError: no such network, option or value.
    """
    try:
        return parse_published(text)
    except PresetError as error:
        raise InputError.of(text, str(error), error.hint) from None
    except ArchitectureError as error:
        raise InputError.of(text, str(error)) from None


def pictures_in(paths: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Folder and file of each picture: files as they are named, of folders what is in them.

    In the order of their names.
    """
    for path in paths:
        if path.is_dir():
            found = sorted(pictures_below(path))
            if not found:
                raise InputError.of(str(path), "there are no pictures in it")
            yield from ((path, file) for file in found)
        elif path.exists():
            yield path.parent, path
        else:
            raise InputError.of(str(path), "no such file")


@contextmanager
def resumable(module: str) -> Iterator[None]:
    """Asked to end, the process says its own command, which goes on where it was."""
    with ended_by_requests(resume_command(module)):
        yield


def resume_command(module: str) -> str:
    """How to go on, in words."""
    return f"resume with:\npython -m {module} {shown_command(sys.argv[1:])}"


@contextmanager
def cli_errors() -> Iterator[None]:
    """Turn what a user can put right into a message and status 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files that are not UTF-8, as on stderr
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
    except InputError as error:
        raise fail(error) from None
    except DataError as error:
        message = shown_line(f"data.{error.field}: {error}")
        raise fail(message, shown_line(error.hint)) from None
    except Exception as error:
        from nas.reporting.failures import explained  # it loads all that errors come from

        if (found := explained(error)) is None:
            raise
        raise fail(found.message, found.hint, found.status) from None
