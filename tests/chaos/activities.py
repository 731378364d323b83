"""Activities of experiments that the tests run: each goes wrong in a way of its own."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def well() -> bool:
    return True


def badly() -> bool:
    return False


def nothing() -> None:
    return None


def raises() -> bool:
    raise RuntimeError("the action could not be done")


async def awaited() -> bool:
    return True


def yielding() -> Iterator[bool]:
    yield True


def says(text: str) -> str:
    return text


def fails_saying(text: str) -> None:
    raise RuntimeError(f"cannot log in with {text}")


def note(path: str, text: str = "was here") -> str:
    with Path(path).open("a", encoding="utf-8") as stream:
        stream.write(text + "\n")
    return text


def is_noted(path: str) -> bool:
    return Path(path).exists()


def nothing_once_noted(path: str) -> list[int] | None:
    """A tolerance of two numbers raises on None: the exception leaves the library."""
    return None if Path(path).exists() else 1  # type: ignore[return-value]


def hangs(path: str = "") -> None:
    if path:
        note(path, str(os.getpid()))
    threading.Event().wait(120)


def interrupted() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)


def terminated() -> None:
    """An activity that swallows every exception: the library's own handler of SIGTERM would be swallowed with them."""
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    except Exception:
        return


def needs(a: int, b: int = 0, configuration: Any = None) -> int:
    del configuration
    return a + b
