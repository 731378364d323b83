"""A workload that HTTP templates cannot describe: a class beside the descriptor, named by `adapter: module:Class`.

The class needs nothing of this package. It is made once a run as `Class(options, addresses)`: `options` is
`workload.adapter_options`, with `folder` (of the descriptor) added; `addresses` maps services to their addresses.
Every method gets the seconds it may take; whatever it raises counts as an error of the transaction.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

from readiness.errors import UsageError
from readiness.loading import DescriptorFile


class WorkloadAdapter(Protocol):
    """What an adapter class may have; a part that it lacks makes the gates UNKNOWN that need it."""

    def submit(
        self, variant: str, *, marker: str, correlation: str | None, question: str | None, timeout_s: float
    ) -> Mapping[str, Any]:
        """Begin a transaction: `{"accepted": bool, "id": text, "refused": bool, "error": text}`, all optional.

        A transaction is accepted unless it says otherwise. A variant that the adapter does not have: `KeyError`.
        """
        ...

    def finish(self, variant: str, id: str, *, marker: str, timeout_s: float) -> Mapping[str, Any] | None:
        """Look at a transaction: None while it goes on, else `{"success": bool, "release": text, "error": text, …}`.

        The whole mapping is the result that gates look at.
        """
        ...

    def remember(self, marker: str, *, timeout_s: float) -> None:
        """Store something of a user under the marker."""
        ...

    def recall(self, marker: str, *, timeout_s: float) -> bool:
        """Whether what was stored under the marker is there, whole."""
        ...

    def forget(self, marker: str, *, timeout_s: float) -> None:
        """Remove what was stored under the marker; nothing there is no error."""
        ...

    def served_by(self, n: int, *, timeout_s: float) -> Sequence[str]:
        """Send n requests and name the release that served each."""
        ...


def load_adapter(file: DescriptorFile) -> WorkloadAdapter | None:
    """Make the adapter that the descriptor names; a module or class that is not there is a UsageError."""
    name = file.descriptor.workload.adapter
    if name is None:
        return None
    module_name, _, class_name = name.partition(":")
    folder = str(file.folder.resolve())
    sys.path.insert(0, folder)
    try:
        made = getattr(importlib.import_module(module_name), class_name)
        options = {**file.descriptor.workload.adapter_options, "folder": folder}
        addresses = {service: spec.address or "" for service, spec in file.descriptor.services.items()}
        return cast("WorkloadAdapter", made(options, addresses))
    except Exception as error:  # the class is theirs: whatever it raises, the user gets one line
        raise UsageError(
            f"{file.path}: workload.adapter {name!r} cannot be used: {type(error).__name__}: {error}; allowed: "
            "package.module:Class, importable or beside the descriptor, made as Class(options, addresses)"
        ) from None
    finally:
        sys.path.remove(folder)
