"""An answer on the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from nas.analysis.answer import AnyAnswer
from nas.analysis.budgets import BudgetsAnswer
from nas.engine.terminal import facts_table, plain_cell, plain_table, print_table
from nas.reporting import answer_text
from nas.reporting.answer_table import AnswerTable
from nas.reporting.answer_tables import answer_tables
from nas.reporting.budgets_text import across_table, claims_in_words


def print_answer(found: AnyAnswer, console: Console) -> None:
    """Print the verdict in a box, what it rests on, and the tables."""
    console.print(
        Panel(
            plain_cell(answer_text.headline(found)), title=plain_cell(found.study), box=box.ROUNDED
        )
    )
    console.print(facts_table((name, plain_cell(text)) for name, text in answer_text.facts(found)))
    for table in answer_tables(found):
        console.print()
        print_table(_plain(table), console)


def print_budgets(found: BudgetsAnswer, console: Console) -> None:
    """Print the answer of each budget, and what they show together."""
    for one in found.budgets:
        if one.answer is not None:
            print_answer(one.answer, console)
        else:
            console.print(plain_cell(f"{one.budget}: there is no answer yet"))
        console.print()
    across = across_table(found)
    console.print(plain_cell(f"{found.study}: {claims_in_words(found)}"))
    console.print()
    print_table(_plain(across), console)
    console.print(plain_cell(across.note))


def _plain(table: AnswerTable) -> Table:
    shown = plain_table()
    for position, head in enumerate(table.heads):
        shown.add_column(head, no_wrap=position == 0, overflow="fold")
    for row in table.rows:
        shown.add_row(*map(plain_cell, row))
    return shown
