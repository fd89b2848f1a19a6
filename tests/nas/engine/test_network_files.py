"""A database on a network file system is warned of; on one without locks it is refused."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from nas.engine import network_files
from nas.engine.lock import DriverLock, creating_tables
from nas.engine.network_files import network_file_system
from nas.space.errors import InputError
from tests.nas.planting import SEARCH, Planted, search

MOUNTS = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
40 27 0:60 / /home rw shared:7 master:1 - nfs4 server:/home rw,vers=4.2
41 40 0:61 / /home/me/local\040disk rw - xfs /dev/vdb rw
42 27 0:62 / /cluster rw - autofs systemd-1 rw
43 42 0:63 / /cluster rw - lustre mgs:/lustre rw
44 27 0:64 / /media/phone rw - fuse.sshfs me@phone: rw
45 27 0:65 / /media/archive rw - fuse.squashfuse archive rw
46 27 0:66 / /windows rw - 9p drvfs rw
47 27 0:67 / /cluster2 rw - cifs //server/share rw
48 47 0:68 / /cluster2 rw - tmpfs tmpfs rw
a line of a later kernel
"""


@pytest.fixture
def mounts(tmp_path, monkeypatch):
    """Writes another table of mounts."""
    file = tmp_path / "mountinfo"
    monkeypatch.setattr(network_files, "MOUNTS", file)
    return file.write_text


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("/home/me/runs/spectrum/study.db", "nfs4"),
        ("/home/me/local disk/study.db", ""),
        ("/homely/study.db", ""),
        ("/cluster/study.db", "lustre"),
        ("/media/phone/study.db", "fuse.sshfs"),
        ("/media/archive/study.db", ""),
        ("/windows/study.db", "9p"),
        ("/cluster2/study.db", ""),
        ("/study.db", ""),
    ],
)
def test_the_file_system_of_a_file_is_found_in_the_kernels_table(mounts, file, kind):
    mounts(MOUNTS)
    assert network_file_system(Path(file)) == kind


def test_a_link_leads_to_the_file_system_that_the_file_is_on(mounts, tmp_path):
    away, here = tmp_path / "away", tmp_path / "here"
    away.mkdir()
    here.symlink_to(away)
    mounts(f"27 1 254:0 / / rw - ext4 /dev/vda rw\n40 27 0:60 / {away} rw - nfs server:/away rw\n")
    assert network_file_system(here / "study.db") == "nfs"
    assert network_file_system(tmp_path / "study.db") == ""


def test_where_the_system_does_not_tell_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(network_files, "MOUNTS", tmp_path / "none")
    assert network_file_system(tmp_path / "study.db") == ""


def test_a_search_says_once_that_its_database_is_on_a_network_file_system(
    monkeypatch, mounts, tmp_path
):
    mounts(f"27 1 254:0 / / rw - ext4 /dev/vda rw\n40 27 0:60 / {tmp_path} rw - nfs4 s:/ rw\n")
    result = search(monkeypatch, Planted(), text=SEARCH)
    assert result.exit_code == 0, result.stderr
    notes = [line for line in result.stdout.splitlines() if "network file system" in line]
    assert notes == [
        "note: runs/planted/study.db is on a network file system (nfs4), where SQLite may be damaged "
        "or never be unlocked; keep the study in PostgreSQL: "
        "--storage postgresql+psycopg://USER@HOST/DATABASE"
    ]


def test_a_search_on_a_disk_of_its_machine_or_in_postgresql_says_nothing_of_networks(
    monkeypatch, mounts, postgresql
):
    mounts("27 1 254:0 / / rw - ext4 /dev/vda rw\n")
    assert "network" not in search(monkeypatch, Planted(), text=SEARCH).stdout
    mounts("27 1 254:0 / / rw - nfs4 server:/ rw\n")
    result = search(monkeypatch, Planted(), "--storage", postgresql, "--output", "out", text=SEARCH)
    assert result.exit_code == 0, result.stderr
    assert "network" not in result.stdout


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_is_refused_and_nothing_is_left_there(
    monkeypatch, tmp_path, number
):
    """filelock would make a file in place of a lock: one that stays where its driver is killed."""

    def no_lock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    url = make_url(f"sqlite:///{tmp_path / 'study.db'}")
    lock = DriverLock(url, "tiny")
    monkeypatch.setattr(fcntl, "flock", no_lock)
    for acquire in (lock.acquire, creating_tables(url).__enter__):
        with pytest.raises(InputError, match=r"a file system with locks \(flock\)") as error:
            acquire()
        assert "hint: keep the study in PostgreSQL: --storage" in str(error.value)
    monkeypatch.undo()
    with DriverLock(url, "tiny"), creating_tables(url):  # nothing was left that would lock it
        pass
