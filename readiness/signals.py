"""SIGINT, SIGTERM and SIGHUP of a run: the first ends it in good order, and none interrupts an undo."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN_S = 0.01


@contextmanager
def shielded() -> Iterator[None]:
    """Note ending signals that arrive inside, and deliver the first of them when the block has ended.

    Shields nest. Outside the main thread nothing is to do: Python runs signal handlers in the main thread alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    noted: list[int] = []

    def note(signum: int, _frame: FrameType | None) -> None:
        noted.append(signum)

    with ExitStack() as ending:  # goes on to the end, also where a signal between two of these lines raises
        ending.callback(lambda: signal.raise_signal(noted[0]) if noted else None)
        for number in ENDING:
            ending.callback(signal.signal, number, signal.getsignal(number))
            signal.signal(number, note)
        yield


class Interrupts:
    """Ends a run at the first SIGINT, SIGTERM or SIGHUP (as KeyboardInterrupt) and only counts the later ones.

    A second Ctrl-C comes while undos and the end of the embedded deployment are under way; it changes nothing.
    """

    def __init__(self) -> None:
        self.received: list[str] = []
        self._previous: dict[signal.Signals, object] = {}
        self._unraisable: Callable[[sys.UnraisableHookArgs], object] = sys.unraisablehook
        self._lost = False

    def __call__(self, signum: int, _frame: FrameType | None) -> None:
        if not self._lost:
            self.received.append(signal.Signals(signum).name)
        if self._lost or len(self.received) == 1:
            self._lost = False
            raise KeyboardInterrupt(self.received[0])

    def install(self) -> None:
        """Take the signals over, where this is the main thread; a run under `nohup` goes on without its terminal."""
        if threading.current_thread() is threading.main_thread():
            numbers = [n for n in ENDING if n != signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]
            self._unraisable, sys.unraisablehook = sys.unraisablehook, self._swallowed
            self._previous = {number: signal.signal(number, self) for number in numbers}

    def restore(self) -> None:
        """Give the signals back to whoever had them."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if self._previous:
            sys.unraisablehook = self._unraisable
        self._previous = {}

    def _swallowed(self, what: sys.UnraisableHookArgs) -> None:
        """Send the signal again where what it raised was lost: in the middle of a destructor or a C callback."""
        if what.exc_type is None or not issubclass(what.exc_type, KeyboardInterrupt):
            self._unraisable(what)
            return
        self._lost = True
        main = threading.main_thread().ident
        again = threading.Timer(_AGAIN_S, lambda: signal.pthread_kill(main, signal.SIGINT) if main else None)
        again.daemon = True
        again.start()
