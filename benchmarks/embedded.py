"""The embedded Nexus at rest and under steady traffic: ready, back after a kill, CPU, memory, growth."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
from ruamel.yaml import YAML

INTERVAL_S = 0.05


def nexus(*argv: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-m", "readiness.nexus", *argv], check=True, capture_output=True, text=True, env=environment
    )
    return done.stdout


def family(home: str) -> list[psutil.Process]:
    """Every process of the home, found by its command line."""
    return [p for p in psutil.process_iter(["cmdline"]) if home in " ".join(p.info["cmdline"] or [])]


def pss_mb(home: str) -> float:
    return sum(p.memory_full_info().pss for p in family(home)) / 1e6


def cpu_s(home: str) -> float:
    return sum(t.user + t.system for t in (p.cpu_times() for p in family(home)))


def all_ready(home: str, services: dict[str, Any]) -> bool:
    """Whether every declared replica announces itself and says that it is ready."""
    yaml = YAML(typ="safe")
    for spec in services.values():
        targets = yaml.load((Path(home) / spec["instances"]["file_sd"]).read_text(encoding="utf-8")) or []
        addresses = [target for entry in targets for target in entry["targets"]]
        if len(addresses) < spec.get("replicas", 1):
            return False
        for address in addresses:
            try:
                if httpx.get(f"http://{address}{spec['ready']}", timeout=2).status_code != 200:
                    return False
            except httpx.HTTPError:
                return False
    return True


def seconds_until_ready(home: str, services: dict[str, Any], started: float) -> float:
    while not all_ready(home, services):
        if time.monotonic() - started > 60:
            return float("inf")
        time.sleep(INTERVAL_S)
    return time.monotonic() - started


def kills(home: str, services: dict[str, Any]) -> None:
    for pidfile in sorted((Path(home) / "run").glob("*.pid")):
        pid = int(pidfile.read_text(encoding="utf-8"))
        started = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(INTERVAL_S)
        time.sleep(INTERVAL_S)
        print(f"  {pidfile.stem}: everything ready again after {seconds_until_ready(home, services, started):.1f} s")


def traffic(home: str, descriptor: dict[str, Any], minutes: float, rate_per_s: float) -> None:
    """Steady traffic; memory is read every tenth of it, so that a leak would show as a slope."""
    address = descriptor["services"]["gateway"]["address"]
    token = (Path(home) / "secrets" / "caller.token").read_text(encoding="ascii").strip()
    headers = {"Authorization": f"Bearer {token}"}
    end, sent, readings, began = time.monotonic() + minutes * 60, 0, [], cpu_s(home)
    next_reading = time.monotonic()
    with httpx.Client(timeout=15, headers=headers) as client:
        while time.monotonic() < end:
            if time.monotonic() >= next_reading:
                readings.append(pss_mb(home))
                next_reading += minutes * 6
            body = {"plan": "answer", "input": f"steady {sent}", "model": "standin"}
            client.post(f"{address}/v1/workflows", json=body).raise_for_status()
            sent += 1
            time.sleep(1 / rate_per_s)
    share = (cpu_s(home) - began) / (minutes * 60)
    print(
        f"steady traffic, {sent} workflows in {minutes:g} min: PSS {' '.join(f'{mb:.0f}' for mb in readings)} MB, "
        f"CPU {share:.0%} of one core"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--rate", type=float, default=4.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rb-") as home:
        started = time.monotonic()
        path = nexus("up", "--dir", home).splitlines()[-1]
        print(f"up: ready after {time.monotonic() - started:.1f} s")
        try:
            descriptor = YAML(typ="safe").load(Path(path).read_text(encoding="utf-8"))
            before, at = cpu_s(home), time.monotonic()
            time.sleep(20)
            rest = (cpu_s(home) - before) / (time.monotonic() - at)
            print(f"at rest: {rest:.1%} of one core, {pss_mb(home):.0f} MB PSS in {len(family(home))} processes")
            traffic(home, descriptor, given.minutes, given.rate)
            print("killed, one after the other:")
            kills(home, descriptor["services"])
        finally:
            nexus("down", "--dir", home)


if __name__ == "__main__":
    main()
