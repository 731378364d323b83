"""The package's own exceptions: each is one line that a user can act on."""

from __future__ import annotations


class ReadinessError(Exception):
    """Anything that the package raises on purpose."""


class UsageError(ReadinessError):
    """What was asked cannot be: a bad file, option or name (exit code 4); `str()` is one line a problem."""


class Busy(UsageError):
    """Another run holds the deployment; the message says who, since when and until when."""


class Violated(ReadinessError):
    """The deployment broke a promise: raised by a gate, and only by a gate (FAIL)."""


class Undecidable(ReadinessError):
    """The promise could not be measured: UNKNOWN, with the reason and what would make it measurable."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.remedy = remedy


class NotApplicable(ReadinessError):
    """What a gate is about is not there, and the gate has verified that (NOT_APPLICABLE): raised by a gate alone."""


class Missing(Undecidable):
    """The descriptor, a capability or a right lacks what the gate needs; `remedy` is the line that gives it."""


class ProcedureFailed(Undecidable):
    """An operators' command did not end as it must; a gate that judges this catches it."""


class TargetError(Undecidable):
    """A driver could not reach or act on the deployment."""
