"""What the documents name exists, and what the README shows is what CI runs."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from readiness.catalogue import all_gates
from readiness.loading import load_descriptor
from readiness.reference import descriptor_page

ROOT = Path(__file__).parents[1]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
NAMES = sorted(set(re.findall(r"`(readiness(?:\.\w+)+)`", ARCHITECTURE)))
PATHS = sorted(set(re.findall(r"`((?:readiness|tests|scenarios|docs)/[\w./-]*)`", ARCHITECTURE)))


def test_the_architecture_names_enough_to_be_worth_a_check() -> None:
    assert len(NAMES) > 20
    assert len(PATHS) > 5


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_the_architecture_exists(name: str) -> None:
    parts = name.split(".")
    if name.startswith("readiness.load.child"):  # an import would turn this process's threads into greenlets
        parent = ROOT.joinpath(*parts)
        assert parent.is_dir() or parent.with_suffix(".py").is_file()
        return
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[cut:]:
            found = getattr(found, attribute)
        return
    pytest.fail(f"docs/architecture.md names {name}, which does not exist")


@pytest.mark.parametrize("path", PATHS)
def test_a_path_in_the_architecture_exists(path: str) -> None:
    assert (ROOT / path).exists()


def lines(language: str) -> list[str]:
    """The shell lines of the README's code blocks."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def test_ci_runs_both_lines_of_the_readme() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    first, second = lines("sh")[:2]
    assert second in ci
    assert first.rsplit("&& ", 1)[1] in ci


def test_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert len(links) >= 6
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_shows_only_commands_that_exist() -> None:
    programs = {shlex.split(line)[0] for line in lines("sh")}
    assert programs == {"python3", "readiness", "pytest", "chaos"}


def test_the_reference_of_the_descriptor_is_current() -> None:
    written = (ROOT / "docs" / "descriptor.md").read_text(encoding="utf-8")
    assert written == descriptor_page(), "run: python -m readiness.reference"


def test_the_example_descriptor_is_read_and_every_procedure_is_told(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "your-deployment.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "readiness.yaml").write_text(example, encoding="utf-8")
    assert load_descriptor(tmp_path / "readiness.yaml").descriptor.name == "shop"
    told = set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE))
    asked = {need.procedure for gate in all_gates() for need in gate.needs if need.procedure}
    assert asked <= told
