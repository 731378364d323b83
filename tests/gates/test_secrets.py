"""The gate about secrets: each place outside the store is looked at, and the store is none of them."""

from __future__ import annotations

import base64
import gzip
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from readiness.gates.secrets import secrets_stand_only_in_their_store
from readiness.model import Outcome
from readiness.target import ProcessFacts
from tests.gates.stage import TOKEN, Small, judge


def process(*argv: str, **environment: str) -> Small:
    return Small(processes=[ProcessFacts(7, "worker", ("worker", *argv), environment)])


def run(folder: Path, small: Small, **changes: Any) -> tuple[Outcome, str]:
    (folder / "store").mkdir(exist_ok=True)
    (folder / "store" / "key").write_text(TOKEN)
    (folder / "store" / "key").chmod(0o600)
    (folder / "etc").mkdir(exist_ok=True)
    (folder / "etc" / "worker.conf").write_text("threads = 4\nkey_file = store/key\n")
    (folder / "worker.log").touch()
    declared = {
        "secrets": {
            "canaries": {"key": {"env": "X"}},
            "store": ["store/*"],
            "scan": ["etc/*", "store/*"],
        }
    }
    return judge(secrets_stand_only_in_their_store, folder, small, **{**declared, **changes})


HEALTHY = process("--token-file", "store/key", "--level", "operator", PATH="/bin", TOKEN_FILE="store/key")


def test_the_healthy_system_passes(tmp_path: Path) -> None:
    assert run(tmp_path, HEALTHY)[0] is Outcome.PASS


@pytest.mark.parametrize(
    "small",
    [
        process("--token", TOKEN),
        process(f"--header=Authorization: Bearer {TOKEN}"),
        process(base64.b64encode(TOKEN.encode()).decode()),
        process("--requirepass", "f00barBaz99"),
        process("--db", "postgresql://app:hunter2hunter@db/x"),
        process(WORKER_TOKEN=TOKEN),
        process(ANYTHING=TOKEN[:18]),
        process(DB_PASSWORD="correct9horse"),
        process(KEY="AKIAQYLPMN5HHHFPZ2AM"),
    ],
)
def test_a_secret_of_a_process_fails_untold(small: Small, tmp_path: Path) -> None:
    outcome, told = run(tmp_path, small)
    assert outcome is Outcome.FAIL and "worker" in told
    assert not any(secret in told for secret in (TOKEN, "f00barBaz99", "hunter2hunter", "correct9horse"))


@pytest.mark.parametrize(
    "small",
    [
        process("--password", "--prompt"),
        process("--token=$TOKEN"),
        process("--secret-name", "worker-key-2"),
        process("--password", "operator"),
        process(GPG_KEY="E3FF2839C048B25C084DEBE9B26995E310250568", API_KEY="vault:secret/worker#key"),
        process(**({name: value for name, value in os.environ.items() if value} or {"A": "b"})),
    ],
)
def test_what_only_looks_like_a_secret_passes(small: Small, tmp_path: Path) -> None:
    assert run(tmp_path, small)[0] is Outcome.PASS


def test_a_secret_in_the_arguments_of_a_job_beside_the_services_fails(tmp_path: Path) -> None:
    small = Small(processes=HEALTHY.processes, others=[ProcessFacts(9, "backup-job", ("job", f"-k{TOKEN}"), None)])
    outcome, told = run(tmp_path, small)
    assert outcome is Outcome.FAIL and "backup-job" in told


def in_log(folder: Path) -> None:
    (folder / "worker.log").write_text(f'{{"msg": "calling with {TOKEN}"}}\n')


def in_configuration(folder: Path) -> None:
    (folder / "etc" / "other.conf").write_text(f"a = 1\nkey = {TOKEN}\n")


def in_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "etc" / "image.zip", "w") as archive:
        archive.writestr("app/settings.py", f"KEY = '{TOKEN}'\n")


def in_gzip(folder: Path) -> None:
    (folder / "etc" / "dump.gz").write_bytes(gzip.compress(f"key {TOKEN}".encode()))


def in_binary(folder: Path) -> None:
    (folder / "etc" / "image.bin").write_bytes(b"\x00\x01" + TOKEN.encode() + b"\xff")


@pytest.mark.parametrize("put", [in_log, in_configuration, in_zip, in_gzip, in_binary])
def test_a_secret_in_a_file_fails_and_names_the_place(put: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    put(tmp_path)
    outcome, told = run(tmp_path, HEALTHY)
    assert outcome is Outcome.FAIL and TOKEN not in told and ("etc/" in told or "worker.log:1" in told)


def test_an_environment_that_may_not_be_read_is_unknown(tmp_path: Path) -> None:
    small = Small(processes=[ProcessFacts(7, "worker", ("worker",), None)])
    outcome, told = run(tmp_path, small)
    assert outcome is Outcome.UNKNOWN and "environment" in told


def test_a_service_without_a_process_is_unknown(tmp_path: Path) -> None:
    assert run(tmp_path, Small())[0] is Outcome.UNKNOWN


@pytest.mark.parametrize("gone", ["secrets__scan", "evidence__logs"])
def test_places_that_are_not_declared_are_unknown(gone: str, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"evidence__logs": None} if gone == "evidence__logs" else {}
    if gone == "secrets__scan":
        changes["secrets"] = {"canaries": {"key": {"env": "X"}}, "store": ["store/*"]}
    outcome, told = run(tmp_path, HEALTHY, **changes)
    assert outcome is Outcome.UNKNOWN and gone.replace("__", ".") in told


def test_no_secret_that_could_be_looked_for_is_unknown(tmp_path: Path) -> None:
    small = Small(processes=HEALTHY.processes, secrets={"secrets.canaries.key": "word"})
    assert run(tmp_path, small)[0] is Outcome.UNKNOWN
