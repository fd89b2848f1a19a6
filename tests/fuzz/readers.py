"""What commands read files by, without the rest of the commands: a case takes milliseconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from nas.analysis.published import published_results
from nas.cli import cli_errors, read_architecture
from nas.space.load import build_space, read_document
from nas.study.location import study_in
from nas.study.records import read_records
from tests.fuzz.ground import IDENTITY
from trials.outbox import Outbox


def _outbox() -> None:
    Outbox(Path("runs/waiting/outbox", IDENTITY), lambda line: print(line, file=sys.stderr)).get(4)


READERS: dict[str, tuple[str, Callable[[], object]]] = {
    "read-space": ("space.yaml", lambda: build_space(read_document("space.yaml"))),
    "read-name": ("runs/small/space.yaml", lambda: study_in(Path("runs/small"))),
    "read-study": (
        "runs/small/study.db",
        lambda: read_records("sqlite:///runs/small/study.db", "small"),
    ),
    "read-architecture": (
        "architecture.json",
        lambda: read_architecture(Path("architecture.json")),
    ),
    "read-result": (f"runs/waiting/outbox/{IDENTITY}/4.json", _outbox),
    "read-plan": ("published/plan.json", lambda: published_results(Path("published"))),
    "read-measurements": (
        "published/measurements.csv",
        lambda: published_results(Path("published")),
    ),
}
"""By name: the file, and what reads it."""


def read(name: str) -> None:
    """As a command reads it: errors are said, and end with a status."""
    with cli_errors():
        READERS[name][1]()
