"""Toxiproxy: one wrapper of its Python library, operations on its proxies as data, and an embedded server of its API.

The names are loaded when they are used, so that the embedded server starts without the client's libraries.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from readiness.toxiproxy.client import Leftover, ProxyState, Toxiproxy
    from readiness.toxiproxy.doer import ToxiproxyDoer
    from readiness.toxiproxy.toxics import Toxic, toxic_name

__all__ = ["Leftover", "ProxyState", "Toxic", "Toxiproxy", "ToxiproxyDoer", "toxic_name"]

_WHERE = {
    "Leftover": "client",
    "ProxyState": "client",
    "Toxic": "toxics",
    "Toxiproxy": "client",
    "ToxiproxyDoer": "doer",
    "toxic_name": "toxics",
}


def __getattr__(name: str) -> Any:
    """Give a public name of the package from the module that has it."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
