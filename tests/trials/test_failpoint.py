"""A failpoint that is asked for happens, once; without being asked for there is none."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from trials import failpoint as module
from trials.failpoint import FAULTS, NAMES, VARIABLE, failpoint

PASSES_TWICE = (
    "from trials.failpoint import failpoint as f; f('file.begun'); f('file.begun'); print('on')"
)


def run(value: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PASSES_TWICE],
        env=os.environ | {VARIABLE: value, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_each_name_is_in_the_code_and_no_other_one_is():
    sources = [file for folder in ("nas", "trials") for file in (ROOT / folder).rglob("*.py")]
    used = [
        name for file in sources for name in re.findall(r'\bfailpoint\("(.*?)"\)', file.read_text())
    ]
    assert set(used) == NAMES.keys()


def test_it_kills_or_stops_the_process_at_the_pass_that_is_named():
    for value, out in (
        ("file.begun:kill@2", ""),
        ("file.begun:kill@3", "on\n"),
        ("outbox.put:kill", "on\n"),
    ):
        process = run(value)
        assert process.communicate(timeout=60)[0] == out
        assert process.returncode == (0 if out else -signal.SIGKILL)
    process = run("file.begun:stop")
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=60)[0] == "on\n"


@pytest.mark.parametrize("kind", ["ENOSPC", "EIO"])
def test_a_disk_fails_once(monkeypatch, kind):
    monkeypatch.setattr(module, "_fault", module._fault_of(f"outbox.put:{kind}"))
    failpoint("outbox.discard")
    with pytest.raises(OSError, match=r"failpoint outbox\.put") as raised:
        failpoint("outbox.put")
    assert raised.value.errno == getattr(errno, kind)
    failpoint("outbox.put")


def test_what_has_happened_is_noted_and_what_has_not_is_not(monkeypatch, tmp_path):
    noted = tmp_path / "faults"
    monkeypatch.setenv(module.NOTED, str(noted))
    assert run("file.begun:kill@3").wait(timeout=60) == 0
    assert not noted.exists()
    assert run("file.begun:kill@2").wait(timeout=60) == -signal.SIGKILL
    monkeypatch.setattr(module, "_fault", module._fault_of("outbox.put:EIO"))
    with pytest.raises(OSError, match=r"failpoint outbox\.put"):
        failpoint("outbox.put")
    assert noted.read_text() == "file.begun:kill\noutbox.put:EIO\n"


def test_off_it_does_not_look_at_the_environment(monkeypatch):
    assert module._fault is None
    monkeypatch.setenv(VARIABLE, "outbox.put:kill")
    failpoint("outbox.put")
    with monkeypatch.context() as without:
        without.delattr(os, "environ")
        failpoint("outbox.put")


@pytest.mark.parametrize(
    "text",
    ["outbox.put", "outbox:kill", "outbox.put:hang", "outbox.put:kill@0", "outbox.put:kill@x"],
)
def test_a_failpoint_that_is_not_there_is_refused(text):
    with pytest.raises(SystemExit, match=f"^error: {VARIABLE}={text}: expected NAME:FAULT"):
        module._fault_of(text)
    assert all(module._fault_of(f"{name}:{kind}@2") for name in NAMES for kind in FAULTS)
