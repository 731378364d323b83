"""Control groups of both versions, as kernels of other machines lay them out: files in a folder of the test's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.drivers.process import cgroups
from readiness.drivers.process.cgroups import Tree, counters, find_tree, is_ours
from readiness.errors import TargetError

SYSTEMD = "/system.slice/worker.service"


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc in which process 77 is a service of systemd's, in both versions."""
    (tmp_path / "proc" / "77").mkdir(parents=True)
    (tmp_path / "proc" / "77" / "cgroup").write_text(
        f"4:memory:/docker/abc/worker\n3:cpu,cpuacct:{SYSTEMD}\n1:name=systemd:/\n0::{SYSTEMD}\n"
    )
    monkeypatch.setattr(cgroups, "PROC", tmp_path / "proc")
    monkeypatch.setattr(Path, "rmdir", shutil.rmtree)  # the kernel removes a group with its files
    return tmp_path / "proc"


def mountinfo(tmp_path: Path, *mounts: str) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text("".join(f"3{number} 23 0:30 {mount}\n" for number, mount in enumerate(mounts)))
    return path


def second(tmp_path: Path, *giving_on: str) -> Tree:
    """Version 2, with the groups that give `cpu` on to those below them."""
    mount = tmp_path / "v2"
    (mount / SYSTEMD[1:]).mkdir(parents=True)
    (mount / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    for group in giving_on:
        (mount / group.strip("/") / "cgroup.subtree_control").write_text("cpu memory\n")
    line = f"/ {mount} rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate"
    tree = find_tree("cpu", mountinfo(tmp_path, line))
    assert tree is not None and tree.version == 2
    return tree


def test_version_1_goes_before_a_version_2_without_the_controller(tmp_path: Path) -> None:
    """As on machines that mount both: the controllers of version 1 are none of version 2's."""
    (tmp_path / "unified").mkdir()
    (tmp_path / "unified" / "cgroup.controllers").write_text("hugetlb\n")
    lines = mountinfo(
        tmp_path,
        f"/ {tmp_path}/unified rw - cgroup2 cgroup2 rw",
        f"/ {tmp_path}/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct",
        f"/docker/abc {tmp_path}/memory rw - cgroup cgroup rw,memory",
        "/ /run rw - tmpfs tmpfs rw",
    )
    cpu, memory = find_tree("cpu", lines), find_tree("memory", lines)
    assert cpu == Tree("cpu", 1, tmp_path / "cpu", "/")
    assert memory is not None and memory.folder("/docker/abc/worker") == tmp_path / "memory" / "worker"
    assert memory.folder("/docker/abc") == tmp_path / "memory"
    assert find_tree("blkio", lines) is None
    assert find_tree("cpu", tmp_path / "no such file") is None


@pytest.mark.usefixtures("proc")
def test_the_group_of_a_process_is_found_in_each_tree(tmp_path: Path) -> None:
    assert Tree("memory", 1, tmp_path, "/").group_of(77) == "/docker/abc/worker"
    assert Tree("cpu", 1, tmp_path, "/").group_of(77) == SYSTEMD
    assert Tree("cpu", 2, tmp_path, "/").group_of(77) == SYSTEMD
    assert Tree("cpu", 2, tmp_path, "/").group_of(78) is None


def test_a_group_of_version_1_lies_below_the_former_one(tmp_path: Path) -> None:
    tree = Tree("cpu", 1, tmp_path, "/")
    assert tree.place(SYSTEMD, "readiness-x") == f"{SYSTEMD}/readiness-x"
    assert tree.place("/", "readiness-x") == "/readiness-x"


def test_a_group_of_version_2_lies_where_the_controller_is_given_on(tmp_path: Path) -> None:
    assert second(tmp_path, "/", "/system.slice").place(SYSTEMD, "readiness-x") == "/system.slice/readiness-x"
    (tmp_path / "v2" / "system.slice" / "cgroup.subtree_control").write_text("memory\n")
    tree = Tree("cpu", 2, tmp_path / "v2", "/")
    assert tree.place(SYSTEMD, "readiness-x") == "/readiness-x"
    (tmp_path / "v2" / "cgroup.subtree_control").write_text("\n")
    with pytest.raises(TargetError, match="gives the controller cpu on"):
        tree.place(SYSTEMD, "readiness-x")


@pytest.mark.usefixtures("proc")
def test_what_is_in_a_group_goes_back_before_it_is_removed(tmp_path: Path) -> None:
    tree = second(tmp_path, "/", "/system.slice")
    group = tree.place(SYSTEMD, "readiness-x")
    tree.make(group)
    tree.move([77], group)
    assert tree.processes(group) == [77]
    (tree.folder(group) / "cgroup.procs").write_text("")  # the kernel, once it is moved
    for _ in "twice":
        tree.remove(group, SYSTEMD)
    assert not tree.folder(group).exists() and tree.folder(SYSTEMD).exists()


@pytest.mark.usefixtures("proc")
def test_where_the_former_group_is_gone_it_goes_to_what_is_left_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = second(tmp_path, "/", "/system.slice")
    tree.make("/readiness-x")
    tree.move([77], "/readiness-x")
    shutil.rmtree(tree.folder(SYSTEMD))
    moved: list[str] = []

    def move(self: Tree, pids: list[int], group: str) -> None:
        moved.append(f"{pids} to {group}")
        (self.folder("/readiness-x") / "cgroup.procs").write_text("")

    monkeypatch.setattr(Tree, "move", move)
    tree.remove("/readiness-x", SYSTEMD)
    assert moved == ["[77] to /system.slice"]


@given(st.lists(st.sampled_from(["a", "..", "readiness-x", "", "."]), max_size=6).map("/".join))
def test_a_group_never_leads_out_of_its_tree(group: str) -> None:
    mount = Path("/sys/fs/cgroup")
    folder = Tree("cpu", 1, mount, "/").folder(group)
    assert folder == mount or mount in folder.parents
    assert ".." not in folder.parts


@pytest.mark.parametrize("group", ["/", "/user.slice", "/readiness-", "/readiness-X", "/readiness-x/y", "readiness"])
def test_no_group_of_others_is_ours(group: str, tmp_path: Path) -> None:
    assert not is_ours(group)
    tree = Tree("cpu", 1, tmp_path, "/")
    with pytest.raises(TargetError, match="none of this package's"):
        tree.remove(group, "/")
    with pytest.raises(TargetError, match="none of this package's"):
        tree.make(group)


def test_counters_are_read_from_files_of_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "cpu.stat"
    path.write_text("usage_usec 12\nnr_periods 40\nnr_throttled 38\nthrottled_usec 3500000\n")
    assert counters(path)["nr_throttled"] == 38
    assert counters(tmp_path / "no such file") == {}
