"""Ray's own processes die under a search: it says so, holds nothing, and goes on the next time."""

from __future__ import annotations

import contextlib

import psutil
import pytest

from tests.nas.searching import Search, count, searching, states, url_of

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

LONG = ("--epochs", "100", "--set", "data.limit=400", "--trials", "8")


def process_of(run: Search, name: str) -> psutil.Process:
    """A process of Ray, by what its command line has."""
    for process in run.look():
        with contextlib.suppress(psutil.NoSuchProcess):
            if name in " ".join(process.cmdline()[:4]):
                return process
    raise AssertionError(f"no process has {name} in its command")


@pytest.mark.parametrize(
    ("name", "died"),
    [
        ("raylet/raylet", "raylet"),
        ("gcs/gcs_server", "gcs_server"),
        ("ray::RuntimeEnvAgent", "raylet"),  # which does not outlive it
    ],
)
def test_a_process_of_ray_dies(name, died):
    with searching(*LONG) as run:
        run.until(lambda: count(url_of()) >= 1)
        process_of(run, name).kill()
        assert run.wait() == 1, run.err
        assert run.left_behind() == []
    message, heading, _ = run.err.splitlines()
    assert message == f"error: Ray has failed: its process {died} has died"
    assert heading == "resume with:"
    assert "RUNNING" not in states(url_of())

    with searching(*LONG) as run:
        assert run.wait() == 0, run.err
    assert states(url_of()) == {"COMPLETE": 8}


def test_ray_listens_on_this_machine_alone():
    with searching(*LONG) as run:
        run.until(lambda: len(run.workers()) == 2)
        listening = set()
        for process in run.look():
            with contextlib.suppress(psutil.NoSuchProcess):
                found = process.net_connections(kind="tcp")
                listening |= {c.laddr.ip for c in found if c.status == psutil.CONN_LISTEN}
        run.interrupt()
        run.wait()
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert listening
