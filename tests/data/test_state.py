"""One holder at a time, undos that outlive anything, evidence that counts only for what it was seen on."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from readiness.errors import Busy, UsageError
from readiness.model import Outcome
from readiness.state import OpenUndo, State
from tests.data.samples import AT, FINDING, GATE

ROOT = Path(__file__).parents[2]
UNDO = OpenUndo(
    id="u1",
    run_id="20261124T063015Z-ci",
    gate=GATE.id,
    what="weights of release 2.3.1",
    undo=({"by": "procedure", "name": "rollback", "arguments": {"release": "2.2.4", "n": 1, "fast": True}},),
    digest_before={"release": "2.2.4", "weights": {"2.2.4": 100}},
    opened_at=AT,
)


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state", "parcels")


def rewrite_lease(state: State, **changes: object) -> None:
    path = state.folder / "lease.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def child(module: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"tests.data.{module}", *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_a_second_run_is_told_who_holds_it(state: State) -> None:
    with state.lease("pytest --readiness (gameday) by kim", 60) as lease:
        with pytest.raises(Busy) as caught, State(state.folder).lease("another", 60):
            pass
        told = str(caught.value)
        assert "\n" not in told
        for part in ("gameday) by kim", f"pid {os.getpid()}", lease.holder.host, "since 20", "until 20", "wait for it"):
            assert part in told
    with state.lease("another", 60):
        pass
    assert state.holder() is None


def test_an_expired_lease_is_taken_over_and_then_not_renewed(state: State) -> None:
    with state.lease("slow", 60) as slow:
        rewrite_lease(state, until="2026-01-01T00:00:00Z")
        with state.lease("next", 60):
            with pytest.raises(Busy, match="taken over: next"):
                slow.renew()
            slow.release()
            assert state.holder() is not None
    assert state.holder() is None


def test_renewing_moves_the_end(state: State) -> None:
    with state.lease("kim", 60) as lease:
        rewrite_lease(state, until="2026-01-01T00:00:00Z")
        lease.renew()
        assert lease.until > datetime.now(UTC) + timedelta(seconds=30)
        with pytest.raises(Busy), state.lease("next", 60):
            pass


def test_a_holder_on_another_host_counts_until_it_expires(state: State) -> None:
    with state.lease("kim", 60):
        rewrite_lease(state, host="elsewhere", pid=2**22 + 1)
        with pytest.raises(Busy, match="on elsewhere"), state.lease("next", 60):
            pass


def test_a_reused_pid_is_not_the_holder(state: State) -> None:
    with state.lease("kim", 60):
        rewrite_lease(state, started_s=12345.0)
        with state.lease("next", 60) as lease:
            assert lease.holder.who == "next"


def test_a_killed_holder_is_taken_over(state: State, tmp_path: Path) -> None:
    holder = child("racing", str(state.folder), str(tmp_path / "log"), "0")
    with holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(Busy, match="the one that dies"), state.lease("next", 60):
            pass
        holder.kill()
        holder.wait()
    with state.lease("next", 60) as lease:
        assert lease.holder.who == "next"


def test_two_processes_never_hold_it_at_once(state: State, tmp_path: Path) -> None:
    log = tmp_path / "log"
    racers = [child("racing", str(state.folder), str(log), "20") for _ in range(2)]
    for racer in racers:
        with racer:
            assert racer.wait(timeout=120) == 0
    words = [line.split() for line in log.read_text().splitlines()]
    assert [word for word, _ in words] == ["in", "out"] * 40
    assert all(words[n][1] == words[n + 1][1] for n in range(0, 80, 2))
    assert len({pid for _, pid in words}) == 2


def test_an_unreadable_lease_is_never_taken_over(state: State) -> None:
    with state.lease("kim", 60):
        (state.folder / "lease.json").write_text("{")
        with pytest.raises(UsageError, match=r"lease\.json: cannot be read"), state.lease("next", 60):
            pass
        (state.folder / "lease.json").unlink()


def test_undos_stay_open_until_they_are_closed(state: State) -> None:
    later = replace(UNDO, id="a-later-one", opened_at=AT + timedelta(seconds=1))
    state.open(later)
    state.open(UNDO)
    assert State(state.folder).opened() == [UNDO, later]
    state.close("u1")
    state.close("u1")
    assert state.opened() == [later]


def test_an_undo_that_cannot_be_read_is_not_forgotten(state: State) -> None:
    state.open(UNDO)
    (state.folder / "undos" / "u1.json").write_text('{"id": "u1"}')
    with pytest.raises(UsageError, match=r"u1\.json: .* cannot be read"):
        state.opened()


@pytest.mark.parametrize("id", ["", "../x", "a/b", ".x", "a\0b"])
def test_an_id_is_the_name_of_a_file(state: State, id: str) -> None:
    with pytest.raises(ValueError, match="name of a file"):
        state.open(replace(UNDO, id=id))


def test_open_undos_survive_kill_9_at_any_moment(state: State) -> None:
    for _ in range(5):
        writer = child("writing", str(state.folder))
        with writer:
            assert writer.stdout is not None
            for _ in range(random.randint(1, 30)):
                writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read().split("\n")
        told = [line.split() for line in rest if line.startswith(("open ", "closed "))]
        undos = State(state.folder).opened()
        opened = {int(n) for word, n in told if word == "open"}
        closed = {int(n) for word, n in told if word == "closed"}
        found = {int(undo.id[1:]) for undo in undos}
        last = max(opened | closed, default=0)
        assert {n for n in opened - closed if n == last} <= found
        assert not found & closed
        assert 1 <= len(undos) <= 2
        for undo in undos:
            state.close(undo.id)


def test_files_are_their_owners(state: State) -> None:
    with state.lease("kim", 60):
        state.open(UNDO)
        state.remember(FINDING, GATE, "2.3.0")
        files = [path for path in state.folder.rglob("*") if path.is_file()]
        assert len(files) == 4
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="must be a folder"), State(tmp_path / "file").lease("kim", 60):
        pass


class TestEvidence:
    def test_is_recalled_marked_with_its_run(self, state: State) -> None:
        state.remember(FINDING, GATE, "2.3.0", "run-1")
        recalled = State(state.folder, "parcels").recall(GATE, "2.3.0", AT)
        assert recalled == replace(FINDING, carried_from="run-1")

    def test_is_bound_to_version_release_and_deployment(self, state: State) -> None:
        state.remember(FINDING, GATE, "2.3.0")
        assert state.recall(replace(GATE, version=3), "2.3.0", AT) is None
        assert state.recall(GATE, "2.3.1", AT) is None
        assert State(state.folder, "letters").recall(GATE, "2.3.0", AT) is None
        assert state.recall(GATE, "2.3.0", AT) is not None

    def test_ends_with_its_time_to_live(self, state: State) -> None:
        state.remember(FINDING, GATE, "2.3.0")
        assert state.recall(GATE, "2.3.0", AT + timedelta(seconds=3599)) is not None
        assert state.recall(GATE, "2.3.0", AT + timedelta(seconds=3600)) is None
        assert state.recall(GATE, "2.3.0", AT - timedelta(hours=1)) is None

    def test_of_a_failure_stands_until_the_gate_runs_again(self, state: State) -> None:
        state.remember(replace(FINDING, outcome=Outcome.FAIL), GATE, "2.3.0")
        later = AT + timedelta(days=100)
        recalled = state.recall(GATE, "2.3.0", later)
        assert recalled is not None and recalled.outcome is Outcome.FAIL
        state.remember(replace(FINDING, outcome=Outcome.UNKNOWN, observed_at=later), GATE, "2.3.0")
        assert state.recall(GATE, "2.3.0", later) == recalled
        state.remember(replace(FINDING, observed_at=later), GATE, "2.3.0")
        again = state.recall(GATE, "2.3.0", later)
        assert again is not None and again.outcome is Outcome.PASS

    def test_does_not_renew_itself(self, state: State) -> None:
        state.remember(replace(FINDING, carried_from="run-1"), GATE, "2.3.0")
        assert state.recall(GATE, "2.3.0", AT) is None

    @pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"finding": 5}', '{"finding": {}}'])
    def test_that_is_broken_is_none(self, state: State, content: str) -> None:
        state.remember(FINDING, GATE, "2.3.0")
        (state.folder / "evidence" / f"{GATE.id}.json").write_text(content)
        assert state.recall(GATE, "2.3.0", AT) is None
