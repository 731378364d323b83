"""From an abort at a random moment to the verified undo of every fault that is lifted: p50, p95 and max.

Each abort ends a run of its own process with SIGINT, SIGTERM or SIGHUP while one to three faults are in force or just
being injected: frozen, starved and squeezed processes, and a slow and a cut link on the embedded Toxiproxy. Measured
from the signal until the end of the last effect has been seen, as the ledger has it.
`squeezed` leaves 64 MiB of room: one that hits its limit is killed, and would have to start again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from readiness.credentials import Credentials
from readiness.history import History
from readiness.ledger import FILE
from readiness.loading import DescriptorFile, load_descriptor
from readiness.operations import Fault, Operation
from readiness.policy import EMBEDDED_POLICY, Limits
from readiness.redaction import Redactor
from readiness.session import Session
from readiness.signals import ENDING, Interrupts, shielded
from readiness.state import State
from readiness.target import Argument, Lifted, Pauses, attach, capable
from readiness.target import Limits as TakesAway
from readiness.toxiproxy import Toxiproxy
from readiness.waiting import Deadline, eventually

PROMISED_MS = 250.0
LONGEST_S = 0.5
LINK = "front-to-worker-1"
WORKER = """
import http.server, sys, threading, time
def spin():
    while True:
        until = time.monotonic() + 0.003
        while time.monotonic() < until: pass
        time.sleep(0.007)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "3"); self.end_headers(); self.wfile.write(b"ok\\n")
    def log_message(self, *_): pass
    def handle(self):
        try: super().handle()
        except ConnectionError: pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
if "busy" in sys.argv:
    threading.Thread(target=spin, daemon=True).start()
print(server.server_address[1], flush=True)
server.serve_forever()
"""
DESCRIPTOR = """\
readiness: 1
name: abort
environment: development
driver: process
state: var
services:
  worker: {{replicas: 4, process: {{pidfile: "run/worker-*.pid"}}}}
faults: {{toxiproxy: "{toxiproxy}"}}
blast_radius: {{max_services: 2, max_replicas_share: 1.0}}
"""


@contextmanager
def deployment(home: Path) -> Iterator[DescriptorFile]:
    """Four workers, one of them busy, and a proxy in front of the first."""
    (home / "run").mkdir()
    with ExitStack() as held:
        ports = []
        for n in (1, 2, 3, 4):
            argv = [sys.executable, "-c", WORKER, *(["busy"] if n == 3 else [])]
            worker = held.enter_context(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
            held.callback(worker.kill)
            held.callback(worker.send_signal, signal.SIGCONT)
            (home / f"run/worker-{n}.pid").write_text(str(worker.pid))
            assert worker.stdout is not None
            ports.append(int(worker.stdout.readline()))
        ready = home / "toxiproxy.ready"
        argv = [sys.executable, "-m", "readiness.toxiproxy.server", "--port", "0", "--ready-file", str(ready)]
        proxies = held.enter_context(subprocess.Popen(argv, cwd=Path(__file__).parents[1]))
        held.callback(proxies.kill)
        url = f"http://{eventually(lambda: ready.read_text() if ready.exists() else '', within=60).strip()}"
        Toxiproxy(url).create(LINK, f"127.0.0.1:{ports[0]}")
        (home / "readiness.yaml").write_text(DESCRIPTOR.format(toxiproxy=url))
        yield load_descriptor(home / "readiness.yaml")


def faults(file: DescriptorFile) -> dict[str, Callable[[], Fault]]:
    """What can be lifted here, by its name."""
    target = attach(file)
    workers = {one.name: one for one in target.instances("worker")}

    def planned(name: str, plan: Callable[[], Lifted]) -> Callable[[], Fault]:
        def fault() -> Fault:
            do, undo, witness, healed = plan()
            return Fault(name, name, (do,), (undo,), witness, healed, "worker", 1, lifted=True)

        return fault

    def link(name: str, do: Operation, undo: Operation, expect: str, toxic: str) -> Callable[[], Fault]:
        look: dict[str, Argument] = {"proxies": json.dumps([LINK]), "name": toxic, "path": "/readyz"}
        felt = Operation("toxiproxy", "felt", {**look, "expect": expect, "at_least": 50})
        clear = Operation("toxiproxy", "clear", look)
        return lambda: Fault(name, name, (do,), (undo,), felt, clear, "worker", 0, lifted=True)

    on: dict[str, Argument] = {"proxies": json.dumps([LINK])}
    toxic: dict[str, Argument] = {**on, "name": "rd-abort-slow"}
    latency: dict[str, Argument] = {
        "type": "latency",
        "stream": "downstream",
        "toxicity": 1.0,
        "attributes": json.dumps({"latency": 80}),
    }
    slow = link(
        "slow",
        Operation("toxiproxy", "add_toxic", {**toxic, **latency}),
        Operation("toxiproxy", "remove_toxic", toxic),
        "slow",
        "rd-abort-slow",
    )
    cut = link("cut", Operation("toxiproxy", "disable", on), Operation("toxiproxy", "enable", on), "refused", "")
    found = {"slow": slow, "cut": cut}
    if capable(target, Pauses) and isinstance(target, Pauses) and not target.pauses():
        found["frozen"] = planned("frozen", lambda: target.freezing(workers["worker-2"]))
    if isinstance(target, TakesAway):
        limits = target
        if not limits.limits("cpu"):
            found["starved"] = planned("starved", lambda: limits.starving(workers["worker-3"], 0.1, "rd-abort"))
        if not limits.limits("memory"):
            found["squeezed"] = planned("squeezed", lambda: limits.squeezing(workers["worker-4"], 64 << 20, "rd-abort"))
    return found


def run(file: DescriptorFile, folder: Path, chosen: list[Fault], ready: int) -> None:
    """Be a run that is going to be aborted."""
    interrupts = Interrupts()
    interrupts.install()
    redactor, now = Redactor(), datetime.now(UTC)
    state = State(file.resolve(file.descriptor.state), file.descriptor.name)
    limits = Limits(EMBEDDED_POLICY, file.descriptor.objectives, [], now)
    history, credentials = History.create(folder, redactor), Credentials.load(file, redactor)
    session = Session(file, attach(file), credentials, history, state, redactor, limits, folder, folder.name)
    try:
        for fault in chosen:
            inject(session, fault)
            os.write(ready, b"!")
        eventually(lambda: False, within=60)
    finally:
        with shielded():
            session.heal()


def inject(session: Session, fault: Fault) -> None:
    """Break it; what has room left cannot be shown to be squeezed, and is only done."""
    deadline = Deadline.after(60)
    if fault.name != "squeezed":
        session.executor.inject(fault, gate="abort", deadline=deadline)
        return
    session.executor.begin(
        fault.what, gate="abort", undo=fault.undo, service=fault.service, deadline=deadline, fault=fault
    )
    for operation in fault.do:
        session.executor.perform(operation, deadline)


def abort(file: DescriptorFile, folder: Path, chosen: list[Fault], chance: random.Random) -> dict[str, float]:
    """Abort one run, and give how long each fault that was in force stood after it, in milliseconds."""
    told, ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            run(file, folder, chosen, ready)
        except KeyboardInterrupt:
            os._exit(0)
        finally:
            os._exit(1)
    os.close(ready)
    os.read(told, 1)
    time.sleep(chance.uniform(0, LONGEST_S))
    at = datetime.now(UTC)
    os.kill(pid, chance.choice(ENDING))
    status = os.waitpid(pid, 0)[1]
    os.close(told)
    lines = [json.loads(line) for line in (folder / FILE).read_text().splitlines()]
    names = {line["id"]: line["fault"] for line in lines if line["event"] == "opened"}
    bad = [line for line in lines if line["event"] == "undo_failed"]
    if status or bad:
        raise SystemExit(f"a run ended with {status}; not undone: {bad}")
    return {
        names[line["id"]]: (datetime.fromisoformat(line["undone_at"]) - at).total_seconds() * 1000
        for line in lines
        if line["event"] == "undone"
    }


def row(name: str, all_ms: list[float]) -> str:
    ordered = sorted(all_ms)
    return f"{name:10} {len(ordered):5} {rank(ordered, 0.5):8.1f} {rank(ordered, 0.95):8.1f} {ordered[-1]:8.1f}"


def rank(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aborts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    by_fault: dict[str, list[float]] = {}
    last_ms: list[float] = []
    with tempfile.TemporaryDirectory(prefix="rb-") as home, deployment(Path(home)) as file:
        kinds = faults(file)
        for n in range(given.aborts):
            chosen = [kinds[name]() for name in chance.sample(sorted(kinds), chance.randint(1, 3))]
            chosen = [one for one in chosen if one.name != "slow" or all(other.name != "cut" for other in chosen)]
            stood = abort(file, Path(home) / "reports" / f"abort-{n}", chosen, chance)
            last_ms.append(max(stood.values()))
            for name, stood_ms in stood.items():
                by_fault.setdefault(name, []).append(stood_ms)
    print(f"{'fault':10} {'count':>5} {'p50 ms':>8} {'p95 ms':>8} {'max ms':>8}")
    for name in sorted(by_fault):
        print(row(name, by_fault[name]))
    print(row("all", last_ms))
    p95_ms = rank(sorted(last_ms), 0.95)
    print(f"{given.aborts} aborts, from the signal to the last verified undo; promised: p95 <= {PROMISED_MS:.0f} ms")
    return 0 if p95_ms <= PROMISED_MS else 1
