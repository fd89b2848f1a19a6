"""The machines of a Ray: started or connected to, what they have, what they can open."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import ray
import ray._private.worker
from ray._common.utils import get_default_ray_temp_dir
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nas.engine.leftovers import Sessions, Started, clean_up, end, noted, with_children
from nas.engine.ray_failures import RayFailed, in_a_line
from nas.space.errors import InputError
from trials.data.image_file import ImageFile
from trials.data.images import ImageData, Split

PATIENCE_S = 30
"""How long no node may be alive before a search ends."""


class ResourceError(ValueError):
    """The cluster cannot run a single trial with the resources that were asked for."""


@dataclass(frozen=True)
class Resources:
    """What each trial occupies."""

    cpus: float
    gpus: float


@contextmanager
def cluster(address: str | None = None) -> Iterator[None]:
    """A Ray cluster: one that runs already, or one on this machine for as long as it is needed.

    Where the program has connected Ray itself, that is what it wants to be used.
    """
    if address is None and ray.is_initialized():
        yield
        return
    clean_up()
    parent = Path(get_default_ray_temp_dir())  # type: ignore[no-untyped-call]
    with ExitStack() as stack:
        with noted(sessions=Sessions.from_now_on(str(parent))):
            if address is not None:
                _connect(address)
            else:
                _check_room(parent.parent)
                _start()
            processes, folders = _started_here()
            stack.enter_context(noted(processes, folders))
        try:
            yield
        finally:
            # Its agents outlive a raylet that was killed, and a worker that was stopped both.
            left = (*processes, *with_children(alive.pid for alive in processes if alive.runs))
            try:
                _shut_down()
            finally:
                end(left)


def _shut_down() -> None:
    """End Ray beside other threads.

    The process ends, too, where one of them frees an object of Ray's meanwhile: what Tune leaves is
    freed when Python next looks for cycles.
    """
    worker: Any = ray._private.worker.global_worker
    if hasattr(worker, "core_worker"):
        worker.core_worker = _WithoutRelease(worker.core_worker)
    ray.shutdown()


class _WithoutRelease:
    """Ray's core, which does not hear of objects that are freed."""

    def __init__(self, core: object) -> None:
        self._core = core

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # Ray's own
        if name.startswith("remove_"):  # Ray ignores it where an object is freed
            raise AttributeError(name)
        return getattr(self._core, name)


def _connect(address: str) -> None:
    """Connect to a cluster that runs.

    Raises:
        InputError: this is no address.
        RayFailed: nobody answers there, or with another version or token.
    """
    try:
        _init(address=address)
    except ValueError as error:
        raise InputError.of("--ray-address", in_a_line(str(error)), _AN_ADDRESS) from None
    except Exception as error:  # whatever went wrong: Ray has no type for it
        ray.shutdown()
        raise RayFailed(f"the cluster at {address}: {in_a_line(str(error))}") from error


_AN_ADDRESS = "auto, or the address that `ray start --head` prints"


def _start() -> None:
    """Start one here; once more where its processes took longer than Ray waits for them.

    Raises:
        RayFailed: it does not start.
    """
    if os.environ.get("RAY_AUTH_MODE") != "token":
        warnings.warn(_OPEN, RuntimeWarning, stacklevel=2)
    for attempt in (1, 2):
        try:
            _init(address="local", include_dashboard=False)
            return
        except Exception as error:  # whatever went wrong: Ray has no type for it
            ray.shutdown()
            if attempt == 2:
                raise RayFailed(f"Ray does not start: {in_a_line(str(error))}") from error
            os.environ["RAY_gcs_server_port_wait_time_s"] = "120"  # noqa: SIM112  # Ray's own name


def _init(**options: Any) -> None:  # noqa: ANN401  # Ray's own
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)


def _check_room(folder: Path) -> None:
    """Ray would be waited for for minutes where its processes cannot write their files.

    Raises:
        RayFailed: they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(2**20))
    except OSError as error:
        raise RayFailed(f"Ray does not start: {folder}: {error.strerror}") from error


_OPEN = (
    "Ray was loaded before this search, so that its cluster listens on all addresses of this "
    "machine and takes any connection; load it after a search, or set RAY_AUTH_MODE=token and "
    "RAY_AUTH_TOKEN before"
)


class LiveNodes:
    """The nodes that are alive, as a thread hears of them: a context.

    Whoever asks Ray itself waits for a minute where its server is gone, and is ended by it then.
    """

    def __init__(self) -> None:
        self._nodes = _nodes()
        self._heard_at = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="nodes", daemon=True)

    def capacity(self, resources: Resources) -> int:
        """How many trials run at once, over all of them."""
        return _capacity(resources, self._nodes)

    def check(self) -> None:
        """Check that trials can still be run.

        Raises:
            RayFailed: none can, and none will.
        """
        if died := _died_here():
            raise RayFailed(f"Ray has failed: its process {died} has died")
        if time.monotonic() - self._heard_at > PATIENCE_S:
            raise RayFailed(f"Ray has failed: no node was alive for {PATIENCE_S:g} s")

    def _listen(self) -> None:
        while not self._over.wait(timeout=1):
            with suppress(Exception):  # no answer is an answer, too
                self._nodes = _nodes()
                if self._nodes:
                    self._heard_at = time.monotonic()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=2)  # where Ray's server is gone, it waits for an answer


def _started_here() -> tuple[tuple[Started, ...], list[Path]]:
    """Processes and folders of a Ray that this process has started."""
    node: Any = ray._private.worker._global_node
    processes = [process.pid for _, process in node.live_processes()] if node is not None else []
    return tuple(with_children(processes)), [Path(node.get_session_dir_path())] if processes else []


def is_own() -> bool:
    """Whether this process has started the Ray that it uses: all of it is on this machine."""
    return bool(_started_here()[0])


def _died_here() -> str:
    """A process that this one has started, and Ray cannot be without."""
    node: Any = ray._private.worker._global_node
    died = [kind for kind, _ in node.dead_processes()] if node is not None else []
    return next((kind for kind in died if kind in ("gcs_server", "raylet")), "")


def check_resources(resources: Resources) -> None:
    """Check that some node can run a trial.

    Raises:
        ResourceError: none can.
    """
    if capacity(resources) == 0:
        raise ResourceError(
            f"a trial needs {resources.cpus:g} CPUs and {resources.gpus:g} GPUs of one node; "
            f"the nodes have {_offer()}"
        )


def check_files(data: ImageData, test: Split | None) -> None:
    """Check that each node can open the files that images are read from.

    Raises:
        DataError: one cannot.
    """
    splits = [*data.splits, *([test] if test is not None else [])]
    files = [split.images for split in splits if isinstance(split.images, ImageFile)]
    if not files:
        return

    @ray.remote(num_cpus=0)
    def open_files() -> None:
        for file in files:
            file.open()

    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    there = (NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes)
    try:
        ray.get([open_files.options(scheduling_strategy=node).remote() for node in there])
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None


def _nodes() -> list[dict[str, float]]:
    """Resources of each node that is alive."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in nodes if node["Alive"]]


def capacity(resources: Resources) -> int:
    """How many trials run at once, over all nodes."""
    return _capacity(resources, _nodes())


def _capacity(resources: Resources, nodes: Sequence[Mapping[str, float]]) -> int:
    wanted = {"CPU": resources.cpus, "GPU": resources.gpus}
    return sum(
        min(int(node.get(kind, 0) / amount) for kind, amount in wanted.items() if amount)
        for node in nodes
    )


def _offer() -> str:
    return ", ".join(f"{n.get('CPU', 0):g} CPUs and {n.get('GPU', 0):g} GPUs" for n in _nodes())
