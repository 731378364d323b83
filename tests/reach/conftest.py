"""A tiny deployment for each test, and a session on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from readiness.deployment import Deployment
from readiness.waiting import Deadline
from tests.tiny.deployment import Sitting, Tiny, gate_info, running


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Tiny]:
    with running(tmp_path / "tiny") as deployment:
        yield deployment


@pytest.fixture
def sitting(tiny: Tiny) -> Iterator[Sitting]:
    made = Sitting(tiny)
    yield made
    made.session.reach.web.close()
    made.history.close()


@pytest.fixture
def deployment(sitting: Sitting) -> Deployment:
    return sitting.session.deployment(gate_info(), Deadline.after(60))
