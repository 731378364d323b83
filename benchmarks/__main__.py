"""Runs a benchmark by name; without one, lists them."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def about() -> dict[str, str]:
    """Every benchmark and the first line of its docstring; a module with a `main` is one."""
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if not path.stem.startswith("_") and any(
            isinstance(n, ast.FunctionDef) and n.name == "main" for n in tree.body
        ):
            found[path.stem] = (ast.get_docstring(tree) or "").splitlines()[0]
    return found


def run(argv: list[str]) -> int:
    known = about()
    if not argv or argv[0] not in known:
        print("\n".join(f"{name:18} {text}" for name, text in known.items()))
        if argv and argv[0] not in ("-h", "--help"):
            print(f"benchmark {argv[0]!r} is not known; known: {', '.join(known)}", file=sys.stderr)
            return 4
        return 0
    sys.argv = [f"python -m benchmarks {argv[0]}", *argv[1:]]
    return int(importlib.import_module(f"benchmarks.{argv[0]}").main() or 0)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
