"""The twin of a deployment that is down: what a hypothesis is tried against that must be able to fail."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from readiness.descriptor import Descriptor, FaultServers, ProcessAt
from readiness.loading import DescriptorFile

_URL = re.compile(r"\b(https?|tcp)://[^\s/\"']+")


class ClosedPort:
    """A port of this machine that refuses connections, and that nobody else can open while this object is there."""

    def __init__(self) -> None:
        self._held = socket.socket()
        self._held.bind(("127.0.0.1", 0))
        self.number = int(self._held.getsockname()[1])

    def close(self) -> None:
        """Give the port free."""
        self._held.close()


def twin_that_is_down(file: DescriptorFile, port: int) -> DescriptorFile:
    """Give the same descriptor with every address at a closed port, no process and no command of the operators.

    It is never written down: paths and secrets stay those of the descriptor's folder.
    """
    given = file.descriptor
    nowhere = f"127.0.0.1:{port}"
    services = {
        name: spec.model_copy(
            update={
                "address": None if spec.address is None else f"{urlsplit(spec.address).scheme or 'http'}://{nowhere}",
                "instances": None,
                "process": ProcessAt(port=port),
                "ready": spec.ready and _URL.sub(rf"\1://{nowhere}", spec.ready),
            }
        )
        for name, spec in given.services.items()
    }
    workload = given.workload.model_copy(update={"adapter_options": _away(given.workload.adapter_options, nowhere)})
    faults = FaultServers(
        toxiproxy=given.faults.toxiproxy and f"http://{nowhere}", http=given.faults.http and f"http://{nowhere}"
    )
    update: dict[str, Any] = {"services": services, "workload": workload, "faults": faults, "procedures": {}}
    twin: Descriptor = given.model_copy(update=update)
    return replace(file, descriptor=twin)


def _away(value: Any, nowhere: str) -> Any:
    """The options of a workload's adapter, with every URL in them at the closed port."""
    if isinstance(value, str):
        return _URL.sub(rf"\1://{nowhere}", value)
    if isinstance(value, Mapping):
        return {key: _away(item, nowhere) for key, item in value.items()}
    if isinstance(value, list):
        return [_away(item, nowhere) for item in value]
    return value
