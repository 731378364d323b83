"""The operators' command of the tiny deployment: `ctl.py HOME COMMAND [ARGUMENT]…`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HOME, COMMAND, ARGUMENTS = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
REPLICAS = {"front": 2, "store": 1}


def alive(instance: str) -> bool:
    try:
        pid = int((HOME / "run" / f"{instance}.pid").read_text())
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, ValueError):
        return False


def start(service: str) -> None:
    names = [f"{service}-{number}" for number in range(1, REPLICAS[service] + 1)]
    for name in names:
        if alive(name):
            continue
        (HOME / "run" / f"{name}.port").unlink(missing_ok=True)
        program = [sys.executable, str(Path(__file__).with_name("service.py")), str(HOME), service, name]
        with (HOME / "log" / f"{name}.err").open("w") as err:
            subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=err, stderr=err, start_new_session=True)
    until_s = time.monotonic() + 30
    while not all((HOME / "run" / f"{name}.port").exists() for name in names) and time.monotonic() < until_s:
        time.sleep(0.02)
    listed = [
        {"targets": [f"127.0.0.1:{(HOME / 'run' / f'{name}.port').read_text()}"], "labels": {"instance": name}}
        for name in names
    ]
    (HOME / "run" / "targets" / f"{service}.json").write_text(json.dumps(listed))


def inventory(home: Path) -> dict[str, object]:
    notes = sorted(path.read_text() for path in (home / "notes").glob("*"))
    return {"notes": {"count": len(notes), "hash": hashlib.sha256(json.dumps(notes).encode()).hexdigest()}}


def copy_notes(source: Path, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    for path in source.glob("*"):
        (to / path.name).write_text(path.read_text())


def restore(backup: str, environment: str) -> None:
    there = HOME / "env" / environment
    copy_notes(HOME / "backups" / backup, there / "notes")
    shown = (HOME / "descriptor.yaml").read_text().replace("environment: staging", "environment: development", 1)
    (there / "run").mkdir()
    (there / "run" / "targets").symlink_to(HOME / "run" / "targets")
    for pid in (HOME / "run").glob("*.pid"):
        (there / "run" / pid.name).symlink_to(pid)
    (there / "secrets").symlink_to(HOME / "secrets")
    (there / "descriptor.yaml").write_text(shown)


def main() -> int:
    state = json.loads((HOME / "state.json").read_text())
    if COMMAND == "start":
        start(ARGUMENTS[0])
    elif COMMAND == "status":
        print(json.dumps({**state, "uptime_s": time.time()}))
    elif COMMAND == "deploy":
        if (HOME / "faults" / "deploy").exists():
            print("no permit: caller-token-1234", file=sys.stderr)
            return 1
        (HOME / "state.json").write_text(json.dumps({**state, "release": ARGUMENTS[0]}))
    elif COMMAND == "backup":
        copy_notes(HOME / "notes", HOME / "backups" / "b1")
        print(json.dumps({"id": "b1", "kind": ARGUMENTS[0]}))
    elif COMMAND == "list_backups":
        print(json.dumps({"backups": [path.name for path in (HOME / "backups").iterdir()]}))
    elif COMMAND == "restore":
        if (HOME / "faults" / "restore").exists():
            print("press enter to go on", file=sys.stderr)
            return 0 if sys.stdin.readline() else 3
        restore(*ARGUMENTS)
    elif COMMAND == "discard":
        subprocess.run(["rm", "-rf", str(HOME / "env" / ARGUMENTS[0])], check=True)
        with (HOME / "discarded").open("a") as stream:
            stream.write(ARGUMENTS[0] + "\n")
    elif COMMAND == "inventory":
        print(json.dumps({"components": inventory(HOME)}))
    elif COMMAND == "environment":
        print(json.dumps({"variables": dict(os.environ), "stdin": sys.stdin.read(), "folder": str(Path.cwd())}))
    elif COMMAND == "hang":
        child = subprocess.Popen(["sleep", "300"])
        (HOME / "child.pid").write_text(str(child.pid))
        print("begun", flush=True)
        time.sleep(300)
    elif COMMAND == "flood":
        print("y" * (9 << 20))
    else:
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
