"""Text of a history that every format can carry: hostile characters are replaced at the door."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 forbids, escaped or not (section 2.2 of the recommendation): control characters and lone surrogates."""
Text = Annotated[str, BeforeValidator(lambda given: "" if given is None else str(given))]


def printable(value: Any) -> Any:
    """JSON data with U+FFFD for every character that XML forbids: hostile text reads the same in every format."""
    if isinstance(value, str):
        return _NOT_XML.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {printable(name): printable(item) for name, item in value.items()}
    return [printable(item) for item in value] if isinstance(value, list | tuple) else value
