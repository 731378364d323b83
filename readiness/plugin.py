"""The pytest plugin: options, and nothing else until `--readiness` is given.

Every pytest run on a machine loads this module, so it imports pytest alone at its top.
"""

from __future__ import annotations

import pytest

OPTIONS = {
    "deployment": ("FILE", "descriptor of a running deployment to judge (default: start the embedded reference Nexus)"),
    "scenario": ("NAME", "scenario: a name in scenarios/ or a file (default: ci)"),
    "policy": ("FILE", "policy of whoever signs off: limits that may be weaker, gates not yet adopted, trusted keys"),
    "reports": ("DIR", "folder that gets one folder a run (default: reports)"),
    "arm": ("NAME", "name of a deployment in production that probes and drills may touch in this run"),
}
"""Option without its prefix → its argument and its help; each has an ini twin with underscores."""
PATHS = ("deployment", "policy", "reports")
CONDITIONAL = "exit 0 instead of 12 when the decision is CONDITIONAL"
MARKERS = (
    "blocking: a gate that must pass for READY",
    "scored: a gate that counts in the score only",
    "observe: a gate that only reads",
    "probe: a gate that sends marked synthetic work",
    "drill: a gate that changes the deployment and undoes it",
    "attest: a gate that checks a signed statement",
    "critical: a gate of critical risk",
    "high: a gate of high risk",
    "medium: a gate of medium risk",
    "low: a gate of low risk; the id of a gate is a mark as well (-m OPS-BAK-003)",
)
NOT_WITH = {
    "usepdb": "--pdb",
    "trace": "--trace",
    "setuponly": "--setup-only",
    "setupplan": "--setup-plan",
    "setupshow": "--setup-show",
}
"""Options of pytest that would stop a gate halfway or not run it at all."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register `--readiness` and its options, each with an ini twin of the same name with underscores."""
    group = parser.getgroup("readiness", "readiness gates: may this deployment go to production?")
    group.addoption(
        "--readiness",
        action="store_true",
        default=False,
        help="judge a deployment: collect readiness gates instead of tests, end with a decision",
    )
    for name, (metavar, about) in OPTIONS.items():
        group.addoption(f"--readiness-{name}", dest=_key(name), metavar=metavar, default=None, help=about)
        parser.addini(_key(name), about, default=None)
    group.addoption(
        "--readiness-allow-conditional",
        dest=_key("allow_conditional"),
        action="store_true",
        default=None,
        help=CONDITIONAL,
    )
    parser.addini(_key("allow_conditional"), CONDITIONAL, type="bool", default=False)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Do nothing without `--readiness`; with it, read what the run needs and take the collection over."""
    if config.option.readiness or config.option.markers:
        for marker in MARKERS:
            config.addinivalue_line("markers", marker)
    if not config.option.readiness:
        given = [name for name in (*OPTIONS, "allow_conditional") if config.getoption(_key(name)) is not None]
        if given:
            options = ", ".join(f"--readiness-{name.replace('_', '-')}" for name in given)
            raise pytest.UsageError(f"{options}: does nothing without --readiness; add --readiness")
        return
    if config.option.help or config.option.markers or config.option.version:
        return
    _refuse(config)
    pytest.register_assert_rewrite("readiness.gates")
    from readiness.hooks import take_over

    conditional = config.getoption(_key("allow_conditional")) or config.getini(_key("allow_conditional"))
    take_over(config, {name: _given(config, name) for name in OPTIONS}, bool(conditional))


def _refuse(config: pytest.Config) -> None:
    """Refuse what cannot be together with gates: they share one deployment, in one process, one after the other."""
    parallel = getattr(config.option, "numprocesses", None) or getattr(config.option, "dist", "no") != "no"
    if parallel or hasattr(config, "workerinput"):
        raise pytest.UsageError("-n together with --readiness: gates run one at a time on one deployment; leave -n out")
    for option, written in NOT_WITH.items():
        if getattr(config.option, option, False):
            raise pytest.UsageError(f"{written} together with --readiness: a gate must run to its end; leave it out")


def _given(config: pytest.Config, name: str) -> str | None:
    """An option, or its ini twin; a path in an ini file is relative to that file."""
    option: str | None = config.getoption(_key(name))
    value: str | None = config.getini(_key(name)) if option is None else option
    if option is None and value and config.inipath is not None and name in PATHS:
        return str(config.inipath.parent / value)
    return value or None


def _key(name: str) -> str:
    return f"readiness_{name}"
