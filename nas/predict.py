"""Classes of pictures by an exported network: ``python -m nas.predict --model best cat.png``."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from nas.cli import Style, StyleOption, cli_errors, command, pictures_in, tell
from nas.engine import terminal
from nas.network.exported_model import ExportedModel, NoModel, Prediction
from nas.network.formats import FORMATS
from nas.space.errors import InputError
from nas.space.shown_text import shown_line

FILES = "Pictures, or folders of them."
FORMAT = f"Format of the model: pytorch, {', '.join(FORMATS)}."

app = command()


@app.command()
def predict(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help=FILES)],
    model: Annotated[Path, typer.Option(help="Folder of an exported network.")],
    format_name: Annotated[str, typer.Option("--format", help=FORMAT)] = "pytorch",
    top: Annotated[int, typer.Option(min=1, help="Classes for each picture.")] = 5,
    style: StyleOption = Style.table,
) -> None:
    """Print the most probable classes of pictures; where they may have many, also which have."""
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
            tell(f"{shown_line(str(prediction.file))}: error: {shown_line(prediction.error)}")
        if unreadable:
            raise typer.Exit(2)


def _print(predictions: Sequence[Prediction], top: int, style: Style) -> None:
    rows = [p for p in predictions if not p.error]
    best = [list(p.probabilities.items())[:top] for p in rows]
    if style is Style.json:
        shown = [
            {"file": str(row.file)}
            | ({} if row.labels is None else {"labels": list(row.labels)})
            | {"classes": dict(found)}
            for row, found in zip(rows, best, strict=True)
        ]
        print(json.dumps(shown, indent=2, ensure_ascii=False))
    elif style is Style.csv:
        _print_csv(rows, best, top)
    elif rows:
        many = any(row.labels is not None for row in rows)
        if many:
            table = terminal.plain_table(("file", "labels"), ("probabilities",))
        else:
            table = terminal.plain_table(("file",), ("probability",), whole=("class",))
        table.add_column("then", overflow="fold")
        for row, found in zip(rows, best, strict=True):
            table.add_row(*map(terminal.plain_cell, _cells(row, found)))
        terminal.print_table(table, terminal.console())


def _print_csv(
    rows: Sequence[Prediction], best: Sequence[Sequence[tuple[str, float]]], top: int
) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    many = any(row.labels is not None for row in rows)
    ranks = range(1, top + 1)
    heads = [f"{what}{rank}" for rank in ranks for what in ("class", "p")]
    writer.writerow(["file", *(["labels"] if many else []), *heads])
    for row, found in zip(rows, best, strict=True):
        labels = [] if row.labels is None else ["|".join(row.labels)]
        cells = (part for name, p in found for part in (name, f"{p:.6f}"))
        writer.writerow([str(row.file), *labels, *cells])


def _cells(row: Prediction, best: Sequence[tuple[str, float]]) -> tuple[str, str, str, str]:
    """File, classes, their probabilities, and what is next: of many labels all that it has."""
    shown = 1 if row.labels is None else len(row.labels)
    chosen = list(row.probabilities.items())[:shown]
    names = ", ".join(name for name, _ in chosen) or "none"
    probabilities = ", ".join(f"{p:.3f}" for _, p in chosen)
    then = ", ".join(f"{name} {p:.3f}" for name, p in best[shown:])
    return str(row.file), names, probabilities, then


if __name__ == "__main__":
    app()
