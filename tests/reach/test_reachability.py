"""A declared service that takes no connection is found by the run itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from readiness.descriptor import Descriptor
from readiness.model import BreachKind
from readiness.reachability import unreachable


@pytest.fixture
def open_port() -> Iterator[int]:
    """A port that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def described(**services: Any) -> Descriptor:
    return Descriptor.model_validate({"readiness": 1, "name": "x", "environment": "staging", "services": services})


def test_what_takes_connections_is_reached(open_port: int) -> None:
    services = {"web": {"address": f"http://127.0.0.1:{open_port}"}, "db": {"address": f"tcp://127.0.0.1:{open_port}"}}
    assert unreachable(described(**services), 1.0) == []


def test_what_takes_none_is_told_with_what_to_do(open_port: int, closed_port: int) -> None:
    services = {
        "up": {"address": f"http://127.0.0.1:{open_port}"},
        "down": {"address": f"http://127.0.0.1:{closed_port}"},
        "lost": {"address": "https://nowhere.invalid"},
    }
    down, lost = unreachable(described(**services), 0.3)
    assert {down.kind, lost.kind} == {BreachKind.UNREACHABLE}
    assert down.what == f"the service down at http://127.0.0.1:{closed_port}"
    assert "refused" in down.reason
    assert "services.down.address" in down.remedy
    assert "lost" in lost.what


@pytest.mark.parametrize(
    "spec", [{}, {"address": "unix:///run/x.sock"}, {"address": "http://127.0.0.1:1", "replicas": 0}]
)
def test_what_has_no_address_or_is_not_run_is_not_asked(spec: dict[str, Any]) -> None:
    assert unreachable(described(x=spec), 0.1) == []
