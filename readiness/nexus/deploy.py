"""Deploy and rollback: rolling, validated by work and not by health, undone by themselves when something is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from readiness.nexus import build, deployments, plain_http, schema, store
from readiness.nexus.authority import Operator
from readiness.nexus.errors import NexusError
from readiness.nexus.fleet import agents_and_all, placed
from readiness.nexus.probing import ANSWER_WITHIN_S, await_ready
from readiness.nexus.releases import release_of
from readiness.nexus.rollout import Rollout
from readiness.nexus.settings import Settings
from readiness.nexus.supervision import SupervisionError

CANARY_PERCENT = 10
VALIDATING_WORKFLOWS = 3
VALIDATE_WITHIN_S = 30.0
Say = Callable[[str], None]


def deploy(rollout: Rollout, operator: Operator, release: str, say: Say) -> None:
    """Bring a release to all traffic and all instances; leave everything as it was when it does not do its work."""
    release_of(release)
    operator.act("deploy", release=release)
    build.preflight(rollout.settings, release)
    before = rollout.current()
    if release == before:
        restore_order(rollout, release, say)
        return
    try:
        _introduce(rollout, release, before, say)
    except (NexusError, SupervisionError) as error:
        say(f"abort: back to {before}")
        rollout.converge(before)
        raise NexusError(f"{release} was not deployed, {before} serves as before: {error}") from error
    except BaseException:
        rollout.converge(before)
        raise
    with store.writing(rollout.engine) as db:
        deployments.record(db, release, deployments.DEPLOY, operator.level)
    say(f"{release} serves all requests")


def plan_deploy(rollout: Rollout, operator: Operator, release: str, say: Say) -> None:
    """Check everything that can be checked beforehand and say what a deploy would do; changes nothing."""
    target = release_of(release)
    operator.ask("deploy", dry_run=True, release=release)
    build.preflight(rollout.settings, release)
    now = schema.current_revision(rollout.settings)
    say(f"would replace {rollout.current()} by {release}")
    say(f"schema {now}" if now == target.schema else f"schema {now} would become {target.schema}")


def rollback(rollout: Rollout, operator: Operator, say: Say) -> str:
    """Go back to the previous release of the history: traffic first, then instances and schema; returns it."""
    operator.act("rollback")
    with store.reading(rollout.engine) as db:
        left, release = deployments.current(db), deployments.previous(db)
    say(f"{left} goes, {release} comes back")
    defects = rollout.settings.defects
    time.sleep(defects.value("slow-rollback"))
    rollout.converge(release)
    with store.writing(rollout.engine) as db:
        deployments.record(db, release, deployments.ROLLBACK, operator.level)
        if defects.on("rollback-leaves-traffic"):
            deployments.set_weights(db, {release: 100 - CANARY_PERCENT, left: CANARY_PERCENT})
    if defects.on("rollback-keeps-standby"):
        rollout.start_ready(left, ["reviewer"])
    say(f"{release} serves all requests")
    return release


def restore_order(rollout: Rollout, release: str, say: Say) -> None:
    """Bring everything to the release that is current; says so when there is nothing to do."""
    if rollout.in_order(release):
        say(f"{release} is live and healthy: nothing to do")
        return
    say(f"{release} is current but not everywhere: putting that right")
    rollout.converge(release)
    say(f"{release} serves all requests")


def _introduce(rollout: Rollout, release: str, before: str, say: Say) -> None:
    settings = rollout.settings
    agents, serving = agents_and_all(settings)
    if schema.current_revision(settings) != release_of(release).schema:
        say(f"schema: to {release_of(release).schema}")
        rollout.replace_orchestrator(release)
    say(f"agents of {release}: starting beside {before}")
    rollout.start_ready(release, ["provider", *agents])
    judged = rollout.current() if settings.defects.on("validates-the-old") else release
    validate(settings, judged)
    say(f"{CANARY_PERCENT} % of the requests to {release}")
    rollout.weigh({before: 100 - CANARY_PERCENT, release: CANARY_PERCENT})
    validate(settings, judged)
    say(f"all requests to {release}")
    rollout.weigh({release: 100})
    rollout.take_over(release, serving)


def validate(settings: Settings, release: str) -> None:
    """Let a release do real work through the gateway; raises NexusError when any of it fails.

    Readiness is the release's own word. The workflows are pinned to it, so users are not hurt by what it does wrong.
    """
    if settings.defects.on("validation-healthz-only"):
        agents, _ = agents_and_all(settings)
        await_ready(settings, placed(settings, release, agents), VALIDATE_WITHIN_S, settings.names.paths.live)
        return
    names, deadline = settings.names, time.monotonic() + VALIDATE_WITHIN_S
    headers = {
        "Authorization": f"Bearer {settings.secret('internal.token')}",
        names.headers.release_pin: release,
    }
    with plain_http.client(ANSWER_WITHIN_S) as http:
        http.headers.update(headers)
        url = settings.public_url + names.paths.workflows
        texts = [f"validation {number} of {release}" for number in range(VALIDATING_WORKFLOWS)]
        orders = {text: _submit(http, url, text, deadline) for text in texts}
        for text, identity in orders.items():
            _check(_await_end(http, f"{url}/{identity}", deadline), text, release)


def _submit(http: httpx.Client, url: str, text: str, deadline: float) -> str:
    order = {"plan": "answer", "input": text, "model": "standin"}
    while True:
        try:
            answer = http.post(url, json=order)
        except httpx.TransportError as error:
            if time.monotonic() > deadline:
                raise NexusError(f"validation: no gateway answers: {type(error).__name__}") from None
            time.sleep(0.1)
            continue
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS and time.monotonic() < deadline:
            time.sleep(0.5)
            continue
        if answer.status_code != httpx.codes.ACCEPTED:
            raise NexusError(f"validation: a workflow was refused with {answer.status_code}")
        return str(answer.json()["id"])


def _await_end(http: httpx.Client, url: str, deadline: float) -> dict[str, object]:
    while time.monotonic() < deadline:
        try:
            answer = http.get(url)
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        if answer.status_code == httpx.codes.OK and answer.json()["status"] in ("done", "failed"):
            found: dict[str, object] = answer.json()
            return found
        time.sleep(0.05)
    raise NexusError(f"validation: a workflow did not end within {VALIDATE_WITHIN_S:.0f} s")


def _check(result: dict[str, object], text: str, release: str) -> None:
    if result["status"] != "done":
        raise NexusError(f"validation: a workflow of {release} failed: {result.get('error')}")
    if text not in str(result["answer"]):
        raise NexusError(f"validation: an answer of {release} is not about what was asked")
    if result["release"] != release:
        raise NexusError(f"validation: a workflow pinned to {release} was done by {result['release']}")
