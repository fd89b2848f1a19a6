"""What is done to searches on a real Ray: to their drivers, their workers, and to Ray itself."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

import psutil

from tests.chaos.processes import MARK, Process, environment_of, left
from tests.chaos.round import Round
from tests.chaos.surroundings import fill
from tests.chaos.training import LEDGER, PACE

OF_RAY = ("raylet/raylet", "gcs/gcs_server", "ray::RuntimeEnvAgent", "ray::DashboardAgent")
WORKER = "ray::TrialActor"

# Its commands are lines: what is lost is a node with its workers, and another one comes.
TWO_NODES = """
import sys
from ray.cluster_utils import Cluster

cpus = int(sys.argv[1])
head = {"num_cpus": cpus, "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args=head)
second = cluster.add_node(num_cpus=cpus)
print(cluster.address, flush=True)
for command in sys.stdin:
    if command == "lose\\n":
        cluster.remove_node(second, allow_graceful=False)
    else:
        second = cluster.add_node(num_cpus=cpus)
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
    played.done["failpoints on Ray"] += played.happened


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
    _end_in_a_line(played, process)
    played.done[f"kills of {part}"] += killed


def small_shared_memory(played: Round) -> None:
    """As in a container: Ray keeps its objects elsewhere."""
    mount = 'mount -t tmpfs -o size=1m nas-chaos /dev/shm && exec "$0" "$@"'
    played.end(played.start(through=("unshare", "--mount", "sh", "-c", mount)), 0)
    played.done["small shared memories"] += 1


def full_temporary_folder(played: Round) -> None:
    """Ray has no place for its files: the search ends in a line, and goes on where there is one."""
    folder = played.folder / "tmp"
    played.put_on_a_disk_of_its_own(folder)
    fill(folder / "filler")
    _end_in_a_line(played, played.start())
    (folder / "filler").unlink()
    played.done["full temporary folders on Ray"] += 1


def few_files(played: Round) -> None:
    """`ulimit -n`: Ray may start with so few, and may not."""
    limit = played.random.choice([64, 128, 256])
    _end_in_a_line(played, played.start(limits={resource.RLIMIT_NOFILE: limit}))
    played.done["limits of open files on Ray"] += 1


def _end_in_a_line(played: Round, process: Process) -> None:
    status = played.end(process, 0, 1)
    played.settle()  # where Ray ends the driver, the watchdog says how to resume
    if status and "resume with:" not in process.errors:
        played.violations.append(f"it does not say how to resume: {process.errors[-2000:]}")


def node_lost(played: Round) -> None:
    """A node is lost and comes back, and the driver is killed and goes on."""
    nodes = _Nodes(played)
    process = played.start()
    played.until_finished(process, 3)
    _lose_and_find(played, nodes, process, 1)
    played.done["driver kills on Ray"] += process.send(signal.SIGKILL)
    played.end(process)


def thousand_trials(played: Round) -> None:
    """On two nodes, with PostgreSQL: all that may happen in a night."""
    played.space_name, played.database = "1,000 trials", "postgresql"
    played.pace, played.patience_s = 0.0, 600
    assert played.server is not None
    nodes = _Nodes(played)
    process = played.start()
    for mode in ("fast", "immediate"):
        played.until_finished(process, 100)
        _lose_and_find(played, nodes, process, 50)
        played.server.restart(mode)
        played.done["restarts of PostgreSQL"] += 1
        played.until_finished(process, 100)
        played.done["driver kills on Ray"] += process.send(signal.SIGKILL)
        played.end(process)
        process = played.start()
    played.end(process, 0)
    played.done["trials on two nodes"] += played.space.complete or 0


def four_studies(played: Round) -> None:
    """Four drivers of different studies on one cluster and one database, at once."""
    played.space_name, played.database = "200 trials", "postgresql"
    played.pace, played.patience_s = 0.0, 900
    _Nodes(played, cpus=2)
    played.names = tuple(f"chaos{suffix}" for suffix in ("", "-1", "-2", "-3"))
    processes = [
        played.start(name=name, options=("--seed", str(seed)))
        for seed, name in enumerate(played.names)
    ]
    for process in processes:
        played.end(process, 0)
    played.done["trials of four studies at once"] += 4 * (played.space.complete or 0)


class _Nodes:
    """A cluster of two nodes that a round's drivers use, and that ends with it."""

    def __init__(self, played: Round, cpus: int = 1) -> None:
        # Not as processes of the round: they are there before its drivers and after them.
        environment = {k: v for k, v in environment_of(played.folder).items() if k != MARK}
        self.process = subprocess.Popen(
            [sys.executable, "-c", TWO_NODES, str(cpus)],
            env=environment | {LEDGER: str(played.ledger), PACE: str(played.pace)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        played.at_end.callback(self._end)
        played.options = ("--ray-address", self._answer())

    def lose(self) -> None:
        """Lose a node, with its workers."""
        self._tell("lose")

    def find(self) -> None:
        """Another one comes."""
        self._tell("find")

    def _tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        assert self._answer() == "done"

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def _end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)


def _lose_and_find(played: Round, nodes: _Nodes, process: Process, count: int) -> None:
    """Lose a node, and have another one after so many trials, which run so many, too."""
    nodes.lose()
    played.until_finished(process, count)
    nodes.find()
    played.until_finished(process, count)
    played.done["nodes lost"] += 1


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
    "on Ray, few open files": few_files,
}
NEEDS_ROOT: dict[str, Callable[[Round], None]] = {
    "on Ray, small shared memory": small_shared_memory,
    "on Ray, temporary folder full": full_temporary_folder,
}
AT_LENGTH: dict[str, Callable[[Round], None]] = {
    "on Ray, 1,000 trials on two nodes": thousand_trials,
    "on Ray, four studies at once": four_studies,
}
"""Minutes each, and they need PostgreSQL."""
ALL = FAULTS | NEEDS_ROOT | AT_LENGTH
