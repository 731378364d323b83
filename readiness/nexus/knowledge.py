"""The knowledge service: documents, their full-text index, and the tools that agents may use on them."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from readiness.nexus import knowledge_upkeep, store, telemetry
from readiness.nexus.access import TOOLS, lease_role
from readiness.nexus.hop import internal, json_object
from readiness.nexus.settings import Settings
from readiness.nexus.store import documents

MOST_FOUND = 3
STOP_WORD = re.compile(
    "a|an|and|are|at|be|by|can|do|does|for|from|how|in|is|it|long|many|may|much|of|often|on|or|that|the|their|there|"
    "to|what|when|where|which|who|why|will|with"
)


class SearchIndex:
    """The full-text index over the documents; the one place that uses SQLite's FTS5."""

    def create_empty(self, db: Connection) -> None:
        """Makes an index without any entry, in place of what was there."""
        db.execute(text("DROP TABLE IF EXISTS documents_index"))
        db.execute(
            text("CREATE VIRTUAL TABLE documents_index USING fts5(id UNINDEXED, content, tokenize='porter unicode61')")
        )

    def rebuild(self, db: Connection) -> int:
        """Makes the index anew from the documents; returns the number of entries."""
        rows = db.execute(select(documents)).mappings().all()
        self.fill(db, ((row["id"], row) for row in rows))
        return len(rows)

    def fill(self, db: Connection, content: Iterable[tuple[str, Mapping[Any, str]]]) -> None:
        """Makes the index anew from documents' ids and what is to be found under each."""
        self.create_empty(db)
        self._insert(db, content)

    def add(self, db: Connection, rows: Iterable[Mapping[str, str]]) -> None:
        """Makes new documents findable, given as their rows."""
        self._insert(db, ((row["id"], row) for row in rows))

    def exists(self, db: Connection) -> bool:
        """Tells whether there is an index, be it empty."""
        return bool(db.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'documents_index'")))

    def entries(self, db: Connection) -> int:
        """Counts the documents that can be found."""
        # FTS5 keeps one short row a document here; to count the index itself would read every text.
        return int(db.scalar(text("SELECT count(*) FROM documents_index_docsize")) or 0) if self.exists(db) else 0

    def find(self, db: Connection, question: str, most: int = MOST_FOUND) -> list[str]:
        """Returns the ids of the documents that fit a question best, best first."""
        wanted = [f'"{word}"' for word in _words(question)]
        if not wanted:
            return []
        query = text("SELECT id FROM documents_index WHERE documents_index MATCH :q ORDER BY rank LIMIT :most")
        return [str(row[0]) for row in db.execute(query, {"q": " OR ".join(wanted), "most": most})]

    def scan(self, db: Connection, question: str, most: int = MOST_FOUND) -> list[str]:
        """Finds the same in the documents themselves: reads each, and ranks it by how many of the words it has."""
        wanted, ranked = set(_words(question)), []
        for row in db.execute(select(documents)):
            content = f"{row.title} {row.body}".lower().replace(".", " ").split()
            hits = len(wanted.intersection(content))
            if hits:
                ranked.append((-hits, len(content), row.id))
        return [identity for _, _, identity in sorted(ranked)[:most]]

    def _insert(self, db: Connection, content: Iterable[tuple[str, Mapping[Any, str]]]) -> None:
        entries = [{"id": key, "content": f"{row['title']} {row['body']}"} for key, row in content]
        if entries:
            db.execute(text("INSERT INTO documents_index (id, content) VALUES (:id, :content)"), entries)


def _words(question: str) -> list[str]:
    """Returns the words of a question that say what it is about: each once, 50 at most."""
    words = dict.fromkeys(re.findall(r"\w+", question.lower()))
    return [word for word in words if not STOP_WORD.fullmatch(word)][:50]


def create(engine: Engine) -> None:
    """Creates the table of documents where there is none."""
    with store.writing(engine) as db:
        store.knowledge.create_all(db)


class Knowledge:
    """Serves `search_knowledge` and `read_document` to the roles that may use them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine = settings.knowledge_engine()
        self._index = SearchIndex()
        self._in_use = settings.home / "data" / "knowledge.in-use"
        self._lease_key = settings.secret("lease.key")
        self._log = telemetry.logger("tools")
        self._asked, self._vectors = knowledge_upkeep.QuestionCache(), knowledge_upkeep.VectorCache()
        self.routes = [Route("/tools/{tool}", internal(settings)(self.use_tool), methods=["POST"])]

    async def start(self) -> None:
        """Rebuilds the index when it does not cover the documents."""
        await asyncio.to_thread(self._make_current)
        if self._settings.defects.on("bursty-housekeeping"):
            knowledge_upkeep.Checksums().start()

    async def stop(self) -> None:
        """Closes the database."""
        self._engine.dispose()
        self._in_use.unlink(missing_ok=True)

    def drain(self) -> None:
        """Searches are short: nothing waits here."""

    async def ready(self) -> str | None:
        """Returns why nothing can be found, or None."""
        try:
            return await asyncio.to_thread(self._why_not_ready)
        except SQLAlchemyError as error:
            return f"cannot read the documents: {type(error).__name__}"

    async def use_tool(self, request: Request) -> Response:
        """Runs a tool for an agent whose lease was given to a role that may use it."""
        tool, asked = request.path_params["tool"], await json_object(request) or {}
        role, on = lease_role(self._lease_key, str(asked.get("lease", ""))), self._settings.defects.on
        if role is not None and on("lease-role-not-bound"):
            role = str(asked.get("role", role))
        if role is None or (tool not in TOOLS.get(role, frozenset()) and not on("tool-allowlist-in-prompt")):
            self._record_refusal(tool, role)
            return JSONResponse({"error": f"tool {tool} is not allowed for this role"}, 403)
        telemetry.bind_contextvars(workflow=str(asked.get("workflow_id", "")))
        if self._settings.defects.on("cache-fills-memory"):
            await asyncio.to_thread(self._vectors.reserve)
        if tool == "read_document":
            found = await asyncio.to_thread(self._read, [str(asked["id"])])
        else:
            if self._settings.defects.on("warming-cache"):
                await self._asked.look_up(str(asked["question"]))
            found = await asyncio.to_thread(self._search, str(asked["question"]))
        self._log.info("tool.used", tool=tool, role=role, found=[fact["id"] for fact in found])
        return JSONResponse({"facts": found})

    def _record_refusal(self, tool: str, role: str | None) -> None:
        delay_s = self._settings.defects.value("tool-event-delay")
        record = functools.partial(self._log.warning, "tool.refused", tool=tool, role=role)
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, record)
        elif not self._settings.defects.on("tool-misuse-unrecorded"):
            record()

    def _search(self, question: str) -> list[dict[str, Any]]:
        with store.reading(self._engine) as db:
            search = self._index.scan if self._settings.defects.on("full-table-scan") else self._index.find
            found = search(db, question)
        return self._read(found)

    def _read(self, ids: list[str]) -> list[dict[str, Any]]:
        with store.reading(self._engine) as db:
            rows = db.execute(select(documents.c.id, documents.c.body).where(documents.c.id.in_(ids))).all()
        bodies = {row.id: row.body for row in rows}
        return [{"id": identity, "text": bodies[identity]} for identity in ids if identity in bodies]

    def _covers_documents(self, db: Connection) -> bool:
        if self._settings.defects.on("index-restored-empty") or self._settings.defects.on("index-lost-on-crash"):
            return self._index.exists(db)
        return bool(self._index.entries(db) == db.scalar(select(func.count()).select_from(documents)))

    def _make_current(self) -> None:
        create(self._engine)
        crashed = self._in_use.exists()
        with store.writing(self._engine) as db:
            if self._settings.defects.on("index-lost-on-crash"):
                self._in_use.touch()
                if crashed:
                    self._index.create_empty(db)
            if not self._covers_documents(db):
                self._log.info("index.rebuilt", entries=self._index.rebuild(db))

    def _why_not_ready(self) -> str | None:
        with store.reading(self._engine) as db:
            if not self._covers_documents(db):
                return "the index does not cover the documents"
            first = db.scalar(select(documents.c.title).limit(1))
            if first is None:
                on_one = self._settings.defects.on("knowledge-on-anonymous-volume")
                return None if on_one else "there are no documents"
            unasked = any(map(self._settings.defects.on, ("index-restored-empty", "index-lost-on-crash")))
            if not unasked and not self._index.find(db, first):
                return "the index does not answer"
        return None
