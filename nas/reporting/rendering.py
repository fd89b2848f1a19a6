"""Templates of the report and the model card: whatever is filled into them is escaped."""

from __future__ import annotations

import functools
import re

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_MARKDOWN = re.compile(r"([\\`*_\[\]<>|&~$])")


def render_html(template: str, **values: object) -> str:
    """Fill a template of HTML; what is no `Markup` is escaped."""
    return _environment(markdown=False).get_template(template).render(values)


def render_markdown(template: str, **values: object) -> str:
    """Fill a template of Markdown; every text that is filled in is one line and no markup."""
    return _environment(markdown=True).get_template(template).render(values)


@functools.cache
def _environment(markdown: bool) -> Environment:
    # Jinja escapes for HTML alone, so Markdown is escaped as each value is printed.
    return Environment(
        loader=PackageLoader("nas.reporting"),
        autoescape=not markdown,
        finalize=_markdown_escaped if markdown else None,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _markdown_escaped(value: object) -> object:
    """Text of the data's makers, as a cell of a table: on one line, and nothing in it is markup."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    line = "".join(c if c.isprintable() else " " for c in value)
    return _MARKDOWN.sub(r"\\\1", line)
