"""SEC-SCR: secrets stand in their store and nowhere else."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from glob import glob
from pathlib import Path

from readiness.deployment import Deployment
from readiness.errors import Undecidable
from readiness.evidence.files import contents_of
from readiness.evidence.leaks import Leak, LeakScanner, is_telling
from readiness.evidence.logs import LogMark
from readiness.gate import at_most, gate
from readiness.needs import canaries, capability
from readiness.target import Inspects, ListsProcesses, ProcessFacts

_SECRET_OPTION = re.compile(
    r"--?(?:[a-z0-9]+[-_])*(?:token|api[-_]?key|secret[-_]?key|access[-_]?key|password|passwd|secret|requirepass|masterauth)",
    re.IGNORECASE,
)
_SECRET_VARIABLE = re.compile(r"(?:.*_)?(?:TOKEN|API_?KEY|SECRET_KEY|ACCESS_KEY|PASSWORD|PASSWD|SECRET)", re.IGNORECASE)
_REFERENCE = re.compile(r"[-/.~$%@<{].*|(?:file|env|vault|arn|secret|ref|https?|unix):.*", re.IGNORECASE)
_PUBLIC_VARIABLES = frozenset({"GPG_KEY"})
_SHOWN = 4


@gate(
    "SEC-SCR-001",
    risk="critical",
    blocking=True,
    mode="observe",
    version=1,
    why="A secret on a command line is shown to every user of the machine by `ps`; one in a log or an artefact is "
    "copied to places that nobody protects.",
    measures="Looks at arguments and environment of every process of every service and its children, at the "
    "arguments of all other processes of the machine where the driver sees them, at all logs, and at the declared "
    "files (configuration, artefacts; inside archives too) for every secret that the descriptor declares, in plain, "
    "encoded or shortened form, and for credentials known by their format or by the option or variable that holds "
    "them. Files of the store may hold them, and may not be open to every user of the machine.",
    red="A secret outside the declared store, or a file of the store that everybody can read; told by place, kind and "
    "a salted hash.",
    mend="Hand secrets over in files of mode 0600 or by a secret store, never as arguments or environment; take what "
    "leaked out of the place, and change it.",
    needs=[capability(Inspects), canaries()],
    limits={"leaks": at_most(0, "", "seed: secure secret storage; catalogue: 0")},
    typical_s=3,
)
def secrets_stand_only_in_their_store(deployment: Deployment) -> None:
    """No secret stands in arguments, environments, logs, configuration or artefacts outside the declared store."""
    scanner = LeakScanner(_distinct(deployment.secret_values()))
    hidden: list[str] = []
    with deployment.step("look at the processes"):
        leaks = _in_processes(deployment, scanner, hidden)
    with deployment.step("look into the logs"):
        leaks += _in_files(deployment, scanner, _log_files(deployment), hidden)
        leaks += _in_printed_logs(deployment, scanner)
    with deployment.step("look into the declared files"):
        store = _matching(deployment, deployment.descriptor.secrets.store)
        files = _matching(deployment, deployment.descriptor.secrets.scan) - store
        leaks += _in_files(deployment, scanner, files, hidden)
    told = sorted({str(leak) for leak in leaks})
    deployment.keep("leaks", told)
    deployment.keep("looked-at", {"secrets": scanner.known, "too_weak": scanner.too_weak, "files": len(files)})
    deployment.measure("secrets_outside_the_store", len(told), limit="leaks", detail=_some(told))
    bare = sorted(str(path) for path in store if _open_to_all(path))
    deployment.measure("files_of_the_store_open_to_all", len(bare), at_most=0, detail=_some(bare))
    _whole_or_unknown(deployment, scanner, files, hidden)


def _whole_or_unknown(deployment: Deployment, scanner: LeakScanner, files: set[Path], hidden: Sequence[str]) -> None:
    if hidden:
        deployment.undecidable(f"{len(hidden)} places could not be looked at: {hidden[0]}", "the right to read them")
    if not scanner.known:
        deployment.undecidable(
            "no secret is known that could be looked for"
            + (f" ({scanner.too_weak[0]} is too plain)" * bool(scanner.too_weak)),
            "secrets.canaries: {<name>: {file: …}}",
        )
    if deployment.descriptor.evidence.logs is None:
        deployment.undecidable("no logs are declared to look into", 'evidence.logs: {files: ["var/log/*.jsonl"]}')
    if not files:
        deployment.undecidable("no configuration or artefact is declared to look into", "secrets.scan: [etc/*, …]")


def _in_processes(deployment: Deployment, scanner: LeakScanner, hidden: list[str]) -> list[Leak]:
    target = deployment.target
    assert isinstance(target, Inspects)
    leaks: list[Leak] = []
    looked_at: set[int] = set()
    for service, spec in deployment.descriptor.services.items():
        try:
            processes = target.processes(service)
        except Undecidable as error:
            hidden.append(f"the processes of {service} ({error}); services.{service}.process")
            continue
        if not processes and spec.replicas:
            hidden.append(f"no process of {service} was found; services.{service}.process")
        looked_at |= {process.pid for process in processes}
        for process in processes:
            place = f"process {process.pid} of {service}"
            leaks += _in_arguments(scanner, process.argv, f"the arguments of {place}")
            if process.environment is None:
                hidden.append(f"the environment of {place}")
            else:
                leaks += _in_environment(scanner, process, f"the environment of {place}")
    if isinstance(target, ListsProcesses):
        # supervisors and jobs beside the services: anybody sees their arguments, so what is known is looked for there
        others = [process for process in target.all_processes() if process.pid not in looked_at]
        leaks += [leak for p in others for leak in _known_in_arguments(scanner, p)]
    return leaks


def _known_in_arguments(scanner: LeakScanner, process: ProcessFacts) -> list[Leak]:
    return scanner.find_known("\n".join(process.argv), f"the arguments of process {process.pid} ({process.name})")


def _in_arguments(scanner: LeakScanner, argv: Sequence[str], place: str) -> list[Leak]:
    leaks = scanner.find("\n".join(argv), place) or scanner.find(" ".join(argv), place)
    known = {leak.mark for leak in leaks}
    for option, value in _options(argv):
        if _SECRET_OPTION.fullmatch(option) and _is_credential(value) and scanner.mark(value) not in known:
            leaks.append(Leak(f"value of {option}", place, scanner.mark(value)))
    return leaks


def _options(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        option, separator, value = word.partition("=")
        yield (option, value) if separator else (word, following)


def _in_environment(scanner: LeakScanner, process: ProcessFacts, place: str) -> list[Leak]:
    leaks = []
    for name, value in (process.environment or {}).items():
        here = f"{place}: {name}"
        known = scanner.find_known(value, here)
        leaks += known
        # what this very run was started with comes from whoever started both, not from the deployment
        if known or os.environ.get(name) == value or name in _PUBLIC_VARIABLES:
            continue
        leaks += scanner.find_formats(value, here)
        if _SECRET_VARIABLE.fullmatch(name) and _is_credential(value):
            leaks.append(Leak(f"value of {name}", here, scanner.mark(value)))
    return leaks


def _is_credential(value: str) -> bool:
    """Whether a value is a credential itself and no reference to one, flag or word."""
    return is_telling(value) and not _REFERENCE.fullmatch(value) and not Path(value).exists()


def _in_files(deployment: Deployment, scanner: LeakScanner, files: Iterable[Path], hidden: list[str]) -> list[Leak]:
    leaks: list[Leak] = []
    for path in sorted(files):
        name = os.path.relpath(path, deployment.file.folder)
        if deployment.deadline.expired:
            hidden.append(f"{name} and what follows (no time was left)")
            break
        try:
            for inside, text in contents_of(path):
                leaks += scanner.find_by_line(text, name + inside)
        except FileNotFoundError:
            continue  # rotated or removed since it was listed
        except (OSError, ValueError) as error:
            hidden.append(f"{name} ({error})")
    return leaks


def _in_printed_logs(deployment: Deployment, scanner: LeakScanner) -> list[Leak]:
    source = deployment.descriptor.evidence.logs
    if source is None or source.command is None:
        return []
    records = deployment.logs_since(LogMark(datetime.now(UTC) - timedelta(days=1), {}))
    return [leak for r in records for leak in scanner.find(r.text, f"log {r.source}:{r.line_number}")]


def _log_files(deployment: Deployment) -> set[Path]:
    source = deployment.descriptor.evidence.logs
    return _matching(deployment, source.files) if source is not None else set()


def _matching(deployment: Deployment, patterns: Iterable[str]) -> set[Path]:
    folder = deployment.file.folder
    wanted = [str(folder / pattern) for pattern in patterns]
    names = {name for one in wanted for name in glob(one, recursive=True, include_hidden=True)}  # noqa: PTH207 - may be absolute
    return {path.resolve() for name in names if (path := Path(name)).is_file()}


def _open_to_all(path: Path) -> bool:
    """Whether any user of the machine can read or write a file: its mode says so, and every folder above lets in."""
    try:
        if not path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            return False
        return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)
    except OSError:
        return False


def _distinct(values: dict[str, str]) -> dict[str, str]:
    """Keep one name for each value: a token is often declared as a level's and as a canary too."""
    return {name: value for value, name in {value: name for name, value in values.items()}.items()}


def _some(lines: Sequence[str]) -> str:
    more = f" (and {len(lines) - _SHOWN} more)" if len(lines) > _SHOWN else ""
    return "; ".join(lines[:_SHOWN]) + more
