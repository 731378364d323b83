"""Random signals at random moments, second ones included: `python -m tests.chaos_safety.signalled [COUNT] [SEED]`.

Each time a process of its own breaks a model of a deployment that lives in a file; the signals end it, and afterwards
everything is as it was.
"""

from __future__ import annotations

import os
import random
import select
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from readiness.executor import Executor
from readiness.operations import Fault
from readiness.signals import ENDING, Interrupts, shielded
from readiness.state import State
from readiness.waiting import NotInTime, eventually
from tests.chaos_safety.model import Harness, World, frozen, killed, skewed, slow, squeezed

FAULTS: tuple[Callable[[], Fault], ...] = (
    lambda: frozen("planner-1"),
    lambda: killed("writer-1"),
    lambda: squeezed("planner-2"),
    lambda: slow("a", "b"),
    skewed,
)
LONGEST_S = 0.06
"""The latest moment of a signal, in seconds after the first fault; by then some dozen faults have come and gone."""
END_WITHIN_S = 60.0


def break_things(executor: Executor, inject: Callable[[Fault], object], chance: random.Random) -> None:
    """Inject up to three faults at a time and lift them, until somebody ends it."""
    while True:
        for make in chance.sample(FAULTS, chance.randint(1, 3)):
            inject(make())
        if chance.random() < 0.5:
            executor.heal()
        for change in reversed(executor.open):
            executor.lift(change)


def run(home: Path, chance: random.Random, ready: int) -> None:
    """Be a run that is going to be ended by signals."""
    interrupts = Interrupts()
    interrupts.install()
    harness = Harness(home, World(home / "world.json"))
    try:
        os.write(ready, b"!")
        break_things(harness.executor, harness.inject, chance)
    finally:
        with shielded():
            harness.executor.heal()


def once(home: Path, seed: int) -> str:
    """Start a run, send it signals, and give what is not as it was, or no text."""
    chance = random.Random(seed)
    told, ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            run(home, chance, ready)
        except KeyboardInterrupt:
            code = 0
        finally:
            os._exit(code)
    os.close(ready)
    os.read(told, 1)
    os.close(told)
    numbers = [chance.choice(ENDING) for _ in range(chance.randint(1, 3))]
    for number in numbers:
        select.select([], [], [], chance.uniform(0, LONGEST_S))
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            os.kill(pid, number)
    status = ended(pid)
    world = World(home / "world.json")
    first = world.data()
    world.read()
    names = "+".join(signal.Signals(number).name for number in numbers)
    if world.data() != first:
        return f"seed {seed} ({names}): {world.data()}"
    if State(home / "var").opened():
        return f"seed {seed} ({names}): something is open still"
    return "" if status == 0 else f"seed {seed} ({names}): ended with {status}"


def ended(pid: int) -> int:
    """Await the end of a run; one that does not end is killed, and that shows in its status."""

    def status() -> list[int]:
        return [found[1]] if (found := os.waitpid(pid, os.WNOHANG))[0] else []

    try:
        return eventually(status, within=END_WITHIN_S, every_s=0.005)[0]
    except NotInTime:
        os.kill(pid, signal.SIGKILL)
        return os.waitpid(pid, 0)[1]


def main() -> int:
    """Do it that often, and say what was left."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    left = []
    for n in range(count):
        with tempfile.TemporaryDirectory() as home:
            if problem := once(Path(home), seed + n):
                left.append(problem)
    print("\n".join([*left, f"{count} runs ended by random signals, {len(left)} left something"]))
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
