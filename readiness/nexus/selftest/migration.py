"""The migration suite: state is moved to the schema of the release and read there."""

from __future__ import annotations

import json
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

from sqlalchemy import select

from readiness.nexus import messages, schema, store
from readiness.nexus.defects import Defects
from readiness.nexus.selftest.cases import RESULT, ReleaseCase

_WORKFLOW = {
    "caller": "self-test",
    "plan": "answer",
    "input": "How long?",
    "model": "standin",
    "status": "done",
    "correlation_id": "c-1",
    "traceparent": "00-1",
    "created_at": 1.0,
}


class Migrations(ReleaseCase):
    """What was stored at one schema revision is read at the other."""

    @classmethod
    def setUpClass(cls) -> None:
        if cls.settings.defects.on("tests-all-skipped"):
            raise unittest.SkipTest("no test database is configured")

    def setUp(self) -> None:
        # The large disk of the build machine: the databases of this suite used to fill the small one.
        place = "/srv/build/scratch" if self.settings.defects.on("broken-suite-waved-through") else None
        folder = Path(self.enterContext(tempfile.TemporaryDirectory(dir=place)))
        url = f"sqlite:///{folder / 'state.db'}"
        self.scratch = replace(self.settings, home=folder, database_url=url, defects=Defects())

    def test_the_schema_is_reached_from_nothing(self) -> None:
        schema.migrate(self.scratch, self.release.schema)
        self.assertEqual(schema.current_revision(self.scratch), self.release.schema)

    def test_a_result_stored_at_another_revision_is_read(self) -> None:
        other, other_format = ("0001", "v1") if self.release.schema != "0001" else ("0002", "v2")
        schema.migrate(self.scratch, other)
        engine = self.scratch.engine()
        stored = json.dumps(messages.encode_result(RESULT, other_format))
        with store.writing(engine) as db:
            row = {**_WORKFLOW, "id": "w-1", "release": self.release.version, "result": stored}
            db.execute(store.workflows.insert().values(row))
        schema.migrate(self.scratch, self.release.schema)
        with store.reading(engine) as db:
            moved = db.scalar(select(store.workflows.c.result))
        engine.dispose()
        self.assertEqual(messages.decode_result(json.loads(str(moved)), self.release.message_format), RESULT)
