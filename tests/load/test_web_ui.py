"""The stock web page of `locust -f loadtests/spike.py` as a person uses it, in a real browser."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from readiness.load.results import read
from readiness.waiting import eventually
from tests.load.system import TinySystem, tiny_system

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0
PATIENCE_MS = PATIENCE_S * 1000

pytestmark = [pytest.mark.needs("chromium", "playwright"), pytest.mark.slow]


@contextmanager
def served(system: TinySystem) -> Iterator[tuple[str, psutil.Process]]:
    """The stock command with its web page: its address and its process, which nothing outlives."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    dropped = ("READINESS_DEPLOYMENT", "READINESS_LOAD_PLAN", "READINESS_LOAD_RESULTS")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    argv = [sys.executable, "-m", "locust", "-f", "loadtests/spike.py", "--host", system.url]
    argv += ["--web-host", "127.0.0.1", "--web-port", str(port)]
    with subprocess.Popen(argv, cwd=ROOT, env=kept, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: listens(port) or process.poll() is not None, within=PATIENCE_S)
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
            family = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
            assert [each.pid for each in family if each.is_running()] == []
        finally:
            process.kill()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def browsed(url: str) -> Iterator[Page]:
    """A page in a browser without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            page = browser.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.goto(url)
            page.get_by_text("Custom parameters").click()
            yield page
        finally:
            browser.close()


def start(page: Page, **form: str) -> None:
    for name, value in form.items():
        page.locator(f"input[name={name}]").fill(value)
    page.get_by_role("button", name="Start").click()


def sent(page: Page) -> int:
    """How many transactions the page's table shows."""
    found = re.search(r"Aggregated\s+(\d+)", page.inner_text("body"))
    return int(found[1]) if found else 0


def charted_rate(page: Page) -> float:
    """The rate that the first chart says in the words that come up under the pointer, wherever its line has one."""
    box = page.locator("canvas").first.bounding_box()
    assert box is not None
    for share in (0.9, 0.7, 0.5):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        said = page.locator("canvas").first.locator("xpath=../..").inner_text()
        if found := re.search(r"RPS\D*(\d+(?:\.\d+)?)", said):
            return float(found[1])
    return 0.0


def test_a_profile_is_chosen_started_watched_and_stopped(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with tiny_system() as system, served(system) as (url, _), browsed(url) as page:
        profiles = page.locator("select[name=loadProfile]")
        assert profiles.input_value() == "spike"
        profiles.select_option("endurance")
        start(page, loadRate="20/s", loadDuration="10m", loadResults=str(folder))
        page.get_by_text("RUNNING").wait_for()
        eventually(lambda: sent(page) > 10, within=PATIENCE_S)
        before = sent(page)
        eventually(lambda: sent(page) > before, within=PATIENCE_S)
        page.get_by_role("tab", name="Charts").click()
        eventually(lambda: charted_rate(page) > 0, within=PATIENCE_S)
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("STOPPED").wait_for()
        eventually((folder / "worker-0.end.json").exists, within=PATIENCE_S)
        result = read(folder)
        assert (result.plan.profile, [stage.name for stage in result.plan.stages]) == (
            "endurance",
            ["warm-up", "endurance"],
        )
        assert result.stopped
        assert result.total.started >= before
        requests = system.log()["requests"]
        assert requests == result.total.started


def test_what_cannot_be_is_said_in_the_form_and_nothing_is_sent() -> None:
    with tiny_system() as system, served(system) as (url, process), browsed(url) as page:
        start(page, loadRate="0")
        page.get_by_text("--load-rate: '0/s' is not a rate").wait_for()
        start(page, loadRate="5/s", loadDuration="soon")
        page.get_by_text("--load-duration: 'soon' is not a duration").wait_for()
        assert page.get_by_text("READY").is_visible()
        assert process.is_running()
        assert system.log()["requests"] == 0
