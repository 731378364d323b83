"""What a test case of a release is told: which release it is, and in which deployment it is built."""

from __future__ import annotations

import unittest
from typing import ClassVar

from readiness.nexus.messages import Fact, Result, Task
from readiness.nexus.releases import Release
from readiness.nexus.settings import Settings

TASK = Task(
    task_id="t-1",
    workflow_id="w-1",
    role="writer",
    plan="answer",
    input='How long? \u2014 "quoted", ünïcode',
    model="standin",
    priority="high",
    steps=("search", "write"),
    facts=(Fact("kb-1", "It takes 5 minutes."),),
    draft="It takes 5 minutes [kb-1].",
)
RESULT = Result("It takes 5 minutes [kb-1].", ("kb-1",))


class ReleaseCase(unittest.TestCase):
    """A test case of one release; `of` binds it."""

    release: ClassVar[Release]
    settings: ClassVar[Settings]

    @classmethod
    def of(cls, release: Release, settings: Settings) -> type[ReleaseCase]:
        """Return this case for a release."""
        return type(cls.__name__, (cls,), {"release": release, "settings": settings, "__module__": cls.__module__})
