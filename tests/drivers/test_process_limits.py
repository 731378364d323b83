"""What is taken from a live process: the effect measured in the process itself, the witness, and the way back."""

from __future__ import annotations

import errno
import resource
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from readiness.drivers.process import groups
from readiness.drivers.process.cgroups import Tree, find_tree, ours, writable
from readiness.errors import Missing, TargetError
from readiness.target import Lifted, Operation
from readiness.waiting import eventually
from tests.drivers.programs import ALLOCATING, BUSY, GROWING, IDLE, OPENING, Worker, working

cgroups = pytest.mark.needs("linux", "cgroups")
linux = pytest.mark.needs("linux")
PLANS: dict[str, Callable[[Worker], Lifted]] = {
    "freezing": lambda worker: worker.target.freezing(worker.instance),
    "starving": lambda worker: worker.target.starving(worker.instance, 0.05, "run-7"),
    "squeezing": lambda worker: worker.target.squeezing(worker.instance, 1 << 20, "run-7"),
    "exhausting": lambda worker: worker.target.exhausting(worker.instance),
    "capping": lambda worker: worker.target.capping(worker.instance),
}


def cpu_share(worker: Worker, spent_s: float) -> float:
    """The share of a core that it gets, over at least that long (wall clock of its own process times)."""
    process = psutil.Process(worker.process.pid)
    began_cpu_s, began_s = sum(process.cpu_times()[:2]), time.monotonic()
    eventually(lambda: time.monotonic() - began_s >= spent_s, within=60)
    taken_s = sum(process.cpu_times()[:2]) - began_cpu_s
    return float(taken_s / (time.monotonic() - began_s))


def group_folder(plan: Lifted) -> Path:
    tree = find_tree(str(plan.undo.arguments["resource"]))
    assert tree is not None
    return tree.folder(str(plan.undo.arguments["group"]))


@linux
def test_a_frozen_process_makes_no_progress(tmp_path: Path) -> None:
    with working(tmp_path, BUSY) as worker:
        count = tmp_path / "count"
        eventually(count.exists, within=60)
        plan = PLANS["freezing"](worker)
        worker.perform(plan.do)
        worker.shown(plan.witness)
        stood = count.read_text()
        assert cpu_share(worker, 0.5) == 0.0 and count.read_text() == stood
        worker.perform(plan.undo)
        worker.shown(plan.healed)
        eventually(lambda: count.read_text() != stood, within=60)


@cgroups
def test_a_starved_process_gets_its_share_and_then_all_it_wants_again(tmp_path: Path) -> None:
    with working(tmp_path, BUSY) as worker:
        before = cpu_share(worker, 1.0)
        plan = PLANS["starving"](worker)
        assert worker.ask(plan.witness) == ""
        for _ in "twice":
            worker.perform(plan.do)
        assert "made to wait" in worker.shown(plan.witness)
        assert worker.ask(plan.healed) == ""
        assert list(worker.target.unusual([worker.instance])) == [
            f"worker-1 is in the control group readiness-run-7-cpu-{worker.process.pid}"
        ]
        starved = cpu_share(worker, 2.0)
        assert starved < 0.1 and starved < before / 2
        for _ in "twice":
            worker.perform(plan.undo)
        worker.shown(plan.healed)
        assert not group_folder(plan).exists() and not ours(worker.process.pid)
        eventually(lambda: cpu_share(worker, 0.5) > 2 * starved, within=60)


@cgroups
def test_a_squeezed_process_is_killed_by_the_kernels_own_count(tmp_path: Path) -> None:
    with working(tmp_path, ALLOCATING) as worker:
        plan = worker.target.squeezing(worker.instance, 8 << 20, "run-7")
        killed = Operation("process", "killed_for_memory", plan.witness.arguments)
        worker.perform(plan.do)
        assert worker.ask(plan.witness) == "" and worker.ask(killed) == ""
        (tmp_path / "go").touch()
        assert worker.process.wait(60) == -9
        assert "the kernel killed 1 in" in worker.shown(killed)
        assert "the kernel killed 1 in" in worker.shown(plan.witness)
        for _ in "twice":
            worker.perform(plan.undo)
        assert "ended" in worker.shown(plan.healed)
        assert not group_folder(plan).exists()


@cgroups
def test_a_squeeze_that_is_lifted_in_time_kills_nobody(tmp_path: Path) -> None:
    with working(tmp_path, ALLOCATING) as worker:
        plan = worker.target.squeezing(worker.instance, 1 << 30, "run-7")
        worker.perform(plan.do)
        (tmp_path / "go").touch()
        worker.perform(plan.undo)
        assert "is in the control group" in worker.shown(plan.healed)
        assert worker.process.poll() is None


@linux
def test_an_exhausted_process_opens_nothing(tmp_path: Path) -> None:
    with working(tmp_path, OPENING) as worker:
        said = tmp_path / "said"
        eventually(said.exists, within=60)
        plan = PLANS["exhausting"](worker)
        assert worker.ask(plan.witness) == "" and worker.ask(plan.healed)
        for _ in "twice":
            worker.perform(plan.do)
        assert "all are in use" in worker.shown(plan.witness)
        assert worker.line() == str(errno.EMFILE)
        assert worker.ask(plan.healed) == ""
        for _ in "twice":
            worker.perform(plan.undo)
        worker.shown(plan.healed)
        assert psutil.Process(worker.process.pid).rlimit(psutil.RLIMIT_NOFILE) == resource.getrlimit(
            resource.RLIMIT_NOFILE
        )
        said.unlink()
        eventually(lambda: said.exists() and said.read_text() == "opened", within=60)


@linux
def test_a_process_with_spare_descriptors_is_not_said_to_be_exhausted(tmp_path: Path) -> None:
    with working(tmp_path, IDLE) as worker:
        plan = worker.target.exhausting(worker.instance, spare=3)
        worker.perform(plan.do)
        assert worker.ask(plan.witness) == ""
        soft, _ = psutil.Process(worker.process.pid).rlimit(psutil.RLIMIT_NOFILE)
        assert soft == psutil.Process(worker.process.pid).num_fds() + 3


@linux
@pytest.mark.parametrize("file_bytes", [0, 4096])
def test_files_grow_no_further_under_a_capped_process(tmp_path: Path, file_bytes: int) -> None:
    with working(tmp_path, GROWING) as worker:
        assert worker.line() == "wrote"
        plan = worker.target.capping(worker.instance, file_bytes)
        worker.perform(plan.do)
        assert worker.shown(plan.witness)
        eventually(lambda: worker.line() == str(errno.EFBIG), within=60, every_s=0.001)
        assert worker.ask(plan.healed) == ""
        worker.perform(plan.undo)
        worker.shown(plan.healed)
        eventually(lambda: worker.line() == "wrote", within=60, every_s=0.001)
        assert (tmp_path / "grown").stat().st_size > file_bytes


@linux
def test_a_program_that_a_file_limit_would_kill_is_not_capped(tmp_path: Path) -> None:
    import_signal = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); print('set', flush=True)\n"
    with working(tmp_path, import_signal + IDLE) as worker:
        assert worker.line() == "set"
        with pytest.raises(Missing, match="SIGXFSZ"):
            worker.target.capping(worker.instance)


@cgroups
@pytest.mark.parametrize("name", PLANS)
def test_an_undo_is_right_where_nothing_was_done(tmp_path: Path, name: str) -> None:
    with working(tmp_path, IDLE) as worker:
        plan = PLANS[name](worker)
        worker.perform(plan.undo)
        assert worker.shown(plan.healed)
        assert worker.ask(plan.witness) == ""


@cgroups
@pytest.mark.parametrize("name", PLANS)
def test_an_undo_is_right_where_the_process_has_ended(tmp_path: Path, name: str) -> None:
    with working(tmp_path, IDLE) as worker:
        plan = PLANS[name](worker)
        worker.perform(plan.do)
        worker.process.kill()
        worker.process.wait(60)
        for _ in "twice":
            worker.perform(plan.undo)
        assert "ended" in worker.shown(plan.healed)
        with pytest.raises(TargetError):
            worker.perform(plan.do)


@cgroups
@pytest.mark.parametrize("name", ["exhausting", "capping"])
def test_a_limit_is_never_given_to_whoever_has_the_number_now(tmp_path: Path, name: str) -> None:
    with working(tmp_path, IDLE) as worker:
        plan = PLANS[name](worker)
        worker.perform(plan.do)
        kind = psutil.RLIMIT_NOFILE if name == "exhausting" else psutil.RLIMIT_FSIZE
        limited = psutil.Process(worker.process.pid).rlimit(kind)
        worker.perform(Operation(plan.undo.by, plan.undo.name, {**plan.undo.arguments, "ticks": 1}))
        assert psutil.Process(worker.process.pid).rlimit(kind) == limited


@cgroups
def test_what_is_forked_under_a_limit_goes_back_too(tmp_path: Path) -> None:
    forking = "import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=-1)\n"
    with working(tmp_path, forking + "print(child.pid, flush=True)\n" + IDLE) as worker:
        child = int(worker.line())
        plan = PLANS["starving"](worker)
        worker.perform(plan.do)
        assert ours(child)
        worker.process.kill()
        worker.process.wait(60)
        worker.perform(plan.undo)
        assert not ours(child)
        assert "ended" in worker.shown(plan.healed)


@cgroups
def test_two_faults_of_one_kind_do_not_pile_up(tmp_path: Path) -> None:
    with working(tmp_path, IDLE) as worker:
        first, second = PLANS["starving"](worker), worker.target.starving(worker.instance, 0.5, "run-8")
        worker.perform(first.do)
        with pytest.raises(TargetError, match="already"):
            PLANS["starving"](worker)
        with pytest.raises(TargetError, match="by now"):
            worker.perform(second.do)
        worker.perform(second.undo)
        assert ours(worker.process.pid), "lifting the second leaves the first"
        worker.perform(first.undo)
        assert worker.ask(first.healed)


@cgroups
def test_no_group_but_ours_is_made_or_removed(tmp_path: Path) -> None:
    with working(tmp_path, IDLE) as worker:
        plan = PLANS["starving"](worker)
        former = str(plan.undo.arguments["former"])
        for group in (former, "/", "/system.slice", "/readiness-x/../system.slice", "/readiness-"):
            for operation in (plan.do, plan.undo):
                with pytest.raises(TargetError):
                    worker.perform(Operation("process", operation.name, {**operation.arguments, "group": group}))
        with pytest.raises(TargetError, match="tag"):
            worker.target.starving(worker.instance, 0.5, "../x")


def test_what_cannot_be_taken_away_says_why_in_one_line(tmp_path: Path) -> None:
    with working(tmp_path, IDLE) as worker:
        for name, word in (("disk", "file_size"), ("clock", "libfaketime"), ("luck", "luck")):
            reason = worker.target.limits(name)
            assert word in reason and "\n" not in reason


@linux
def test_without_the_right_to_make_groups_the_reason_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with working(tmp_path, IDLE) as worker:
        for tree, word in ((Tree("cpu", 1, tmp_path, "/"), "right"), (None, "mounted")):
            monkeypatch.setattr(groups, "find_tree", lambda _, tree=tree: tree)
            reason = worker.target.limits("cpu")
            assert word in reason and "\n" not in reason
            with pytest.raises(Missing, match=word):
                worker.target.starving(worker.instance, 0.5, "run-7")


@linux
def test_version_2_moves_a_process_there_and_back_again(tmp_path: Path) -> None:
    """For real wherever version 2 is mounted, with whatever controllers."""
    lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in line]
    if not lines or not writable(Path(lines[0][4])):
        pytest.skip("no control groups of version 2 that can be written here")
    tree = Tree("any", 2, Path(lines[0][4]), lines[0][3])
    with working(tmp_path, IDLE) as worker:
        pid = worker.process.pid
        former = tree.group_of(pid)
        assert former is not None
        tree.make("/readiness-test-there")
        try:
            tree.move([pid], "/readiness-test-there")
            assert tree.processes("/readiness-test-there") == [pid] and ours(pid) == ["readiness-test-there"]
        finally:
            tree.remove("/readiness-test-there", former)
        assert tree.group_of(pid) == former and not tree.folder("/readiness-test-there").exists()


@cgroups
def test_limits_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with working(tmp_path, IDLE) as worker:
        plans: list[Callable[[], Lifted]] = [
            lambda: worker.target.starving(worker.instance, 0.001, "r"),
            lambda: worker.target.starving(worker.instance, 1000.0, "r"),
            lambda: worker.target.squeezing(worker.instance, -1, "r"),
            lambda: worker.target.exhausting(worker.instance, -1),
            lambda: worker.target.capping(worker.instance, -1),
        ]
        for plan in plans:
            with pytest.raises(TargetError, match="allowed"):
                plan()
