"""A fault on messages as operations of the fault proxy of HTTP: what the faults of two modules are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from readiness.chaos.faults.kinds import Between, LinkName
from readiness.chaos.field import HTTP_FAULTS, Field, listed
from readiness.descriptor import Meaning
from readiness.operations import Fault, Operation
from readiness.target import Argument


def spoiled(
    field: Field,
    name: str,
    told: str,
    *,
    link: LinkName,
    message: Meaning,
    kind: str,
    arguments: Mapping[str, Any],
    share: float = 1.0,
) -> Fault:
    """Make the fault; it lifts itself where the proxy is after the field's lifetime, and is shown by what it hit."""
    ends = (link.caller, link.called) if isinstance(link, Between) else ("", "")
    stream = field.stream(message, "" if isinstance(link, Between) or link is None else link, *ends)
    id: dict[str, Argument] = {"id": field.label(name)}
    set_up: dict[str, Argument] = {
        "proxies": listed(stream.proxies),
        "method": stream.method,
        "path": stream.path,
        "kind": kind,
        "arguments": json.dumps(dict(arguments)),
        "share": share,
        "limit": 0,
        "lifetime_s": field.lifetime_s,
    }
    part = "" if share == 1.0 else f" ({share:.0%} of them)"
    return Fault(
        name,
        f"{stream.told}{part}: {told}",
        do=(Operation(HTTP_FAULTS, "add", {**id, **set_up}),),
        undo=(Operation(HTTP_FAULTS, "remove", id),),
        witness=Operation(HTTP_FAULTS, "hit", {**id, "at_least": 1}),
        healed=Operation(HTTP_FAULTS, "clear", id),
        lifted=True,
        heals_itself_s=field.lifetime_s,
    )
