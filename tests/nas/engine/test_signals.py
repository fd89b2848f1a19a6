"""Requests to end a search, from its first line to its last file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nas.engine.signals import Interrupted, stop_requests
from tests.nas.searching import SMOKE, count, searching, states, url_of

REQUESTS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

COMMAND = """
import signal, sys, time
from nas.engine.signals import ended_by_requests, stop_requests
with ended_by_requests("go on so"):
    try:
        with stop_requests() as stopped:
            print("ready", flush=True)
            while not stopped():
                time.sleep(0.01)
    finally:
        print("releasing", flush=True)
        time.sleep(float(sys.argv[1]))
        print("released", flush=True)
"""


def program(seconds: float) -> subprocess.Popen[str]:
    """A command that takes so long to release what it has; it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def hears(pid: int, number: int) -> bool:
    """Whether a process has a handler of its own for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


@pytest.mark.parametrize("request_to_end", REQUESTS, ids=lambda number: number.name)
def test_a_command_that_is_asked_to_end_releases_and_says_how_to_go_on(request_to_end):
    process = program(0)
    process.send_signal(request_to_end)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (
        128 + request_to_end, "releasing\nreleased\n", "go on so\n",
    )  # fmt: skip


IN_A_FINALIZER = """
import os, signal, time
from nas.engine.signals import ended_by_requests

class Resource:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)  # Python raises here what it then drops

with ended_by_requests("go on so"):
    Resource()
    time.sleep(20)
"""


def test_a_request_that_comes_in_a_finalizer_is_not_lost():
    command = [sys.executable, "-c", IN_A_FINALIZER]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (143, "", "go on so\n")


def run_while_loading(folder: Path, begins: str, module: str) -> subprocess.CompletedProcess[str]:
    """A program in which requests come while it loads a module.

    Args:
        begins: a context of the program, in which it loads the module and then waits.
        module: lines of it.
    """
    (folder / "loaded.py").write_text(f"import os, signal, time\n{module}")
    (folder / "program.py").write_text(
        "import time\n"
        "from nas.engine.signals import ended_by_requests, stop_requests\n"
        f"with {begins}:\n"
        "    import loaded\n"
        "    time.sleep(20)\n"
    )
    command = [sys.executable, str(folder / "program.py")]
    return subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)


COMMAND_BEGINS = "ended_by_requests('go on so')"


def test_a_module_that_is_being_loaded_is_loaded_first(tmp_path):
    ended = run_while_loading(tmp_path, COMMAND_BEGINS, """
os.kill(os.getpid(), signal.SIGHUP)
before = len(os.listdir('/proc/self/fd'))
time.sleep(0.1)
print(len(os.listdir('/proc/self/fd')) - before, 'files more')
""")  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (129, "0 files more\n", "go on so\n")


def test_asked_again_while_a_module_is_loaded_it_ends_at_once(tmp_path):
    ended = run_while_loading(tmp_path, COMMAND_BEGINS, """
for number in (signal.SIGTERM, signal.SIGINT):
    os.kill(os.getpid(), number)
    time.sleep(0.05)
print('loaded')
""")  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "go on so\n")


def test_in_a_program_of_ones_own_too_a_module_is_loaded_first(tmp_path):
    ended = run_while_loading(tmp_path, "stop_requests()", """
for number in (signal.SIGINT, signal.SIGINT):
    os.kill(os.getpid(), number)
    time.sleep(0.05)
print('loaded', flush=True)
""")  # fmt: skip
    assert (ended.returncode, ended.stdout) == (1, "loaded\n")
    assert "Interrupted: SIGINT" in ended.stderr


def test_asked_again_it_ends_at_once():
    process = program(60)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "releasing\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (143, "", "go on so\n")


def test_what_nohup_keeps_from_a_command_is_not_heard():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = program(0)
    finally:
        signal.signal(signal.SIGHUP, before)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143


def ask(number: int, *, times: int, answers: list[bool]) -> None:
    """Ask this process to end, while it trains; whether it knows, after each time."""
    with stop_requests() as stopped:
        for _ in range(times):
            os.kill(os.getpid(), number)
            answers.append(stopped())


def test_in_a_program_of_ones_own_a_request_is_raised_where_the_search_ends():
    before = [signal.getsignal(number) for number in REQUESTS]
    answers: list[bool] = []
    with pytest.raises(Interrupted) as caught:
        ask(signal.SIGTERM, times=1, answers=answers)
    assert answers == [True]
    assert caught.value.number == signal.SIGTERM
    assert [signal.getsignal(number) for number in REQUESTS] == before


def test_in_a_program_of_ones_own_the_second_is_raised_where_it_comes():
    answers: list[bool] = []
    with pytest.raises(Interrupted):
        ask(signal.SIGINT, times=2, answers=answers)
    assert answers == [True]


def test_a_thread_searches_without_signals():
    heard = []

    def search() -> None:
        with stop_requests() as stopped:
            heard.append(stopped())

    thread = threading.Thread(target=search)
    thread.start()
    thread.join()
    assert heard == [False]


@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("request_to_end", REQUESTS, ids=lambda number: number.name)
def test_a_search_that_has_hardly_begun_ends_in_a_line(request_to_end, after_s):
    with searching("--trials", "1") as run:
        run.until(lambda: hears(run.pid, signal.SIGHUP))  # the last one
        time.sleep(after_s)
        run.process.send_signal(request_to_end)
        assert run.wait() == 128 + request_to_end
        assert run.left_behind() == []
    first = run.err.splitlines()[0]
    assert first in ("interrupted: nothing has begun", "resume with:")
    assert "Traceback" not in run.err
    assert run.out == ""


@pytest.mark.parametrize(
    "command", [["nas-search", "--space", SMOKE], ["nas-fidelity", "--study", "smoke"]]
)
def test_the_installed_command_hears_requests_while_it_loads(command):
    script = Path(sys.executable).with_name(command[0])
    process = subprocess.Popen([script, *command[1:]], stderr=subprocess.PIPE, text=True)
    while not hears(process.pid, signal.SIGHUP):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (143, "interrupted: nothing has begun\n")


@pytest.mark.ray
@pytest.mark.timeout(300)
@pytest.mark.parametrize("request_to_end", [signal.SIGTERM, signal.SIGHUP], ids=["TERM", "HUP"])
@pytest.mark.parametrize("moment", ["Ray starts", "trials train", "results are written"])
def test_a_search_is_asked_to_end_while(moment, request_to_end):
    begun = {
        "Ray starts": lambda: Path("runs/smoke/study.db").exists(),
        "trials train": lambda: count(url_of()) >= 1,
        "results are written": lambda: count(url_of()) == 6,
    }
    with searching() as run:
        run.until(begun[moment])
        run.process.send_signal(request_to_end)
        assert run.wait() == 128 + request_to_end, run.err
        assert run.left_behind() == []
    assert "resume with:\npython -m nas.search" in run.err
    assert "Traceback" not in run.err
    assert count(url_of(), "running") == 0

    with searching() as run:
        assert run.wait() == 0, run.err
    assert states(url_of()) == {"COMPLETE": 6}
    assert Path("runs/smoke/best/model.py").exists()
