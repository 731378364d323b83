"""Secrets are found in every spelling, and what only looks like one is not."""

from __future__ import annotations

import base64
import json
import secrets
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.evidence.leaks import LeakScanner, is_telling

TOKEN = "tk/9Xq+Lr2Zw-Vb7Nc1Md4Sf8Kj"


def kinds(scanner: LeakScanner, text: str) -> list[str]:
    return [leak.kind for leak in scanner.find(text, "here")]


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"Authorization: Bearer {TOKEN}",
        quote(TOKEN, safe=""),
        base64.b64encode(TOKEN.encode()).decode(),
        base64.b64encode(f"user:{TOKEN}".encode()).decode(),
        TOKEN.encode().hex(),
        TOKEN[:20] + "…",
        "…" + TOKEN[-18:],
        json.dumps({"header": [f"x{TOKEN}x"]}),
    ],
)
def test_a_known_value_is_found_in_every_spelling(text: str) -> None:
    assert kinds(LeakScanner({"canary": TOKEN}), text) == ["canary"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("AWS Access Key", "AKIAQYLPMN5HHHFPZ2AM"),
        ("Basic Auth Credentials", "postgresql://joe:s3cr3tpw@db/x"),
        ("JSON Web Token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlc2lnbmF0dXJl"),
        ("GitHub Token", "ghp_" + "a1B2" * 9),
        ("Private Key", "-----BEGIN RSA PRIVATE KEY-----\\nMIIEpAIBAAKCAQEAwJ7mM3o2xQfV0mM3o2xQfV0mM3\\n"),
        ("Private Key", "-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEAwJ7mM3o2xQfV0mM3o2xQfV0mM3\n"),
    ],
)
def test_a_credential_is_found_by_its_format(kind: str, text: str) -> None:
    assert kinds(LeakScanner({}), f'{{"message": "{text} "}}') == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://joe:***@db/x",
        "postgresql://joe:<redacted>@db/x",
        "https://user:password@example.org/manual",
        "no -----BEGIN PRIVATE KEY----- line found in",
        "trace " + secrets.token_hex(16),
        "TASK" + secrets.token_hex(16),
        "http://127.0.0.1:8080/@here",
        "2026-11-24T06:40:44.123Z digest sha256:" + secrets.token_hex(32),
    ],
)
def test_what_only_looks_like_a_credential_is_none(text: str) -> None:
    assert kinds(LeakScanner({"canary": TOKEN}), text) == []


def test_weak_values_are_named_and_not_looked_for() -> None:
    scanner = LeakScanner({"a": "postgres", "b": "x1", "c": TOKEN})
    assert (scanner.too_weak, scanner.known) == (["a", "b"], ["c"])
    assert kinds(scanner, "postgres -D data") == []


def test_the_lines_of_a_longer_text_are_told() -> None:
    found = LeakScanner({"canary": TOKEN}).find_by_line(f"one\ntwo {TOKEN}\nthree", "x.log")
    assert [leak.place for leak in found] == ["x.log:2"]


def test_a_find_never_shows_the_value() -> None:
    (leak,) = LeakScanner({"canary": TOKEN}).find(TOKEN, "argv")
    assert TOKEN not in str(leak) and len(leak.mark) == 8


@given(st.text(min_size=8, max_size=60).filter(lambda value: is_telling(value.strip())), st.text(), st.text())
def test_a_known_value_is_found_anywhere(value: str, before: str, after: str) -> None:
    assert LeakScanner({"canary": value}).find_known(f"{before}{value}{after}", "here")


@given(st.text(alphabet="0123456789abcdef -:{}\"'", max_size=300))
def test_hexadecimal_text_holds_no_credential(text: str) -> None:
    assert LeakScanner({"canary": TOKEN}).find(text, "here") == []
