"""What is wrong with something a user gave, and where: shown as a compiler shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nas.space.shown_text import shown_line

MAX_SHOWN = 100

Path = tuple[str | int, ...]
"""Where a value stands in a document: ``("network", "blocks", 0, "channels")``."""


def dotted(path: Path) -> str:
    """``network.blocks[0].channels``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass(frozen=True)
class Place:
    """A position in a file, both counted from one; or, with line 0, an option by its name."""

    source: str
    line: int = 0
    column: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source

    @property
    def excerpt(self) -> str:
        """The line itself, with its number."""
        return f"{self.line:5d} | {self.text}" if self.text.strip() else ""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        place: where it was written.
        message: the rule and the value.
        path: of the value in its document; empty for the document as a whole.
        hint: what to write instead.
    """

    place: Place
    message: str
    path: Path = ()
    hint: str = ""

    def __str__(self) -> str:
        subject = f"{dotted(self.path)}: " if self.path else ""
        place, message = shown_line(str(self.place)), shown_line(f"{subject}{self.message}")
        lines = [f"{place}: error: {message}", shown_line(self.place.excerpt)]
        if self.hint:
            lines.append(f"hint: {shown_line(self.hint)}")
        return "\n".join(line for line in lines if line)


class InputError(Exception):
    """Everything that is wrong with a file or an option; a command exits with status 2 on it.

    Its text shows the first hundred problems, in the order of the file.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(
            sorted(problems, key=lambda problem: (problem.place.line, problem.place.column))
        )
        lines = [str(problem) for problem in self.problems[:MAX_SHOWN]]
        if len(self.problems) > MAX_SHOWN:
            lines.append(f"... and {len(self.problems) - MAX_SHOWN:,} more")
        super().__init__("\n".join(lines))

    @classmethod
    def of(cls, source: str, message: str, hint: str = "") -> InputError:
        """One problem of an option or a whole file."""
        return cls([Problem(Place(source), message, hint=hint)])
