"""How a caller uses the order ledger: the only Python between the ledger and those who judge it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, LiteralString

import psycopg


class Ledger:
    """Orders, questions and preferences over PostgreSQL's own protocol."""

    def __init__(self, options: Mapping[str, Any], _addresses: Mapping[str, str]) -> None:
        self._options = options

    def _ask(self, statement: LiteralString, values: tuple[str, ...], timeout_s: float, name: str = "order") -> Any:
        password = (Path(self._options["folder"]) / self._options["password_file"]).read_text(encoding="ascii").strip()
        with psycopg.connect(
            host="127.0.0.1",
            port=self._options["port"],
            user=self._options["user"],
            password=password,
            dbname="ledger",
            application_name=name,
            connect_timeout=max(2, int(timeout_s)),
        ) as connection:
            cursor = connection.execute(statement, values)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None

    def submit(
        self, variant: str, *, marker: str, correlation: str | None, question: str | None, timeout_s: float
    ) -> Mapping[str, Any]:
        name = correlation or marker
        if variant == "ask":
            return {"id": str(self._ask("SELECT ask(%s)", (question or "",), timeout_s, name))}
        wanted = {"ok": marker, "invalid": ""}[variant]
        try:
            return {"id": str(self._ask("SELECT place_order(%s)", (wanted,), timeout_s, name))}
        except psycopg.errors.CheckViolation as error:
            return {"accepted": False, "refused": True, "error": str(error)}

    def finish(self, variant: str, id: str, *, marker: str, timeout_s: float) -> Mapping[str, Any]:
        if variant == "ask":
            return {"success": True, "answer": id}
        state = self._ask("SELECT state FROM orders WHERE id = %s::bigint AND marker = %s", (id, marker), timeout_s)
        effects = self._ask("SELECT count(*) FROM orders WHERE marker = %s", (marker,), timeout_s)
        return {"success": state == "done", "release": "1.4.0", "effects": effects}

    def remember(self, marker: str, *, timeout_s: float) -> None:
        self._ask("INSERT INTO preferences VALUES (%s, %s)", (marker, marker), timeout_s)

    def recall(self, marker: str, *, timeout_s: float) -> bool:
        return bool(self._ask("SELECT value FROM preferences WHERE person = %s", (marker,), timeout_s) == marker)

    def forget(self, marker: str, *, timeout_s: float) -> None:
        self._ask("DELETE FROM preferences WHERE person = %s", (marker,), timeout_s)
