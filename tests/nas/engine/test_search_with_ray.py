"""`python -m nas.search` as a user runs it: a real Ray, real databases, real kills."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
import yaml

from nas import Architecture, build_network
from nas.study.records import read_records
from nas.study.trained_network import load_trained
from tests.nas.searching import SMOKE, count, searching, states, url_of
from trials.store import Store

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

SLOW = ("--epochs", "25", "--set", "data.limit=400")
"""Trials of about a second, so that there is time to interfere."""


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
        "smoke: 1.09K architectures, 160 training and 40 validation images, 0 of 6 trials complete"
    )
    assert [line.split("  ")[0] for line in lines[1:7]] == [f"{n}/6" for n in range(1, 7)]
    assert all("accuracy 0." in line and "MACs" in line for line in lines[1:7])
    assert lines[7].startswith("front of ")
    assert len(lines) == 10
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
        "README.md", "architecture.json", "model.py", "weights.safetensors",
    ]  # fmt: skip

    # Two workers did it all, each holding its process for many trials.
    measurements = Store(url_of()).all()
    assert len({m.worker for m in measurements}) <= 2
    assert all(m.threads == 1 for m in measurements)
    assert not list((folder / "outbox").rglob("*.json"))


def test_the_export_computes_what_the_trained_network_does_without_this_project(tmp_path):
    search("--trials", "3", "--set", "search.segments=[3, 5]")
    folder = Path("runs/smoke")
    architecture = Architecture.from_json((folder / "best" / "architecture.json").read_text())
    records = read_records(url_of(), "smoke")
    record = next(r for r in records.complete if r.architecture == architecture)
    images = np.random.default_rng(0).normal(size=(16, 3, 8, 8)).astype(np.float32)
    np.save("images.npy", images)
    program = textwrap.dedent(f"""
        import sys
        sys.path = [p for p in sys.path if p not in ("", {str(Path.cwd())!r})]
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in ("nas", "trials", "safetensors", "ray", "optuna"):
                    raise ImportError(f"{{name}} must not be needed")
        sys.meta_path.insert(0, Refuse())
        sys.path.insert(0, {str((folder / "best").absolute())!r})
        import numpy, torch, model
        with torch.inference_mode():
            logits = model.load()(torch.from_numpy(numpy.load({str(tmp_path / "images.npy")!r})))
        numpy.save({str(tmp_path / "logits.npy")!r}, logits.numpy())
    """)
    subprocess.run([sys.executable, "-c", program], check=True)
    with torch.inference_mode():
        expected = load_trained(records, record, folder)(torch.from_numpy(images))
    np.testing.assert_allclose(np.load("logits.npy"), expected, atol=1e-5)


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request):
    return url_of() if request.param == "sqlite" else request.getfixturevalue("postgresql")


# The three moments of a trial's life at which nothing, something or all of it is recorded, and
# the one after all trials, when the results are being written.
MOMENTS = {
    "while the first trials train": lambda url: count(url, "running") == 2,
    "between two trials": lambda url: count(url) >= 3,
    "near the end": lambda url: count(url) >= 6,
    "while results are written": lambda url: count(url) == 7,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_search_killed_at_any_moment_is_resumed(storage, moment):
    resume_after_kill(storage, moment)


def resume_after_kill(storage, moment):
    arguments = (*SLOW, "--trials", "7", "--storage", storage)
    with searching(*arguments) as run:
        run.until(lambda: MOMENTS[moment](storage))
        run.kill()
    before = {(m.architecture_key, m.seed): m for m in Store(storage).all()}
    assert states(storage)["COMPLETE"] >= {"between two trials": 3, "near the end": 6}.get(
        moment, 0
    )

    run = search(*arguments)
    assert states(storage) == {"COMPLETE": 7}
    after = {(m.architecture_key, m.seed): m for m in Store(storage).all()}
    assert len(after) == 7  # as many trainings as trials: none was thrown away
    assert before.items() <= after.items()  # and none of before was trained again
    assert len({t.architecture.key for t in read_records(storage, "smoke").complete}) == 7
    assert Path("runs/smoke/best/model.py").exists()
    assert run.err == ""


def test_a_finished_search_started_again_trains_nothing():
    search()
    before = Store(url_of()).all()
    began = time.monotonic()
    search()
    assert Store(url_of()).all() == before
    assert time.monotonic() - began < 60


def test_ctrl_c_ends_cleanly_with_the_line_to_resume_with():
    arguments = (*SLOW, "--trials", "7")
    with searching(*arguments) as run:
        run.until(lambda: count(url_of()) >= 2)
        run.interrupt()
        assert run.wait(30) == 130
        assert run.left_behind() == []
    message, resume = run.err.splitlines()
    done = count(url_of())
    assert message == f"interrupted: {done} of 7 trials are complete"
    assert resume == (
        f"resume with: python -m nas.search --space {SMOKE} --epochs 25 --set data.limit=400 "
        "--trials 7"
    )
    assert "RUNNING" not in states(url_of())

    command = resume.removeprefix("resume with: python -m nas.search ").split()
    search(*command[2:])
    assert states(url_of()) == {"COMPLETE": 7}


def test_a_request_to_terminate_ends_like_ctrl_c():
    with searching(*SLOW) as run:
        run.until(lambda: count(url_of()) >= 1)
        run.process.send_signal(signal.SIGTERM)
        assert run.wait(30) == 130
        assert run.left_behind() == []
    assert "RUNNING" not in states(url_of())


def test_a_second_driver_is_refused_with_the_owners_host_and_process(storage):
    arguments = (*SLOW, "--storage", storage)
    with searching(*arguments, "--trials", "50") as first:
        first.until(lambda: count(storage, "running") > 0)
        second = search(*arguments, "--trials", "50", status=2)
        assert (
            f"study smoke is being searched by process {first.pid} on {socket.gethostname()}"
            in second.err
        )
        assert "Traceback" not in second.err
        other = search(*SLOW, "--storage", storage, "--study", "other", "--trials", "1")
        assert "front of 1" in other.out


def test_a_changed_space_is_refused_with_what_changed():
    search("--trials", "1")
    run = search("--trials", "1", "--set", "search.activation=[none, gelu]", status=2)
    assert run.err.splitlines() == [
        "error: this study was begun with other settings:",
        "search.activation: was [none, relu], is now [none, gelu]",
        "hint: give the study another name with --study, or undo the change",
    ]
    assert states(url_of()) == {"COMPLETE": 1}


def test_killed_workers_cost_nothing_but_their_time():
    with searching(*SLOW, "--trials", "6") as run:
        run.until(lambda: count(url_of()) >= 1 and len(run.workers()) == 2)
        for worker in run.workers():  # one of them has only just begun its trial
            worker.kill()
        assert run.wait() == 0, run.err
    assert "runs again: its worker died (1 of 3): The actor died unexpectedly" in run.out
    assert states(url_of()) == {"COMPLETE": 6}
    assert len(Store(url_of()).all()) == 6


# Imported by every Python that starts: breaks the training of some seeds, as bad luck would.
BREAK_SOME = """
import importlib.abc, importlib.util, sys

class Break(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "trials.train":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module
        def execute_and_break(module):
            execute(module)
            train = module.train
            def broken(network, data, recipe, seed, *rest):
                if {condition}:
                    next(network.parameters()).data.fill_(float("nan"))
                return train(network, data, recipe, seed, *rest)
            module.train = broken
        spec.loader.exec_module = execute_and_break
        return spec

sys.meta_path.insert(0, Break())
"""


def breaking(condition: str) -> str:
    Path("broken").mkdir()
    Path("broken/sitecustomize.py").write_text(BREAK_SOME.format(condition=condition))
    return os.pathsep.join([str(Path("broken").absolute()), os.environ.get("PYTHONPATH", "")])


def test_a_trial_whose_loss_is_not_finite_fails_and_the_search_goes_on():
    run = search("--trials", "6", PYTHONPATH=breaking("seed % 3 == 0"))
    found = states(url_of())
    assert found["COMPLETE"] == 6
    assert found["FAIL"] >= 1
    assert set(found) == {"COMPLETE", "FAIL"}
    reasons = [t.reason for t in read_records(url_of(), "smoke").trials if t.state == "failed"]
    assert all(reason.startswith("not finite: loss nan in training") for reason in reasons)
    assert "failed: not finite: loss nan in training" in run.out
    failed = [m for m in Store(url_of()).all() if m.state == "failed"]
    assert len(failed) == found["FAIL"]


def test_a_search_in_which_every_trial_fails_ends_and_says_why():
    run = search(PYTHONPATH=breaking("True"), status=1)
    # The tenth failure ends it; another trial may have been running.
    message = r"error: 1[01] trials in a row have failed, the last one: not finite: loss nan"
    assert re.match(message, run.err)
    assert "Traceback" not in run.err
    assert not Path("runs/smoke/report.html").exists()  # there is nothing to report


def test_resources_that_no_node_has_are_refused():
    run = search("--cpus-per-trial", "999", status=2)
    assert run.err.startswith("--cpus-per-trial: error: a trial needs 999 CPUs and 0 GPUs of one")
    run = search("--gpus-per-trial", "9", status=2)
    assert run.err.startswith("--gpus-per-trial: error: a trial needs 1 CPUs and 9 GPUs of one")
    assert "RUNNING" not in states(url_of())


# Of a server that trusts everybody, and so takes any password.
SECRETS = {
    "plain": ("postgres:hunter2@", ""),
    "with a space": ("postgres:no%20hunter2 no@", ""),
    "in the query": ("", "&user=postgres&password=hunter2"),
    "in the query, disguised": ("", "&user=postgres&pass%77ord=no hunter2"),
}


@pytest.mark.parametrize(
    ("place", "form"),
    [
        ("NAS_STORAGE", "plain"),
        ("NAS_STORAGE", "in the query"),
        ("--storage", "with a space"),
        ("--storage", "in the query, disguised"),
    ],
)
def test_a_password_is_shown_nowhere(postgresql, place, form):
    address, query = SECRETS[form]
    secret = postgresql.replace("postgres:@", address) + query
    assert "hunter2" in secret
    given = {place: secret} if place == "NAS_STORAGE" else {}
    arguments = ["--storage", secret] if place == "--storage" else []
    with tempfile.TemporaryDirectory(prefix="ray-") as ray_folder:
        with searching("--trials", "1", *arguments, RAY_TMPDIR=ray_folder, **given) as run:
            if place == "NAS_STORAGE":
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
    assert "dashboard: optuna-dashboard postgresql+psycopg://" in run.out


def test_a_database_that_cannot_be_reached_is_named_without_its_password():
    for address in (
        "postgresql://me:hunter2@127.0.0.1:1/db",
        "postgresql://127.0.0.1:1/db?user=me&password=hunter2",
    ):
        run = search(NAS_STORAGE=address, status=2)
        assert run.err.startswith("error: the database cannot be used: connection ")
        assert "hunter2" not in run.err


def test_a_folder_with_another_studys_results_is_left_alone():
    search("--trials", "1")
    before = {f: f.stat().st_mtime_ns for f in Path("runs/smoke").rglob("*") if f.is_file()}
    run = search("--study", "other", "--output", "runs/smoke", status=2)
    assert run.err.startswith("--output: error: runs/smoke holds study smoke, not other")
    assert before == {f: f.stat().st_mtime_ns for f in Path("runs/smoke").rglob("*") if f.is_file()}


def test_weights_of_another_training_are_not_exported():
    search("--trials", "2")
    first, second = sorted(Path("runs/smoke/weights").glob("*.safetensors"))
    second.write_bytes(first.read_bytes())
    exported = subprocess.run(
        [sys.executable, "-m", "nas.export", "--study", "smoke", "--trial", "1", "--output", "copy"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "1.safetensors are of another training; training it again" in exported.stderr
    records = read_records(url_of(), "smoke")
    assert f"{records.trials[1].accuracy:.4f}" in Path("copy/README.md").read_text()


def test_workers_share_one_copy_of_the_data(tmp_path):
    """Their own memory is no larger with 400 MB of images than with 20."""
    own_mb = {}
    for images in (2_000, 40_000):
        pixels = np.random.default_rng(0).integers(0, 256, (images, 59, 59, 3), dtype=np.uint8)
        np.savez(tmp_path / "data.npz", images=pixels, labels=np.arange(images) % 4)
        data = ("--set", f"data={{source: 'npz:{tmp_path / 'data.npz'}', validation: 0.5}}")
        with searching(*data, "--epochs", "1000", "--study", f"of{images}") as run:
            run.until(lambda run=run: len(run.workers()) == 2)
            time.sleep(8)  # through the first batches, whose activations are the larger part
            own_mb[images] = max(w.memory_full_info().uss for w in run.workers()) / 1e6
    assert own_mb[40_000] - own_mb[2_000] < 100, own_mb


def test_quiet_prints_nothing():
    run = search("--trials", "1", "--quiet")
    assert run.out + run.err == ""
    assert Path("runs/smoke/report.html").exists()


def test_output_names_the_folder_of_the_study():
    search("--trials", "1", "--output", "elsewhere/mine", "--study", "named")
    assert count("sqlite:///elsewhere/mine/study.db", study="named") == 1
    assert Path("elsewhere/mine/best/model.py").exists()
    exported = subprocess.run(
        [sys.executable, "-m", "nas.export", "--study", "elsewhere/mine", "--output", "copy"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert exported.stdout == "trial 0 is in copy\n"


def test_latency_can_be_an_objective():
    search("--trials", "3", "--set", "objectives.minimize=latency_ms")
    records = read_records(url_of(), "smoke")
    assert records.objectives == ("accuracy", "latency_ms")
    assert all(t.values[1] == t.latency_ms > 0 for t in records.complete)


def test_matched_architectures_are_searched():
    search("--trials", "3", "--set", "macs={match: 60K, tolerance: 3%}")
    records = read_records(url_of(), "smoke")
    assert all(abs(t.macs - 60_000) <= 1800 for t in records.complete)
    build_network(records.complete[0].architecture)


def test_one_process_can_start_a_cluster_again():
    program = """
        from nas import ray_settings
        for _ in range(2):
            ray_settings.prepare(local=True)
            from nas import ray_tune
            with ray_tune.cluster():
                pass
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=120)
