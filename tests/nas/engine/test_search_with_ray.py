"""`python -m nas.search` as a user runs it: a real Ray, real databases, real kills."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import tempfile
from pathlib import Path

import psutil
import pytest
import torch
import yaml

from nas.study.records import read_records
from tests.nas.searching import SMOKE, count, searching, states, url_of
from trials.store import Store

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

SLOW = ("--epochs", "40", "--set", "data.limit=400")
"""Trials of about a second on a fast machine, so that there is time to interfere."""


def search(*arguments, space=SMOKE, status=0, **environment):
    with searching(*arguments, space=space, **environment) as run:
        ended = run.wait()
        assert ended == status, f"{run.out}\n{run.err}"
        return run


def test_a_search_ends_with_all_its_results():
    with searching() as run:
        run.until(lambda: len(run.workers()) > 0)
        assert run.wait() == 0, run.err
        assert run.left_behind() == []

    # A line for each trial, and nothing from Ray, Tune or Optuna.
    lines = run.out.splitlines()
    assert lines[0] == (
        "smoke: 1.09K architectures, 160 training and 40 validation images, 0 of 6 trials are complete"
    )
    assert lines[1] == "data: 4 classes of 40 training images, 3 x 8 x 8"
    assert [line.split("  ")[0] for line in lines[2:8]] == [f"{n}/6" for n in range(1, 7)]
    assert all("accuracy 0." in line and "MACs" in line for line in lines[2:8])
    assert lines[8].startswith("front of ")
    # Paths and addresses on lines of their own, so that a narrow terminal leaves them whole.
    database = "optuna-dashboard sqlite:///runs/smoke/study.db"
    assert lines[9:14] == [
        "runs/smoke/best", "report:", "runs/smoke/report.html", "dashboard:", database,
    ]  # fmt: skip
    (said,) = lines[14:]
    assert said.startswith("note: This front is not confirmed by fresh seeds: the best of 6 look")
    assert run.err == ""

    folder = Path("runs/smoke")
    assert states(url_of()) == {"COMPLETE": 6}
    records = read_records(url_of(), "smoke")

    # The space as searched runs again; the environment says where this was.
    assert yaml.safe_load((folder / "space.yaml").read_text()) == yaml.safe_load(SMOKE.read_text())
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert environment["data"] == records.data.fingerprint
    assert environment["threads_per_trial"] == 1

    # Front, report and export.
    rows = (folder / "front.csv").read_text().splitlines()
    assert len(rows) == 1 + len(records.front)
    report = (folder / "report.html").read_text()
    page = re.sub(r"(<script[^>]*>).*?</script>", r"\1", report, flags=re.DOTALL)
    assert page.count("<script") >= 6
    assert not re.search(r"<[^>]*\b(src|href)=", page)  # needs no network
    assert all(f'id="{name}"' in report for name in ("front", "hypervolume", "segments", "curves"))
    assert sorted(file.name for file in (folder / "best").iterdir()) == [
        "README.md", "architecture.json", "architecture.svg", "confusion.json", "model.py",
        "weights.safetensors",
    ]  # fmt: skip

    # Two workers did it all, each holding its process for many trials.
    measurements = Store(url_of()).all()
    assert len({m.worker for m in measurements}) <= 2
    assert all(m.threads == 1 for m in measurements)
    assert not list((folder / "outbox").rglob("*.json"))


# What the driver's own tests cannot have: workers that are orphaned with their trials, a server that
# a connection with a lock was torn from, and results that were half written.
KILLS = [
    ("while the first trials train", "sqlite", lambda url: count(url, "running") == 2),
    ("between two trials", "postgresql", lambda url: count(url) >= 3),
    ("while results are written", "sqlite", lambda url: count(url) == 7),
]


@pytest.mark.parametrize(
    ("database", "killed"), [kill[1:] for kill in KILLS], ids=[kill[0] for kill in KILLS]
)
def test_a_search_killed_at_any_moment_is_resumed(request, database, killed):
    url = url_of() if database == "sqlite" else request.getfixturevalue("postgresql")
    arguments = (*SLOW, "--trials", "7", "--storage", url)
    with searching(*arguments) as run:
        run.until(lambda: killed(url))
        run.kill()
    before = {(m.architecture_key, m.seed): m for m in Store(url).all()}
    complete = states(url)["COMPLETE"]

    run = search(*arguments)
    assert states(url) == {"COMPLETE": 7}
    after = {(m.architecture_key, m.seed): m for m in Store(url).all()}
    assert len(after) == 7  # as many trainings as trials: none was thrown away
    assert before.items() <= after.items()  # and none of before was trained again
    assert len(before) >= complete
    assert len({t.architecture.key for t in read_records(url, "smoke").complete}) == 7
    assert Path("runs/smoke/best/model.py").exists()
    assert run.err == ""


def test_a_search_with_rungs_that_was_killed_goes_on_with_a_budget_of_time():
    rungs = "study.fidelity={rungs: [1, 2], reduction: 3}"
    options = ("--trials", "9", "--set", rungs, "--set", "training.epochs=2")
    with searching(*options) as run:
        run.until(lambda: count(url_of()) > 0)
        run.kill()
    run = search(*options, "--budget", "9m")
    ended = states(url_of())
    assert set(ended) == {"COMPLETE", "PRUNED"}
    assert ended.total() == 9
    assert f"rungs: 9 trials trained for 1 epoch, {ended['COMPLETE']} for 2; " in run.out
    assert len(Store(url_of()).all()) == 9 + ended["COMPLETE"]
    assert "<h2>Rungs</h2>" in Path("runs/smoke/report.html").read_text()


def test_ctrl_c_and_a_request_to_terminate_end_cleanly_with_the_line_to_resume_with():
    with searching(*SLOW, "--trials", "50") as run:
        run.until(lambda: count(url_of()) >= 2)
        run.interrupt()
        assert run.wait() == 130
        assert run.left_behind() == []
    message, heading, resume = run.err.splitlines()
    done = count(url_of())
    assert message == f"interrupted: {done} of 50 trials are complete"
    assert heading == "resume with:"
    command = f"python -m nas.search --space {SMOKE} {' '.join(SLOW)} --trials 50"
    assert resume == command  # a line of its own, to be copied
    assert "RUNNING" not in states(url_of())

    with searching(*resume.removeprefix("python -m nas.search ").split()[2:]) as run:
        run.until(lambda: count(url_of()) > done)
        run.process.send_signal(signal.SIGTERM)
        assert run.wait() == 143
        assert run.left_behind() == []
    assert "RUNNING" not in states(url_of())
    resumed_with = re.search(r", (\d+) of 50 trials are complete", run.out.splitlines()[0])
    assert int(resumed_with[1]) >= done


def test_killed_workers_cost_nothing_but_their_time():
    longer = ("--epochs", "150", *SLOW[2:])  # to find both workers takes a while
    with searching(*longer, "--trials", "6") as run:
        run.until(lambda: count(url_of()) >= 1 and len(run.workers()) == 2)
        for worker in run.workers():  # one of them has only just begun its trial
            worker.kill()
        assert run.wait() == 0, run.err
    assert "runs again: its worker died (1 of 3): The actor died unexpectedly" in run.out
    assert states(url_of()) == {"COMPLETE": 6}
    assert len(Store(url_of()).all()) == 6


def test_a_password_is_shown_nowhere(postgresql, tmp_path):
    """Neither in Ray's logs and processes nor in the results. The server trusts everybody, and so
    takes any password. What is noted of the logs is its own: the next search would remove them."""
    own = {"XDG_STATE_HOME": str(tmp_path / "state")}
    secret = postgresql.replace("postgres:@", "postgres:hunter2@")
    assert "hunter2" in secret
    with tempfile.TemporaryDirectory(prefix="ray-") as ray_folder:
        with searching("--trials", "1", RAY_TMPDIR=ray_folder, NAS_STORAGE=secret, **own) as run:
            run.until(lambda: len(run.workers()) > 0)
            for process in run.look():
                with contextlib.suppress(psutil.NoSuchProcess):
                    assert "hunter2" not in " ".join(process.cmdline())
            assert run.wait() == 0, run.err
        logs = [f for f in Path(ray_folder).rglob("*") if f.is_file()]
        assert any(file.name.startswith("raylet") for file in logs)
        results = [f for f in Path("runs").rglob("*") if f.is_file()]
        for file in [*logs, *results]:
            assert b"hunter2" not in file.read_bytes(), file
    assert count(postgresql) == 1
    assert not Path("runs/smoke/study.db").exists()
    assert "hunter2" not in run.out + run.err
    assert "dashboard:\noptuna-dashboard 'postgresql+psycopg://" in run.out
