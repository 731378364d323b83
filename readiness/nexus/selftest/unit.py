"""The unit suite: what a release writes it can read, and access is as the seed's levels say."""

from __future__ import annotations

import dataclasses

from readiness.nexus import access, messages
from readiness.nexus.names import LEVELS
from readiness.nexus.selftest.cases import RESULT, TASK, ReleaseCase


class Messages(ReleaseCase):
    """Messages and results survive being written and read in every format that the release speaks."""

    def test_task_survives_each_format(self) -> None:
        for version in self.release.speaks:
            written = messages.encode_task(TASK, version)
            kept = TASK if version != "v1" else dataclasses.replace(TASK, priority=messages.NORMAL)
            self.assertEqual(messages.decode_task(written, version), kept)

    def test_result_survives_each_format(self) -> None:
        for version in self.release.speaks:
            self.assertEqual(messages.decode_result(messages.encode_result(RESULT, version), version), RESULT)

    def test_a_message_of_another_format_is_refused(self) -> None:
        with self.assertRaises(messages.MessageFormatError):
            messages.decode_task({"nothing": "known"}, self.release.message_format)


class Leases(ReleaseCase):
    """A lease says which role it was given to, and nobody can claim another one."""

    def test_a_lease_carries_its_role(self) -> None:
        token = access.sign_lease("key", "researcher", 1.0)
        self.assertEqual(access.lease_role("key", token), "researcher")

    def test_a_changed_lease_is_not_genuine(self) -> None:
        token = access.sign_lease("key", "writer", 1.0).replace("writer", "researcher")
        self.assertIsNone(access.lease_role("key", token))


class Levels(ReleaseCase):
    """Every operation has levels that may, and all of them exist."""

    def test_every_operation_is_open_to_known_levels_alone(self) -> None:
        for operation, levels in access.OPERATIONS.items():
            self.assertTrue(levels, operation)
            self.assertLessEqual(levels, set(LEVELS), operation)
