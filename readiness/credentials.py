"""Who a request is sent as: secrets read from where the descriptor says they lie, and never shown."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from readiness.descriptor import Auth, Secret
from readiness.errors import Missing, Undecidable, UsageError
from readiness.loading import DescriptorFile
from readiness.redaction import Redactor

ANONYMOUS = ""
"""The level of a caller without credentials."""
_COMMAND_S = 30.0
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Grant:
    """What one caller sends along: headers, and the TLS context where the descriptor names one."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = None


class Credentials:
    """The secrets of one descriptor; each value is known to the redactor before anybody else sees it."""

    def __init__(self, file: DescriptorFile, redactor: Redactor) -> None:
        self._file = file
        self._redactor = redactor
        self._values: dict[str, str] = {}
        self._grants: dict[str, Grant] = {}

    @classmethod
    def load(cls, file: DescriptorFile, redactor: Redactor) -> Credentials:
        """Read every secret that lies in a file or in the environment; a missing one is a UsageError.

        Secrets that a command gives are asked for when they are first needed.
        """
        loaded = cls(file, redactor)
        problems = []
        for place, secret in _secrets(file):
            if secret.command is not None:
                continue
            try:
                loaded._value(place, secret)
            except Undecidable as error:
                problems.append(f"{file.path}: {error}; {error.remedy}")
        for place, path in _tls_files(file):
            if not os.access(file.resolve(path), os.R_OK):
                problems.append(f"{file.path}: {place}: {path} cannot be read; give a file that exists and is yours")
        if problems:
            raise UsageError("\n".join(problems))
        return loaded

    def for_level(self, level: str) -> Grant:
        """Give the credentials of an access level; `ANONYMOUS` has none."""
        if level == ANONYMOUS:
            return Grant()
        auth = self._file.descriptor.levels.get(level)
        if auth is None:
            known = ", ".join(self._file.descriptor.levels) or "none"
            raise Missing(
                f"access level {level!r} is not declared (declared: {known})",
                f"levels.{level}: {{bearer: {{file: secrets/{level}.token}}}}",
            )
        return self._grant(f"levels.{level}", auth)

    def for_service(self, service: str | None) -> Grant:
        """Give the credentials for a service (or another name under `auth`); none where none are declared."""
        auth = self._file.descriptor.auth.get(service) if service else None
        return Grant() if auth is None else self._grant(f"auth.{service}", auth)

    def level_secret(self, level: str) -> str:
        """Give the one secret value of a level, for the environment of a command."""
        auth = self._file.descriptor.levels.get(level)
        secrets = [] if auth is None else list(_secrets_of(f"levels.{level}", auth))
        if not secrets:
            raise Missing(f"access level {level!r} has no credential", f"levels.{level}: {{bearer: {{file: …}}}}")
        return self._value(*secrets[0])

    def environment(self, procedure: str) -> dict[str, str]:
        """Give the secret environment variables that a procedure declares."""
        declared = self._file.descriptor.procedures[procedure].secrets
        return {
            name: self._value(f"procedures.{procedure}.secrets.{name}", secret) for name, secret in declared.items()
        }

    def values(self) -> dict[str, str]:
        """Give every declared secret by its place in the descriptor: to be looked for, never to be shown."""
        return {place: self._value(place, secret) for place, secret in _secrets(self._file)}

    def _grant(self, place: str, auth: Auth) -> Grant:
        if place not in self._grants:
            headers = {name: self._value(f"{place}.header.{name}", secret) for name, secret in auth.header.items()}
            if auth.bearer is not None:
                headers["Authorization"] = f"Bearer {self._value(f'{place}.bearer', auth.bearer)}"
            if auth.basic is not None:
                password = self._value(f"{place}.basic.password", auth.basic.password)
                pair = base64.b64encode(f"{auth.basic.user}:{password}".encode()).decode()
                self._redactor.add(pair)
                headers["Authorization"] = f"Basic {pair}"
            self._grants[place] = Grant(headers, self._tls(place, auth))
        return self._grants[place]

    def _tls(self, place: str, auth: Auth) -> ssl.SSLContext | None:
        if auth.ca is None and auth.certificate is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self._path(auth.ca))
            if auth.certificate is not None:
                # without a callback OpenSSL would ask for the key's password on the terminal
                context.load_cert_chain(str(self._path(auth.certificate)), self._path(auth.key), password=lambda: "")
        except (OSError, ssl.SSLError) as error:
            raise Undecidable(
                f"{place}: the certificate cannot be used: {error}", f"{place}.ca, certificate, key"
            ) from None
        return context

    def _path(self, path: Path | None) -> str | None:
        return None if path is None else str(self._file.resolve(path))

    def _value(self, place: str, secret: Secret) -> str:
        if place not in self._values:
            value = self._read(place, secret)
            self._redactor.add(value)
            self._values[place] = value
        return self._values[place]

    def _read(self, place: str, secret: Secret) -> str:
        if secret.env is not None:
            value = os.environ.get(secret.env, "")
            source, advice = f"the environment variable {secret.env}", f"export {secret.env}"
        elif secret.file is not None:
            value = self._from_file(place, secret.file)
            source, advice = f"the file {secret.file}", f"write the secret into {secret.file}"
        else:
            value = self._from_command(place, secret.command or [])
            source, advice = f"the command {(secret.command or [''])[0]}", "make it print the secret"
        if not value:
            raise Undecidable(f"{place}: {source} holds no secret", advice)
        if any(ord(character) < 32 for character in value) and place.startswith(("auth.", "levels.")):
            raise Undecidable(f"{place}: {source} holds control characters, which no header may carry", advice)
        return value

    def _from_file(self, place: str, path: Path) -> str:
        try:
            with self._file.resolve(path).open("rb") as stream:
                return stream.read(_MAX_BYTES).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not text"
            raise Undecidable(f"{place}: {path}: {why}", "give a text file that exists and that you may read") from None

    def _from_command(self, place: str, command: list[str]) -> str:
        program = command[0] if command else ""
        if "/" in program:
            program = str(self._file.resolve(Path(program)))
        try:
            done = subprocess.run(
                [program, *command[1:]],
                cwd=self._file.folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_COMMAND_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            raise Undecidable(
                f"{place}: the command {command[0]!r} could not be run", f"mend {place}.command"
            ) from None
        if done.returncode != 0:
            raise Undecidable(
                f"{place}: the command {command[0]!r} ended with {done.returncode}", f"mend {place}.command"
            )
        return done.stdout[:_MAX_BYTES].decode("utf-8", "replace").strip()


def _secrets(file: DescriptorFile) -> Iterator[tuple[str, Secret]]:
    descriptor = file.descriptor
    for name, auth in descriptor.auth.items():
        yield from _secrets_of(f"auth.{name}", auth)
    for level, auth in descriptor.levels.items():
        yield from _secrets_of(f"levels.{level}", auth)
    for name, procedure in descriptor.procedures.items():
        for variable, secret in procedure.secrets.items():
            yield f"procedures.{name}.secrets.{variable}", secret
    for name, secret in descriptor.secrets.canaries.items():
        yield f"secrets.canaries.{name}", secret


def _secrets_of(place: str, auth: Auth) -> Iterator[tuple[str, Secret]]:
    if auth.bearer is not None:
        yield f"{place}.bearer", auth.bearer
    if auth.basic is not None:
        yield f"{place}.basic.password", auth.basic.password
    for name, secret in auth.header.items():
        yield f"{place}.header.{name}", secret


def _tls_files(file: DescriptorFile) -> Iterator[tuple[str, Path]]:
    places = {"auth": file.descriptor.auth, "levels": file.descriptor.levels}
    for group, auths in places.items():
        for name, auth in auths.items():
            for part, path in (("ca", auth.ca), ("certificate", auth.certificate), ("key", auth.key)):
                if path is not None:
                    yield f"{group}.{name}.{part}", path
