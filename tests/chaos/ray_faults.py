"""What is done to searches on a real Ray: to their drivers, their workers, and to Ray itself."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

import psutil

from tests.chaos.processes import MARK, Process, environment_of, left
from tests.chaos.round import Round
from tests.chaos.training import LEDGER, PACE

OF_RAY = ("raylet/raylet", "gcs/gcs_server", "ray::RuntimeEnvAgent", "ray::DashboardAgent")
WORKER = "ray::TrialActor"

# Its commands are lines: what is lost is a node with its workers, and another one comes.
TWO_NODES = """
import sys
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
second = cluster.add_node(num_cpus=1)
print(cluster.address, flush=True)
for command in sys.stdin:
    if command == "lose\\n":
        cluster.remove_node(second, allow_graceful=False)
    else:
        second = cluster.add_node(num_cpus=1)
    print("done", flush=True)
cluster.shutdown()
"""


def driver_killed(played: Round) -> None:
    """SIGKILL at any moment, while Ray starts, trials run or results are written."""
    played.has_results = played.random.random() < 0.2
    for _ in range(played.random.randint(1, 3)):
        process = played.start()
        _any_moment(played, process)
        played.done["driver kills on Ray"] += process.send(signal.SIGKILL)
        played.end(process)
        if played.random.random() < 0.7:
            played.settle()


def asked_to_end(played: Round) -> None:
    """A signal that asks: nothing runs any more, and it says how to resume."""
    number = played.random.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    process = played.start()
    _any_moment(played, process)
    played.done["requests to end on Ray"] += process.send(number)
    status = played.end(process, 0, 128 + number)
    if status and "resume with:" not in process.errors and "begun" not in process.errors:
        played.violations.append(f"it does not say how to resume: {process.errors[-2000:]}")


def worker_killed(played: Round) -> None:
    """Its trial runs again, in another one."""
    process = played.start()
    for _ in range(2):
        played.until_finished(process, 1)
        process.wait(played.random.uniform(0, 0.5))
        played.done["worker kills"] += _kill(played, WORKER)
    played.end(process, 0)


def worker_dies_at_a_failpoint(played: Round) -> None:
    """At each of its own, after some trials; the same one again in the next worker."""
    name = played.random.choice(
        ["worker.begin", "worker.done", "outbox.put", "file.begun", "file.replace", "file.replaced"]
    )
    played.end(played.start(f"{name}:kill@{played.random.randint(3, 5)}"), 0, -signal.SIGKILL)
    played.done["failpoints on Ray"] += 1


def workers_stopped(played: Round) -> None:
    """They do no more, and live: `--stall` ends the search."""
    process = played.start(options=("--stall", "1m"))
    played.until_finished(process, 2)
    for pid in _pids(played, WORKER):
        psutil.Process(pid).suspend()
    if played.end(process, 0, 1) and "(--stall)" not in process.errors:
        played.violations.append(f"it does not say what has happened: {process.errors[-2000:]}")
    played.done["stopped workers"] += 1


def ray_killed(played: Round) -> None:
    """One of its processes: the search ends, and says how to resume."""
    process = played.start()
    played.until_finished(process, played.random.randint(1, 4))
    part = played.random.choice(OF_RAY)
    killed = _kill(played, part)
    status = played.end(process, 0, 1)
    played.settle()  # where Ray ends the driver, too, the watchdog says how to resume
    if status and "resume with:" not in process.errors:
        played.violations.append(f"it does not say how to resume: {process.errors[-2000:]}")
    played.done[f"kills of {part}"] += killed


def node_lost(played: Round) -> None:
    """A node is lost and comes back, and the driver is killed and goes on."""
    environment = {k: v for k, v in environment_of(played.folder).items() if k != MARK}
    cluster = subprocess.Popen(
        [sys.executable, "-c", TWO_NODES],
        env=environment | {LEDGER: str(played.ledger), PACE: str(played.pace)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert cluster.stdin is not None
    assert cluster.stdout is not None
    played.at_end.callback(cluster.wait, 60)
    played.at_end.callback(cluster.stdin.close)
    played.options = ("--ray-address", cluster.stdout.readline().strip())
    process = played.start()
    played.until_finished(process, 3)
    for command in ("lose", "come back"):
        cluster.stdin.write(f"{command}\n")
        cluster.stdin.flush()
        assert cluster.stdout.readline() == "done\n"
        played.until_finished(process, 1)
    played.done["nodes lost"] += 1
    played.done["driver kills on Ray"] += process.send(signal.SIGKILL)
    played.end(process)


def _any_moment(played: Round, process: Process) -> None:
    if played.random.random() < 0.4:
        process.wait(played.random.uniform(0, 10))
    else:
        played.until_finished(process, played.random.randint(1, 8))
        process.wait(played.random.uniform(0, 0.5))


def _kill(played: Round, part: str) -> bool:
    """End one of a round's processes at once; whether there was one."""
    pids = _pids(played, part)
    if pids:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(played.random.choice(pids)).kill()
            return True
    return False


def _pids(played: Round, part: str) -> list[int]:
    """Processes of a round that have this in their command."""
    found = []
    for pid in left(played.folder, {process.pid for process in played.processes}):
        with suppress(psutil.Error):
            if part in " ".join(psutil.Process(pid).cmdline()[:2]):
                found.append(pid)
    return found


FAULTS: dict[str, Callable[[Round], None]] = {
    "on Ray, driver killed": driver_killed,
    "on Ray, asked to end": asked_to_end,
    "on Ray, worker killed": worker_killed,
    "on Ray, worker dies at a failpoint": worker_dies_at_a_failpoint,
    "on Ray, a process of it killed": ray_killed,
    "on Ray, node lost": node_lost,
    "on Ray, workers stopped": workers_stopped,
}
