"""Classes of pictures by an exported network: ``python -m nas.predict --model best cat.png``."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from nas.cli import cli_errors, command
from nas.engine import terminal
from nas.network.exported_model import ExportedModel, NoModel, Prediction
from nas.network.formats import FORMATS
from nas.space.errors import InputError
from trials.data.folders import pictures_below


class Style(StrEnum):
    """How predictions are printed."""

    table = "table"
    csv = "csv"
    json = "json"


FILES = "Pictures, or folders of them."
FORMAT = f"Format of the model: pytorch, {', '.join(FORMATS)}."
STYLE = "Style of the output."

app = command()


@app.command()
def predict(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help=FILES)],
    model: Annotated[Path, typer.Option(help="Folder of an exported network.")],
    format_name: Annotated[str, typer.Option("--format", help=FORMAT)] = "pytorch",
    top: Annotated[int, typer.Option(min=1, help="Classes for each picture.")] = 5,
    style: Annotated[Style, typer.Option("--as", help=STYLE)] = Style.table,
) -> None:
    """Print the most probable classes of pictures."""
    with cli_errors():
        if format_name != "pytorch" and format_name not in FORMATS:
            hint = f"any of pytorch, {', '.join(FORMATS)}"
            raise InputError.of("--format", f"no such format: {format_name}", hint)
        try:
            exported = ExportedModel(model, format_name)
        except NoModel as error:
            raise InputError.of("--model", str(error)) from None
        predictions = list(exported.predict([file for _, file in pictures_in(files)]))
        _print(predictions, min(top, len(exported.classes)), style)
        unreadable = [p for p in predictions if p.error]
        for prediction in unreadable:
            print(f"{prediction.file}: error: {prediction.error}", file=sys.stderr)
        if unreadable:
            raise typer.Exit(2)


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


def _print(predictions: Sequence[Prediction], top: int, style: Style) -> None:
    rows = [(str(p.file), list(p.probabilities.items())[:top]) for p in predictions if not p.error]
    if style is Style.json:
        shown = [{"file": file, "classes": dict(found)} for file, found in rows]
        print(json.dumps(shown, indent=2, ensure_ascii=False))
    elif style is Style.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        ranks = range(1, top + 1)
        writer.writerow(["file", *(f"{what}{rank}" for rank in ranks for what in ("class", "p"))])
        for file, found in rows:
            writer.writerow([file, *(part for name, p in found for part in (name, f"{p:.6f}"))])
    else:
        table = terminal.plain_table(left=("file", "class"), right=("probability",))
        table.add_column("then")
        for file, ((name, p), *others) in rows:
            then = ", ".join(f"{other} {probability:.3f}" for other, probability in others)
            table.add_row(escape(file), escape(name), f"{p:.3f}", escape(then))
        terminal.console().print(table)


if __name__ == "__main__":
    app()
