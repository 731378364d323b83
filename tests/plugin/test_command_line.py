"""The `readiness` command and what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from readiness import catalogue, cli, explain, nexus_command
from readiness.embedded import OWNER, Embedded, NotStarted
from readiness.folders import find_run, new_folder, point_latest
from tests.plugin.conftest import Judge

NEXUS = """\
import pathlib, sys
command, home = sys.argv[1], pathlib.Path(sys.argv[3])
if command == "up":
    print("starting", flush=True)
    if "refuse" in sys.argv: sys.exit("no port is free")
    home.mkdir()
    (home / "descriptor.yaml").write_text("readiness: 1")
    print(home / "descriptor.yaml")
else:
    (home / "descriptor.yaml").unlink(missing_ok=True)
"""


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What real runs on this machine left is not for these tests to find."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["readiness", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["explain", "OBS-MET-999"], 4, "did you mean OBS-MET-901"),
        (["report", "nowhere"], 4, "no run 'nowhere'"),
        (["check", "nowhere.yaml"], 4, "nowhere.yaml"),
        (["prove", "--expected", "nowhere.yaml"], 4, "nowhere.yaml"),
        (["prove", "--part", "1"], 4, "0/8"),
        (["fly"], 4, "fly"),
        (["explain"], 4, "Missing argument"),
    ],
)
def test_wrong_usage_is_one_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    found, _, err = run(capsys, monkeypatch, *arguments)
    assert found == code
    assert words in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--defect", "rollback-leaves-trafic"], "did you mean 'rollback-leaves-traffic'"),
        (["--dir", "/proc/nowhere"], "give a folder that you may write to"),
        (["--dir", str(Path(__file__).parent)], "neither empty nor a Nexus home"),
        (["--fly"], "--fly"),
    ],
)
def test_wrong_usage_of_the_reference_deployment_is_wrong_usage_here(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    code, _, err = run(capfd, monkeypatch, "up", *arguments)
    assert code == 4
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_without_a_command_it_shows_what_there_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run(capsys, monkeypatch)
    assert (code, err) == (4, "")
    assert "catalogue" in out
    code, out, _ = run(capsys, monkeypatch, "--version")
    assert code == 0
    assert out.startswith("readiness 0.")


def test_without_a_deployment_it_says_how_to_name_one(
    tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(nexus_command.DEPLOYMENT, raising=False)
    monkeypatch.setattr(nexus_command, "running", lambda: None)
    code, _, err = run(capsys, monkeypatch, "heal")
    assert code == 4
    assert "READINESS_DEPLOYMENT" in err
    monkeypatch.setenv(nexus_command.DEPLOYMENT, str(tiny / "readiness.yaml"))
    assert run(capsys, monkeypatch, "heal") == (0, "nothing is open on tiny\n", "")


def test_a_report_is_written_again_byte_for_byte(
    judge: Judge, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge("-k", "OBS-MET-901")
    page = Path("reports/latest/report.html")
    before = page.read_bytes()
    page.unlink()
    code, out, _ = run(capsys, monkeypatch, "report", "latest", "--format", "html")
    assert (code, page.read_bytes()) == (0, before)
    assert "for tiny" in out
    assert run(capsys, monkeypatch, "report", "latest", "--format", "pdf")[0] == 4


@pytest.mark.usefixtures("tiny")
def test_every_gate_is_explained(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = run(capsys, monkeypatch, "explain", "ops-rec-901")
    assert code == 0
    assert "procedures.set: {run:" in out
    listed = run(capsys, monkeypatch, "catalogue")[1]
    data = json.loads(run(capsys, monkeypatch, "catalogue", "--json")[1])
    assert len(data) == len(catalogue.all_gates())
    assert all(gate["id"] in listed and gate["claim"] in listed for gate in data)
    assert run(capsys, monkeypatch, "catalogue", "--into", "pages")[0] == 0
    assert {path.name for path in Path("pages").iterdir()} == set(explain.pages(catalogue.all_gates()))


def test_the_embedded_deployment_leaves_nothing(tmp_path: Path) -> None:
    program = tmp_path / "nexus.py"
    program.write_text(NEXUS, encoding="utf-8")
    said: list[str] = []
    embedded = Embedded(said.append, [sys.executable, str(program)])
    descriptor = embedded.start()
    assert descriptor.is_file()
    assert said == ["starting"]
    assert embedded.stop() == ""
    assert not descriptor.parents[1].exists()


def test_what_a_killed_run_left_is_stopped_by_the_next(tmp_path: Path) -> None:
    program = tmp_path / "nexus.py"
    program.write_text(NEXUS, encoding="utf-8")
    killed, running = tmp_path / "readiness-killed", tmp_path / "readiness-running"
    for folder, process in ((killed, subprocess.Popen([sys.executable, "-c", ""])), (running, psutil.Process())):
        folder.mkdir()
        started = psutil.Process(process.pid).create_time()
        (folder / OWNER).write_text(json.dumps([process.pid, started]), encoding="utf-8")
        if isinstance(process, subprocess.Popen):
            process.wait()
    embedded = Embedded(lambda _: None, [sys.executable, str(program)])
    embedded.start()
    assert (killed.exists(), running.exists()) == (False, True)
    assert embedded.stop() == ""


def test_an_embedded_deployment_that_does_not_start_says_why(tmp_path: Path) -> None:
    program = tmp_path / "nexus.py"
    program.write_text(NEXUS.replace('"refuse" in sys.argv', "True"), encoding="utf-8")
    embedded = Embedded(lambda _: None, [sys.executable, str(program)])
    with pytest.raises(NotStarted, match="no port is free"):
        embedded.start()
    assert embedded.stop() == ""


def test_runs_of_one_second_do_not_collide(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    at = datetime(2026, 11, 24, 6, 40, 44, tzinfo=UTC)
    folders = [new_folder(tmp_path, "ci", at) for _ in range(3)]
    assert len(set(folders)) == 3
    assert folders[0].name == "2026-11-24T064044Z-ci"
    (folders[2] / "history.jsonl").touch()
    point_latest(folders[1])
    point_latest(folders[2])
    assert find_run("latest", tmp_path).resolve() == folders[2]


def test_without_links_latest_is_a_text_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import UTC, datetime

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    folder = new_folder(tmp_path, "ci", datetime.now(UTC))
    (folder / "history.jsonl").touch()
    point_latest(folder)
    assert find_run("latest", tmp_path) == folder
