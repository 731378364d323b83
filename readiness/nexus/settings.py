"""The settings of one deployment: what stands in its home directory, without any secret value."""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from readiness.nexus.defects import Defects
from readiness.nexus.errors import NexusError
from readiness.nexus.names import LEVELS, Names
from readiness.nexus.releases import CURRENT_RELEASE

if TYPE_CHECKING:
    from sqlalchemy import Engine

LOOPBACK = "127.0.0.1"
REPLICAS = {
    "provider": 1,
    "knowledge": 1,
    "orchestrator": 1,
    "planner": 2,
    "researcher": 2,
    "writer": 2,
    "reviewer": 2,
    "gateway": 2,
}
"""Declared instances of each service, in the order in which they are started."""
MEMORY_LIMIT_BYTES = 256_000_000
"""What one process may use, as the descriptor declares it."""
DIRECTORIES = ("etc", "secrets", "run/targets", "data", "log", "audit", "backups", "offsite", "releases", "env", "bin")


@dataclass(frozen=True, slots=True)
class Proxied:
    """Where the servers of the proxies are told what to do, and the mark of our names on a server that is shared."""

    toxiproxy: str
    http: str
    prefix: str = ""

    @property
    def shared(self) -> bool:
        """Whether somebody else runs the Toxiproxy."""
        return bool(self.prefix)


@dataclass(frozen=True, slots=True)
class Settings:
    """What every process of one deployment knows; secrets are read by name when they are needed."""

    home: Path
    environment: str
    public_port: int
    database_url: str
    knowledge_url: str
    initial_release: str = CURRENT_RELEASE
    scheduled_backups: bool = True
    replicas: dict[str, int] = field(default_factory=lambda: dict(REPLICAS))
    defects: Defects = field(default_factory=Defects)
    names: Names = field(default_factory=Names)
    proxied: Proxied | None = None
    """The proxies between the services, or None where they call each other directly."""

    @property
    def file(self) -> Path:
        """Where these settings are kept."""
        return self.home / "etc" / "nexus.json"

    @property
    def public_url(self) -> str:
        """The address that callers use; both gateways listen on it."""
        return f"http://{LOOPBACK}:{self.public_port}"

    @property
    def run(self) -> Path:
        """Pid files, targets, sockets and locks."""
        return self.home / "run"

    @property
    def audit_log(self) -> Path:
        """The append-only record of every attempted operation."""
        return self.home / "audit" / "audit.jsonl"

    def secret_path(self, name: str) -> Path:
        """Returns where a secret is kept, such as `caller.token` or `provider.key`."""
        return self.home / "secrets" / name

    def secret(self, name: str) -> str:
        """Reads a secret; raises NexusError that names the file and never the value."""
        try:
            return self.secret_path(name).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NexusError(f"cannot read the secret {self.secret_path(name)}: {type(error).__name__}") from None

    def engine(self) -> Engine:
        """Opens the operational state."""
        from readiness.nexus import store

        return store.open_engine(self.database_url)

    def knowledge_engine(self) -> Engine:
        """Opens the documents of the knowledge service."""
        from readiness.nexus import store

        return store.open_engine(self.knowledge_url)

    def save(self) -> None:
        """Writes the settings in one step, readable by their owner alone."""
        values = {
            "environment": self.environment,
            "public_port": self.public_port,
            "database_url": self.database_url,
            "knowledge_url": self.knowledge_url,
            "initial_release": self.initial_release,
            "scheduled_backups": self.scheduled_backups,
            "replicas": self.replicas,
            "defects": self.defects.as_mapping(),
            "names": self.names.changed(),
            "proxied": asdict(self.proxied) if self.proxied else None,
        }
        write_private(self.file, json.dumps(values, indent=2) + "\n")

    @classmethod
    def load(cls, home: Path) -> Settings:
        """Reads the settings of a home directory; raises NexusError when there are none."""
        home = home.absolute()
        try:
            values = json.loads((home / "etc" / "nexus.json").read_text("utf-8"))
        except OSError as error:
            raise NexusError(f"{home} is no Nexus home: etc/nexus.json: {error.strerror}") from error
        except ValueError as error:
            raise NexusError(f"{home / 'etc' / 'nexus.json'} is no valid JSON: {error}") from error
        try:
            values["defects"] = Defects(values["defects"])
            values["names"] = Names.from_mapping(values["names"])
            values["proxied"] = Proxied(**values["proxied"]) if values.get("proxied") else None
            return cls(home=home, **values)
        except (KeyError, TypeError) as error:
            raise NexusError(f"{home / 'etc' / 'nexus.json'} was written by another version: {error}") from error

    @classmethod
    def create(
        cls,
        home: Path,
        *,
        environment: str = "staging",
        release: str = CURRENT_RELEASE,
        defects: Defects | None = None,
        names: Names | None = None,
        replicas: dict[str, int] | None = None,
        scheduled_backups: bool = True,
        database_url: str | None = None,
        proxied: Proxied | None = None,
    ) -> Settings:
        """Makes a home directory with fresh random secrets and a free public port, and saves its settings."""
        home = home.absolute()
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
        for name in DIRECTORIES:
            (home / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = cls(
            home=home,
            environment=environment,
            public_port=free_port(),
            database_url=database_url or f"sqlite:///{home / 'data' / 'state.db'}",
            knowledge_url=f"sqlite:///{home / 'data' / 'knowledge.db'}",
            initial_release=release,
            scheduled_backups=scheduled_backups,
            replicas=dict(replicas or REPLICAS),
            defects=defects or Defects(),
            names=names or Names(),
            proxied=proxied,
        )
        settings._create_secrets()
        settings.save()
        return settings

    def _create_secrets(self) -> None:
        tokens = ["caller.token", "internal.token", *(f"{self.names.level(level)}.token" for level in LEVELS)]
        for name in [*tokens, "provider.key", "lease.key"]:
            # The prefixes are those by which secret scanners know a token of this product.
            prefix = "nxk_" if name.endswith(".key") else "nxt_"
            write_private(self.secret_path(name), prefix + secrets.token_urlsafe(32) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replaces a file in one step, so that readers see the old or the new text and never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    temporary.replace(path)


def free_port() -> int:
    """Finds a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
