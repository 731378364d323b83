"""The pytest hooks of a run with `--readiness`: collection, the loop, reports and the exit code."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Literal

import pytest

from readiness import collection, terminal
from readiness.collection import GateItem
from readiness.errors import ReadinessError, UsageError
from readiness.model import Finding, Outcome
from readiness.plan import Plan, make_plan
from readiness.run import Run
from readiness.signals import Interrupts, shielded

CATEGORIES = {
    Outcome.PASS: "passed",
    Outcome.FAIL: "failed",
    Outcome.UNKNOWN: "unknown",
    Outcome.NOT_APPLICABLE: "not applicable",
}
_PYTEST_OUTCOMES: Mapping[Outcome, Any] = {
    Outcome.PASS: "passed",
    Outcome.FAIL: "failed",
    Outcome.UNKNOWN: "failed",
    Outcome.NOT_APPLICABLE: "skipped",
}


def take_over(config: pytest.Config, options: Mapping[str, str | None], allow_conditional: bool) -> None:
    """Read everything that can be wrong without a network, and replace what pytest would collect and show."""
    try:
        plan = make_plan(options, config.invocation_params.dir)
    except UsageError as error:
        raise pytest.UsageError(*str(error).splitlines()) from None
    for gate in plan.gates:
        config.addinivalue_line("markers", f"{gate.info.id}: {gate.info.claim}")
    run = Run(plan, terminal.install(config))
    listener = config.pluginmanager.get_plugin("allure_listener")
    if listener is not None:  # its results would tell another story than the findings; ours are copied instead
        config.pluginmanager.unregister(listener)
    config.pluginmanager.register(Hooks(config, plan, run, allow_conditional), "readiness-run")


class Hooks:
    """One run, as pytest calls it."""

    def __init__(self, config: pytest.Config, plan: Plan, run: Run, allow_conditional: bool) -> None:
        self._config = config
        self._plan = plan
        self._run = run
        self._allow_conditional = allow_conditional
        self._interrupts = Interrupts()

    def pytest_report_header(self) -> list[str]:
        """Say what is judged, with what."""
        return self._plan.header()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> bool:
        """Collect gates, and nothing but gates; no socket is opened."""
        named = list(self._config.option.file_or_dir or ())
        try:
            items = collection.collect(session, self._plan.adopted, self._run.judge, named)
        except UsageError as error:
            raise pytest.UsageError(*str(error).splitlines()) from None
        session.items = items
        hook = self._config.hook
        hook.pytest_collection_modifyitems(session=session, config=self._config, items=session.items)
        session.testscollected = len(session.items)
        hook.pytest_collection_finish(session=session)
        return True

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the order of the modes, whatever another plugin did to the order."""
        items[:] = collection.in_order(items)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Hold the deployment around the gates: begin, run, and end in good order whatever happens."""
        selected = [item.gate for item in session.items if isinstance(item, GateItem)]
        if not selected:
            raise pytest.UsageError(self._plan.nothing_selected())
        if self._config.option.collectonly:
            return (yield)
        self._interrupts.install()
        try:
            self._run.begin(selected)
            return (yield)
        except UsageError as error:
            raise pytest.UsageError(*str(error).splitlines()) from None
        except ReadinessError as error:
            pytest.exit(str(error), returncode=int(pytest.ExitCode.INTERNAL_ERROR))
        except KeyboardInterrupt as interrupt:
            pytest.exit(f"interrupted by {interrupt or 'Ctrl-C'}", returncode=int(pytest.ExitCode.INTERRUPTED))
        finally:
            with shielded():
                self._run.end(self._interrupts.received)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a gate as pytest runs a test, without the lines that pytest would print around it."""
        if not isinstance(item, GateItem):
            return None
        hook = item.ihook
        passed = _phase(item, "setup", lambda: hook.pytest_runtest_setup(item=item))
        if passed:
            _phase(item, "call", lambda: hook.pytest_runtest_call(item=item))
        _phase(item, "teardown", lambda: hook.pytest_runtest_teardown(item=item, nextitem=nextitem))
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let the report say what the finding says, whatever marks or other plugins made of it."""
        report = yield
        if not isinstance(item, GateItem):
            return report
        if call.excinfo is not None and call.when != "call":
            item.finding = self._run.broke_off(item.gate, call.when, call.excinfo.value)
        finding = item.finding
        if finding is not None and (call.when == "call" or call.excinfo is not None):
            report.outcome = _PYTEST_OUTCOMES[finding.outcome]
            report.longrepr = _longrepr(item, finding, self._run.text(finding))
            report.finding = finding  # type: ignore[attr-defined]
            item.user_properties[:] = _properties(finding)  # the report of the teardown carries them to JUnit
            report.user_properties[:] = item.user_properties
            report.__dict__.pop("wasxfail", None)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Count each outcome under a name of its own; letter and word are left to the progress display."""
        finding: Finding | None = getattr(report, "finding", None)
        return None if finding is None else (CATEGORIES[finding.outcome], "", "")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Turn the decision into the exit code; pytest's own 2, 3 and 4 come first."""
        self._interrupts.restore()
        if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or self._config.option.collectonly:
            return
        session.exitstatus = self._run.exit_code(self._allow_conditional)
        allure: str | None = getattr(self._config.option, "allure_report_dir", None)
        if allure:
            self._run.copy_allure(self._config.invocation_params.dir / allure)

    def pytest_terminal_summary(self) -> None:
        """Print the decision and what it rests on."""
        self._run.summarise()


def _phase(item: GateItem, when: Literal["setup", "call", "teardown"], run: Callable[[], object]) -> bool:
    """Run one phase and report it; only an interruption goes through."""
    through = (KeyboardInterrupt, pytest.exit.Exception)
    call = pytest.CallInfo.from_call(run, when=when, reraise=through)
    report = item.ihook.pytest_runtest_makereport(item=item, call=call)
    item.ihook.pytest_runtest_logreport(report=report)
    return bool(report.passed)


def _longrepr(item: GateItem, finding: Finding, text: str) -> Any:
    """A pass has none; what does not apply is a skip with its reason; all else is a block of plain text."""
    if finding.outcome is Outcome.PASS:
        return None
    if finding.outcome is Outcome.NOT_APPLICABLE:
        return str(item.path), 0, f"Skipped: {finding.reason}"
    return text


def _properties(finding: Finding) -> list[tuple[str, object]]:
    return [
        ("gate", finding.gate),
        ("state", str(finding.outcome)),
        ("risk", str(finding.risk)),
        ("blocking", "yes" if finding.blocking else "no"),
    ]
