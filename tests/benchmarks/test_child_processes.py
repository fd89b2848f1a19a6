"""Processes of a pool whose parent is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from textwrap import dedent

import psutil
import pytest

from tests.conftest import ROOT

PARENT = dedent("""
    import os, time
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context
    from child_processes import end_with_parent

    if __name__ == "__main__":
        with ProcessPoolExecutor(1, get_context("spawn"), end_with_parent) as pool:
            print(pool.submit(os.getpid).result(), flush=True)
            time.sleep(100)
""")


@pytest.fixture
def parent(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "benchmarks")}
    process = subprocess.Popen(
        [sys.executable, "parent.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # multiprocessing's, on what a killed process has left
        env=environment,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def test_they_ignore_interruptions_and_end_with_what_started_them(parent):
    child = psutil.Process(int(parent.stdout.readline()))
    child.send_signal(signal.SIGINT)
    with pytest.raises(psutil.TimeoutExpired):
        child.wait(0.2)
    parent.kill()
    try:
        child.wait(20)
    except psutil.TimeoutExpired:
        child.kill()
        raise
