"""Real Locust children against a server that knows the truth: what is sent, how ends are told apart, how runs end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from readiness.errors import UsageError
from readiness.load.plan import Plan, to_data
from readiness.load.profiles import plan_for
from readiness.load.results import LoadResult, read
from readiness.load.runner import run, running
from readiness.load.samples import Outcome
from readiness.waiting import Deadline, eventually
from tests.load.system import TOKEN, TinySystem, tiny_system

ROOT = Path(__file__).parents[2]
STEADY = ROOT / "loadtests" / "steady.py"
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def shared() -> Iterator[TinySystem]:
    with tiny_system() as system:
        yield system


@pytest.fixture
def system(shared: TinySystem) -> Iterator[TinySystem]:
    shared.control(delay_s=0.0, work_s=0.05, status=200, retry_after=False, hang=False)
    yield shared
    shared.control(hang=False)


def plan(variant: str = "ok", rate: float = 50.0, seconds: float = 2.0, **more: int | float) -> Plan:
    return plan_for("steady", rate, seconds, variant, **{"drain_s": 5.0, **more})  # type: ignore[arg-type]


def sent(system: TinySystem, folder: Path, wanted: Plan, processes: int = 1, locustfile: Path = STEADY) -> LoadResult:
    """Run a plan to its end and read it."""
    folder.mkdir(exist_ok=True)
    descriptor = system.descriptor(folder)
    return read(run(wanted, folder=folder / "run", locustfile=locustfile, descriptor=descriptor, processes=processes))


def outcomes(result: LoadResult) -> dict[str, int]:
    return {Outcome(number).name: n for number, n in sorted(Counter(result.samples()["outcome"].tolist()).items())}


def test_every_arrival_is_sent_once_and_followed_to_its_end(system: TinySystem, tmp_path: Path) -> None:
    before = len(system.log()["markers"])
    result = sent(system, tmp_path, plan())
    markers = system.log()["markers"][before:]
    assert outcomes(result) == {"OK": 100}
    assert len(set(markers)) == len(markers) == 100
    assert all(marker.startswith("rd-") for marker in markers)
    assert (result.workers_ended, result.total.planned, result.total.started) == (1, 100, 100)
    assert [stage.started for stage in result.stages] == [stage.planned for stage in result.stages]
    samples = result.samples()
    assert (samples["started_s"] >= samples["intended_s"] - 1e-6).all()
    assert (samples["ended_s"] - samples["started_s"] >= 0.05).all()
    assert result.beats and result.beats[-1].started > 0


def test_requests_carry_trace_correlation_and_credential_and_no_file_holds_it(
    system: TinySystem, tmp_path: Path
) -> None:
    sent(system, tmp_path, plan("invalid", rate=10, seconds=1))
    headers = system.log()["headers"]
    version, trace, span, flags = headers["traceparent"].split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")
    assert headers["x-correlation-id"].startswith("rd-")
    assert headers["authorization"] == f"Bearer {TOKEN}"
    written = [path for path in (tmp_path / "run").iterdir() if TOKEN.encode() in path.read_bytes()]
    assert written == []


def test_two_processes_share_the_arrivals(system: TinySystem, tmp_path: Path) -> None:
    result = sent(system, tmp_path, plan(workers=2), processes=2)
    assert outcomes(result) == {"OK": 100}
    assert (result.workers_expected, result.workers_ended) == (2, 2)
    assert {beat.worker for beat in result.beats} == {0, 1}
    ends = [json.loads((tmp_path / "run" / f"worker-{n}.end.json").read_text()) for n in (0, 1)]
    assert [(end["share"], end["started"]) for end in ends] == [([0, 2], 50), ([1, 2], 50)]


@pytest.mark.parametrize(
    ("does", "variant", "outcome", "told"),
    [
        ({"status": 429}, "ok", "SHED", "HTTP 429"),
        ({"status": 503, "retry_after": True}, "ok", "SHED", "HTTP 503"),
        ({"status": 503}, "ok", "ERROR", "HTTP 503"),
        ({"status": 422}, "ok", "ERROR", "HTTP 422"),
        ({"status": 422}, "invalid", "REFUSED", None),
        ({"work_s": 60.0}, "slow", "LATE", "not ended after 1 s"),
    ],
)
def test_how_transactions_end_is_told_apart(
    system: TinySystem, tmp_path: Path, does: dict[str, float], variant: str, outcome: str, told: str | None
) -> None:
    system.control(**does)
    result = sent(system, tmp_path, plan(variant, rate=20, seconds=1))
    assert outcomes(result) == {outcome: 20}
    assert dict(result.errors) == ({told: 20} if told else {})
    assert len(result.unfinished) == (20 if outcome == "LATE" else 0)


def test_connections_are_used_again_unless_that_is_not_wanted(system: TinySystem, tmp_path: Path) -> None:
    opened = []
    for name, keep_alive in (("kept", True), ("closed", False)):
        (tmp_path / name).mkdir()
        descriptor, before = system.descriptor(tmp_path / name), system.log()["connections"]
        wanted = plan("ask", rate=20, seconds=1)
        folder = tmp_path / name / "run"
        run(wanted, folder=folder, locustfile=STEADY, descriptor=descriptor, keep_alive=keep_alive)
        assert outcomes(read(folder)) == {"OK": 20}
        opened.append(system.log()["connections"] - before - 1)
    assert opened[0] < 20
    assert opened[1] == 20


CERTIFICATES = """
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=tiny-ca
for who in server client; do
  openssl req -newkey rsa:2048 -nodes -keyout $who.key -out $who.csr -subj /CN=$who
  printf "subjectAltName=IP:127.0.0.1" > $who.ext
  openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out $who.pem -days 2 -extfile $who.ext
done
"""


@pytest.mark.needs("openssl")
def test_tls_with_a_private_ca_and_a_client_certificate(tmp_path: Path) -> None:
    subprocess.run(["sh", "-ec", CERTIFICATES], cwd=tmp_path, check=True, capture_output=True)
    with tiny_system(tmp_path) as system:
        results = []
        for name, auth in (
            ("known", "{ca: ca.pem, certificate: client.pem, key: client.key}"),
            ("unknown", "{ca: ca.pem}"),
        ):
            path = system.descriptor(tmp_path)
            text = path.read_text().replace("http://", "https://").replace("{bearer: {file: token}}", auth)
            path.write_text(text)
            folder = tmp_path / name
            run(plan("ask", rate=10, seconds=1), folder=folder, locustfile=STEADY, descriptor=path)
            results.append(read(folder))
    assert [outcomes(result) for result in results] == [{"OK": 10}, {"ERROR": 10}]


ADAPTER = """
class Own:
    def __init__(self, options, addresses):
        self.seen = {}
    def submit(self, variant, *, marker, correlation, question, timeout_s):
        if variant == "invalid":
            return {"refused": True}
        if variant == "failing":
            raise RuntimeError(f"no {marker} today")
        self.seen[marker] = 0
        return {"id": marker}
    def finish(self, variant, id, *, marker, timeout_s):
        self.seen[id] += 1
        return {"success": True} if self.seen[id] == 3 else None
"""


def test_a_teams_own_adapter_is_loaded_too(tmp_path: Path) -> None:
    (tmp_path / "own_adapter.py").write_text(ADAPTER, encoding="utf-8")
    path = tmp_path / "own.yaml"
    path.write_text(
        "readiness: 1\nname: own\nenvironment: staging\nservices: {one: {}}\nworkload: {adapter: own_adapter:Own}\n",
        encoding="utf-8",
    )
    found = []
    for variant in ("ok", "invalid", "failing"):
        folder = tmp_path / variant
        run(plan(variant, rate=20, seconds=1), folder=folder, locustfile=STEADY, descriptor=path)
        found.append((outcomes(read(folder)), dict(read(folder).errors)))
    assert found == [
        ({"OK": 20}, {}),
        ({"REFUSED": 20}, {}),
        ({"ERROR": 20}, {"RuntimeError: no {marker} today": 20}),
    ]


def test_a_host_that_is_down_is_a_finding(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound and not listening: refused, and nobody else can take it
        taken.bind(("127.0.0.1", 0))
        down = TinySystem(taken.getsockname()[1], 0)
        result = sent(down, tmp_path, plan("ask", rate=20, seconds=1))
    assert outcomes(result) == {"ERROR": 20}
    assert dict(result.errors) == {"connection refused": 20}
    assert result.workers_ended == 1


def test_what_a_hung_server_holds_is_censored_and_the_run_ends(system: TinySystem, tmp_path: Path) -> None:
    system.control(hang=True)
    result = sent(system, tmp_path, plan("ask", rate=20, seconds=1, drain_s=1.0))
    assert outcomes(result) == {"CENSORED": 20}
    samples = result.samples()
    assert (samples["ended_s"] >= 2.0).all()
    assert result.workers_ended == 1


def test_a_closed_model_waits_for_each_answer(system: TinySystem, tmp_path: Path) -> None:
    system.control(delay_s=0.1)
    result = sent(system, tmp_path, plan("ask", users=2, seconds=2))
    samples = result.samples()
    assert result.plan.model == "closed"
    assert 2 <= len(samples) <= 42  # two users of at least 100 ms each
    assert (samples["intended_s"] == samples["started_s"]).all() or (
        samples["started_s"] - samples["intended_s"] >= 0
    ).all()


def test_a_locustfile_of_ones_own_is_recorded_as_a_closed_model(system: TinySystem, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "from locust import FastHttpUser, constant, task\n"
        "class Own(FastHttpUser):\n"
        "    wait_time = constant(0.05)\n"
        "    @task\n"
        "    def one(self):\n"
        "        self.client.get('/')\n",
        encoding="utf-8",
    )
    folder = tmp_path / "run"
    run(plan(users=3, seconds=2), folder=folder, locustfile=own, descriptor=None, host=system.url)
    result = read(folder)
    assert set(outcomes(result)) == {"OK"}
    assert len(result.samples()) > 3
    assert (result.workers_ended, result.stopped) == (1, False)


def test_a_locustfile_that_raises_is_one_line(system: TinySystem, tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("import locust\n\n1 / 0\n", encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        run(plan(), folder=tmp_path / "run", locustfile=bad, descriptor=system.descriptor(tmp_path))
    assert str(raised.value) == f"{bad}, line 3: cannot be run: ZeroDivisionError: division by zero"


def test_an_undeclared_variant_is_one_line(system: TinySystem, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"workload\.retried is not declared; declared: ok, invalid, slow, ask"):
        sent(system, tmp_path, plan("retried"))


def locust(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The stock command, as a user calls it."""
    dropped = ("READINESS_DEPLOYMENT", "READINESS_LOAD_PLAN", "READINESS_LOAD_RESULTS")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return subprocess.run(
        [sys.executable, "-m", "locust", *argv],
        cwd=ROOT,
        env={**kept, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--load-profile", "sharp"], "--load-profile 'sharp' is not known; known: steady, stress, spike,"),
        (["--load-rate", "0"], "--load-rate: '0/s' is not a rate"),
        (["--load-duration", "soon"], "--load-duration: 'soon' is not a duration"),
        (["--load-users", "-3"], "--load-users: '-3' is no number of users"),
        (
            ["--host", "ftp://127.0.0.1"],
            "--host 'ftp://127.0.0.1' is no address; write http://NAME:PORT or https://NAME",
        ),
        (["--host", "127.0.0.1:9", "--processes", "2"], "--host '127.0.0.1:9' is no address; write http://NAME:PORT"),
    ],
)
def test_bad_input_is_one_line_and_exit_4(argv: list[str], line: str) -> None:
    done = locust("-f", "loadtests/spike.py", "--headless", "--host", "http://127.0.0.1:9", *argv)
    said = [each for each in done.stderr.splitlines() if each.startswith("readiness: ")]
    assert (done.returncode, len(said)) == (4, 1)
    assert line in said[0]
    assert "Traceback" not in done.stderr


def test_without_a_deployment_and_host_that_is_one_line(tmp_path: Path) -> None:
    done = locust("-f", "loadtests/steady.py", "--headless", XDG_STATE_HOME=str(tmp_path))
    assert done.returncode == 4
    assert "no deployment: set READINESS_DEPLOYMENT" in done.stderr


def test_the_stock_command_with_a_host_alone_sends_get_requests_and_writes_only_if_asked(
    system: TinySystem, tmp_path: Path
) -> None:
    argv = [
        "-f",
        "loadtests/volume.py",
        "--headless",
        "--host",
        system.url,
        "--load-rate",
        "20",
        "--load-duration",
        "1s",
    ]
    before = system.log()["requests"]
    assert locust(*argv).returncode == 0
    assert system.log()["requests"] - before == 20
    assert locust(*argv, "--load-results", str(tmp_path / "run")).returncode == 0
    result = read(tmp_path / "run")
    assert (result.plan.profile, outcomes(result)) == ("volume", {"OK": 20})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number


@contextlib.contextmanager
def master_and_two_workers(
    system: TinySystem, tmp_path: Path, seconds: float
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """A distributed run over loopback, as it would be over machines."""
    folder, port = tmp_path / "run", str(free_port())
    folder.mkdir()
    promised = plan("ask", rate=50, seconds=seconds, workers=2, drain_s=10.0)
    (folder / "plan.json").write_text(json.dumps(to_data(promised)), encoding="utf-8")
    environment = {
        **os.environ,
        "READINESS_DEPLOYMENT": str(system.descriptor(tmp_path)),
        "READINESS_LOAD_PLAN": str(folder / "plan.json"),
        "READINESS_LOAD_RESULTS": str(folder),
    }
    base = [sys.executable, "-m", "locust", "-f", str(STEADY), "--headless"]
    master = [*base, "--master", "--expect-workers", "2", "--master-bind-host", "127.0.0.1", "--master-bind-port", port]
    worker = [*base, "--worker", "--master-host", "127.0.0.1", "--master-port", port]
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(
                    argv,
                    cwd=ROOT,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            for argv in (master, worker, worker)
        ]
        for process in started:
            stack.callback(process.kill)
        eventually(lambda: all(path.stat().st_size for path in both(folder)), within=PATIENCE_S)
        yield started


def test_a_worker_that_is_killed_is_missing_in_the_end(system: TinySystem, tmp_path: Path) -> None:
    with master_and_two_workers(system, tmp_path, seconds=4) as started:
        os.kill(started[2].pid, signal.SIGKILL)
        assert started[0].wait(PATIENCE_S) == 0
    result = read(tmp_path / "run")
    assert (result.workers_expected, result.workers_ended) == (2, 1)
    assert 100 <= result.total.started < 200


def last_beat_s(beats: Path) -> float:
    """Seconds since the run's zero at a worker's last beat."""
    whole = [json.loads(line) for line in beats.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return max((float(beat["at_s"]) for beat in whole if "at_s" in beat), default=0.0)


def test_a_worker_that_stood_still_sends_its_share_all_the_same(system: TinySystem, tmp_path: Path) -> None:
    """Locust takes it for missing, hands its users to the other one, and later back."""
    with master_and_two_workers(system, tmp_path, seconds=10) as started:
        os.kill(started[2].pid, signal.SIGSTOP)
        beats = [tmp_path / "run" / f"worker-{number}.beats.jsonl" for number in (0, 1)]
        eventually(lambda: max(map(last_beat_s, beats)), within=PATIENCE_S, until=lambda at_s: at_s > 6.0)
        os.kill(started[2].pid, signal.SIGCONT)
        assert started[0].wait(PATIENCE_S) == 0
    result = read(tmp_path / "run")
    assert (result.workers_ended, result.total.started, result.stopped) == (2, 500, False)


def test_no_process_outlives_a_parent_that_is_killed(system: TinySystem, tmp_path: Path) -> None:
    descriptor = system.descriptor(tmp_path)
    script = (
        "from pathlib import Path\n"
        "from readiness.load.profiles import plan_for\n"
        "from readiness.load.runner import run\n"
        f"run(plan_for('steady', 5.0, 300.0, 'ask', workers=2), folder=Path({str(tmp_path / 'run')!r}),\n"
        f"    locustfile=Path({str(STEADY)!r}), descriptor=Path({str(descriptor)!r}), processes=2)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.DEVNULL) as parent:
        try:
            eventually((tmp_path / "run" / "worker-1.beats.jsonl").exists, within=PATIENCE_S)
            family = psutil.Process(parent.pid).children(recursive=True)
            assert len(family) >= 3
        finally:
            parent.kill()
    eventually(lambda: not any(alive(each) for each in family), within=PATIENCE_S)


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def both(folder: Path) -> list[Path]:
    """The samples of two workers; waits until there are two."""
    return eventually(lambda: list(folder.glob("*.samples")), within=PATIENCE_S, until=lambda found: len(found) == 2)


def test_a_run_that_is_stopped_says_so_and_leaves_no_process(system: TinySystem, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    descriptor = system.descriptor(tmp_path)
    wanted = plan("ask", seconds=300, workers=2)
    with running(wanted, folder=folder, locustfile=STEADY, descriptor=descriptor, processes=2) as child:
        eventually(lambda: all(path.stat().st_size for path in both(folder)), within=PATIENCE_S)
        family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
        assert child.zero_s is not None
        assert not child.ended
    assert not any(alive(each) for each in family)
    result = read(folder)
    assert (result.workers_ended, result.stopped) == (2, True)


def test_what_fell_due_while_the_generator_stood_still_is_sent_late_and_not_dropped(
    system: TinySystem, tmp_path: Path
) -> None:
    folder, wanted = tmp_path / "run", plan("ask", rate=50, seconds=3)
    with running(wanted, folder=folder, locustfile=STEADY, descriptor=system.descriptor(tmp_path)) as child:
        eventually((folder / "worker-0.samples").stat, within=PATIENCE_S, until=lambda found: found.st_size > 0)
        os.kill(child.pid, signal.SIGSTOP)
        zero_s = child.zero_s or 0.0
        eventually(time.time, within=PATIENCE_S, until=lambda now_s: now_s > zero_s + 4.0)
        os.kill(child.pid, signal.SIGCONT)
        child.wait(Deadline.after(PATIENCE_S))
    result = read(folder)
    assert (result.total.started, result.workers_ended, result.stopped) == (150, 1, False)
    late_s = result.samples()["started_s"] - result.samples()["intended_s"]
    assert late_s.max() > 1.0


def test_a_folder_is_used_once(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match="holds a load run already"):
        run(plan(), folder=tmp_path, locustfile=STEADY, descriptor=None, deadline=Deadline.after(1))
