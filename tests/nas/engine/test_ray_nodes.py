"""What a Ray on this machine lets in, and a search whose nodes are gone."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
import time
import warnings
from types import SimpleNamespace

import psutil
import pytest

from nas.engine import ray_nodes
from nas.engine.ray_failures import RayFailed
from nas.space.errors import InputError
from tests.nas.searching import searching

NODE = {"CPU": 4.0}


def test_no_node_is_alive_for_longer_than_a_search_waits(monkeypatch):
    found = [NODE]
    monkeypatch.setattr(ray_nodes, "_nodes", lambda: list(found))
    monkeypatch.setattr(ray_nodes, "PATIENCE_S", 2)
    resources = ray_nodes.Resources(cpus=2, gpus=0)
    with ray_nodes.LiveNodes() as nodes:
        time.sleep(1.5)
        nodes.check()
        assert nodes.capacity(resources) == 2
        found.clear()
        time.sleep(4)
        assert nodes.capacity(resources) == 0
        with pytest.raises(RayFailed, match=r"no node was alive for 2 s"):
            nodes.check()


def test_a_node_that_does_not_answer_is_not_alive(monkeypatch):
    monkeypatch.setattr(ray_nodes, "_nodes", lambda: [NODE])
    monkeypatch.setattr(ray_nodes, "PATIENCE_S", 0.5)
    with ray_nodes.LiveNodes() as nodes:
        monkeypatch.setattr(ray_nodes, "_nodes", lambda: time.sleep(3) or [NODE])
        time.sleep(2)
        with pytest.raises(RayFailed):
            nodes.check()


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_ray_listens_on_this_machine_alone():
    with searching("--epochs", "100", "--trials", "8") as run:
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


def starts(monkeypatch, failures: int) -> list[dict[str, object]]:
    """The attempts to start a Ray of which so many fail."""
    attempts: list[dict[str, object]] = []

    def init(**options: object) -> None:
        attempts.append(options)
        if len(attempts) <= failures:
            raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray_nodes, "_init", init)
    monkeypatch.setattr(ray_nodes.ray, "shutdown", lambda: None)
    monkeypatch.setenv("RAY_gcs_server_port_wait_time_s", "30")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    return attempts


def test_a_ray_that_does_not_start_in_time_is_started_once_more(monkeypatch):
    attempts = starts(monkeypatch, failures=1)
    ray_nodes._start()
    assert len(attempts) == 2


def test_a_ray_that_does_not_start_twice_is_said_in_a_line(monkeypatch):
    attempts = starts(monkeypatch, failures=2)
    said = "Ray does not start: The current node timed out during startup."
    with pytest.raises(RayFailed, match=said):
        ray_nodes._start()
    assert len(attempts) == 2


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            ValueError("Invalid address format: head"),
            InputError,
            "--ray-address: error: Invalid address format: head",
        ),
        (ConnectionError("nobody"), RayFailed, "the cluster at head: nobody"),
        (RuntimeError("Version mismatch:\n..."), RayFailed, "the cluster at head: ..."),
    ],
)
def test_a_cluster_that_cannot_be_used_is_said_in_a_line(monkeypatch, error, kind, said):
    def init(**_options):
        raise error

    monkeypatch.setattr(ray_nodes, "_init", init)
    with pytest.raises(kind) as raised, ray_nodes.cluster("head"):
        pass
    assert said in str(raised.value)


def test_a_ray_whose_files_have_no_place_is_not_waited_for(monkeypatch, tmp_path):
    attempts = starts(monkeypatch, failures=0)
    (tmp_path / "file").touch()
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "file"))
    with (
        pytest.raises(RayFailed, match=r"Ray does not start: .*/file: File exists"),
        ray_nodes.cluster(),
    ):
        pass
    assert not attempts
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "new" / "folder"))
    with ray_nodes.cluster():
        assert len(attempts) == 1


def test_a_ray_that_lets_in_anybody_is_warned_of(monkeypatch):
    """Ray reads its settings when it is imported: a program may have done that before."""
    monkeypatch.setattr(ray_nodes, "_init", lambda **_: None)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ray_nodes._start()
    monkeypatch.delenv("RAY_AUTH_MODE")
    with pytest.warns(RuntimeWarning, match="takes any connection"):
        ray_nodes._start()


@pytest.mark.parametrize("died", ["raylet", "gcs_server"])
def test_a_process_that_ray_cannot_be_without_has_died(monkeypatch, died):
    node = SimpleNamespace(dead_processes=lambda: [("log_monitor", None), (died, None)])
    monkeypatch.setattr(ray_nodes, "_nodes", lambda: [NODE])
    with ray_nodes.LiveNodes() as nodes:
        nodes.check()
        monkeypatch.setattr(ray_nodes.ray._private.worker, "_global_node", node)
        with pytest.raises(RayFailed, match=f"its process {died} has died"):
            nodes.check()


FREED_BESIDE = textwrap.dedent("""
    import sys, time
    from nas.engine.ray_cluster import RayCluster

    with RayCluster(None) as cluster:
        cluster.start()
        import ray
        objects = [ray.put(i) for i in range(20_000)]
        cluster.end_soon()
        while objects and cluster._life.is_alive():
            objects.pop()
            time.sleep(2e-5)
    print("freed", 20_000 - len(objects))
""")


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_objects_of_ray_are_freed_while_it_ends():
    run = subprocess.run([sys.executable, "-c", FREED_BESIDE], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("freed")
