"""The HTTP API that both servers have: what it answers, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from readiness.toxiproxy import ProxyState
from tests.toxiproxy.servers import Backend, free_port

Proxied = Callable[[str], ProxyState]


def ask(url: str, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    return httpx.request(method, url + path, json=body, headers=headers, timeout=30, verify=False)


@pytest.fixture
def toxics(url: str, proxied: Proxied, backend: Backend) -> str:
    """The path of a new proxy's toxics, with the server's URL."""
    return f"{url}/proxies/{proxied(backend.address).name}/toxics"


def test_a_proxy_is_made_shown_changed_and_deleted(url: str, backend: Backend) -> None:
    given = {"name": "made", "upstream": backend.address, "listen": "127.0.0.1:0"}
    made = ask(url, "POST", "/proxies", given)
    assert made.status_code == 201
    assert made.json()["enabled"] is True
    assert made.json()["listen"].startswith("127.0.0.1:") and not made.json()["listen"].endswith(":0")
    assert ask(url, "GET", "/proxies/made").json() == made.json()
    assert ask(url, "GET", "/proxies").json()["made"] == made.json()
    changed = ask(url, "POST", "/proxies/made", {"enabled": False})
    assert changed.json() == {**made.json(), "enabled": False}
    assert ask(url, "DELETE", "/proxies/made").status_code == 204
    assert ask(url, "GET", "/proxies/made").status_code == 404


def test_a_second_proxy_of_a_name_is_a_conflict(url: str, proxied: Proxied, backend: Backend) -> None:
    proxy = proxied(backend.address)
    refused = ask(url, "POST", "/proxies", {"name": proxy.name, "upstream": backend.address, "listen": "127.0.0.1:0"})
    assert (refused.status_code, refused.json()) == (409, {"error": "proxy already exists", "status": 409})


def test_a_port_that_is_taken_is_an_error_of_the_server(url: str, backend: Backend) -> None:
    refused = ask(url, "POST", "/proxies", {"name": "taken", "upstream": backend.address, "listen": backend.address})
    assert refused.status_code == 500
    assert "address already in use" in refused.json()["error"].lower()
    assert "taken" not in ask(url, "GET", "/proxies").json()


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("GET", "/proxies/nobody", "proxy not found"),
        ("POST", "/proxies/nobody", "proxy not found"),
        ("DELETE", "/proxies/nobody", "proxy not found"),
        ("GET", "/proxies/nobody/toxics", "proxy not found"),
        ("POST", "/proxies/nobody/toxics", "proxy not found"),
        ("DELETE", "/proxies/nobody/toxics/nothing", "proxy not found"),
    ],
)
def test_what_is_not_there_is_said(url: str, method: str, path: str, error: str) -> None:
    refused = ask(url, method, path, {} if method == "POST" else None)
    assert (refused.status_code, refused.json()) == (404, {"error": error, "status": 404})


def test_a_toxic_is_added_shown_changed_and_removed(toxics: str) -> None:
    given = {"name": "t", "type": "latency", "stream": "upstream", "toxicity": 0.5, "attributes": {"latency": 70}}
    whole = {**given, "attributes": {"latency": 70, "jitter": 0}}
    added = ask(toxics, "POST", "", given)
    assert (added.status_code, added.json()) == (200, whole)
    assert ask(toxics, "GET", "/t").json() == whole
    assert ask(toxics, "GET", "").json() == [whole]
    changed = ask(toxics, "POST", "/t", {"attributes": {"jitter": 3}}).json()
    assert changed == {**whole, "attributes": {"latency": 70, "jitter": 3}}
    again = ask(toxics, "POST", "", given)
    assert (again.status_code, again.json()) == (409, {"error": "toxic already exists", "status": 409})
    assert ask(toxics, "DELETE", "/t").status_code == 204
    gone = ask(toxics, "DELETE", "/t")
    assert (gone.status_code, gone.json()) == (404, {"error": "toxic not found", "status": 404})


def test_what_is_left_out_has_the_defaults(toxics: str) -> None:
    added = ask(toxics, "POST", "", {"type": "timeout"}).json()
    assert added == {
        "name": "timeout_downstream",
        "type": "timeout",
        "stream": "downstream",
        "toxicity": 1,
        "attributes": {"timeout": 0},
    }


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"type": "lightning"}, "invalid toxic type"),
        ({"type": "latency", "stream": "sideways"}, "stream was invalid"),
        ({"type": "latency", "attributes": {"latency": "much"}}, "bad request body"),
        ({"type": "latency", "toxicity": "most"}, "bad request body"),
        ([], "bad request body"),
    ],
)
def test_a_toxic_that_cannot_be_is_refused(toxics: str, given: Any, error: str) -> None:
    refused = ask(toxics, "POST", "", given)
    assert refused.status_code == refused.json()["status"] == 400
    assert refused.json()["error"].startswith(error)
    assert ask(toxics, "GET", "").json() == []


def test_nonsense_is_taken_without_a_word(toxics: str) -> None:
    """The trap that the wrapper is there for: the server takes all of these, and none does what it says."""
    given = {"name": "n", "type": "latency", "toxicity": 5, "attributes": {"latancy": 900, "jitter": -3}}
    added = ask(toxics, "POST", "", given)
    assert added.status_code == 200
    assert added.json()["attributes"] == {"latency": 0, "jitter": -3}


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"upstream": "127.0.0.1:1"}, "missing required field: name"),
        ({"name": "n"}, "missing required field: upstream"),
        ({"name": 3}, "bad request body"),
    ],
)
def test_a_proxy_that_cannot_be_is_refused(url: str, given: Any, error: str) -> None:
    refused = ask(url, "POST", "/proxies", given)
    assert refused.status_code == refused.json()["status"] == 400
    assert refused.json()["error"].startswith(error)


def test_a_body_that_is_no_json_is_refused(url: str) -> None:
    refused = httpx.post(f"{url}/proxies", content=b"{", timeout=30, verify=False)
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("bad request body")


def test_a_browser_is_refused(url: str) -> None:
    assert ask(url, "GET", "/version", **{"User-Agent": "Mozilla/5.0"}).status_code == 403
    assert ask(url, "GET", "/version", **{"User-Agent": "curl/8"}).json()["version"]


def test_populate_makes_proxies_and_keeps_those_that_are_alike(url: str, backend: Backend) -> None:
    listen = f"127.0.0.1:{free_port()}"
    given = [{"name": "populated", "upstream": backend.address, "listen": listen}]
    made = ask(url, "POST", "/populate", given)
    assert made.status_code == 201
    assert [proxy["name"] for proxy in made.json()["proxies"]] == ["populated"]
    ask(url, "POST", "/proxies/populated/toxics", {"name": "kept", "type": "timeout"})
    again = ask(url, "POST", "/populate", given).json()["proxies"]
    assert [toxic["name"] for toxic in again[0]["toxics"]] == ["kept"]
    moved = ask(url, "POST", "/populate", [{**given[0], "upstream": "127.0.0.1:1"}]).json()["proxies"]
    assert (moved[0]["upstream"], moved[0]["toxics"]) == ("127.0.0.1:1", [])
    assert ask(url, "DELETE", "/proxies/populated").status_code == 204


def test_reset_enables_all_and_removes_every_toxic(url: str, proxied: Proxied, backend: Backend) -> None:
    proxy = proxied(backend.address)
    ask(url, "POST", f"/proxies/{proxy.name}/toxics", {"type": "timeout"})
    ask(url, "POST", f"/proxies/{proxy.name}", {"enabled": False})
    assert ask(url, "POST", "/reset").status_code == 204
    shown = ask(url, "GET", f"/proxies/{proxy.name}").json()
    assert (shown["enabled"], shown["toxics"]) == (True, [])
