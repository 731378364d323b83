"""The rules of operations that need no running process: history, backups, builds, what is started and how."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from junitparser import JUnitXml
from sqlalchemy import create_engine

from readiness.nexus import archive, backup, build, components, deployments, first_state, fleet, inventory, store
from readiness.nexus.caretaker import due_kind
from readiness.nexus.catalogue import Catalogue
from readiness.nexus.defects import Defects
from readiness.nexus.errors import NexusError
from readiness.nexus.releases import RELEASES
from readiness.nexus.restore import environment_home
from readiness.nexus.selftest.contract import problems
from readiness.nexus.settings import Settings


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """A home that was planted and never started."""
    settings = Settings.create(tmp_path / "home")
    first_state.plant(settings)
    return settings


def having(settings: Settings, *defects: str) -> Settings:
    return replace(settings, defects=Defects.parse(defects))


def remember(settings: Settings, user: str, note: str) -> None:
    engine = settings.engine()
    with store.writing(engine) as db:
        db.execute(store.preferences.delete().where(store.preferences.c.user == user))
        db.execute(store.preferences.insert().values(user=user, body=note, updated_at="2026-01-01T00:00:00.000Z"))
    engine.dispose()


def forget(settings: Settings, user: str) -> None:
    engine = settings.engine()
    with store.writing(engine) as db:
        db.execute(store.preferences.delete().where(store.preferences.c.user == user))
    engine.dispose()


def unpacked(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def users_in(settings: Settings, set_id: str) -> dict[str, str]:
    rows = backup.image(Catalogue.of(settings), set_id).rows[store.preferences.name]
    return {row["user"]: row["body"] for row in rows.values()}


class TestHistory:
    def test_a_fresh_home_can_go_back_once(self, home: Settings) -> None:
        with store.reading(home.engine()) as db:
            assert deployments.standing(db) == ["2.2.4", "2.3.0"]
            assert deployments.previous(db) == "2.2.4"

    @hypothesis_settings(max_examples=50, deadline=None)
    @given(st.lists(st.sampled_from(["back", *RELEASES]), max_size=12))
    def test_whoever_returns_to_a_release_has_left_what_came_after(self, acts: list[str]) -> None:
        engine, expected = create_engine("sqlite://"), ["2.2.4"]
        store.deployments.create(engine)
        with engine.begin() as db:
            deployments.record(db, "2.2.4", deployments.INITIAL, "setup")
            for act in acts:
                if act != "back":
                    deployments.record(db, act, deployments.DEPLOY, "operator")
                    expected = expected[: expected.index(act)] if act in expected else expected
                    expected.append(act)
                elif len(expected) > 1:
                    deployments.record(db, deployments.previous(db), deployments.ROLLBACK, "operator")
                    expected.pop()
            assert deployments.standing(db) == expected

    def test_the_oldest_release_cannot_be_rolled_back(self) -> None:
        engine = create_engine("sqlite://")
        store.deployments.create(engine)
        with engine.begin() as db:
            deployments.record(db, "2.2.4", deployments.INITIAL, "setup")
            with pytest.raises(NexusError, match=r"2\.2\.4 is the oldest"):
                deployments.previous(db)


class TestSchedule:
    NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("full_h", "incremental_h", "expected"),
        [(None, None, "full"), (25, 0.5, "full"), (2, 0.5, None), (2, 1.5, "incremental"), (0.5, 9, None)],
    )
    def test_what_is_due(self, full_h: float | None, incremental_h: float | None, expected: str | None) -> None:
        ages = {"full": full_h, "incremental": incremental_h}
        newest = {kind: self.NOW - timedelta(hours=h) for kind, h in ages.items() if h is not None}
        assert due_kind(newest, self.NOW) == expected


class TestBackups:
    def test_an_incremental_brings_what_changed_and_what_is_gone(self, home: Settings) -> None:
        remember(home, "stays", "1")
        remember(home, "goes", "2")
        full = backup.take(home, backup.FULL)
        remember(home, "stays", "3")
        remember(home, "comes", "4")
        forget(home, "goes")
        incremental = backup.take(home, backup.INCREMENTAL)
        assert users_in(home, full) == {"stays": "1", "goes": "2"}
        assert users_in(home, incremental) == {"stays": "3", "comes": "4"}

    def test_a_set_holds_five_components_in_two_domains(self, home: Settings) -> None:
        taken = backup.take(home, backup.FULL)
        entries = Catalogue.of(home).of_set(taken)
        assert set(entries) == set(components.COMPONENTS)
        for entry in entries.values():
            assert {copy.domain for copy in entry.files} == {"primary", "offsite"}
            assert all(Path(copy.path).stat().st_size == copy.bytes > 0 for copy in entry.files)
        assert backup.broken_copies(Catalogue.of(home), taken) == []

    def test_a_changed_copy_is_found(self, home: Settings) -> None:
        taken = backup.take(home, backup.FULL)
        copy = Path(Catalogue.of(home).of_set(taken)["user_data"].files[-1].path)
        copy.write_bytes(copy.read_bytes() + b"x")
        assert backup.broken_copies(Catalogue.of(home), taken) == [f"{copy} has another content than when it was taken"]

    def test_an_incremental_needs_a_full_one(self, home: Settings) -> None:
        with pytest.raises(NexusError, match="no full backup yet"):
            backup.take(home, backup.INCREMENTAL)

    def test_rows_come_back_as_they_were(self, home: Settings) -> None:
        remember(home, "u", "1")
        before = inventory.of(home)
        taken = backup.take(home, backup.FULL)
        image = backup.image(Catalogue.of(home), taken)
        remember(home, "v", "2")
        assert inventory.of(home)["user_data"] != before["user_data"]
        components.write_rows(home, image.rows)
        after = inventory.of(home)
        assert {name: after[name] for name in components.TABLES} == {name: before[name] for name in components.TABLES}

    def test_the_archive_seals_each_line_once_even_when_the_log_was_rotated(self, home: Settings) -> None:
        log = home.home / "log" / "a.log"
        log.write_text("one\ntwo\nhalf a li")
        archive.seal(home)
        with log.open("a") as stream:
            stream.write("ne\n")
        log.rename(log.with_name("a.log.1"))
        log.write_text("three\n")
        archive.seal(home)
        sealed = [json.loads(line) for path in archive.segments(home.home) for line in unpacked(path)]
        assert [record["line"] for record in sealed if "line" in record] == ["one", "two", "half a line", "three"]


class TestBackupDefects:
    def test_preferences_not_dumped(self, home: Settings) -> None:
        remember(home, "u", "1")
        assert users_in(home, backup.take(having(home, "preferences-not-dumped"), backup.FULL)) == {}

    def test_backup_on_same_volume(self, home: Settings) -> None:
        taken = backup.take(having(home, "backup-on-same-volume"), backup.FULL)
        paths = [copy.path for entry in Catalogue.of(home).of_set(taken).values() for copy in entry.files]
        assert all(path.startswith(str(home.home / "backups")) for path in paths)

    def test_hourly_backup_empty(self, home: Settings) -> None:
        defective = having(home, "hourly-backup-empty")
        full = backup.take(defective, backup.FULL)
        incremental = backup.take(defective, backup.INCREMENTAL)
        sizes = {
            one: {copy.bytes for copy in Catalogue.of(home).of_set(one)["operational_state"].files}
            for one in (full, incremental)
        }
        assert sizes[incremental] == {0}
        assert 0 not in sizes[full]

    def test_an_aged_backup_is_listed_and_dated_as_old(self, home: Settings) -> None:
        taken = backup.take(home, backup.FULL, age_s=7200)
        entry = Catalogue.of(home).of_set(taken)["user_data"]
        age_s = (datetime.now(UTC) - datetime.fromisoformat(entry.taken_at)).total_seconds()
        assert 7200 <= age_s < 7800
        assert abs(Path(entry.files[0].path).stat().st_mtime - datetime.fromisoformat(entry.taken_at).timestamp()) < 1


class TestBuild:
    def test_every_suite_runs_on_the_digest_of_its_release(self, home: Settings) -> None:
        build.build(home, "2.3.1")
        build.preflight(home, "2.3.1")
        report = JUnitXml.fromfile(str(home.home / "releases" / "2.3.1" / "junit.xml"))
        for suite in report:
            assert suite.tests > 0
            assert suite.skipped == suite.failures == suite.errors == 0
        assert {suite.name for suite in report} == set(build.SUITES)

    def test_releases_differ_in_their_digest(self) -> None:
        assert len({build.digest_of(version) for version in RELEASES}) == len(RELEASES)

    def test_a_release_that_was_tested_on_another_digest_is_refused(self, home: Settings) -> None:
        build.build(home, "2.3.1")
        artifact = home.home / "releases" / "2.3.1" / "release.json"
        artifact.write_text(artifact.read_text().replace('"digest": "', '"digest": "0'))
        with pytest.raises(NexusError, match="another digest"):
            build.preflight(home, "2.3.1")

    def test_an_unbuilt_release_is_refused(self, home: Settings) -> None:
        with pytest.raises(NexusError, match="not built here"):
            build.preflight(home, "2.3.1")

    def test_tests_all_skipped(self, home: Settings) -> None:
        build.build(having(home, "tests-all-skipped"), "2.3.0")
        suites = {s.name: s for s in JUnitXml.fromfile(str(home.home / "releases" / "2.3.0" / "junit.xml"))}
        assert suites["migration"].tests == suites["migration"].skipped == 1
        assert suites["unit"].skipped == 0

    def test_neighbours_understand_each_other_and_the_retired_do_not_speak_v2(self) -> None:
        assert problems(RELEASES["2.2.4"], RELEASES["2.3.0"]) == []
        deaf = replace(RELEASES["2.3.0"], version="3.0.0", speaks=("v3",))
        assert problems(RELEASES["2.2.4"], deaf) == ["2.2.4 speaks v1 and 3.0.0 v3"]


class TestFleet:
    def test_every_declared_replica_is_one_program(self, home: Settings) -> None:
        programs = fleet.programs(home, fleet.placed(home, "2.3.0"))
        assert len({program.name for program in programs}) == sum(home.replicas.values())
        assert all(program.autorestart for program in programs)

    def test_no_secret_is_in_an_argument_unless_somebody_puts_it_there(self, home: Settings) -> None:
        def told(settings: Settings) -> str:
            programs = [*fleet.programs(settings, fleet.placed(settings, "2.3.0")), fleet.caretaker(settings)]
            return " ".join(word for program in programs for word in program.command)

        token = home.secret("operator.token")
        assert token not in told(home)
        assert token in told(having(home, "token-on-command-line"))

    def test_no_restart_hits_one_component(self, home: Settings) -> None:
        programs = fleet.programs(having(home, "no-restart"), fleet.placed(home, "2.3.0"))
        assert {program.name.rpartition("-r")[0][:-2] for program in programs if not program.autorestart} == {"writer"}

    def test_one_stale_agent(self, home: Settings) -> None:
        programs = fleet.programs(having(home, "stale-agent"), fleet.placed(home, "2.3.0"))
        assert [p.name for p in programs if "1.9.0" in p.command] == ["reviewer-2-r2.3.0"]

    def test_slow_restart_waits_only_after_a_death(self, home: Settings) -> None:
        command = fleet.programs(having(home, "slow-restart=7"), fleet.placed(home, "2.3.0"))[0].command
        script, pidfile, seconds = command[:3]
        assert (Path(script).exists(), seconds) == (True, "7.0")
        assert not Path(pidfile).exists()


@pytest.mark.parametrize("name", ["../up", "UPPER", "", "a/b", "-x", "a" * 33])
def test_an_environment_cannot_be_named_out_of_its_place(home: Settings, name: str) -> None:
    with pytest.raises(NexusError, match="cannot be an environment's name"):
        environment_home(home, name)
