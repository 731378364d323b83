from __future__ import annotations

import json
import os
import signal

import pytest

from readiness.deployment import Deployment
from readiness.digest import take_digest
from readiness.errors import Missing, ProcedureFailed, Undecidable
from readiness.operations import Operation, differences
from readiness.waiting import Deadline, eventually
from tests.tiny.deployment import Sitting, Tiny

BACK = (Operation("procedure", "deploy", {"release": "1.0"}),)
START = (Operation("procedure", "start", {"service": "front"}),)


class Crash(BaseException):
    """Ends the block as a killed process would: nothing of ours runs after it."""


def ledger(sitting: Sitting) -> list[str]:
    lines = (sitting.folder / "ledger.jsonl").read_text().splitlines()
    return [json.loads(line)["event"] for line in lines]


def test_a_change_is_undone_and_verified_whatever_the_block_does(
    deployment: Deployment, sitting: Sitting, tiny: Tiny
) -> None:
    with pytest.raises(ZeroDivisionError), deployment.change("deploy 1.1", undo=BACK) as change:
        assert sitting.state.opened()[0].what == "deploy 1.1"
        deployment.run("deploy", release="1.1")
        assert tiny.release() == "1.1"
        raise ZeroDivisionError
    assert tiny.release() == "1.0"
    assert (change.verified, change.healed_by) == (True, "undo")
    assert sitting.state.opened() == []
    assert ledger(sitting) == ["opened", "closed"]
    (closed,) = sitting.events("change_closed")
    assert closed.data == {"id": change.id, "verified": True, "healed_by": "undo"}


def test_the_undo_is_on_the_disk_before_the_act(deployment: Deployment, sitting: Sitting, tiny: Tiny) -> None:
    seen = []

    def witness() -> str:
        seen.append((len(sitting.state.opened()), ledger(sitting), tiny.release()))
        return "the release is 1.1"

    do = Operation("procedure", "deploy", {"release": "1.1"})
    with deployment.change("deploy 1.1", undo=BACK, do=do, witness=witness):
        pass
    assert seen == [(1, ["opened"], "1.1")]
    assert ledger(sitting) == ["opened", "witnessed", "closed"]


def test_a_better_way_back_is_written_down_in_the_place_of_the_first(
    deployment: Deployment, sitting: Sitting, tiny: Tiny
) -> None:
    with deployment.change("deploy 1.1", undo=[Operation("procedure", "absent")]) as change:
        deployment.run("deploy", release="1.1")
        deployment.undo_by(change, BACK)
        (written,) = sitting.state.opened()
        assert [one["name"] for one in written.undo] == ["deploy"]
    assert tiny.release() == "1.0"
    assert change.verified
    assert ledger(sitting) == ["opened", "undo_changed", "closed"]


def test_what_heals_by_itself_is_not_undone_again(deployment: Deployment) -> None:
    never = (Operation("procedure", "hang"),)
    with deployment.change("nothing", undo=never) as change:
        pass
    assert (change.verified, change.healed_by) == (True, "drill")


def test_an_act_that_cannot_be_done_leaves_nothing_open(deployment: Deployment, sitting: Sitting, tiny: Tiny) -> None:
    tiny.fault("deploy")
    do = Operation("procedure", "deploy", {"release": "1.1"})
    with pytest.raises(ProcedureFailed, match="no permit"), deployment.change("deploy 1.1", undo=BACK, do=do):
        raise AssertionError("the block must not run")
    assert sitting.state.opened() == []


def test_no_witness_is_undecidable_and_undone(
    deployment: Deployment, sitting: Sitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("readiness.executor._WITNESS_S", 0.3)
    with (
        pytest.raises(Undecidable, match="nothing shows"),
        deployment.change("nothing at all", undo=BACK, witness=lambda: ""),
    ):
        pass
    assert sitting.state.opened() == []


def test_an_undo_that_fails_is_told_stays_open_and_stops_no_other(
    deployment: Deployment, sitting: Sitting, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("readiness.undoing.VERIFY_S", 1.0)
    monkeypatch.setattr("readiness.undoing._TRIES", 1)
    undo = (Operation("procedure", "absent"), Operation("procedure", "start", {"service": "store"}), *BACK)
    with deployment.change("deploy 1.1 and kill the store", undo=undo) as change:
        deployment.run("deploy", release="1.1")
        os.kill(tiny.pid("store-1"), signal.SIGKILL)
        tiny.fault("deploy")
    assert change.verified is False
    assert deployment.all_ready("store"), "the operations after the failing one were done"
    (failure,) = sitting.session.executor.failures
    assert "1.1" in failure.reason and "procedure deploy" in failure.remedy
    assert len(sitting.events("breach")) == 1 and len(sitting.state.opened()) == 1
    assert len(sitting.session.close()) == 1, "what failed once in this run is not tried again"


def test_the_next_run_heals_what_a_killed_one_left(sitting: Sitting, tiny: Tiny) -> None:
    executor = sitting.session.executor
    executor.begin("deploy 1.1", gate="TST-TIN-001", undo=BACK, deadline=Deadline.after(60))
    tiny.ctl("deploy", "1.1")
    next_run = Sitting(tiny, "run-2")
    healed = next_run.session.heal()
    assert [record.what for record in healed.closed] == ["deploy 1.1"] and healed.failures == ()
    assert tiny.release() == "1.0" and next_run.state.opened() == []


def test_a_signal_during_the_undo_waits_for_its_end(
    deployment: Deployment, sitting: Sitting, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    doing = sitting.session.executor._doing
    perform = doing.perform

    def interrupted(operation: Operation, deadline: Deadline) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        perform(operation, deadline)

    monkeypatch.setattr(doing, "perform", interrupted)
    with pytest.raises(KeyboardInterrupt), deployment.change("deploy 1.1", undo=BACK):
        deployment.run("deploy", release="1.1")
    assert tiny.release() == "1.0" and sitting.state.opened() == []


def test_a_replica_is_killed_and_brought_back(deployment: Deployment, tiny: Tiny) -> None:
    victim = deployment.instances("front")[1]
    dead = lambda: "" if victim in deployment.instances("front") else f"process {victim.pid} is gone"  # noqa: E731
    with deployment.change(
        "kill front-2", undo=START, do=deployment.killing(victim), service="front", witness=dead
    ) as change:
        assert [one.name for one in deployment.instances("front")] == ["front-1"]
    assert change.healed_by == "undo" and str(victim.pid) in change.witnessed
    assert deployment.all_ready() and tiny.pid("front-2") != victim.pid


def test_the_blast_radius_holds(deployment: Deployment, sitting: Sitting) -> None:
    with pytest.raises(Undecidable, match="2 of 2 replicas of front"):
        deployment.change("kill both", undo=START, service="front", replicas=2).__enter__()
    with (
        deployment.change("one", undo=BACK, service="front"),
        pytest.raises(Undecidable, match="2 services"),
        deployment.change("two", undo=BACK, service="store"),
    ):
        raise AssertionError("a second service must not be hit")
    assert sitting.state.opened() == []


def test_an_undo_that_nobody_declared_is_refused_before_anything_is_done(
    deployment: Deployment, sitting: Sitting
) -> None:
    with pytest.raises(Missing) as missing, deployment.change("x", undo=[Operation("procedure", "unfreeze")]):
        raise AssertionError("must not run")
    assert "procedures.unfreeze" in missing.value.remedy
    assert sitting.state.opened() == []


def test_the_digest_sees_what_is_set_and_not_what_passes(sitting: Sitting, tiny: Tiny) -> None:
    def digest() -> object:
        return take_digest(sitting.session.reach, Deadline.after(60))

    first = digest()
    sitting.session.reach.workload.transact("ok", deadline=Deadline.after(30))
    os.kill(tiny.pid("store-1"), signal.SIGKILL)
    tiny.ctl("start", "store")
    assert digest() == first
    os.kill(tiny.pid("store-1"), signal.SIGKILL)
    less = eventually(digest, within=30, until=lambda now: now != first)
    assert isinstance(first, dict) and isinstance(less, dict)
    assert differences(first, less).startswith("services.store.ready was 1, is 0")


def test_the_backup_and_its_restore_happen_once_and_are_tidied_away(
    deployment: Deployment, sitting: Sitting, tiny: Tiny
) -> None:
    backup = deployment.backup()
    assert backup.set == "b1" and backup.before == backup.after
    assert backup.before["notes"].count == 1
    assert (tiny.home / "backups" / "b1" / backup.canary_marker).exists()
    restored = deployment.restored()
    assert restored.error == "" and restored.deployment is not None
    assert restored.backup is backup and restored.seconds >= restored.ran.duration_s
    assert restored.deployment.descriptor.environment == "development"
    assert restored.deployment.all_ready()
    assert restored.deployment.measure("x", 2, at_most=1) is False
    assert deployment.verdict_data().broken, "what is measured there is the same gate's"
    assert deployment.restored().ran is restored.ran
    assert len(sitting.state.opened()) == 1
    sitting.session.close()
    assert not (tiny.home / "env" / "spare").exists()
    assert (tiny.home / "discarded").read_text() == "spare\n"
    assert sitting.state.opened() == [] and list((tiny.home / "notes").iterdir()) == []


def test_a_restore_that_asks_a_question_fails_and_is_discarded(
    deployment: Deployment, sitting: Sitting, tiny: Tiny
) -> None:
    tiny.fault("restore")
    restored = deployment.restored()
    assert restored.deployment is None and restored.ran.exit_code == 3
    assert "press enter" in restored.error
    sitting.session.close()
    assert (tiny.home / "discarded").exists()
