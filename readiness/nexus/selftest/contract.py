"""The contract suite: a release and its neighbours read each other's messages, in both directions."""

from __future__ import annotations

from readiness.nexus import messages
from readiness.nexus.releases import RELEASES, Release
from readiness.nexus.selftest.cases import RESULT, TASK, ReleaseCase


def problems(one: Release, other: Release) -> list[str]:
    """Return what keeps two releases from working side by side; each line names the direction."""
    common = sorted(set(one.speaks) & set(other.speaks))
    if not common:
        return [f"{one.version} speaks {', '.join(one.speaks)} and {other.version} {', '.join(other.speaks)}"]
    found = []
    for sender, receiver in ((one, other), (other, one)):
        try:
            stored = messages.encode_task(TASK, sender.message_format)
            messages.decode_task(messages.convert_task(stored, common[-1]), common[-1])
            result = messages.encode_result(RESULT, sender.message_format)
            messages.decode_result(messages.convert_result(result, common[-1]), common[-1])
        except messages.MessageFormatError as error:
            found.append(f"{receiver.version} cannot read {sender.version}: {error}")
    return found


class Neighbours(ReleaseCase):
    """Each release works beside those that it may be deployed over or rolled back to."""

    def test_messages_are_read_in_both_directions(self) -> None:
        for other in RELEASES.values():
            self.assertEqual(problems(self.release, other), [])
