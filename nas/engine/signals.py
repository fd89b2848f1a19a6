"""Ctrl-C, a request to end the process, and a terminal that is gone: a search releases what it has.

The first request is raised where it comes, or waits until a search can stop between two steps. The
second ends a command at once; whatever is in the database is whole then, too.
"""

from __future__ import annotations

import _thread
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import FrameType
from typing import Any, NoReturn

REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_AGAIN_S = 0.01
_LOADING_S = 10.0
_IMPORT_SYSTEM = "<frozen importlib._bootstrap>"


class Interrupted(KeyboardInterrupt):
    """The process was asked to end.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class _Handler:
    """Takes requests to end.

    Args:
        end_at_once: what the second request does; None where it is raised, as the first one is.

    Attributes:
        first: number of the signal that came first, if one has come.
        waits: it is not raised, for somebody looks whether it has come.
    """

    def __init__(self, end_at_once: Callable[[int], NoReturn] | None = None) -> None:
        self.end_at_once = end_at_once
        self.first: int | None = None
        self.waits = False
        self._raised = False
        self._sent_again = False  # the next signal is this process's own
        self._loads_until = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._sent_again:
            self._sent_again = False
            if self._raised:
                return
        elif self.first is None:
            self.first = number
            self._loads_until = time.monotonic() + _LOADING_S
            if number == signal.SIGHUP:
                _leave_terminal()
        elif self.end_at_once is not None:
            self.end_at_once(number)
        else:
            self.waits = False
        if self.waits:
            return
        if self._must_not_raise(frame):
            self._send_again(number)
        else:
            self.raise_first()

    def raise_first(self) -> None:
        """Raise the first request, if one has come."""
        if self.first is not None:
            self._raised = True
            raise Interrupted(self.first) from None

    def dropped(self, number: int) -> None:
        """What was raised came where Python drops exceptions, as in a finalizer."""
        self._raised = False
        self._send_again(number)

    def _must_not_raise(self, frame: FrameType | None) -> bool:
        """Whether an exception would be dropped, or do harm.

        Between two lines of the import system it leaves a lock taken for good: what another thread
        loads to release what it has waits for ever. In the middle of a module that is not loaded
        again as it should be, so that this has some seconds to come to its end.
        """
        if frame is not None and frame.f_code.co_filename in (_IMPORT_SYSTEM, __file__):
            return True
        return time.monotonic() < self._loads_until and _imports(frame)

    def _send_again(self, number: int) -> None:
        """Send this process a request once more, when what it came in may be over.

        By a bare thread: to start one of `threading` takes locks, which whatever the signal has
        interrupted may have taken.
        """
        try:
            _thread.start_new_thread(self._send, (number,))
        except RuntimeError:  # there can be no more threads
            self.raise_first()

    def _send(self, number: int) -> None:
        time.sleep(_AGAIN_S)
        heard_by: object = signal.getsignal(number)
        if heard_by is self:
            self._sent_again = True
            os.kill(os.getpid(), number)


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Whether the process was asked to end; asked again, it ends at once.

    Raises:
        Interrupted: at the end, where it was asked.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # no other thread hears signals
        return
    set_by_command = (h for n in REQUESTS if isinstance(h := signal.getsignal(n), _Handler))
    of_command = next(set_by_command, None)
    handler = of_command or _Handler()
    with nullcontext() if handler is of_command else _handled_by(handler):
        handler.waits = True
        try:
            yield lambda: handler.first is not None
        finally:
            handler.waits = False
            handler.raise_first()


@contextmanager
def ended_by_requests(last_words: str) -> Iterator[None]:
    """What a command does: asked to end, it says how to go on, with the status of the signal."""

    def end_at_once(number: int) -> NoReturn:
        with suppress(OSError):
            os.write(2, f"{last_words}\n".encode())  # where it comes, a print may be under way
        os._exit(128 + number)

    with _handled_by(_Handler(end_at_once)):
        try:
            yield
        except KeyboardInterrupt as request:
            print(last_words, file=sys.stderr)
            number = request.number if isinstance(request, Interrupted) else signal.SIGINT
            sys.exit(128 + number)


def end_before_begun() -> None:
    """Asked to end while a command loads, it ends: there is nothing to release."""
    for number in _heard():
        signal.signal(number, _end_before_begun)


def _end_before_begun(number: int, frame: object) -> NoReturn:
    with suppress(OSError):
        os.write(2, b"interrupted: nothing has begun\n")
    _end(number, frame)


def _end(number: int, _frame: object) -> NoReturn:
    os._exit(128 + number)


def _heard() -> list[signal.Signals]:
    """Not what whoever started the process wants it not to hear, as `nohup` and `&` do."""
    return [number for number in REQUESTS if signal.getsignal(number) != signal.SIG_IGN]


@contextmanager
def _handled_by(handler: _Handler) -> Iterator[None]:
    report = sys.unraisablehook

    def unraisable(dropped: sys.UnraisableHookArgs) -> None:
        if isinstance(dropped.exc_value, Interrupted):
            handler.dropped(dropped.exc_value.number)
        else:
            report(dropped)

    before: dict[int, Any] = {}
    sys.unraisablehook = unraisable
    try:
        for number in _heard():
            before[number] = signal.signal(number, handler)
        yield
    finally:
        for heard, earlier in before.items():
            after = _end if earlier is _end_before_begun else earlier  # it had begun
            signal.signal(heard, signal.SIG_DFL if after is None else after)
        if sys.unraisablehook is unraisable:
            sys.unraisablehook = report


def _imports(frame: FrameType | None) -> bool:
    """Whether a module is being loaded."""
    while frame is not None and frame.f_code.co_filename != _IMPORT_SYSTEM:
        frame = frame.f_back
    return frame is not None


def _leave_terminal() -> None:
    """Write to nothing from now on: to write to a terminal that is gone is an error."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for output in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(output).st_mode):
                os.dup2(nothing, output)
    os.close(nothing)
