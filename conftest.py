"""What a test needs of its machine: a test whose `needs` are not met is not run, and the end of the run says so."""

from __future__ import annotations

import pytest

from tests.machine import MISSING

pytest_plugins = ["pytester"]
_NOT_RUN = pytest.StashKey[dict[str, list[str]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_NOT_RUN] = {}
    if config.pluginmanager.hasplugin("hypothesispytest"):
        from hypothesis import settings

        # A slow machine is no failure of a property.
        settings.register_profile("unhurried", deadline=None)
        settings.load_profile("unhurried")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take out what cannot run here, by what it lacks; nothing is skipped without a word."""
    kept = []
    for item in items:
        wanted = [name for mark in item.iter_markers("needs") for name in mark.args]
        lacking = [reason for name in wanted if (reason := MISSING[name]())]
        if lacking:
            config.stash[_NOT_RUN].setdefault("; ".join(lacking), []).append(item.nodeid)
        else:
            kept.append(item)
    if len(kept) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    not_run = config.stash[_NOT_RUN]
    if not_run:
        terminalreporter.section("not run on this machine")
        for reason, tests in sorted(not_run.items()):
            terminalreporter.write_line(f"{len(tests)} tests: {reason}")
            for test in tests:
                terminalreporter.write_line(f"    {test}")
