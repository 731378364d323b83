"""A tiny real deployment that the tests start and stop: two services, three processes, and an operators' command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from readiness.credentials import Credentials
from readiness.gate import at_most
from readiness.history import Event, History
from readiness.loading import DescriptorFile, load_descriptor
from readiness.model import GateInfo, Limit, Mode, Risk
from readiness.redaction import Redactor
from readiness.session import Session
from readiness.state import State
from readiness.target import attach

SERVICE = Path(__file__).with_name("service.py")
CTL = Path(__file__).with_name("ctl.py")
TOKEN = "caller-token-1234"
FOLDERS = ("run/targets", "log", "jobs", "notes", "faults", "backups", "secrets", "env")
DESCRIPTOR = """\
readiness: 1
name: tiny
environment: staging
driver: process
state: var/readiness
services:
  front:
    address: http://127.0.0.1:{port}
    instances: {{file_sd: run/targets/front.json}}
    ready: /readyz
    version: {{path: /version, field: about.version}}
    metrics: /metrics
    replicas: 2
    process: {process}
  store:
    instances: {{file_sd: run/targets/store.json}}
    ready: /readyz
    version: {{path: /version, field: about.version}}
    process: {{pidfile: run/store-*.pid}}
auth:
  front: {{bearer: {{file: secrets/caller.token}}}}
levels:
  caller: {{bearer: {{file: secrets/caller.token}}}}
  stranger: {{bearer: {{file: secrets/stranger.token}}}}
releases: {{current: "1.0", candidate: "1.1"}}
workload:
  ok: &ok
    submit: {{method: POST, url: "{{front}}/jobs", json: {{kind: ok, input: "{{marker}}"}}}}
    id: job.id
    result: {{url: "{{front}}/jobs/{{id}}", until: {{status: [done, failed]}}, success: {{status: done}}}}
    expect: {{answer: "for {{marker}}"}}
    once: {{effects: 1}}
    within: 5s
  failing:
    submit: {{method: POST, url: "{{front}}/jobs", json: {{kind: failing, input: "{{marker}}"}}}}
    id: job.id
    result: {{url: "{{front}}/jobs/{{id}}", until: {{status: [done, failed]}}, success: {{status: done}}}}
    outcome: failure
  invalid:
    submit: {{method: POST, url: "{{front}}/jobs", json: {{input: ""}}}}
    outcome: refused
  remember:
    write: {{method: PUT, url: "{{front}}/notes/{{marker}}", json: {{note: "{{marker}}"}}}}
    read: {{url: "{{front}}/notes/{{marker}}"}}
    forget: {{method: DELETE, url: "{{front}}/notes/{{marker}}"}}
  correlation: {{request_header: X-Correlation-Id}}
  version_at: {{response_header: X-Release, request: {{url: "{{front}}/version"}}}}
  max_rate_per_s: 200
signals:
  jobs_done: {{metric: tiny_jobs_total, labels: {{outcome: done}}}}
  jobs_failed: {{metric: tiny_jobs_total, labels: {{outcome: failed}}}}
  nowhere: {{metric: no_such_total}}
log_fields: {{correlation: correlation_id, component: component}}
evidence:
  metrics: {{scrape: true}}
  logs: {{files: ["log/*.log"]}}
procedures:
  start: {{run: [{ctl}, start, "{{service}}"]}}
  status: {{run: [{ctl}, status]}}
  deploy: {{run: [{ctl}, deploy, "{{release}}"]}}
  backup: {{run: [{ctl}, backup, "{{kind}}"]}}
  list_backups: {{run: [{ctl}, list_backups]}}
  restore: {{run: [{ctl}, restore, "{{backup}}", "{{environment}}"]}}
  discard: {{run: [{ctl}, discard, "{{environment}}"]}}
  inventory: {{run: [{ctl}, inventory]}}
  environment:
    run: [{ctl}, environment]
    env: {{DECLARED: "{{current}}"}}
    secrets: {{TOKEN: {{file: secrets/caller.token}}}}
  hang: {{run: [{ctl}, hang], within: 1500ms}}
  flood: {{run: [{ctl}, flood]}}
  absent: {{run: [./no/such/program]}}
operations:
  deploy: {{as: caller, dry_run: {{method: POST, url: "{{front}}/operations/deploy", json: {{dry_run: true}}}}}}
  say: {{as: caller, dry_run: [echo, "{{release}}", "{{environment}}", "{{operation}}"]}}
recovery: {{environment: spare, descriptor: env/spare/descriptor.yaml}}
"""


class Tiny:
    """The running deployment: its folder, and what tests do to it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.attendant: subprocess.Popen[bytes] | None = None
        """A supervisor that a test has put beside it; it is ended first."""

    @property
    def file(self) -> DescriptorFile:
        return load_descriptor(self.home / "descriptor.yaml")

    def ctl(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(self.home / "ctl"), *arguments], capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout

    def pid(self, instance: str) -> int:
        return int((self.home / "run" / f"{instance}.pid").read_text())

    def fault(self, name: str, on: bool = True) -> None:
        path = self.home / "faults" / name
        path.touch() if on else path.unlink(missing_ok=True)

    def release(self) -> str:
        return str(json.loads((self.home / "state.json").read_text())["release"])

    def write_descriptor(self, text: str) -> None:
        (self.home / "descriptor.yaml").write_text(text)

    def edit(self, old: str, new: str) -> None:
        text = (self.home / "descriptor.yaml").read_text()
        assert old in text
        self.write_descriptor(text.replace(old, new))

    def stop(self) -> None:
        if self.attendant is not None:
            self.attendant.kill()
            self.attendant.wait(60)
        for process in psutil.process_iter():
            try:
                if str(self.home) in process.cmdline() and str(SERVICE) in process.cmdline():
                    process.kill()  # found by what it is: a test may have written anything into the pid files
            except psutil.Error:
                continue


@contextmanager
def running(home: Path) -> Iterator[Tiny]:
    """Start the tiny deployment in a folder, and stop it."""
    for folder in FOLDERS:
        (home / folder).mkdir(parents=True)
    (home / "state.json").write_text(json.dumps({"release": "1.0", "weights": {"1.0": 100}}))
    (home / "secrets" / "caller.token").write_text(TOKEN + "\n")
    (home / "secrets" / "stranger.token").write_text("stranger-token-99\n")
    ctl = home / "ctl"
    ctl.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{CTL}" "{home}" "$@"\n')
    ctl.chmod(0o755)
    tiny = Tiny(home)
    try:
        tiny.ctl("start", "front")
        tiny.ctl("start", "store")
        port = (home / "run" / "front-1.port").read_text()
        tiny.write_descriptor(DESCRIPTOR.format(ctl=ctl, port=port, process="{pidfile: run/front-*.pid}"))
        yield tiny
    finally:
        tiny.stop()


class FixedLimits:
    """Limits as the gate has them."""

    def limit(self, gate: GateInfo, name: str) -> tuple[Limit, float | None, bool]:
        return gate.limits[name], None, name == "soft_s"


def gate_info(mode: Mode = Mode.DRILL) -> GateInfo:
    """A gate of that mode with two limits, `soft_s` weakened without leave."""
    limits = {"wait_s": at_most(5, "s"), "soft_s": at_most(9, "s")}
    return GateInfo("TST-TIN-001", "tiny", "Tiny.", "", "", Risk.HIGH, True, mode, 1, limits=limits)


class Sitting:
    """A session on the tiny deployment, and the records it leaves."""

    def __init__(self, tiny: Tiny, run: str = "run-1") -> None:
        self.folder = tiny.home / "reports" / run
        self.redactor = Redactor()
        file = tiny.file
        self.state = State(file.resolve(file.descriptor.state), "tiny")
        self.history = History.create(self.folder, self.redactor)
        credentials = Credentials.load(file, self.redactor)
        self.session = Session(
            file,
            attach(file),
            credentials,
            self.history,
            self.state,
            self.redactor,
            FixedLimits(),
            self.folder,
            run,
        )

    def events(self, kind: str) -> list[Event]:
        return [event for event in History.read(self.folder) if event.kind == kind]
