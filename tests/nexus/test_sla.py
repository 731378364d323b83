"""The SLA dashboard counts what callers saw, and its two defects are seen by whoever counts for himself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from readiness.nexus import ctl, deployments, first_state, sla, store, volume
from readiness.nexus.audit import ALLOWED, AuditLog
from readiness.nexus.clock import now_text
from readiness.nexus.defects import Defects
from readiness.nexus.names import AGENT_ROLES
from readiness.nexus.settings import Settings

EPOCH = 1_700_000_000.0


@dataclass(frozen=True)
class Ended:
    """One workflow as a caller remembers it."""

    at: float
    status: str = "done"
    model: str = "standin"
    caller: str = "caller"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings.create(tmp_path_factory.mktemp("sla") / "home")
    first_state.plant(settings)
    return settings


@pytest.fixture
def keep(planted: Settings) -> Iterator[Callable[[list[Ended]], None]]:
    """Stores workflows in place of all others."""
    yield lambda ended: store_only(planted, ended)
    store_only(planted, [])


def store_only(settings: Settings, ended: list[Ended]) -> None:
    fixed = {"plan": "answer", "input": "x", "release": "2.3.0", "correlation_id": "c", "traceparent": "t"}
    rows, tasks = [], []
    for number, one in enumerate(ended):
        open_still = one.status in ("queued", "running")
        row = {"id": f"w{number}", "caller": one.caller, "model": one.model, "status": one.status}
        rows.append(fixed | row | {"created_at": one.at - 1, "finished_at": None if open_still else one.at})
        steps = AGENT_ROLES if one.status == "done" else AGENT_ROLES[:1]
        task = {"workflow_id": row["id"], "release": "2.3.0", "attempts": 1, "failures": 0, "payload": "{}"}
        task |= {"available_at": one.at, "created_at": one.at, "status": one.status}
        tasks += [task | {"id": f"{row['id']}-{role}", "position": at, "role": role} for at, role in enumerate(steps)]
    with store.writing(settings.engine()) as db:
        for table, content in ((store.tasks, []), (store.workflows, rows), (store.tasks, tasks)):
            db.execute(table.delete())
            if content:
                db.execute(table.insert(), content)


workflows = st.builds(
    Ended,
    at=st.integers(0, 20).map(lambda second: EPOCH + second),
    status=st.sampled_from(("done", "done", "failed", "running")),
    model=st.sampled_from(("standin", "standin-broken")),
    caller=st.sampled_from(("caller", "internal")),
)


@tried(max_examples=25, deadline=None)
@given(ended=st.lists(workflows, max_size=12), window=st.tuples(st.integers(0, 20), st.integers(0, 20)))
def test_it_counts_what_a_caller_counts(planted: Settings, ended: list[Ended], window: tuple[int, int]) -> None:
    store_only(planted, ended)
    since, until = EPOCH + min(window), EPOCH + max(window)
    mine = [
        one.status for one in ended if one.caller == "caller" and one.status != "running" and since <= one.at < until
    ]
    users = [
        one.status for one in ended if one.caller == "caller" and one.status != "running" and one.model == "standin"
    ]
    found = sla.figures(planted, since, until)
    assert (found["good"], found["total"]) == (mine.count("done"), len(mine))
    assert found["availability"] == (mine.count("done") / len(mine) if mine else None)
    assert found["budget_left"] == pytest.approx(1 - users.count("failed") / (0.005 * len(users)) if users else 1)


def test_what_was_filled_in_is_nobodys_traffic(planted: Settings, keep: Callable[[list[Ended]], None]) -> None:
    keep([Ended(EPOCH)])
    volume.fill(planted, 20)
    try:
        assert sla.figures(planted, 0, time.time())["total"] == 1
    finally:
        volume.fill(planted, 0)


def test_the_defects_of_the_dashboard(planted: Settings, keep: Callable[[list[Ended]], None], tmp_path: Path) -> None:
    before, log = time.time() - 10, AuditLog(tmp_path / "audit.jsonl")
    (tmp_path / "audit").mkdir()
    faulty = {
        name: replace(planted, home=tmp_path, defects=Defects({name: ""}))
        for name in ("dashboard-excludes-deploys", "sla-counts-tasks")
    }
    log = AuditLog.of(faulty["dashboard-excludes-deploys"])
    log.append("operator", "deploy", ALLOWED, "c", "dry_run=True")
    log.append("operator", "deploy", ALLOWED, "c", "dry_run=False release=2.3.1")
    during = time.time()
    with store.writing(planted.engine()) as db:
        db.execute(
            store.deployments.insert().values(
                release="2.3.1", action=deployments.DEPLOY, actor="x", at=now_text(skew_s=2)
            )
        )
    keep([Ended(before), Ended(during + 0.5, "failed", "standin-broken"), Ended(during + 9)])

    def counted(settings: Settings) -> tuple[object, object]:
        found = sla.figures(settings, before, during + 100)
        return found["good"], found["total"]

    assert counted(planted) == (2, 3)
    assert counted(faulty["dashboard-excludes-deploys"]) == (2, 2)
    assert counted(faulty["sla-counts-tasks"]) == (8, 9)


def test_moments_are_read_with_their_zone_only(planted: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--home", str(planted.home), "sla", "--json", "--since"]
    assert ctl.main([*words, "2026-01-31T09:00:00+01:00", "--until", "2026-01-31T08:00:01Z"]) == 0
    assert capsys.readouterr().out == '{"availability": null, "good": 0, "total": 0, "budget_left": 1.0}\n'
    with pytest.raises(SystemExit):
        ctl.main([*words, "2026-01-31T09:00:00", "--until", "2026-01-31T08:00:01Z"])
    assert "is no moment" in capsys.readouterr().err
