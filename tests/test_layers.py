"""Who may import whom: lazy imports and those under TYPE_CHECKING count too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "readiness"
REPOSITORY = ROOT.parent

# From the top of the house to its floor: a module may import only what stands on a later line, or beside it.
LAYERS: list[set[str]] = [
    {"plugin", "cli"},
    # an experiment's own process, which takes the deployment for itself where no run gave it
    {"chaos.actions", "chaos.probes", "chaos.child", "chaos.holding", "halting"},
    {"hooks"},
    {"run", "collection", "prove", "terminal", "findings", "embedded", "progress", "catalogue", "explain"}
    | {
        "plan",
        "preamble",
        "judging",
        "healing",
        "checking",
        "folders",
        "failing",
        "reaper",
        "nexus_command",
        "load_commands",
        "load_target",
        "load_baseline",
        "reference",
    },
    {"gates", "experiment_gates"},
    {"gate", "needs"},
    {"report"},
    {"session"},
    {"deployment"},
    {"drills"},
    {"facts", "trials"},
    {"chaos"},
    {"digest", "attempts", "inventory", "loadtests", "loadtelling", "loadrun", "resources", "baselines"},
    {"reach", "reachability", "executor", "judgement", "traffic", "probe_traffic", "permission", "undoing", "doing"},
    {"operations"},
    {"load"},
    {"evidence"},
    {"drivers", "toxiproxy", "httpfaults"},
    {"target", "procedures", "workload", "carriers", "adapters", "web", "credentials", "state", "history", "ledger"},
    {"schemas"},
    {"scenario", "policy"},
    {"loading", "records", "redaction", "signals", "pillars", "wording", "templates", "answers"},
    {"descriptor"},
    {"score"},
    {"heartbeat", "waiting", "together", "errors", "units", "thresholds"},
    {"model"},
]


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(name: str, path: Path) -> set[str]:
    """Every module of the package that this one names in an import, wherever the import stands."""
    known = dict(modules())
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            named = {f"{module}.{alias.name}" for alias in node.names}
            # Modules named in a package are imported, and nothing of the package itself.
            found |= named if named <= known.keys() else named | {module}
    return {other for other in found if other in known and other not in (name, "readiness")}


GRAPH = {name: imports(name, path) for name, path in modules()}


def test_the_graph_is_not_empty() -> None:
    assert sum(map(len, GRAPH.values())) > 50


def test_nexus_and_the_harness_do_not_know_each_other() -> None:
    def inside(module: str) -> bool:
        return module == "readiness.nexus" or module.startswith("readiness.nexus.")

    crossing = [f"{a} → {b}" for a, others in GRAPH.items() for b in others if inside(a) != inside(b)]
    assert crossing == []


def test_there_is_no_circle() -> None:
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> None:
        assert module not in path, " → ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in GRAPH[module]:
                visit(other, [*path, module])
            done.add(module)

    for module in GRAPH:
        visit(module, [])


def layer(module: str) -> int | None:
    parts = module.split(".")[1:]
    for name in (".".join(parts[:2]), *parts[:1]):
        found = next((n for n, names in enumerate(LAYERS) if name in names), None)
        if found is not None:
            return found
    return None


@pytest.mark.parametrize("module", sorted(m for m in GRAPH if ".nexus" not in m and m != "readiness"))
def test_a_module_imports_only_what_lies_below(module: str) -> None:
    mine = layer(module)
    assert mine is not None, f"{module} stands in no layer of this test: give it its place"
    above = [other for other in GRAPH[module] if (theirs := layer(other)) is not None and theirs < mine]
    assert above == []


def test_score_knows_the_model_alone() -> None:
    score = {
        m: {o for o in others if not o.startswith("readiness.score")}
        for m, others in GRAPH.items()
        if m.startswith("readiness.score")
    }
    assert score
    assert all(others <= {"readiness.model"} for others in score.values()), score


def test_gates_never_see_a_driver() -> None:
    gates = [m for m in GRAPH if m.startswith("readiness.gates.")]
    assert gates
    assert not [(m, o) for m in gates for o in GRAPH[m] if o.startswith("readiness.drivers")]


def test_no_gate_names_anything_of_the_reference_deployment() -> None:
    """Paths, series, log fields and roles come from the descriptor: none of Nexus's own stands in a gate."""
    words = ("nexus", "/v1/", "X-Release", "planner", "researcher", "orchestrator", "correlation_id", "gateway")
    named = [
        f"{path.name}: {word}"
        for path in sorted((ROOT / "gates").glob("*.py"))
        for word in words
        if word in path.read_text(encoding="utf-8")
    ]
    assert named == []
