"""The server under test, once real and once embedded, and proxies on it that are gone after each test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from readiness.toxiproxy import ProxyState, Toxiproxy
from tests.toxiproxy.servers import Backend, Echo, Wire, embedded, real

_NUMBERS = itertools.count(1)
BOTH = [pytest.param("embedded"), pytest.param("real", marks=pytest.mark.needs("toxiproxy"))]


@pytest.fixture(scope="session", params=BOTH)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a server: every test with it runs against both."""
    with real() if request.param == "real" else embedded(tmp_path_factory.mktemp("toxiproxy")) as there:
        yield there


@pytest.fixture
def server(url: str) -> Toxiproxy:
    """The wrapper of that server."""
    return Toxiproxy(url)


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A backend of HTTP."""
    backend = Backend()
    yield backend
    backend.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    """A backend that gives back every byte."""
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture
def proxied(server: Toxiproxy) -> Iterator[Callable[[str], ProxyState]]:
    """Make proxies to an upstream; they are gone after the test."""
    made: list[str] = []

    def make(upstream: str) -> ProxyState:
        made.append(f"test-{next(_NUMBERS)}")
        return server.create(made[-1], upstream)

    yield make
    for name in made:
        server.delete(name)


@pytest.fixture
def wired() -> Iterator[Callable[[str], Wire]]:
    """Open connections; they are closed after the test."""
    wires: list[Wire] = []

    def open_one(listen: str) -> Wire:
        wires.append(Wire(listen))
        return wires[-1]

    yield open_one
    for wire in wires:
        wire.close()
