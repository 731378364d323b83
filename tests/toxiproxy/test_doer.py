"""The doer: each effect is felt where it is and nowhere else, an undo is always right, a mistake is one line."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from readiness.errors import TargetError
from readiness.target import Argument, Doer
from readiness.toxiproxy import ProxyState, Toxiproxy, ToxiproxyDoer
from readiness.waiting import eventually
from tests.toxiproxy.fakes import Memory, faked
from tests.toxiproxy.servers import WITHIN_S, Backend, embedded

Proxied = Callable[[str], ProxyState]
CASES = [
    pytest.param("latency", stream, {"latency": 400}, "slow", 300, "/small", id=f"slow-{stream}")
    for stream in ("downstream", "upstream")
]
CASES += [
    pytest.param("bandwidth", "downstream", {"rate": 2}, "thin", 4000, "/small", id="thin-small"),
    pytest.param("bandwidth", "downstream", {"rate": 500}, "thin", 1_000_000, "/large", id="thin-large"),
    pytest.param("bandwidth", "upstream", {"rate": 1}, "thin", 2000, "/small", id="thin-upstream"),
    pytest.param("timeout", "downstream", {"timeout": 0}, "silent", 500, "/small", id="silent-downstream"),
    pytest.param("timeout", "upstream", {"timeout": 0}, "silent", 500, "/small", id="silent-upstream"),
    pytest.param("timeout", "downstream", {"timeout": 100}, "truncated", 0, "/small", id="closed-unanswered"),
    pytest.param("reset_peer", "downstream", {"timeout": 0}, "reset", 0, "/small", id="reset-downstream"),
    pytest.param("reset_peer", "upstream", {"timeout": 0}, "reset", 0, "/small", id="reset-upstream"),
    pytest.param("limit_data", "downstream", {"bytes": 100}, "truncated", 0, "/small", id="truncated"),
]
EXPECTED = ["slow", "thin", "refused", "silent", "reset", "truncated"]


@pytest.fixture
def doer(url: str) -> Doer:
    """The doer of the server under test, as the harness sees it."""
    return ToxiproxyDoer(url)


def proxies(*names: str) -> str:
    return json.dumps(names)


def shown(doer: Doer, operation: str, arguments: dict[str, Argument]) -> str:
    """Ask until it shows something, as the executor does."""
    return eventually(lambda: doer.ask(operation, arguments), within=WITHIN_S)


@pytest.mark.parametrize(("kind", "stream", "attributes", "effect", "at_least", "path"), CASES)
def test_an_effect_is_felt_while_it_is_there(
    kind: str,
    stream: str,
    attributes: dict[str, int],
    effect: str,
    at_least: float,
    path: str,
    doer: Doer,
    proxied: Proxied,
    backend: Backend,
) -> None:
    proxy = proxied(backend.address).name
    asked: dict[str, Argument] = {"proxies": proxies(proxy), "name": "rd-1-t", "path": path}
    felt: dict[str, Argument] = {**asked, "expect": effect, "at_least": at_least}
    assert doer.ask("felt", felt) == ""
    toxic: dict[str, Argument] = {"type": kind, "stream": stream, "attributes": json.dumps(attributes)}
    doer.perform("add_toxic", {**asked, **toxic})
    assert f"GET {path} through {proxy}" in shown(doer, "felt", felt)
    assert doer.ask("clear", asked) == ""
    doer.perform("remove_toxic", asked)
    assert "was answered in" in shown(doer, "clear", asked)
    assert doer.ask("felt", felt) == ""


def test_a_cut_link_is_felt_and_clear_again(doer: Doer, proxied: Proxied, backend: Backend) -> None:
    proxy = proxied(backend.address).name
    asked: dict[str, Argument] = {"proxies": proxies(proxy), "path": "/small"}
    felt: dict[str, Argument] = {**asked, "expect": "refused"}
    assert doer.ask("felt", felt) == ""
    doer.perform("disable", asked)
    assert "refused" in doer.ask("felt", felt)
    assert doer.ask("clear", asked) == ""
    doer.perform("enable", asked)
    assert doer.ask("felt", felt) == ""
    assert shown(doer, "clear", asked)


@pytest.mark.parametrize("effect", EXPECTED)
def test_a_fault_that_does_nothing_is_never_felt(
    effect: str, url: str, doer: Doer, proxied: Proxied, backend: Backend
) -> None:
    """The server takes a toxic with a misspelt attribute: it stands there, and no effect comes of it."""
    proxy = proxied(backend.address).name
    body = {"name": "noop", "type": "latency", "attributes": {"latancy": 5000}}
    Toxiproxy(url).request("POST", f"/proxies/{proxy}/toxics", body)
    for at_least in (300, 4000):
        felt: dict[str, Argument] = {"proxies": proxies(proxy), "name": "noop", "expect": effect, "path": "/small"}
        assert doer.ask("felt", {**felt, "at_least": at_least}) == ""


@pytest.mark.parametrize("effect", ["slow", "silent", "truncated", "reset"])
def test_an_upstream_that_is_broken_by_itself_is_not_our_doing(
    effect: str, doer: Doer, proxied: Proxied, backend: Backend
) -> None:
    proxy = proxied(backend.address).name
    asked: dict[str, Argument] = {"proxies": proxies(proxy), "name": "t", "path": "/small"}
    doer.perform("add_toxic", {**asked, "type": "slow_close", "attributes": '{"delay": 1}'})
    backend.close()
    assert doer.ask("felt", {**asked, "expect": effect, "at_least": 200}) == ""
    doer.perform("remove_toxic", asked)
    assert "its upstream" in doer.ask("clear", asked) and "does not answer" in doer.ask("clear", asked)


def test_every_proxy_must_show_it(doer: Doer, proxied: Proxied, backend: Backend) -> None:
    one, other = (proxied(backend.address).name for _ in range(2))
    toxic: dict[str, Argument] = {"name": "t", "type": "limit_data", "attributes": '{"bytes": 10}', "path": "/small"}
    doer.perform("add_toxic", {**toxic, "proxies": proxies(one)})
    both: dict[str, Argument] = {**toxic, "proxies": proxies(one, other), "expect": "truncated"}
    assert doer.ask("felt", both) == ""
    assert doer.ask("clear", both) == ""
    doer.perform("add_toxic", both)
    text = shown(doer, "felt", both)
    assert one in text and other in text


def test_a_share_of_connections_is_felt_too(doer: Doer, proxied: Proxied, backend: Backend) -> None:
    asked: dict[str, Argument] = {"proxies": proxies(proxied(backend.address).name), "name": "t", "path": "/small"}
    doer.perform("add_toxic", {**asked, "type": "limit_data", "toxicity": 0.3, "attributes": '{"bytes": 10}'})
    assert shown(doer, "felt", {**asked, "expect": "truncated"})


def test_doing_it_again_changes_nothing(url: str, doer: Doer, proxied: Proxied, backend: Backend) -> None:
    proxy = proxied(backend.address).name
    asked: dict[str, Argument] = {"proxies": proxies(proxy), "name": "t", "type": "timeout"}
    for operation in ("add_toxic", "add_toxic", "disable", "disable"):
        doer.perform(operation, asked)
    state = Toxiproxy(url).proxy(proxy)
    assert (state.enabled, [toxic.name for toxic in state.toxics]) == (False, ["t"])
    for operation in ("enable", "enable", "remove_toxic", "remove_toxic"):
        doer.perform(operation, asked)
    state = Toxiproxy(url).proxy(proxy)
    assert (state.enabled, state.toxics) == (True, ())


def test_an_undo_on_a_proxy_that_is_gone_is_right(doer: Doer, proxied: Proxied, backend: Backend) -> None:
    proxy = proxied(backend.address).name
    asked: dict[str, Argument] = {"proxies": proxies("gone", proxy), "name": "t", "path": "/small"}
    doer.perform("add_toxic", {**asked, "proxies": proxies(proxy), "type": "timeout"})
    doer.perform("remove_toxic", asked)
    doer.perform("enable", asked)
    cleared = shown(doer, "clear", asked)
    assert "gone is not on" in cleared and proxy in cleared


@pytest.mark.parametrize("operation", ["add_toxic", "disable"])
def test_a_fault_on_a_proxy_that_is_not_there_touches_no_other(
    operation: str, url: str, doer: Doer, proxied: Proxied, backend: Backend
) -> None:
    proxy = proxied(backend.address).name
    with pytest.raises(TargetError, match="has no proxy 'nobody'") as caught:
        doer.perform(operation, {"proxies": proxies(proxy, "nobody"), "name": "t", "type": "timeout"})
    assert "\n" not in str(caught.value)
    state = Toxiproxy(url).proxy(proxy)
    assert (state.enabled, state.toxics) == (True, ())


def test_one_failed_removal_does_not_keep_the_others_from_it() -> None:
    memory = Memory()
    removed = []

    def failing(method: str, path: str, _body: object) -> tuple[int, object]:
        if (method, path) == ("GET", "/proxies"):
            toxic = {"name": "t", "type": "timeout", "stream": "upstream", "toxicity": 1, "attributes": {}}
            three = {name: {**memory.proxy, "name": name, "toxics": [toxic]} for name in ("a", "b", "c")}
            return 200, {name: {**state, "toxics": []} if name in removed else state for name, state in three.items()}
        if path.startswith("/proxies/b/"):
            return 500, {"error": "jammed", "status": 500}
        removed.append(path.split("/")[2])
        return 204, b""

    with faked(failing) as url, pytest.raises(TargetError, match="jammed"):
        ToxiproxyDoer(url).perform("remove_toxic", {"proxies": proxies("a", "b", "c"), "name": "t"})
    assert removed == ["a", "c"]


@pytest.mark.parametrize("operation", ["add_toxic", "remove_toxic", "disable", "enable", "felt", "clear"])
def test_a_server_that_died_is_one_line(operation: str, tmp_path: Path) -> None:
    with embedded(tmp_path) as url:
        doer = ToxiproxyDoer(url)
        doer.server.create("p", "127.0.0.1:1")
    arguments: dict[str, Argument] = {"proxies": proxies("p"), "name": "t", "type": "timeout", "expect": "slow"}
    act = doer.ask if operation in ("felt", "clear") else doer.perform
    with pytest.raises(TargetError, match="does not answer") as caught:
        act(operation, arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("operation", "arguments", "said"),
    [
        ("explode", {"proxies": '["p"]'}, "cannot 'explode' here; it can: add_toxic, remove_toxic, disable, enable"),
        ("remove_toxic", {"proxies": "p", "name": "t"}, "proxies is 'p'; give a JSON list"),
        ("remove_toxic", {"proxies": "[]", "name": "t"}, "proxies is '[]'"),
        ("remove_toxic", {"proxies": '["p"]'}, "name is None; give a text"),
        ("add_toxic", {"proxies": '["p"]', "name": "t", "type": "timeout", "attributes": "{"}, "attributes is '{'"),
        ("add_toxic", {"proxies": '["p"]', "name": "t", "type": "timeout", "toxicity": "1"}, "toxicity is '1'"),
        ("add_toxic", {"proxies": '["p"]', "name": "t", "type": "latency"}, "is no fault"),
    ],
)
def test_a_mistake_is_one_line(operation: str, arguments: dict[str, Argument], said: str) -> None:
    with faked(Memory()) as url, pytest.raises(TargetError) as caught:
        ToxiproxyDoer(url).perform(operation, arguments)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_an_effect_that_is_not_known_is_one_line() -> None:
    with faked(Memory()) as url, pytest.raises(TargetError, match="'slwo' is not known; allowed: slow, thin"):
        ToxiproxyDoer(url).ask("felt", {"proxies": '["p"]', "expect": "slwo"})


@pytest.mark.parametrize("path", ["readyz", "/a b", "/a\r\nX: y", "/ü"])
def test_a_path_that_is_none_is_one_line(path: str) -> None:
    with faked(Memory()) as url, pytest.raises(TargetError, match="give a path without spaces") as caught:
        ToxiproxyDoer(url).ask("clear", {"proxies": '["p"]', "path": path})
    assert "\n" not in str(caught.value)


def test_addresses_that_cannot_be_measured_are_one_line() -> None:
    memory = Memory()
    memory.proxy["upstream"] = "somewhere:http"
    with faked(memory) as url, pytest.raises(TargetError, match="give both as host:port with a number"):
        ToxiproxyDoer(url).ask("clear", {"proxies": '["p"]'})


def test_looking_ends_in_time_where_bytes_only_trickle(doer: Doer, proxied: Proxied, backend: Backend) -> None:
    """A byte every 100 ms keeps each read alive; the whole look is bounded all the same."""
    proxy = proxied(backend.address).name
    asked: dict[str, Argument] = {"proxies": proxies(proxy), "name": "t", "path": "/large"}
    attributes = json.dumps({"average_size": 1, "delay": 100_000})
    doer.perform("add_toxic", {**asked, "type": "slicer", "attributes": attributes})
    told: list[str] = []

    def look() -> None:
        with suppress(TargetError):
            told.append(doer.ask("felt", {**asked, "expect": "truncated"}))

    began = time.monotonic()
    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(WITHIN_S)
    assert told == [""]
    assert time.monotonic() - began >= 2, "it did wait for the bytes"
