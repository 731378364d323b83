"""A descriptor read, and every mistake in one told in a line of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from readiness.errors import UsageError
from readiness.loading import load_descriptor

EXAMPLE = Path(__file__).with_name("descriptor.yaml")
SMALLEST = "readiness: 1\nname: x\nenvironment: staging\nservices: {a: {address: http://127.0.0.1:1}}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "readiness.yaml"


def refused(path: Path, content: str | bytes) -> list[str]:
    """The problems that the loader tells about this content, each without the path."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UsageError) as caught:
        load_descriptor(path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}:") for line in lines), lines
    return [line.removeprefix(f"{path}:") for line in lines]


def test_the_example_is_read_whole() -> None:
    file = load_descriptor(EXAMPLE)
    descriptor = file.descriptor
    assert descriptor.services["worker"].version is not None
    assert descriptor.services["worker"].version.field == "release"
    assert descriptor.workload.retried == descriptor.workload.ok
    assert descriptor.operations["deploy"].as_levels == ["operator"]
    assert descriptor.blast_radius.max_replicas_share == 0.5
    assert file.folder == EXAMPLE.parent
    assert file.resolve("secrets/viewer") == EXAMPLE.parent / "secrets" / "viewer"
    assert file.line("procedures", "restore") == 1 + EXAMPLE.read_text().splitlines().index(
        '  restore: {run: [bin/parcels, restore, "{backup}", "{environment}"], within: 2h}'
    )


def test_the_digest_is_that_of_the_bytes(path: Path) -> None:
    path.write_text(SMALLEST)
    first = load_descriptor(path).sha256
    path.write_text(SMALLEST + "# a comment\n")
    assert load_descriptor(path).sha256 != first


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", " empty"),
        ("# only a comment\n", " empty"),
        ("- a\n", "1: not a mapping"),
        ("text\n", "1: not a mapping"),
        (SMALLEST + "---\na: 1\n", "5: a second document"),
        (SMALLEST + "name: y\n", "5: key 'name' stands twice, first in line 2"),
        (SMALLEST + "golden:\n\t- x\n", "6: a tab in the indentation"),
        (SMALLEST + "golden: [\n", "6: not YAML"),
        (SMALLEST + "driver: @x\n", "5: not YAML: found character '@'"),
        (SMALLEST + "driver: !x y\n", "5: a tag; allowed: none"),
        (SMALLEST + "driver: !!python/name:os.system x\n", "5: a tag; allowed: none"),
        (SMALLEST + "driver: *x\n", "5: alias without an anchor"),
        (SMALLEST + "auth: &x {a: *x}\n", "5: alias without an anchor"),
        (SMALLEST + "<<: {driver: x}\n", "5: merge key"),
        (SMALLEST + "1: x\n", "5: key '1' is not text"),
        (SMALLEST + "null: x\n", "5: key 'null' is not text"),
        (SMALLEST + "[a]: x\n", "5: a list or mapping as key"),
        (SMALLEST + "workload: {max_rate_per_s: .nan}\n", "5: '.nan' is not a finite number"),
        (SMALLEST + "workload: {max_rate_per_s: 1e999}\n", "5: '1e999' is not a finite number"),
        (SMALLEST + f"workload: {{max_rate_per_s: {'9' * 30}}}\n", "5: a number beyond"),
        (SMALLEST + f"workload: {{max_rate_per_s: {'9' * 5000}}}\n", "5: '9999"),
        (SMALLEST + 'driver: "a\\0b"\n', "5: text with a NUL"),
        (SMALLEST + 'driver: "\\ud800"\n', "5: text with a NUL or half a surrogate"),
        (SMALLEST + "driver: \x07\n", "5: control character U+0007"),
        ("[" * 5000, "1: nested more than 64 deep"),
        ("a: " + "{a: " * 70, "1: nested more than 64 deep"),
        (SMALLEST + "golden: [" + "a," * 30_000 + "]\n", "5: more than 20000 values"),
        (b"\xff\xfea\x00", "1: byte 0xff is not UTF-8"),
        (b"a: 1\nb: \xe4\n", "2: byte 0xe4 is not UTF-8"),
        (b"x" * (1024 * 1024 + 1), " larger than 1024 KiB"),
    ],
)
def test_what_is_no_document(path: Path, content: str | bytes, told: str) -> None:
    assert refused(path, content)[0].startswith(told)


def test_aliases_do_not_multiply(path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "aliases written out" in refused(path, "\n".join(lines))[0]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("servces: {}", "unknown key 'servces'; did you mean 'services'?"),
        ("blast_radius: {max_service: 2}", "unknown key 'max_service' in blast_radius; did you mean 'max_services'?"),
        (
            "pattern: microservice",
            "allowed: microservices, serverless, hybrid, edge-cloud (did you mean 'microservices'?)",
        ),
        ("pattern: null", "pattern: nothing is not allowed"),
        ("releases: {current: 2.3}", "releases.current: 2.3 is no text; write it in quotes"),
        ("releases: {}", "releases.current is missing"),
        ("objectives: {rto: 5}", "objectives.rto: 5 is not a duration; write a number and a unit"),
        ("objectives: {rto: 5 parsecs}", "'5 parsecs' is not a duration"),
        ("objectives: {rto: 99999999999999d}", "longer than a duration can be"),
        (f"objectives: {{rto: {'9' * 400}d}}", "longer than a duration can be"),
        ("objectives: {availability: 99.5}", "99.5 is not a share"),
        ("workload: {max_rate_per_s: 0}", "workload.max_rate_per_s: 0 is not allowed; allowed: greater than 0"),
        ("golden: {question: x}", "golden: a mapping is not allowed; allowed: a list"),
        ("procedures: {deploy: {run: []}}", "procedures.deploy.run: a list is not allowed; allowed: one or more"),
        ("procedures: {deploy: {run: [a, 5]}}", "procedures.deploy.run.1: 5 is no text; write it in quotes"),
        ("procedures: {deploy: {run: [a, '{relase}']}}", "unknown placeholder 'relase'; did you mean 'release'?"),
        ("procedures: {deploy: {run: [a, '{candidate}']}}", "{candidate} stands for a release that is not given"),
        ("operations: {deploy: {as: operator, dry_run: [a]}}", "unknown level 'operator'; known: none"),
        ("operations: {deploy: {as: [], dry_run: 5}}", "operations.deploy.dry_run: 5 is not allowed"),
        ("operations: {deploy: {as: [], dry_run: {urll: a}}}", "unknown key 'urll' in operations.deploy.dry_run"),
        ("signals: {x: {metric: m, services: [web]}}", "unknown service 'web'; known: a"),
        ("workload: {ok: {submit: {url: '{a}'}, counts: {x: 1}}}", "unknown signal 'x'; known: none"),
        ("workload: {ok: {submit: {url: '{aa}/x'}}}", "unknown placeholder 'aa'"),
        ("workload: {ok: {submit: {url: '/x'}}}", "url '/x' begins with neither"),
        ("workload: {ok: {submit: {url: '{marker}/x'}}}", "begins with neither"),
        ("workload: {ok: {submit: {url: '{a}', json: {x: ['{markr}']}}}}", "did you mean 'marker'?"),
        ("workload: {ok: {submit: {url: '{a}', method: FETCH}}}", "allowed: GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("workload: {ok: {submit: {url: '{a}', as: root}}}", "unknown level 'root'"),
        ("auth: {b: {bearer: {env: X}}}", "unknown auth 'b'"),
        (
            "auth: {d: {bearer: {env: X}}}\nprocedures: {d: {run: [d]}}",
            "write procedures.d.secrets: {VARIABLE: {env: …}}",
        ),
        (
            "objectives: {maintenance_windows: [{days: [sunday], from: '02:00', to: '04:00', zone: UTC}]}",
            "allowed: mon",
        ),
        ("objectives: {maintenance_windows: [{days: [sun], from: '2:00', to: '04:00', zone: UTC}]}", "'2:00'"),
        (
            "objectives: {maintenance_windows: [{days: [sun], from: '02:00', to: '04:00', zone: Berlin}]}",
            "'Berlin' is no time zone",
        ),
        ("auth: {a: {bearer: {env: X, file: y}}}", "give exactly one of env, file, command"),
        ("backups: {components: {knowlege: x}}", "unknown component 'knowlege'; did you mean 'knowledge'?"),
    ],
)
def test_one_mistake_is_told_at_its_line(path: Path, line: str, told: str) -> None:
    problems = refused(path, SMALLEST + line + "\n")
    assert any(problem.startswith("5: ") and told in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("2", "format 2 is newer than this program reads (1); update"),
        ("0", "format 0 is a draft that is not read any more; write `readiness: 1`"),
        ("one", "'one' is no version of this format; allowed: 1"),
        ("true", "True is no version of this format"),
        ("1.5", "1.5 is no version of this format"),
    ],
)
def test_another_format_says_how_to_migrate_and_nothing_else(path: Path, version: str, told: str) -> None:
    problems = refused(path, SMALLEST.replace("readiness: 1", f"readiness: {version}") + "servces: {}\n")
    assert len(problems) == 1
    assert problems[0].startswith("1: ") and told in problems[0]


def test_a_missing_version_is_told(path: Path) -> None:
    assert "write `readiness: 1`" in refused(path, SMALLEST.replace("readiness: 1\n", ""))[0]


def test_all_problems_of_a_file_come_at_once_up_to_twenty(path: Path) -> None:
    problems = refused(path, SMALLEST + "".join(f"wrong{n}: {n}\n" for n in range(30)))
    assert len(problems) == 21
    assert problems[0].startswith("5: ") and problems[19].startswith("24: ")
    assert problems[20].endswith("and 10 more")


def test_a_secret_in_the_wrong_place_is_not_repeated(path: Path) -> None:
    secret = "sk-Wd7uXq2f9Lk"
    for line in (
        f"auth: {{a: {{bearer: {secret}}}}}",
        f"auth: {{a: {{bearer: {{{secret}}}}}}}",
        f"auth: {{a: {{basic: {{user: u, password: {secret}}}}}}}",
        f"levels: {{x: {{header: {{X-Key: {secret}}}}}}}",
        f"procedures: {{p: {{run: [x], secrets: {{T: {secret}}}}}}}",
        f"secrets: {{canaries: {{x: {secret}}}}}",
        f"auth: {{a: {{bearer: *{secret}}}}}",
        f"auth: {{a: {{bearer: !{secret}}}}}",
        f"auth: {{a: {{bearer: '{secret}' x}}}}",
    ):
        assert secret not in "\n".join(refused(path, SMALLEST + line + "\n")), line


@pytest.mark.parametrize(
    "what",
    [
        "missing",
        "directory",
        pytest.param("unreadable", marks=pytest.mark.needs("unprivileged")),
        "fifo",
        "too-long",
    ],
)
def test_what_is_no_readable_file(tmp_path: Path, what: str) -> None:
    path = tmp_path / ("x" * 300 if what == "too-long" else what)
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "unreadable":
        path.write_text(SMALLEST)
        path.chmod(0)
    with pytest.raises(UsageError, match=r"no such file|regular file|cannot be read"):
        load_descriptor(path)
