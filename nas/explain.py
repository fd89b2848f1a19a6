"""Where an exported network sees a class: ``python -m nas.explain --model best --images DIR``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli import cli_errors, command, pictures_in, tell
from nas.network.exported_model import ExportedModel, NoModel
from nas.space.errors import InputError
from nas.space.shown_text import shown_line

if TYPE_CHECKING:
    from nas.network.explanation import Explainer

IMAGES = "Pictures, or folders of them; may be repeated."
OUTPUT = "Folder of the overlays and the page."

app = command()


@app.command()
def explain(
    model: Annotated[Path, typer.Option(help="Folder of an exported network.")],
    images: Annotated[list[Path], typer.Option(metavar="DIR|FILE", help=IMAGES)],
    output: Annotated[Path, typer.Option(help=OUTPUT)] = Path("explained"),
) -> None:
    """Draw over pictures what speaks for their most probable class (Grad-CAM)."""
    with cli_errors():
        explainer = _explainer(model)
        from nas.reporting.explanation_page import write_explanations

        pictures = list(pictures_in(images))
        unreadable = write_explanations(explainer, pictures, output, str(model))
        for file, reason in unreadable:
            tell(f"{shown_line(str(file))}: error: {shown_line(reason)}")
        print(output / "explain.html")
        if unreadable:
            raise typer.Exit(2)


def _explainer(folder: Path) -> Explainer:
    if find_spec("captum") is None:
        hint = "pip install 'separability-nas[explain]'"
        raise InputError.of("nas.explain", "needs captum", hint)
    from nas.network.explanation import Explainer

    try:
        return Explainer(ExportedModel(folder))
    except NoModel as error:
        raise InputError.of("--model", str(error)) from None


if __name__ == "__main__":
    app()
