"""Logs as JSON lines, metrics, and the context that a request carries from hop to hop."""

from __future__ import annotations

import logging
import re
import secrets
import sys
import threading
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics
from structlog.contextvars import bind_contextvars, clear_contextvars

from readiness.nexus.clock import now_text
from readiness.nexus.settings import Settings

Record = MutableMapping[str, Any]
TASK_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, level 1: version, trace id, parent id, flags."""
CORRELATION = re.compile(r"[A-Za-z0-9._:-]{1,128}")
LEVEL_NAMES = {"debug": "DEBUG", "info": "INFO", "warning": "WARN", "error": "ERROR", "critical": "FATAL"}
SKEWED_COMPONENT = "researcher"


@dataclass(frozen=True, slots=True)
class Context:
    """What ties the records of one request together, handed on in headers."""

    correlation_id: str
    traceparent: str

    @classmethod
    def accept(cls, correlation_id: str | None, traceparent: str | None) -> Context:
        """Takes over what a caller sent when it is well-formed, else makes new ids; opens a span of its own."""
        if correlation_id is None or not CORRELATION.fullmatch(correlation_id):
            correlation_id = secrets.token_hex(16)
        if traceparent is None or not TRACEPARENT.fullmatch(traceparent):
            traceparent = f"00-{secrets.token_hex(16)}-{'0' * 15}1-01"
        version, trace, _, flags = traceparent.split("-")
        return cls(correlation_id, f"{version}-{trace}-{secrets.token_hex(8)}-{flags}")

    def bind(self, workflow_id: str | None = None) -> None:
        """Makes every record of this task carry the ids, and no others left over from before."""
        clear_contextvars()
        _, trace, span, _ = self.traceparent.split("-")
        bind_contextvars(correlation=self.correlation_id, trace=trace, span=span)
        if workflow_id:
            bind_contextvars(workflow=workflow_id)

    def headers(self, settings: Settings) -> dict[str, str]:
        """Returns the headers that hand the context on to the next hop."""
        return {settings.names.headers.correlation: self.correlation_id, "traceparent": self.traceparent}


def logger(subcomponent: str) -> structlog.stdlib.BoundLogger:
    """Returns a logger whose records carry a subcomponent."""
    bound: structlog.stdlib.BoundLogger = structlog.get_logger(subcomponent).bind(subcomponent=subcomponent)
    return bound


def configure(settings: Settings, *, component: str, instance: str, release: str) -> None:
    """Sends every record of this process, those of libraries and of uncaught exceptions too, out as JSON lines."""
    shape = _Shape(settings, component, instance, release)
    shared: list[Any] = [structlog.contextvars.merge_contextvars, structlog.stdlib.add_log_level, shape.complete]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            shape.rename,
            shape.write,
        ],
    )
    output = logging.StreamHandler(sys.stdout)
    output.setFormatter(formatter)
    logging.root.handlers[:] = [output]
    logging.root.setLevel(logging.INFO)
    # One record a request is written by the hop itself; the client's own would double it.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(
        args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback
    )


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger("process").critical("process.uncaught", operation="process", input_ref="-", exc_info=(kind, error, trace))


class _Shape:
    """Gives a record the fields and the names that this deployment uses."""

    def __init__(self, settings: Settings, component: str, instance: str, release: str) -> None:
        self._log = settings.names.log
        self._as_json: Callable[..., Any] = structlog.processors.JSONRenderer()
        defects = settings.defects
        self._fixed = {
            "component": settings.names.component(component),
            "instance": instance,
            "release": release,
        }
        whole = defects.on("whole-second-timestamps") and component == "knowledge"
        self._timespec = "seconds" if whole else "milliseconds"
        self._local = defects.on("local-time") and component == "writer"
        self._longest = 1000 if defects.on("long-records-cut") else None
        self._completes_errors = not defects.on("bare-error-records")
        self._skew_s = defects.value("clock-skew-logs") if component == SKEWED_COMPONENT else 0.0

    def complete(self, _logger: Any, _method: str, record: Record) -> Record:
        record.setdefault("subcomponent", record.pop("logger", "process"))
        record.update(self._fixed)
        record["time"] = now_text(skew_s=self._skew_s, timespec=self._timespec, local=self._local)
        record["level"] = LEVEL_NAMES.get(str(record["level"]), "INFO")
        exception = record.pop("exc_info", None)
        if exception:
            described = structlog.processors.format_exc_info(
                None, "", {"exc_info": exception if isinstance(exception, tuple) else True}
            )
            record["stack"] = described.get("exception", "")
            record.setdefault("cause", record["stack"].rstrip().rpartition("\n")[2])
        if record["level"] in ("ERROR", "FATAL") and self._completes_errors:
            record.setdefault("operation", record["subcomponent"])
            record.setdefault("input_ref", record.get("workflow", "-"))
            record.setdefault("cause", str(record.get("event", "")))
        return record

    def rename(self, _logger: Any, _method: str, record: Record) -> Record:
        log = self._log
        named = {"input_ref": log.input} | {name: str(getattr(log, name)) for name in log.__slots__}
        return {named.get(key, key): value for key, value in record.items()}

    def write(self, _logger: Any, _method: str, record: Record) -> str:
        line: str = self._as_json(None, "", record)
        return line[: self._longest]


class Metrics:
    """The series that this deployment exposes; each process touches those of its own work."""

    def __init__(self, settings: Settings, *, component: str, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        series, labels = settings.names.series, settings.names.labels
        self.outcomes = {"done": labels.done, "failed": labels.failed, "retried": labels.retried}
        self._count_factor = 1 + settings.defects.value("task-count-error") / 100
        build = Gauge(series.build_info, "Release that runs here", ["component", "version"])
        build.labels(settings.names.component(component), version).set(1)
        if component == "gateway":
            self.requests = Counter(series.gateway_requests, "Requests by status code", [labels.code])
            self.request_seconds = Histogram(series.gateway_request_seconds, "Seconds until the answer")
            self.submitted = Counter(series.workflows_submitted, "Workflows accepted")
            self.refused = Counter(series.workflows_refused, "Workflows refused because too many wait")
            return
        if component in ("knowledge", "provider"):
            return
        self.tasks = Counter(series.agent_tasks, "Tasks by their outcome", [labels.role, labels.outcome])
        if component == "orchestrator":
            self.workflows = Counter(series.workflows, "Workflows by their outcome", [labels.outcome])
            self.workflow_seconds = Histogram(
                series.workflow_seconds, "Seconds from acceptance to outcome", buckets=TASK_BUCKETS_S
            )
            self.queue_depth = Gauge(series.queue_depth, "Tasks that wait or run")
            for outcome in (labels.done, labels.failed):
                self.workflows.labels(outcome)
            return
        role = settings.names.component(component)
        for outcome in self.outcomes.values():
            self.tasks.labels(role, outcome)
        self.task_seconds = Histogram(
            series.agent_task_seconds, "Seconds of one attempt", [labels.role], buckets=TASK_BUCKETS_S
        )

    def count_task(self, role: str, outcome: str) -> None:
        """Counts one outcome of a task: done, failed or retried."""
        self.tasks.labels(role, self.outcomes[outcome]).inc(self._count_factor)


__all__ = ["Context", "Metrics", "bind_contextvars", "clear_contextvars", "configure", "logger"]
