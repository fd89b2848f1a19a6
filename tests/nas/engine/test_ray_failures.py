"""What Ray says of its failures, in a line with the cause."""

from __future__ import annotations

from pathlib import Path

import ray

from nas.engine import ray_tune
from nas.engine.ray_cluster import RayCluster
from nas.engine.ray_failures import in_a_line
from nas.search import app
from tests.nas.commands import run
from tests.nas.driving import SPACE

KILLED = """1 worker(s) were killed due to the node running low on memory. Memory on the node \
(IP: 192.0.2.2, ID: 7415d7df) was 3.80GB used / 23.54GB limit (0.161550)
OOM kill reason: Memory usage 4077060096B exceeded threshold of 252765008B (1.0% of 25276502016B limit)
Object store memory usage: [- objects spillable: 3
Top 10 memory users: PID	MEM(GB)	COMMAND
32341	0.73	python train.py
Refer to the documentation on how to address the out of memory issue: https://docs.ray.io/en/latest/\
ray-observability/user-guides/debug-apps/debug-memory.html. Consider provisioning more memory."""


def test_a_worker_that_was_killed_for_memory():
    said = "out of memory, 3.80 of 23.54 GB in use: Ray has ended the worker"
    assert in_a_line(KILLED) == said
    older = "Task was killed due to the node running low on memory.\nMemory on the node (IP: ...) where the task was running was 17.80GB / 32.00GB (0.556), which exceeds the threshold."
    assert in_a_line(older) == "out of memory, 17.80 of 32.00 GB in use: Ray has ended the worker"
    assert in_a_line("ray.exceptions.OutOfMemoryError: x").startswith("out of memory: ")


def test_other_failures_are_their_first_cause():
    dead = "The actor died unexpectedly before finishing this task.\n\tclass_name: X\n\tactor_id: 1"
    assert in_a_line(dead) == "The actor died unexpectedly before finishing this task."
    raised = "ray::X.step()\n  File x\nValueError: what is wrong"
    assert in_a_line(raised) == "ValueError: what is wrong"
    assert in_a_line("") == "no reason is known"
    assert len(in_a_line("x" * 1000)) == 200


def test_where_ray_itself_fails_the_command_ends_with_a_line_and_how_to_resume(monkeypatch):
    def failing(*_arguments):
        raise ray.exceptions.OutOfMemoryError(KILLED)

    monkeypatch.setattr(RayCluster, "start", lambda _cluster: None)
    monkeypatch.setattr(ray_tune, "run", failing)
    monkeypatch.setattr("sys.argv", ["nas.search", "--space", "space.yaml"])
    Path("space.yaml").write_text(SPACE)
    assert run(app, "--space", "space.yaml", status=1).stderr.splitlines() == [
        "error: Ray has failed: out of memory, 3.80 of 23.54 GB in use: Ray has ended the worker",
        "resume with:",
        "python -m nas.search --space space.yaml",
    ]


def test_tunes_file_begins_with_a_heading(tmp_path):
    (tmp_path / "error.txt").write_text(f"Failure # 1 (occurred at 2026-11-26)\n{KILLED}\n\n")
    assert "3.80 of 23.54 GB" in ray_tune._first_cause(str(tmp_path / "error.txt"))
    assert ray_tune._first_cause(None) == "no reason is known"
