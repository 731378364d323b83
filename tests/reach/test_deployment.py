from __future__ import annotations

from collections.abc import Callable

import pytest

from readiness.deployment import Deployment
from readiness.descriptor import Request
from readiness.errors import Missing, Undecidable, UsageError
from readiness.model import Mode
from readiness.waiting import Deadline, eventually
from tests.tiny.deployment import TOKEN, Sitting, Tiny, gate_info


def test_instances_carry_process_and_address_and_answer(deployment: Deployment, tiny: Tiny) -> None:
    found = {one.name: one for one in deployment.instances()}
    assert set(found) == {"front-1", "front-2", "store-1"}
    assert found["front-2"].pid == tiny.pid("front-2")
    assert all(deployment.ready(one) and deployment.version(one) == "1.0" for one in found.values())
    assert deployment.all_ready()
    tiny.fault("unready")
    assert deployment.ready(found["front-1"]) is False
    assert not deployment.all_ready("front")


def test_a_replica_that_nobody_can_reach_yet_is_not_ready(deployment: Deployment, tiny: Tiny) -> None:
    (tiny.home / "run" / "targets" / "store.json").unlink()
    (store,) = deployment.instances("store")
    assert store.pid is not None and store.address is None
    assert deployment.ready(store) is False and deployment.version(store) is None


def test_a_plain_address_is_ready_when_it_accepts_and_a_procedure_knows_better(tiny: Tiny) -> None:
    port = (tiny.home / "run" / "front-1.port").read_text()
    listed = "    instances: {file_sd: run/targets/store.json}\n    ready: /readyz\n"
    listed += "    version: {path: /version, field: about.version}\n"
    tiny.edit(f"  store:\n{listed}", f"  store:\n    address: tcp://127.0.0.1:{port}\n")
    gate = Sitting(tiny, "run-2").session.deployment(gate_info(), Deadline.after(60))
    (store,) = gate.instances("store")
    assert gate.ready(store) is True
    tiny.edit("procedures:\n", 'procedures:\n  ready: {run: [/bin/sh, -c, "exit 3", "{instance}"]}\n')
    again = Sitting(tiny, "run-3").session.deployment(gate_info(), Deadline.after(60))
    assert again.ready(store) is False
    tiny.stop()
    eventually(lambda: gate.ready(store) is False, within=30)


def test_transactions_end_as_their_variants_are_meant_to(deployment: Deployment) -> None:
    (ok,), (failing,), (invalid,) = (deployment.transact(name) for name in ("ok", "failing", "invalid"))
    assert (ok.outcome, failing.outcome, invalid.outcome) == ("success", "failure", "refused")
    assert ok.as_meant and failing.as_meant and invalid.as_meant
    assert ok.result is not None and ok.result["answer"] == f"for {ok.marker}"
    assert ok.release == "1.0" and ok.id == ok.marker and ok.latency_s is not None
    assert invalid.status_code == 422
    assert len({one.marker for one in deployment.transact("ok", 5)}) == 5


def test_a_wrong_result_is_a_failure_that_says_what_is_wrong(deployment: Deployment, tiny: Tiny) -> None:
    tiny.fault("twice")
    (once,) = deployment.transact()
    assert once.outcome == "failure" and not once.as_meant
    assert "effects" in once.error and "2" in once.error


def test_an_ended_transaction_can_be_looked_at_again(deployment: Deployment, tiny: Tiny) -> None:
    (first,) = deployment.transact()
    tiny.fault("twice")
    assert deployment.reread(first).outcome == "failure"


def test_a_deployment_that_is_away_makes_errors_and_no_exception(deployment: Deployment, tiny: Tiny) -> None:
    tiny.stop()
    (gone,) = deployment.transact()
    assert gone.outcome == "error" and not gone.accepted
    assert "refused" in gone.error and "127.0.0.1" in gone.error
    assert deployment.served_by(3) == {"": 3}


def test_a_transaction_without_end_is_pending_and_a_short_deadline_is_undecidable(sitting: Sitting, tiny: Tiny) -> None:
    tiny.edit("within: 5s", "within: 500ms")
    tiny.fault("stuck")
    again = Sitting(tiny, "run-2").session
    (stuck,) = again.deployment(gate_info(), Deadline.after(60)).transact()
    assert stuck.outcome == "pending" and "not ended" in stuck.error
    with pytest.raises(Undecidable, match="time of the gate"):
        sitting.session.deployment(gate_info(), Deadline.after(0.5)).transact()


def test_the_release_that_serves_is_counted(deployment: Deployment, tiny: Tiny) -> None:
    assert deployment.served_by(4) == {"1.0": 4}
    tiny.ctl("deploy", "1.1")
    assert deployment.served_by(4) == {"1.1": 4}


def test_a_missing_variant_names_the_line(deployment: Deployment) -> None:
    with pytest.raises(Missing) as missing:
        deployment.transact("slow")
    assert "workload.slow" in missing.value.remedy


def test_redirects_are_followed_within_the_host_only(deployment: Deployment) -> None:
    moved = deployment.http(Request(url="{front}/moved"))
    assert moved.status == 200 and moved.json["about"]["version"] == "1.0"
    assert deployment.http(Request(url="{front}/elsewhere")).status == 302
    assert deployment.http(Request(url="{front}/loop")).status == 302


def test_an_answer_that_hangs_or_trickles_ends_at_the_deadline(deployment: Deployment) -> None:
    for path in ("slow", "trickle"):
        answer = deployment.http(Request(url="{front}/" + path), deadline=Deadline.after(0.5))
        assert answer.status is None and "time" in answer.error
        assert answer.elapsed_s < 15


def test_credentials_follow_service_level_and_nobody(deployment: Deployment) -> None:
    who = Request(url="{front}/who")
    assert deployment.http(who).json == {"authorization": f"Bearer {TOKEN}"}
    assert deployment.http(who, level="stranger").json == {"authorization": "Bearer stranger-token-99"}
    assert deployment.http(who, level="").json == {"authorization": None}
    with pytest.raises(Missing, match="nobody"):
        deployment.http(who, level="nobody")


def test_an_attempt_names_the_release_that_would_go_out_next(deployment: Deployment) -> None:
    releases = deployment.descriptor.releases
    assert releases is not None
    attempt = deployment.attempt("say", "caller")
    assert attempt.decision == "allowed"
    assert f"{releases.candidate or releases.current} spare say" in attempt.detail


def test_attempts_tell_allowed_from_denied_from_broken(deployment: Deployment, tiny: Tiny) -> None:
    decisions = [deployment.attempt("deploy", level).decision for level in ("caller", "stranger", "")]
    assert decisions == ["allowed", "denied", "denied"]
    tiny.stop()
    assert deployment.attempt("deploy", "caller").decision == "error"


def test_values_cannot_change_the_path_of_a_url(deployment: Deployment) -> None:
    answer = deployment.http(Request(url="{front}/notes/{marker}"), marker="../version")
    assert answer.status == 404


@pytest.mark.parametrize(
    ("mode", "refused"),
    [
        (Mode.OBSERVE, ["transact", "backup", "deploy", "post", "change", "restored"]),
        (Mode.PROBE, ["deploy", "change", "restored"]),
    ],
)
def test_a_gate_may_not_do_more_than_its_mode(sitting: Sitting, mode: Mode, refused: list[str]) -> None:
    gate = sitting.session.deployment(gate_info(mode), Deadline.after(60))
    acts: dict[str, Callable[[], object]] = {
        "transact": gate.transact,
        "backup": gate.backup,
        "deploy": lambda: gate.run("deploy", release="1.1"),
        "post": lambda: gate.http(Request(method="POST", url="{front}/jobs")),
        "change": lambda: gate.change("x", undo=[]).__enter__(),
        "restored": gate.restored,
    }
    for name, act in acts.items():
        if name in refused:
            with pytest.raises(Undecidable, match=f"mode {mode}"):
                act()
    assert gate.run("status").ok


def test_measurements_are_judged_and_kept(deployment: Deployment) -> None:
    assert deployment.measure("wait_s", 5.0, limit="wait_s")
    assert not deployment.measure("wait_s", 5.1, limit="wait_s", detail="store was slow")
    assert not deployment.measure("answer", "no", equals="yes")
    assert not deployment.measure("lost", None, at_most=0)
    assert deployment.measure("told", 3)
    assert not deployment.measure("gone", True, equals=False)
    assert deployment.limit("soft_s").value == 9
    deployment.count(3, 4)
    deployment.count(1, 1)
    data = deployment.verdict_data()
    assert [one.holds for one in data.measurements] == [True, False, False, False, None, False]
    assert "5.1 s, limit at most 5 s" in data.broken[0] and "store was slow" in data.broken[0]
    assert (data.successes, data.trials, data.weakened) == (4, 5, ("soft_s",))


def test_evidence_is_redacted_bounded_and_named_apart(deployment: Deployment, sitting: Sitting) -> None:
    first = deployment.keep("who/../is it", {"token": TOKEN})
    second = deployment.keep("who/../is it", "x" * (2 << 20))
    assert first.path != second.path
    texts = [(sitting.folder / one.path).read_text() for one in (first, second)]
    assert TOKEN not in texts[0] and "[secret:" in texts[0]
    assert second.size_bytes <= 1 << 20 and "cut" in texts[1]
    assert all(
        (sitting.folder / "evidence" / "TST-TIN-001") in (sitting.folder / one.path).parents for one in (first, second)
    )


def test_a_secret_that_is_not_there_is_a_usage_error_of_one_line(tiny: Tiny) -> None:
    (tiny.home / "secrets" / "caller.token").unlink()
    with pytest.raises(UsageError) as refused:
        Sitting(tiny, "run-2")
    lines = str(refused.value).splitlines()
    assert all("caller.token" in line for line in lines) and "auth.front" in lines[0]


def test_metrics_add_up_over_instances_and_through_a_restart(deployment: Deployment, tiny: Tiny) -> None:
    before = deployment.metrics()
    deployment.transact("ok", 4)
    deployment.transact("failing", 2)
    after = deployment.metrics()
    done, failed = deployment.signal("jobs_done"), deployment.signal("jobs_failed")
    assert (after.increase(before, done), after.increase(before, failed)) == (4, 2)
    assert after.sum(done) == 4
    tiny.stop()
    eventually(lambda: not deployment.instances(), within=30)
    tiny.ctl("start", "front")
    anew = deployment.metrics()
    assert anew.increase(after, done) == 0
    with pytest.raises(Undecidable, match="no_such_total"):
        anew.sum(deployment.signal("nowhere"))


def test_metrics_that_cannot_be_read_are_named(deployment: Deployment, tiny: Tiny) -> None:
    tiny.fault("malformed")
    torn = deployment.metrics()
    assert set(torn.malformed) == {"front-1", "front-2"}
    with pytest.raises(Undecidable, match="front-1"):
        torn.sum(deployment.signal("jobs_done"))


def test_traffic_gives_every_transaction_an_outcome(deployment: Deployment, sitting: Sitting) -> None:
    with deployment.traffic(rate_per_s=30) as traffic:
        eventually(lambda: len(traffic.transactions) >= 10, within=60)
    summary = traffic.summary()
    assert summary.sent == summary.accepted == summary.succeeded >= 10
    assert summary.errors == summary.pending == 0 and summary.p95_ms is not None
    rows = sitting.events("traffic")
    assert sum(event.data["sent"] for event in rows) == summary.sent


def test_traffic_into_the_void_is_data(deployment: Deployment, tiny: Tiny) -> None:
    tiny.stop()
    with deployment.traffic(rate_per_s=30) as traffic:
        eventually(lambda: len(traffic.transactions) >= 3, within=60)
    assert traffic.summary().errors == traffic.summary().sent


def test_an_adapter_class_carries_the_workload(tiny: Tiny) -> None:
    (tiny.home / "mine.py").write_text(ADAPTER)
    text = (tiny.home / "descriptor.yaml").read_text()
    start, end = text.index("workload:"), text.index("signals:")
    tiny.write_descriptor(
        f"{text[:start]}workload: {{adapter: 'mine:Mine', adapter_options: {{size: 3}}}}\n{text[end:]}"
    )
    gate = Sitting(tiny, "run-2").session.deployment(gate_info(), Deadline.after(60))
    (ok,), (bad,) = gate.transact("ok"), gate.transact("failing")
    assert ok.outcome == "success" and ok.result is not None and ok.result["size"] == 3 and ok.release == "7"
    assert bad.outcome == "error" and "OSError" in bad.error
    assert gate.served_by(3) == {"7": 3}
    with pytest.raises(Missing, match="slow"):
        gate.transact("slow")
    with pytest.raises(Missing, match="remember"):
        gate.remember("x")


ADAPTER = """
class Mine:
    def __init__(self, options, addresses):
        self.options, self.addresses = options, addresses
        assert options["folder"] and addresses["front"].startswith("http")

    def submit(self, variant, *, marker, correlation, question, timeout_s):
        if variant == "slow":
            raise KeyError(variant)
        if variant == "failing":
            raise OSError("connection refused")
        return {"id": marker}

    def finish(self, variant, id, *, marker, timeout_s):
        return {"success": True, "release": "7", "size": self.options["size"]}

    def served_by(self, n, *, timeout_s):
        return ["7"] * n
"""


def test_an_adapter_that_cannot_be_made_is_a_usage_error(tiny: Tiny) -> None:
    tiny.edit("  max_rate_per_s: 200", "  max_rate_per_s: 200\n  adapter: 'nowhere_at_all:Mine'")
    with pytest.raises(UsageError, match="nowhere_at_all"):
        Sitting(tiny, "run-2")
