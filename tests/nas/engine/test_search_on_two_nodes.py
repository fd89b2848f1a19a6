"""A search over two Ray nodes, one of which is lost on the way."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from tests.nas.searching import count, searching, states, url_of
from trials.store import Store

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

# In a process of its own: a Ray that was once started here could not be started otherwise again.
TWO_NODES = textwrap.dedent("""
    import sys
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    print(cluster.address, flush=True)
    sys.stdin.readline()
    cluster.remove_node(second, allow_graceful=False)
    print("lost", flush=True)
    sys.stdin.readline()
    cluster.shutdown()
""")


def test_a_search_survives_the_loss_of_a_node():
    cluster = subprocess.Popen(
        [sys.executable, "-c", TWO_NODES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        address = cluster.stdout.readline().strip()
        slow = ("--epochs", "25", "--set", "data.limit=400", "--trials", "10")
        with searching("--ray-address", address, *slow) as run:
            run.until(lambda: count(url_of()) >= 3)
            cluster.stdin.write("\n")
            cluster.stdin.flush()
            assert cluster.stdout.readline().strip() == "lost"
            done = count(url_of())
            assert done < 10
            assert run.wait() == 0, run.out + run.err
        assert "runs again: its worker died (1 of 3)" in run.out
        assert states(url_of()) == {"COMPLETE": 10}
        measurements = Store(url_of()).all()
        assert len(measurements) == 10
        assert len({m.worker for m in measurements[:3]}) == 2  # both nodes worked
    finally:
        cluster.stdin.close()
        cluster.wait(60)
