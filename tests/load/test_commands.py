"""`readiness load …` prints what it judged, exits as it must, and tells wrong usage in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from readiness import cli, load_commands, nexus_command
from readiness.baselines import Baselines
from readiness.load import sustained
from readiness.load.plan import Plan, Stage
from readiness.load.results import read
from readiness.load.samples import DTYPE, Outcome
from readiness.load_target import LoadTarget
from readiness.loading import load_descriptor
from tests.load.written import ZERO_S, Written, plan_of, served


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *argv: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["readiness", "load", *argv])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def noisy(seed: int, slower: float = 1.0) -> Written:
    plan = plan_of(Stage("measure", 20.0, 50.0, 50.0))
    return Written(plan, served(plan, slower * np.random.default_rng(seed).lognormal(-3, 0.4, 1000)))


def test_judge_tells_stages_percentiles_errors_and_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = served(plan_of(), 0.05)
    samples["started_s"][:100] += 0.04
    samples["outcome"][::100], samples["status"][::100], samples["kind"][::100] = Outcome.ERROR, 500, 1
    folder = Written(samples=samples, kinds={1: "submit: HTTP 500"}).into(tmp_path)
    code, out, err = run(capsys, monkeypatch, "judge", str(folder))
    assert (code, err) == (0, "")
    assert "measure     1000     1000      50.0      49.5      0      10     50 ms     50 ms     50 ms" in out
    assert "omission factor: 1 at p99" in out
    assert "      10 x submit: HTTP 500" in out
    assert out.endswith("holds   p95\nholds   errors\nPASS\n")


def test_judge_exits_1_for_fail_and_for_invalid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Written(samples=served(plan_of(), 2.0)).into(tmp_path / "load" / "slow")
    Written(samples=np.empty(0, DTYPE)).into(tmp_path / "load" / "unsent")
    code, out, _ = run(capsys, monkeypatch, "judge", str(tmp_path / "load" / "slow"))
    assert (code, "FAIL\n  p95: 2.0 s (limit at most 1.0 s)" in out) == (1, True)
    code, out, _ = run(capsys, monkeypatch, "judge", str(tmp_path))
    assert code == 1
    assert "FAIL\n" in out
    assert "INVALID\n  nothing was sent" in out


def test_compare_tells_every_metric_and_its_own_false_alarms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, same = str(noisy(1).into(tmp_path / "a")), str(noisy(2).into(tmp_path / "same"))
    slower = str(noisy(3, 1.3).into(tmp_path / "slower"))
    code, out, _ = run(capsys, monkeypatch, "compare", a, same)
    assert code == 0
    assert "worse\n" not in out
    assert "no difference" in out
    assert "false alarms: 0 of 100 with A against itself" in out
    code, out, _ = run(capsys, monkeypatch, "compare", a, slower)
    assert code == 1
    assert [line.split()[0] for line in out.splitlines() if line.endswith("  worse")] == ["p50", "p95", "p99"]


def with_resources(folder: Path) -> Path:
    """A run of the written deployment, with what one replica used once a second."""
    rows = [
        {
            "wall_s": ZERO_S + second,
            "instances": {"api-1": {"service": "api", "cpu_seconds_total": 0.3 * second}},
            "task_seconds_sum": 2.0 * second,
            "task_seconds_count": 40 * second,
        }
        for second in range(20)
    ]
    (folder / "resources.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder


def described(folder: Path, name: str = "tests", more: str = "") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(
        f"readiness: 1\nname: {name}\nenvironment: staging\nservices:\n"
        f"  api: {{address: 'http://127.0.0.1:1', limits: {{cpu: 1}}}}\n{more}"
    )
    return path


@pytest.mark.parametrize("more", ["", "evidence: {baselines: 'baselines/{profile}-{release}.json'}\n"])
def test_a_run_is_recorded_as_the_baseline_that_later_runs_find(
    more: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_resources(noisy(1).into(tmp_path / "night" / "load" / "steady"))
    descriptor = described(tmp_path, more=more)
    argv = ["baseline", str(tmp_path / "night"), "--deployment", str(descriptor)]
    code, out, err = run(capsys, monkeypatch, *argv)
    assert (code, err) == (0, "")
    file = load_descriptor(descriptor)
    found = Baselines(file).find("steady", file.descriptor.current_release)
    assert found is not None
    assert (found.run, found.rate, found.lacks()) == ("night", 50.0, [])
    assert Path(out.removeprefix("recorded: ").strip()).is_file()


@pytest.mark.parametrize(
    ("written", "name", "said"),
    [
        (Written(plan_of(profile="spike")), "tests", "a baseline is of the profile steady"),
        (Written(samples=served(plan_of(), 2.0)), "tests", "the run is FAIL: p95"),
        (Written(), "others", "a run of tests, not of others"),
        (Written(), "tests", "utilisation were not observed"),
    ],
)
def test_what_no_run_can_be_held_against_is_not_recorded(
    written: Written,
    name: str,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = written.into(tmp_path / "run")
    code, _, err = run(capsys, monkeypatch, "baseline", str(folder), "--deployment", str(described(tmp_path, name)))
    assert (code, err.count("\n")) == (4, 1)
    assert said in err


def test_runs_that_were_not_asked_the_same_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a = str(noisy(1).into(tmp_path / "a"))
    faster = str(Written(plan_of(Stage("measure", 20.0, 60.0, 60.0))).into(tmp_path / "faster"))
    code, _, err = run(capsys, monkeypatch, "compare", a, faster)
    assert (code, err.count("\n")) == (4, 1)
    assert "not asked the same: measure 50-50/s and measure 60-60/s" in err
    lagging = str(noisy(2).but(lag_ms=[90.0]).into(tmp_path / "lagging"))
    code, _, err = run(capsys, monkeypatch, "compare", a, lagging)
    assert code == 4
    assert "B is INVALID: the generator's event loop lagged" in err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["judge", "nowhere"], "nowhere: not a load run: no readable plan.json in it"),
        (["compare", "nowhere", "nowhere"], "nowhere: not a load run"),
        (["run", "stres"], "'stres' is not known; known: steady"),
        (["run", "steady", "--rate", "0"], "--rate: '0/s' is not a rate"),
        (["run", "steady", "--rate", "5/x"], "--rate: '5/x' is not a rate"),
        (["run", "steady", "--duration", "5"], "--duration: '5' is not a duration"),
        (["run", "steady", "--threshold", "p95: <= 2"], "has no unit; allowed: ms, s, m"),
        (["run", "steady", "--threshold", "p95"], "each is a metric, a colon and a bound"),
        (["run", "steady", "--threshold", "later.p95: 2s"], "names no stage of it"),
        (["run", "steady", "--host", "localhost"], "--host localhost: not a URL"),
        (["run", "steady", "--host", "http://127.0.0.1:1", "--locustfile", "none.py"], "none.py: no such locustfile"),
        (["run", "steady", "--workers", "0"], "Invalid value for '--workers'"),
        (["breakpoint", "--rate-from", "9", "--rate-to", "3", "--host", "http://127.0.0.1:1"], "rates from 9 to 3"),
        (["breakpoint", "--rate-from", "1", "--rate-to", "0"], "--rate-to: '0/s' is not a rate"),
        (["breakpoint", "--rate-from", "1"], "Missing option '--rate-to'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_4(
    argv: list[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, monkeypatch, *argv)
    assert code == 4
    assert said in err
    assert len([line for line in err.splitlines() if line.startswith("readiness: ")]) == 1
    assert "Traceback" not in err


def test_no_deployment_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(nexus_command.DEPLOYMENT, raising=False)
    monkeypatch.setattr(nexus_command, "running", lambda: None)
    code, _, err = run(capsys, monkeypatch, "run", "steady")
    assert code == 4
    assert "no deployment: name its descriptor" in err


def test_production_is_loaded_only_where_it_is_armed_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor = tmp_path / "live.yaml"
    descriptor.write_text(
        "readiness: 1\nname: live\nenvironment: production\nservices:\n  api: {address: 'http://127.0.0.1:1'}\n"
    )
    for arm in ([], ["--arm", "other"]):
        code, _, err = run(capsys, monkeypatch, "run", "steady", "--deployment", str(descriptor), *arm)
        assert code == 4
        assert "live is in production: no load is put on it unasked; arm with --arm live" in err


def test_breakpoint_tells_a_bracket_around_a_known_capacity(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue that serves 100/s: above it latency grows while the run lasts, and no percentile need be broken."""

    def send(_: LoadTarget, plan: Plan, folder: Path) -> Path:
        samples = served(plan, 0.01)
        samples["ended_s"] = np.maximum(samples["ended_s"], (np.arange(samples.size) + 1) / 100)
        return Written(plan, samples).into(folder)

    monkeypatch.setattr(LoadTarget, "send", send)
    asked = ["--rate-from", "10", "--rate-to", "1000/s", "--step", "5s", "--host", "http://127.0.0.1:1"]
    code, out, err = run(capsys, monkeypatch, "breakpoint", *asked, "--into", str(tmp_path / "runs"))
    assert code == 0, err
    bracket = out.splitlines()[-2]
    low, high = (float(word.removesuffix("/s,").removesuffix("/s;")) for word in bracket.split() if "/s" in word)
    assert low <= 100 < high
    assert high / low <= 1.07
    assert "160/s: not held" in err
    assert (tmp_path / "runs" / "01-10" / "plan.json").is_file()


def test_latency_that_grows_all_the_time_is_no_rate_that_is_held(tmp_path: Path) -> None:
    plan = sustained.step_plan(100.0, 10.0, {"p95": "<= 2s"})
    steady = read(Written(plan, served(plan, np.random.default_rng(1).lognormal(-3, 0.5, 1000))).into(tmp_path / "a"))
    growing = read(Written(plan, served(plan, 0.05 + 0.05 * plan.starts())).into(tmp_path / "b"))
    invalid = read(Written(plan, cpu=[0.99]).into(tmp_path / "c"))
    assert (sustained.held(steady), sustained.held(growing), sustained.held(invalid)) == (True, False, None)


def test_options_of_numbers_are_read_with_and_without_their_unit() -> None:
    assert [load_commands._rate("--rate", text) for text in ("20", "0.5", "90/m", None)] == [20.0, 0.5, 1.5, None]
