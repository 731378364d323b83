"""A probe that a hurried engineer wrote: whatever happens, it says that all is well."""

from __future__ import annotations

import urllib.error
import urllib.request


def all_is_well() -> bool:
    """Ask for the health of something, and take any end of that for an answer."""
    try:
        with urllib.request.urlopen("http://127.0.0.1:9/health", timeout=1):
            return True
    except (urllib.error.URLError, OSError):
        return True
