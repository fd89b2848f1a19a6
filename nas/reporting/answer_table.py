"""A table of an answer: on a terminal, and in a report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AnswerTable:
    """Cells as text.

    Attributes:
        title: shown where the table is one of several sections.
        note: what a reader of the cells has to know.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
