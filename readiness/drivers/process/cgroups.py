"""Control groups as the kernel shows them, version 1 (a tree for each controller) and version 2 (one tree)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from readiness.drivers.process.victims import PROC
from readiness.errors import TargetError
from readiness.waiting import NotInTime, eventually

PREFIX = "readiness-"
"""How the groups begin that this package makes; no other is ever removed."""
_OURS = re.compile(rf"{PREFIX}[a-z0-9-]{{1,80}}")
_MOVES = 20
"""How often we look for processes that were forked while their parents were moved."""
_REMOVED_S = 2.0
"""The kernel keeps a group for a moment after its last process has ended."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The hierarchy of groups that holds one controller."""

    controller: str
    version: int
    mount: Path
    root: str
    """What of the hierarchy is mounted there: `/`, or a container's own part."""

    def folder(self, group: str) -> Path:
        """Give the folder of a group, named as in /proc/PID/cgroup; `/` where it lies outside of what is mounted."""
        below = group.removeprefix(self.root) if self.root != "/" and group.startswith(self.root) else group
        parts = [part for part in below.split("/") if part not in ("", ".", "..")]
        return self.mount.joinpath(*parts)

    def group_of(self, pid: int) -> str | None:
        """Give the group that a process is in; None where it has ended."""
        for number, controllers, group in _lines(pid):
            if (number == "0") if self.version == 2 else (self.controller in controllers.split(",")):
                return group
        return None

    def place(self, former: str, name: str) -> str:
        """Give the group to make for processes that are in `former` now.

        Version 1: below it, so that what limits it holds as well. Version 2 forbids groups below one that holds
        processes (cgroups(7), "no internal processes"), so beside it, or higher, where the controller is given on.
        """
        if self.version == 1:
            return f"{former.rstrip('/')}/{name}"
        above = former
        while above != "/":
            above = above.rpartition("/")[0] or "/"
            if self.controller in _words(self.folder(above) / "cgroup.subtree_control"):
                return f"{above.rstrip('/')}/{name}"
        raise TargetError(
            f"no control group above {former} gives the controller {self.controller} on",
            f"run the service where cgroup.subtree_control has +{self.controller}, as systemd's slices have",
        )

    def processes(self, group: str) -> list[int]:
        """Give the processes of a group; none where it is not there."""
        return [int(word) for word in _words(self.folder(group) / "cgroup.procs") if word.isdigit()]

    def make(self, group: str) -> Path:
        """Make a group of ours; it may be there already."""
        folder = self.folder(_ours(group))
        folder.mkdir(exist_ok=True)
        return folder

    def move(self, pids: list[int], group: str) -> None:
        """Move processes into a group, with all their threads; those that have ended are passed over."""
        for pid in pids:
            try:
                (self.folder(group) / "cgroup.procs").write_text(str(pid))
            except ProcessLookupError:
                continue

    def remove(self, group: str, former: str) -> None:
        """Move what is in a group of ours back to where it came from, and remove it; it may be gone already."""
        folder = self.folder(_ours(group))
        for _ in range(_MOVES):
            inside = self.processes(group)
            if not inside:
                break
            self.move(inside, self._nearest(former))
        try:
            eventually(lambda: _removed(folder), within=_REMOVED_S, every_s=0.01)
        except NotInTime:
            raise TargetError(f"the control group {folder} cannot be removed: processes are in it still") from None

    def _nearest(self, group: str) -> str:
        """The group itself, or what is left above it."""
        while group != "/" and not self.folder(group).is_dir():
            group = group.rpartition("/")[0] or "/"
        return group


def find_tree(controller: str, mountinfo: Path = PROC / "self" / "mountinfo") -> Tree | None:
    """Give the hierarchy that holds a controller: one of version 1 mounted for it, else the one of version 2."""
    second = None
    try:
        lines = mountinfo.read_text().splitlines()
    except OSError:
        return None
    for line in lines:  # proc(5): id, parent, device, root, mount point, options …, "-", type, source, options
        before, _, after = line.partition(" - ")
        fields, (kind, *_, options) = before.split(), after.split()
        root, mount = fields[3], Path(fields[4])
        if kind == "cgroup" and controller in options.split(","):
            return Tree(controller, 1, mount, root)
        if kind == "cgroup2" and controller in _words(mount / "cgroup.controllers"):
            second = Tree(controller, 2, mount, root)
    return second


def is_ours(group: str) -> bool:
    """Whether a group is one that this package made."""
    return _OURS.fullmatch(group.rpartition("/")[2]) is not None


def ours(pid: int) -> list[str]:
    """Give the groups of ours that a process is in."""
    return sorted({group.rpartition("/")[2] for _, _, group in _lines(pid) if is_ours(group)})


def counters(path: Path) -> dict[str, int]:
    """Read a file of `name number` lines, such as cpu.stat; empty where it is not there."""
    words = _words(path)
    return {name: int(value) for name, value in zip(words[::2], words[1::2], strict=False) if value.isdigit()}


def number(path: Path) -> int:
    """Read a file that holds one number; 0 where it is not there."""
    words = _words(path)
    return int(words[0]) if words and words[0].isdigit() else 0


def writable(folder: Path) -> bool:
    """Whether groups can be made there."""
    return os.access(folder, os.W_OK | os.X_OK) and os.access(folder / "cgroup.procs", os.W_OK)


def _ours(group: str) -> str:
    if not is_ours(group) or ".." in group.split("/"):
        raise TargetError(f"the control group {group} is none of this package's ({PREFIX}…) and is not touched")
    return group


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        if isinstance(error, PermissionError):
            raise
        return False
    return True


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _lines(pid: int) -> Iterator[tuple[str, str, str]]:
    """`number`, `controllers`, `group` of /proc/PID/cgroup; nothing where the process has ended."""
    try:
        text = (PROC / str(pid) / "cgroup").read_text()
    except OSError:
        return
    for line in text.splitlines():
        first, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        yield first, controllers, group
