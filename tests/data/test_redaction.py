"""No spelling of a known secret survives, and what stays in its place tells nothing but sameness."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.redaction import Redactor

SECRETS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=6, max_size=40).filter(
    lambda text: len(text.strip()) >= 6
)
PLAIN = st.text(st.characters(codec="utf-8"), max_size=20)


def redactor(*values: str) -> Redactor:
    made = Redactor()
    for value in values:
        made.add(value)
    return made


@given(secret=SECRETS, before=PLAIN, after=PLAIN)
def test_no_spelling_survives(secret: str, before: str, after: str) -> None:
    secret = secret.strip()
    made = redactor(secret)
    for spelling in (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]):
        told = made.redact(before + spelling + after)
        assert "[secret:" in told
        assert spelling not in told or spelling in "[secret:0123456789abcdef]"


@given(secret=SECRETS, before=st.binary(max_size=7), after=st.binary(max_size=7))
def test_nor_does_base64_at_any_alignment(secret: str, before: bytes, after: bytes) -> None:
    made = redactor(secret)
    raw = before + secret.strip().encode() + after
    for encoded in (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()):
        assert made.find(encoded) == made.find(secret.strip())
        assert "[secret:" in made.redact(encoded)


def test_the_longer_secret_wins_where_one_begins_the_other() -> None:
    assert redactor("abcdef", "abcdefghij").redact("abcdefghij").count("[secret:") == 1
    assert "ghij" not in redactor("abcdef", "abcdefghij").redact("abcdefghij")


def test_redacting_twice_changes_nothing() -> None:
    made = redactor("secret", "hunter-hunter")
    once = made.redact("the secret is hunter-hunter")
    assert made.redact(once) == once


def test_short_values_are_ordinary_words() -> None:
    made = redactor("abc", "", "12345")
    assert made.redact("abc 12345") == "abc 12345"
    assert made.find("abc 12345") == []


def test_the_lines_of_a_key_are_secret_one_by_one() -> None:
    body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"
    made = redactor(f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    assert body not in made.redact(f"line 2 was {body}")
    assert made.redact("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"


def test_hashes_tell_secrets_apart_and_are_salted_by_run() -> None:
    one, other = redactor("first-secret", "other-secret"), redactor("first-secret")
    assert len(one.find("other-secret, first-secret, other-secret")) == 2
    assert one.find("first-secret") != other.find("first-secret")


@pytest.mark.parametrize("value", [None, 5, True, 1.5])
def test_data_is_redacted_inside(value: object) -> None:
    made = redactor("hunter-hunter")
    data = made.redact_data({"a": ["x hunter-hunter", value], "hunter-hunter": {"b": ("hunter-hunter",)}})
    assert "hunter-hunter" not in json.dumps(data)
    assert isinstance(data, dict) and data["a"][1] is value
