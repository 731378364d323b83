"""One replica of the tiny deployment: a small HTTP service of the standard library with a pid file and a log.

Run as `service.py HOME SERVICE INSTANCE`. What it does wrong is switched on by files in HOME/faults.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HOME, SERVICE, INSTANCE = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
LOCK = threading.Lock()
COUNTS = {"done": 0, "failed": 0}
STARTED_S = time.time()


def fault(name: str) -> bool:
    return (HOME / "faults" / name).exists()


def read(name: str) -> Any:
    path = HOME / name
    return json.loads(path.read_text()) if path.exists() else {}


def log(level: str, message: str, correlation: str | None) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    record = {"ts": now, "level": level, "component": SERVICE, "message": message, "correlation_id": correlation}
    with LOCK, (HOME / "log" / f"{INSTANCE}.log").open("a") as stream:
        stream.write(json.dumps(record) + "\n")


class Handler(BaseHTTPRequestHandler):
    def answer(self, status: int, data: Any, **headers: str) -> None:
        body = data.encode() if isinstance(data, str) else json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Release", read("state.json")["release"])
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path == "/readyz":
            self.answer(503 if fault("unready") else 200, {"ready": True})
        elif self.path == "/version":
            self.answer(200, {"about": {"version": read("state.json")["release"]}})
        elif self.path == "/metrics":
            self.answer(200, "what is this }" if fault("malformed") else metrics())
        elif self.path == "/elsewhere":
            self.answer(302, "", Location="http://localhost:1/")
        elif self.path == "/moved":
            self.answer(302, "", Location="/version")
        elif self.path == "/loop":
            self.answer(302, "", Location="/loop")
        elif self.path == "/slow":
            time.sleep(30)
        elif self.path == "/trickle":
            self.trickle()
        elif self.path == "/who":
            self.answer(200, {"authorization": self.headers.get("Authorization")})
        elif self.path.startswith("/jobs/"):
            self.job(self.path.rpartition("/")[2])
        elif self.path.startswith("/notes/"):
            note = HOME / "notes" / self.path.rpartition("/")[2]
            self.answer(200, {"note": note.read_text()}) if note.exists() else self.answer(404, {})
        else:
            self.answer(404, {"path": self.path})

    def trickle(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.3)

    def job(self, marker: str) -> None:
        jobs = HOME / "jobs" / marker
        if not jobs.exists():
            self.answer(404, {})
            return
        order = json.loads(jobs.read_text())
        going = time.time() < order["until_s"] or fault("stuck")
        status = "running" if going else "failed" if order["kind"] == "failing" else "done"
        self.answer(200, {"status": status, "answer": f"for {order['input']}", "effects": 2 if fault("twice") else 1})

    def do_POST(self) -> None:
        given = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if self.headers.get("Authorization") != "Bearer caller-token-1234":
            self.answer(401 if not self.headers.get("Authorization") else 403, {})
        elif self.path == "/operations/deploy":
            self.answer(200, {"dry_run": True})
        elif not given.get("input"):
            self.answer(422, {"error": "no input"})
        else:
            log("INFO", "accepted", self.headers.get("X-Correlation-Id"))
            with LOCK:
                COUNTS["failed" if given["kind"] == "failing" else "done"] += 1
            order = {**given, "until_s": time.time() + 0.05}
            (HOME / "jobs" / given["input"]).write_text(json.dumps(order))
            self.answer(202, {"job": {"id": given["input"]}})

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        (HOME / "notes" / self.path.rpartition("/")[2]).write_text(body["note"])
        self.answer(200, {})

    def do_DELETE(self) -> None:
        (HOME / "notes" / self.path.rpartition("/")[2]).unlink(missing_ok=True)
        self.answer(204, "")

    def log_message(self, format: str, *args: Any) -> None:
        pass


def metrics() -> str:
    lines = ["# TYPE tiny_jobs counter"]
    lines += [f'tiny_jobs_total{{outcome="{name}"}} {count}' for name, count in COUNTS.items()]
    return "\n".join([*lines, "# TYPE process_start_time_seconds gauge", f"process_start_time_seconds {STARTED_S}", ""])


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    draft = HOME / "run" / f".{INSTANCE}.port"
    draft.write_text(str(server.server_address[1]))
    draft.replace(HOME / "run" / f"{INSTANCE}.port")
    (HOME / "run" / f"{INSTANCE}.pid").write_text(f"{os.getpid()}\n")
    server.serve_forever()


if __name__ == "__main__":
    main()
