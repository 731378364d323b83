"""Baseline files, also hostile ones: each is read, or is one clear line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.baselines import METRICS, Baseline, Baselines, read_baseline, spread
from readiness.descriptor import Descriptor
from readiness.errors import Undecidable
from readiness.loading import DescriptorFile

GOOD: dict[str, Any] = {
    "baseline": 1,
    "profile": "steady",
    "rate": 2.0,
    "deployment": "nexus",
    "release": "2.3.0",
    "recorded_at": "2026-11-24T12:00:00Z",
    "metrics": {name: spread([0.1, 0.2, 0.4]) for name in METRICS},
    "samples": {"offset_s": [0.0, 0.5], "latency_s": [0.2, None], "broken": [0, 1]},
}


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "steady.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def but(**changes: Any) -> str:
    return json.dumps({**GOOD, **changes})


def sampled(**changes: Any) -> str:
    return but(samples={**GOOD["samples"], **changes})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "Expecting value"),
        (b"\xff\xfe\x00", "decode"),
        ("[" * 100_000, "recursion"),
        ("9" * 10_000, "4300"),
        ("[]", "valid dictionary"),
        ("{}", "baseline: Field required"),
        (but(baseline=2), "its format is 2, not 1"),
        (but(rate="fast"), "rate: "),
        (but(rate=float("nan")), "rate: "),
        (but(metrics=None), "metrics: "),
        (but(surprise=1), "surprise: "),
        (but(recorded_at="yesterday"), "recorded_at: "),
        (sampled(latency_s=[0.1]), "offset_s, latency_s and broken have 1, 2 entries"),
        (sampled(latency_s=[0.1, float("inf")]), "samples.latency_s.1: "),
        (sampled(offset_s=[0, 1e18]), "samples.offset_s.1: "),
        (sampled(offset_s=[-1, 0]), "samples.offset_s.0: "),
        (sampled(broken=[0, 7]), "samples.broken.1: "),
        (sampled(utilisation=[float("nan")]), "samples.utilisation.0: "),
    ],
)
def test_a_hostile_file_is_one_line_that_names_it(tmp_path: Path, content: str | bytes, told: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(Undecidable) as caught:
        read_baseline(path)
    assert str(caught.value).startswith(str(path)) and told in str(caught.value)
    assert "\n" not in str(caught.value) and caught.value.remedy == "record it anew: readiness load baseline RUN"


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(Undecidable, match="not a baseline"):
        read_baseline(tmp_path)


@pytest.mark.parametrize(
    "metric",
    [
        None,
        0.2,
        {"average": 0.2},
        {"n": 3, "median": 0.2, "low": 0.1, "high": 0.4},
        {**GOOD["metrics"]["utilisation"], "n": 4},
        {**GOOD["metrics"]["utilisation"], "median": 9},
        {**GOOD["metrics"]["utilisation"], "high": float("nan")},
        {**GOOD["metrics"]["utilisation"], "distribution": {"1": 5, "2": -2}},
    ],
)
def test_a_metric_that_is_no_spread_is_lacking(metric: object) -> None:
    known = Baseline.model_validate({**GOOD, "metrics": {**GOOD["metrics"], "utilisation": metric}})
    assert known.lacks() == ["utilisation"]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_a_spread_of_anything_is_whole(values: list[float]) -> None:
    known = Baseline.model_validate({**GOOD, "metrics": {"utilisation": json.loads(json.dumps(spread(values)))}})
    found = known.spread("utilisation")
    assert found is not None and (found.n, found.low, found.high) == (len(values), min(values), max(values))
    assert sum(value <= found.median for value in values) * 2 >= len(values)


def test_the_teams_own_file_comes_before_the_recorded_one(tmp_path: Path) -> None:
    evidence = {"baselines": "own/{profile}-{release}.json"}
    data = {"readiness": 1, "name": "nexus", "environment": "staging", "services": {"a": {}}, "evidence": evidence}
    there = Baselines(DescriptorFile(Descriptor.model_validate({**data, "state": "state"}), tmp_path / "nexus.yaml"))
    assert there.find("steady", "2.3.0") is None
    recorded = Baseline.model_validate({**GOOD, "release": "2.2.0"})
    assert there.record(recorded).is_file() and there.find("steady", "2.3.0") == recorded
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "steady-2.3.0.json").write_text(json.dumps(GOOD))
    assert there.find("steady", "2.3.0") == Baseline.model_validate(GOOD)
