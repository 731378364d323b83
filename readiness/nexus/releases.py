"""The releases of Nexus that can run, and in what they differ."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from readiness.nexus.defects import Defects
from readiness.nexus.errors import unknown


@dataclass(frozen=True, slots=True)
class Release:
    """One release: its schema revision, the message formats it speaks (newest last) and its faults."""

    version: str
    schema: str
    speaks: tuple[str, ...]
    agents_fail: bool = False

    @property
    def message_format(self) -> str:
        """The format in which this release stores and prefers its messages."""
        return self.speaks[-1]

    def parameters(self) -> dict[str, object]:
        """Returns what makes this release differ from others, for its digest."""
        return asdict(self)


RELEASES = {
    release.version: release
    for release in (
        Release("2.2.4", "0001", ("v1",)),
        Release("2.3.0", "0002", ("v1", "v2")),
        Release("2.3.1", "0002", ("v1", "v2")),
        # Built to the published recipe of a bad release: ready answers 200, every task fails.
        Release("2.3.1-bad", "0002", ("v1", "v2"), agents_fail=True),
    )
}
RETIRED = {"1.9.0": Release("1.9.0", "0001", ("v1",))}
"""Releases that are no longer built, but whose binaries may still lie about."""
FIRST_RELEASE = "2.2.4"
CURRENT_RELEASE = "2.3.0"


def release_of(version: str) -> Release:
    """Returns the release of a version; raises NexusError for an unknown one."""
    known = RELEASES | RETIRED
    if version not in known:
        raise unknown("release", version, RELEASES)
    return known[version]


def as_built(version: str, defects: Defects) -> Release:
    """Returns a release as it was really built in this deployment."""
    release = release_of(version)
    if defects.on("old-format-dropped"):
        return replace(release, speaks=(release.message_format,))
    return release
