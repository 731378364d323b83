"""Wrong usage is one line, exit 4, and nothing is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.conftest import Judge


def usage(result: pytest.RunResult, *words: str) -> None:
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = [line for line in result.stderr.lines if line.startswith("ERROR")]
    assert len(errors) == 1, result.stderr.str()
    assert all(word in errors[0] for word in words), errors[0]
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert not list(Path("reports").glob("*")) if Path("reports").exists() else True


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--readiness-scenario=tinny"], ["'tinny'", "did you mean", "tiny"]),
        (["--readiness-deployment=nowhere.yaml"], ["nowhere.yaml"]),
        (["--readiness-policy=nowhere.yaml"], ["nowhere.yaml"]),
        (["--readiness-policy=tiny/policy.yaml"], ["policy.yaml"]),
        (["--readiness-arm=other"], ["other", "is called tiny"]),
        (["-k", "nothing_like_this"], ["no gate is selected", "OBS-MET-901"]),
        (["test_mine.py"], ["test_mine.py", "gates alone"]),
        (["readiness::samples::OBS-MET-999"], ["OBS-MET-999", "did you mean"]),
        (["--pdb"], ["--pdb"]),
        (["--setup-only"], ["--setup-only"]),
    ],
)
def test_wrong_options(judge: Judge, more: list[str], words: list[str]) -> None:
    Path("test_mine.py").write_text("def test_mine():\n    pass\n", encoding="utf-8")
    Path("tiny/policy.yaml").write_text("readiness_policy: 1\n", encoding="utf-8")
    usage(judge(*more), *words)


def test_options_without_the_flag(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess("--readiness-scenario=ci")
    usage(result, "--readiness-scenario", "add --readiness")


def test_parallel_runs_are_refused(judge: Judge, pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_addoption(parser):\n    parser.addoption('--numprocesses', type=int)\n")
    usage(judge("--numprocesses=2"), "-n together with --readiness")


@pytest.mark.parametrize("mistake", ["services: []\n", "readiness: 2\n", "\x00", "readiness: 1\nnam: x\n"])
def test_a_bad_descriptor(judge: Judge, tiny: Path, mistake: str) -> None:
    (tiny / "readiness.yaml").write_text(mistake, encoding="utf-8")
    result = judge()
    assert result.ret == 4
    assert f"{tiny}/readiness.yaml" in result.stderr.lines[0]
    assert not Path("reports").exists()


def test_an_unreadable_secret(judge: Judge, tiny: Path) -> None:
    (tiny / "token").unlink()
    usage(judge(), "secrets.canaries.token", "token")
    assert not (tiny / "var").exists()


def test_reports_that_cannot_be_written(judge: Judge, tiny: Path) -> None:
    Path("reports").write_text("a file", encoding="utf-8")
    result = judge()
    assert result.ret == 4
    assert "reports: cannot be written" in result.stderr.str()
    assert not (tiny / "var").exists()


def test_a_second_run_is_told_who_holds_the_deployment(judge: Judge, tiny: Path) -> None:
    from readiness.state import State

    with State(tiny / "var/readiness", "tiny").lease("night shift", 60):
        usage(judge(), "another run holds this deployment", "night shift", "until")
    assert judge("-k", "OBS-MET-901").ret != 4
