"""Makes credentials and personal data that exist nowhere else, so that finding one again proves where it went."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from readiness.descriptor import Auth


@dataclass(frozen=True, slots=True)
class PersonalCanary:
    """Personal data of nobody, to be put into the input of a transaction."""

    email: str
    card: str

    @classmethod
    def make(cls) -> PersonalCanary:
        """Make an address at a domain that cannot exist (RFC 2606) and a card number with a right check digit."""
        body = "4" + "".join(str(secrets.randbelow(10)) for _ in range(14))
        return cls(f"canary-{secrets.token_hex(6)}@readiness.example", body + _check_digit(body))

    def __str__(self) -> str:
        return f"{self.email} {self.card}"

    def within(self, text: str) -> list[str]:
        """Name what of it stands in a text; the card also where it is written in groups of four."""
        grouped = [separator.join(self.card[n : n + 4] for n in range(0, 16, 4)) for separator in (" ", "-")]
        found = {"e-mail address": self.email in text, "card number": any(f in text for f in (self.card, *grouped))}
        return [name for name, there in found.items() if there]


def made_up_value() -> str:
    """Make a credential that nobody was ever given; it looks like a token and like nothing else."""
    return f"canary-{secrets.token_hex(16)}"


def made_up_headers(auth: Auth | None, value: str) -> Mapping[str, str]:
    """Give the headers that carry a made-up credential the way `auth` carries a real one; a bearer token if unknown."""
    if auth is None:
        return {"Authorization": f"Bearer {value}"}
    headers = dict.fromkeys(auth.header, value)
    if auth.basic is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{auth.basic.user}:{value}".encode()).decode()
    if auth.bearer is not None or not headers:
        headers["Authorization"] = f"Bearer {value}"
    return headers


def _check_digit(body: str) -> str:
    """The digit that makes a card number valid (Luhn, ISO/IEC 7812-1 annex B)."""
    doubled = [int(digit) * (2 if n % 2 == 0 else 1) for n, digit in enumerate(reversed(body))]
    return str(-sum(sum(divmod(value, 10)) for value in doubled) % 10)
