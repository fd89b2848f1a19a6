"""What is shown and published of a study of several budgets."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nas.analysis.budgets import answer_budgets, published_budgets, read_budgets
from nas.report import app as report_app
from nas.reporting.budgets_text import across_table, claims_in_words
from nas.reporting.figures.budgets import TOGETHER, budgets_info, plot_budgets
from nas.study.location import StudyPlace
from nas.study.records import read_records
from nas.verdict import app as verdict_app
from tests.nas.commands import run
from tests.nas.engine.test_race import RACE
from tests.nas.planting import ENDS, URL, WINNER, Planted, search

TEXT = RACE.replace("macs: 200K", "macs: [200K, 300K, 400K]")
PLACE = StudyPlace("planted", Path("runs/planted"), URL)
_KEPT: list[Path] = []


@pytest.fixture
def found(monkeypatch, tmp_path_factory):
    """Searched and reported once; each test has a copy."""
    if not _KEPT:
        monkeypatch.setattr(
            "nas.reporting.figures.files.plotly.io.write_images", lambda *_, **__: 0
        )
        ended = search(monkeypatch, Planted({WINNER: 0.06}), text=TEXT, results=True)
        assert ended.exit_code == 0, ended.stderr + ended.stdout
        _KEPT.append(tmp_path_factory.mktemp("several") / "runs")
        shutil.copytree("runs", _KEPT[0])
        Path("said.txt").write_text(ended.stdout)
        shutil.copy("said.txt", _KEPT[0])
        shutil.rmtree("runs")
    shutil.copytree(_KEPT[0], "runs")
    return answer_budgets(read_budgets(PLACE, read_records(URL, "planted")))


@pytest.mark.usefixtures("found")
def test_a_search_ends_with_a_sentence_for_each_budget():
    said = Path("runs/said.txt").read_text()
    for budget in ("200K", "300K", "400K"):
        assert f"{budget}: An interior point wins: it beats every end" in " ".join(said.split())
    assert "budget 2 of 3: 300K" in said


def test_the_table_of_all_budgets(found):
    table = across_table(found)
    assert table.heads == (
        *("arm", "against", "200K", "300K", "400K", "together", "tau", "I²", "a new budget"),
    )
    rows = {(row[0], row[1]): row for row in table.rows}
    assert {end for arm, end in rows if arm == WINNER} == set(ENDS)
    assert not any(arm in ENDS for arm, _ in rows)
    arm = next(one for one in found.arms if (one.arm, one.end) == (WINNER, "plain"))
    assert arm.together.mean.mean == pytest.approx(0.06, abs=0.003)
    assert arm.together.new.lower <= arm.together.mean.lower
    first = arm.effects[0]
    row = rows[WINNER, "plain"]
    assert row[2] == f"{100 * first.difference:+.2f} ± {100 * first.error:.2f} ({first.seeds})"
    assert "partly out of luck" in table.note
    assert "decides nothing" in table.note
    assert "each a claim of its own" in claims_in_words(found)
    assert "3 times as probable" in claims_in_words(found)


def test_differences_at_a_budget_are_those_of_its_own_table(found):
    for one, number in zip(found.budgets, range(3), strict=True):
        own = one.answer.decision.arms[WINNER].against
        for arm in found.arms:
            if arm.arm == WINNER:
                assert arm.effects[number].difference == pytest.approx(own[arm.end].mean)


@pytest.mark.usefixtures("found")
def test_the_page_has_each_budget_and_all_together():
    page = Path("runs/planted/report.html").read_text()
    for budget in ("200K", "300K", "400K"):
        assert f'href="{budget}/report.html"' in page
        assert f"{budget} MACs" in page
        assert Path(f"runs/planted/{budget}/report.html").is_file()
    assert page.count('<div class="verdict supported">') == 3
    assert "All budgets together" in page
    assert 'id="budgets"' in page
    Path("runs/planted/report.html").unlink()
    run(report_app, "--study", "planted")
    assert Path("runs/planted/report.html").read_text() == page


def test_what_is_published_gives_the_same_answer(found):
    shutil.move("runs/planted", "published")
    Path("published/study.db").unlink()
    again = answer_budgets(published_budgets(Path("published")))
    assert again.arms == found.arms
    assert [one.answer.outcome for one in again.budgets] == ["supported"] * 3
    shown = " ".join(run(verdict_app, "--published", "published").output.split())
    assert shown.count("An interior point wins: it beats every end") == 3
    assert "each a claim of its own" in shown
    shutil.rmtree("published/300K")
    assert (
        "there is no measurements.csv"
        in run(verdict_app, "--published", "published", status=2).stderr
    )


def test_the_figure_has_a_mark_for_each_budget_and_one_for_all(found):
    info = budgets_info(found)
    assert info.ends == ENDS
    own = [mark for mark in info.marks if (mark.arm, mark.end) == (WINNER, "plain")]
    assert [mark.of for mark in own] == ["200K", "300K", "400K", TOGETHER]
    assert all(mark.lower <= mark.difference <= mark.upper for mark in info.marks)
    figure = plot_budgets(info)
    assert len(figure.data) == 4 * len(ENDS)
    assert {trace.name for trace in figure.data} == {"200K", "300K", "400K", TOGETHER}
