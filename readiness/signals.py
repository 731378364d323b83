"""SIGINT and SIGTERM of a run: the first ends it in good order, and none interrupts an undo."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def shielded() -> Iterator[None]:
    """Note SIGINT and SIGTERM that arrive inside, and deliver the first of them when the block has ended.

    Shields nest. Outside the main thread nothing is to do: Python runs signal handlers in the main thread alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    noted: list[int] = []

    def note(signum: int, _frame: FrameType | None) -> None:
        noted.append(signum)

    previous = {number: signal.signal(number, note) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if noted:
            signal.raise_signal(noted[0])


class Interrupts:
    """Ends a run at the first SIGINT or SIGTERM (as KeyboardInterrupt) and only counts the later ones.

    A second Ctrl-C comes while undos and the end of the embedded deployment are under way; it changes nothing.
    """

    def __init__(self) -> None:
        self.received: list[str] = []
        self._previous: dict[signal.Signals, object] = {}

    def __call__(self, signum: int, _frame: FrameType | None) -> None:
        self.received.append(signal.Signals(signum).name)
        if len(self.received) == 1:
            raise KeyboardInterrupt(self.received[0])

    def install(self) -> None:
        """Take both signals over, where this is the main thread."""
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self) for number in ENDING}

    def restore(self) -> None:
        """Give both signals back to whoever had them."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous = {}
