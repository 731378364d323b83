"""A fault that was left in force is a difference of the deployment's state, whoever forgot it."""

from __future__ import annotations

import os
import signal

from readiness.digest import take_digest
from readiness.operations import differences
from readiness.waiting import Deadline, eventually
from tests.tiny.deployment import Sitting, Tiny


def test_a_replica_that_is_still_frozen_is_named(sitting: Sitting, tiny: Tiny) -> None:
    def digest() -> object:
        return take_digest(sitting.session.reach, Deadline.after(60))

    first = digest()
    os.kill(tiny.pid("store-1"), signal.SIGSTOP)
    try:
        left = eventually(digest, within=60, until=lambda now: "stopped" in str(now))
    finally:
        os.kill(tiny.pid("store-1"), signal.SIGCONT)
    assert isinstance(first, dict) and isinstance(left, dict)
    assert 'services.store.broken was not there, is ["store-1 is stopped"]' in differences(first, left)
    assert eventually(digest, within=60, until=lambda now: now == first)
