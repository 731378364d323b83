from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from readiness.gates.backups import (
    every_backup_verifies_and_has_a_copy_elsewhere,
    operational_state_is_backed_up_hourly,
    user_data_is_in_the_backups,
)
from readiness.model import Outcome
from tests.gates.house import Faults, ended, failed, judge, listed, write_listing

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
INCREMENT = {"set": "s2", "kind": "incremental", "base": "s1/operational_state"}


def hourly(folder: Path, full: dict[str, Any] | None = None, increment: dict[str, Any] | None = None) -> Outcome:
    backups = [listed(folder, **(full or {}))]
    if increment is not None:
        backups.append(listed(folder, **{**INCREMENT, **increment}))
    write_listing(folder, *backups)
    return judge(operational_state_is_backed_up_hourly, folder)[0]


def tar_of_empty_files() -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name in ("one", "two"):
            archive.addfile(tarfile.TarInfo(name))
    return raw.getvalue()


@pytest.mark.parametrize(
    ("full", "increment", "outcome"),
    [
        ({}, None, Outcome.PASS),
        ({"age": 20 * HOUR}, {"age": 1.1 * HOUR * 0.8}, Outcome.PASS),
        ({"age": 20 * HOUR}, {"age": 1.1 * HOUR * 1.2}, Outcome.FAIL),
        ({"age": DAY * 0.8}, {}, Outcome.PASS),
        ({"age": DAY * 1.2}, {}, Outcome.FAIL),
        ({"age": 3 * HOUR}, {"file_age": 2 * HOUR}, Outcome.FAIL),
        ({"age": 3 * HOUR}, {"content": b""}, Outcome.FAIL),
        ({}, {"content": b""}, Outcome.FAIL),
        ({}, {"content": tar_of_empty_files()}, Outcome.FAIL),
        ({}, {"content": gzip.compress(b"x" * 9999)[:-9]}, Outcome.FAIL),
        ({}, {"base": "pruned/operational_state"}, Outcome.FAIL),
        ({"content": gzip.compress(b"")}, None, Outcome.FAIL),
        ({"age": 3 * HOUR}, {"content": gzip.compress(b"")}, Outcome.UNKNOWN),
        ({}, {"content": gzip.compress(b"")}, Outcome.PASS),
        ({"component": "user_data"}, None, Outcome.FAIL),
        ({"age": -DAY}, None, Outcome.UNKNOWN),
    ],
)
def test_only_a_young_backup_that_can_be_used_counts(
    full: dict[str, Any], increment: dict[str, Any] | None, outcome: Outcome, tmp_path: Path
) -> None:
    assert hourly(tmp_path, full, increment) is outcome


def test_a_damaged_copy_is_no_matter_as_long_as_the_other_is_whole(tmp_path: Path) -> None:
    backup = listed(tmp_path)
    write_listing(tmp_path, backup)
    Path(backup["files"][1]["path"]).write_bytes(b"damaged")
    assert judge(operational_state_is_backed_up_hourly, tmp_path)[0] is Outcome.PASS
    Path(backup["files"][0]["path"]).unlink()
    assert judge(operational_state_is_backed_up_hourly, tmp_path)[0] is Outcome.FAIL


def test_backups_out_of_sight_or_under_another_name_are_no_evidence(tmp_path: Path) -> None:
    far = listed(tmp_path)
    for file in far["files"]:
        file["path"] = "s3://bucket" + file["path"]
    write_listing(tmp_path, far)
    assert judge(operational_state_is_backed_up_hourly, tmp_path)[0] is Outcome.UNKNOWN
    write_listing(tmp_path, listed(tmp_path, component="db"))
    outcome, why = judge(operational_state_is_backed_up_hourly, tmp_path, procedures__inventory=None)
    assert outcome is Outcome.UNKNOWN and "backups.components.operational_state" in why
    named = {"operational_state": "db"}
    assert judge(operational_state_is_backed_up_hourly, tmp_path, backups__components=named)[0] is Outcome.PASS
    outcome, why = judge(operational_state_is_backed_up_hourly, tmp_path, procedures__list_backups=None)
    assert outcome is Outcome.UNKNOWN and "procedures.list_backups" in why


def test_a_listing_that_is_none_says_what_is_missing(tmp_path: Path) -> None:
    for printed in ('{"backups": [{"id": "x"}]}', "{}", "[]"):
        said = ended("list_backups", json.loads(printed))
        faults = Faults(procedure={"list_backups": lambda *_, said=said: said})
        assert judge(operational_state_is_backed_up_hourly, tmp_path, faults)[0] is Outcome.UNKNOWN


def test_no_backup_at_all_is_a_broken_promise(tmp_path: Path) -> None:
    write_listing(tmp_path)
    assert judge(operational_state_is_backed_up_hourly, tmp_path)[0] is Outcome.FAIL


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        (Faults(), Outcome.PASS),
        (Faults(procedure={"search_backup": lambda *_: failed("search_backup")}), Outcome.FAIL),
        (Faults(procedure={"search_backup": lambda *_: ended("search_backup")}), Outcome.UNKNOWN),
        (Faults(procedure={"search_backup": lambda *_: failed("search_backup", code=2)}), Outcome.UNKNOWN),
        (Faults(procedure={"backup": lambda *_: failed("backup", "disk full")}), Outcome.FAIL),
    ],
)
def test_what_a_user_saved_is_searched_for(faults: Faults, outcome: Outcome, tmp_path: Path) -> None:
    write_listing(tmp_path, listed(tmp_path, component="user_data"))
    assert judge(user_data_is_in_the_backups, tmp_path, faults)[0] is outcome


def test_the_backup_of_the_run_itself_does_not_make_the_schedule_young(tmp_path: Path) -> None:
    old = listed(tmp_path, component="user_data", age=5 * HOUR)
    write_listing(tmp_path, old, listed(tmp_path, component="user_data", set="fresh", age=timedelta()))
    assert judge(user_data_is_in_the_backups, tmp_path)[0] is Outcome.FAIL


def test_a_copy_elsewhere_is_another_file_in_another_domain(tmp_path: Path) -> None:
    backup = listed(tmp_path)
    write_listing(tmp_path, backup)
    gate = every_backup_verifies_and_has_a_copy_elsewhere
    assert judge(gate, tmp_path)[0] is Outcome.PASS
    here, there = (Path(file["path"]) for file in backup["files"])
    there.unlink()
    os.link(here, there)
    assert judge(gate, tmp_path)[0] is Outcome.FAIL
    there.unlink()
    there.symlink_to(here)
    assert judge(gate, tmp_path)[0] is Outcome.FAIL
    there.unlink()
    assert judge(gate, tmp_path)[0] is Outcome.FAIL


@pytest.mark.parametrize("place", ["backups/offsite", "data/vault", "undeclared"])
def test_a_copy_on_the_protected_volume_is_none(place: str, tmp_path: Path) -> None:
    write_listing(tmp_path, listed(tmp_path, places={"here": "backups", "there": place}))
    assert judge(every_backup_verifies_and_has_a_copy_elsewhere, tmp_path)[0] is Outcome.FAIL


def test_a_domain_that_is_a_link_into_the_protected_one_is_none(tmp_path: Path) -> None:
    (tmp_path / "data" / "hidden").mkdir(parents=True)
    (tmp_path / "vault").symlink_to(tmp_path / "data" / "hidden")
    write_listing(tmp_path, listed(tmp_path))
    assert judge(every_backup_verifies_and_has_a_copy_elsewhere, tmp_path)[0] is Outcome.FAIL


def test_any_damaged_copy_of_the_window_is_a_fault_and_so_is_that_of_its_base(tmp_path: Path) -> None:
    base = listed(tmp_path, age=5 * DAY)
    write_listing(tmp_path, base, listed(tmp_path, **INCREMENT))
    gate = every_backup_verifies_and_has_a_copy_elsewhere
    assert judge(gate, tmp_path)[0] is Outcome.PASS
    Path(base["files"][1]["path"]).write_bytes(b"bit rot")
    assert judge(gate, tmp_path)[0] is Outcome.FAIL


def test_without_protects_two_domains_are_enough_and_one_is_unknown(tmp_path: Path) -> None:
    gate = every_backup_verifies_and_has_a_copy_elsewhere
    write_listing(tmp_path, listed(tmp_path, protects=None))
    assert judge(gate, tmp_path)[0] is Outcome.PASS
    write_listing(tmp_path, listed(tmp_path, protects=None, places={"here": "backups"}))
    assert judge(gate, tmp_path)[0] is Outcome.UNKNOWN


def test_what_cannot_be_checked_is_unknown(tmp_path: Path) -> None:
    gate = every_backup_verifies_and_has_a_copy_elsewhere
    write_listing(tmp_path)
    assert judge(gate, tmp_path)[0] is Outcome.UNKNOWN
    bare = listed(tmp_path)
    bare["files"][0].pop("sha256")
    write_listing(tmp_path, bare)
    assert judge(gate, tmp_path)[0] is Outcome.UNKNOWN
    far = listed(tmp_path)
    far["files"][1]["path"] = "/nowhere/at/all/copy.gz"
    write_listing(tmp_path, far)
    assert judge(gate, tmp_path)[0] is Outcome.UNKNOWN
    outcome, why = judge(gate, tmp_path, backups__failure_domains=None)
    assert outcome is Outcome.UNKNOWN and "failure_domains" in why


def test_their_own_verification_counts_where_there_is_one(tmp_path: Path) -> None:
    write_listing(tmp_path, listed(tmp_path))
    faults = Faults(procedure={"verify_backup": lambda *_: failed("verify_backup", "cannot be decrypted")})
    gate, declared = every_backup_verifies_and_has_a_copy_elsewhere, {"run": ["verify"]}
    assert judge(gate, tmp_path, faults, procedures__verify_backup=declared)[0] is Outcome.FAIL
