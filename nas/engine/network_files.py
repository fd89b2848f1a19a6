"""Whether a file is on another machine, where SQLite cannot rely on locks and shared memory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
"""proc_pid_mountinfo(5). Systems without it tell nothing."""

_KINDS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "ceph", "glusterfs"}
_KINDS |= {"lustre", "gpfs", "beegfs", "orangefs", "panfs"}
_KINDS |= {
    f"fuse.{program}"
    for program in ("sshfs", "glusterfs", "ceph", "s3fs", "gcsfuse", "rclone", "davfs", "juicefs")
}


def network_file_system(file: Path) -> str:
    """What the kernel calls the network file system that a file is on, or its folder where it is
    not there yet; empty where it is on none.
    """
    file, found = file.resolve(), ("", Path("/"))
    for kind, point in _mounts():
        # Of two at one place the later one is seen.
        if file.is_relative_to(point) and len(point.parts) >= len(found[1].parts):
            found = kind, point
    return found[0] if found[0] in _KINDS else ""


def _mounts() -> Iterator[tuple[str, Path]]:
    """Kind and mount point of each file system, in the order in which they were mounted."""
    try:
        lines = MOUNTS.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        place, _, rest = line.partition(b" - ")
        fields, kinds = place.split(), rest.split()
        if len(fields) > 4 and kinds:
            yield kinds[0].decode(errors="replace"), _path(fields[4])


def _path(text: bytes) -> Path:
    r"""A path of the table, where a space is ``\040``."""
    return Path(os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), text)))
