"""The readers of YAML and of JSON under atheris, which looks for bytes that reach new code.

``pip install atheris``, then ``python -m tests.fuzz.with_atheris yaml -max_total_time=600``, or
``json``; what is behind is libFuzzer's. An input that breaks the rule is left in a file.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["nas", "trials"]):
    from nas.architecture.specification import Architecture, ArchitectureError
    from nas.space.errors import InputError
    from nas.space.yaml_document import MAX_BYTES, read_yaml
    from trials.bounded_json import JsonError, read_json

FILE = Path("atheris-input")


def read_any_yaml(content: bytes) -> None:
    """A document, or a line about each thing that is wrong."""
    FILE.write_bytes(content[: MAX_BYTES + 1])
    try:
        problems = read_yaml(FILE).problems
    except InputError as error:
        problems = list(error.problems)
    for problem in problems:
        assert all(c.isprintable() or c in "\n\t" for c in str(problem)), problem


def read_any_json(content: bytes) -> None:
    """Data, or an error of one kind."""
    FILE.write_bytes(content)
    with suppress(JsonError):
        read_json(FILE)
    with suppress(ArchitectureError, JsonError):
        read_json(FILE, Architecture.from_json)


if __name__ == "__main__":
    reader = {"yaml": read_any_yaml, "json": read_any_json}[sys.argv.pop(1)]
    atheris.Setup(sys.argv, reader)
    atheris.Fuzz()
