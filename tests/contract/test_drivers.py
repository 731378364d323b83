"""What every driver must keep, run against a tiny real deployment; a new driver adds itself to `WAYS`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from readiness.errors import Missing, TargetError, UsageError
from readiness.loading import load_descriptor
from readiness.target import Ends, Inspects, Instance, Kills, Target, attach, capable
from readiness.waiting import eventually
from tests.tiny.deployment import Tiny, running


@dataclass
class Reached:
    """A target, and the deployment behind it."""

    target: Target
    tiny: Tiny


def by_pidfile(tiny: Tiny) -> None:
    """The descriptor of the tiny deployment already says so."""


def by_port(tiny: Tiny) -> None:
    port = (tiny.home / "run" / "store-1.port").read_text()
    tiny.edit("process: {pidfile: run/store-*.pid}", f"process: {{port: {port}}}")
    tiny.edit(
        "process: {pidfile: run/front-*.pid}", f"process: {{port: {(tiny.home / 'run' / 'front-1.port').read_text()}}}"
    )
    tiny.edit("replicas: 2", "replicas: 1")


def by_supervisor(tiny: Tiny) -> None:
    """The same services as programs of a supervisord of the test's own."""
    tiny.stop()
    socket = tiny.home / "s.sock"
    service = Path(__file__).parents[1] / "tiny" / "service.py"
    programs = "".join(
        f"[program:{name}]\ncommand={sys.executable} {service} {tiny.home} {name[:-2]} {name}\n"
        "autorestart=false\nstartsecs=0\n"
        for name in ("front-1", "front-2", "store-1")
    )
    groups = "[group:front]\nprograms=front-1,front-2\n[group:store]\nprograms=store-1\n"
    (tiny.home / "s.conf").write_text(
        f"[supervisord]\nnodaemon=true\npidfile={tiny.home}/s.pid\nlogfile={tiny.home}/s.log\n"
        f"[unix_http_server]\nfile={socket}\n[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n" + programs + groups
    )
    tiny.edit("process: {pidfile: run/front-*.pid}", "process: {supervisor: 'unix://s.sock'}")
    tiny.edit("process: {pidfile: run/store-*.pid}", f"process: {{supervisor: 'unix://{socket}:store-1'}}")
    for path in (tiny.home / "run").glob("*.port"):
        path.unlink()
    run = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(tiny.home / "s.conf")]
    tiny.attendant = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(lambda: len(list((tiny.home / "run").glob("*.port"))) == 3, within=60)


WAYS: dict[str, Callable[[Tiny], None]] = {
    "process-pidfile": by_pidfile,
    "process-port": by_port,
    "process-supervisor": by_supervisor,
}


@pytest.fixture(params=WAYS)
def reached(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reached]:
    with running(tmp_path / "t") as tiny:
        WAYS[request.param](tiny)
        yield Reached(attach(tiny.file), tiny)


@pytest.fixture
def killing(reached: Reached) -> Kills:
    if not isinstance(reached.target, Kills):
        pytest.skip("this driver does not kill")
    return reached.target


def test_services_and_addresses_are_those_declared(reached: Reached) -> None:
    assert list(reached.target.services()) == ["front", "store"]
    assert reached.target.address("front").startswith("http://127.0.0.1:")
    with pytest.raises(Missing) as missing:
        reached.target.address("store")
    assert "services.store.address" in missing.value.remedy


def test_instances_name_their_processes(reached: Reached) -> None:
    (store,) = reached.target.instances("store")
    assert store.service == "store" and store.pid == reached.tiny.pid("store-1")
    assert store.started is not None and store.started > 1e9
    assert {one.pid for one in reached.target.instances("front")} <= {reached.tiny.pid(f"front-{n}") for n in (1, 2)}
    assert list(reached.target.instances("store")) == [store], "the same process is told the same way"


def test_a_kill_ends_that_replica_and_no_other(reached: Reached, killing: Kills) -> None:
    (store,) = reached.target.instances("store")
    front = list(reached.target.instances("front"))
    killing.kill("store", store)
    eventually(lambda: not reached.target.instances("store"), within=30)
    assert list(reached.target.instances("front")) == front
    with pytest.raises(TargetError, match="store"):
        killing.kill("store", store)


def test_a_kill_is_plain_data_that_survives_a_file(reached: Reached) -> None:
    (store,) = reached.target.instances("store")
    if not isinstance(reached.target, Ends):
        pytest.skip("this driver does not end replicas")
    written = json.loads(json.dumps(dict(reached.target.killing(store).do.arguments)))
    reached.target.perform("kill", written)
    eventually(lambda: not reached.target.instances("store"), within=30)


def test_what_is_not_the_services_own_is_never_killed(reached: Reached, killing: Kills) -> None:
    (store,) = reached.target.instances("store")
    (front, *_) = reached.target.instances("front")
    strangers = [
        Instance("store", "the other service's", None, front.pid, front.started),
        Instance("store", "of another time", None, store.pid, (store.started or 0.0) - 3600),
        Instance("store", "we ourselves", None, os.getpid(), store.started),
        Instance("store", "our parent", None, os.getppid(), store.started),
        Instance("store", "init", None, 1, store.started),
        Instance("store", "nobody", None, None, None),
    ]
    for stranger in strangers:
        with pytest.raises(TargetError):
            killing.kill("store", stranger)
    assert list(reached.target.instances("store")) == [store]
    assert front in reached.target.instances("front")


def test_an_operation_that_the_driver_has_not_is_refused(reached: Reached) -> None:
    with pytest.raises(TargetError, match="melt"):
        reached.target.perform("melt", {"service": "store"})
    with pytest.raises(TargetError, match="pid"):
        reached.target.perform("kill", {"service": "store", "instance": "store-1"})


def test_processes_show_arguments_and_environment(reached: Reached) -> None:
    assert capable(reached.target, Inspects) and isinstance(reached.target, Inspects)
    (store,) = reached.target.processes("store")
    assert store.pid == reached.tiny.pid("store-1") and "store-1" in store.argv
    assert store.environment is None or "PATH" in store.environment


def test_an_unknown_driver_is_a_usage_error_that_names_the_known(reached: Reached) -> None:
    for driver in ("proces", "process:5"):
        reached.tiny.write_descriptor(
            (reached.tiny.home / "descriptor.yaml").read_text().replace("driver: process", f"driver: '{driver}'")
        )
        with pytest.raises(UsageError, match="driver: process"):
            attach(load_descriptor(reached.tiny.home / "descriptor.yaml"))
        reached.tiny.edit(f"driver: '{driver}'", "driver: process")


def test_a_stale_pid_file_names_no_process(tmp_path: Path) -> None:
    """Its number belongs to another process by now: one that started after the file was written."""
    with running(tmp_path / "t") as tiny:
        target = attach(tiny.file)
        pidfile = tiny.home / "run" / "store-1.pid"
        real = pidfile.read_text()
        os.utime(pidfile, (1.0, 1.0))
        assert list(target.instances("store")) == []
        for content in ("0", "1", "999999999999", "text", "", f"{os.getpid()} or so"):
            pidfile.write_text(content)
            assert list(target.instances("store")) == []
        pidfile.write_text(f"{real.strip()}\n/var/lib/data\n5432\n")
        assert [one.pid for one in target.instances("store")] == [int(real)]


def test_a_supervisor_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with running(tmp_path / "t") as tiny:
        tiny.edit("process: {pidfile: run/store-*.pid}", "process: {supervisor: 'unix://no.sock'}")
        with pytest.raises(TargetError, match=r"no\.sock"):
            attach(tiny.file).instances("store")


def test_a_process_that_is_killed_from_outside_is_gone(reached: Reached) -> None:
    os.kill(reached.tiny.pid("store-1"), signal.SIGKILL)
    eventually(lambda: not reached.target.instances("store"), within=30)
