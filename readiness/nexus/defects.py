"""The seeded defects: faults of workmanship that this deployment can be told to have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from readiness.nexus.errors import WrongUsageError, unknown

SWITCHED = {
    "rollback-leaves-traffic": "rollback moves the instances but forgets the last tenth of the weights",
    "one-way-migration": "the downgrade drops the new columns and leaves documents in the new format",
    "tests-all-skipped": "a suite of the release was skipped as a whole and reported green",
    "hourly-backup-empty": "the hourly job writes a file of no bytes and reports success",
    "preferences-not-dumped": "the table of preferences was never added to the dump list",
    "backup-on-same-volume": "the copy off-site was pointed at the volume that it protects",
    "restore-prompts": "restore asks for a confirmation before it goes on",
    "restore-skips-preferences": "restore skips the table of preferences without a word",
    "index-restored-empty": "restore creates the search index empty; readiness only asks whether it exists",
    "no-restart": "one component is not restarted when it dies",
    "stale-agent": "the start script of one agent replica pins the package of long ago",
    "validation-healthz-only": "the validation of a deployment asks only for health",
    "failed-tasks-uncounted": "the error counter sits in the wrapper that only the happy path reaches",
    "whole-second-timestamps": "one component formats its timestamps without fractions",
    "raw-tracebacks": "an except block still prints its traceback to the terminal",
    "correlation-lost-on-error": "the context is cleared before the error is logged",
    "key-in-error-log": "the error log of a provider call carries the request's headers",
    "read-only-may-deploy": "read-only was added to the deploy row for a demonstration and stayed",
    "bulk-bypasses-audit": "the bulk form of operations was written without the audit call",
    "token-on-command-line": "a step passes its token as an argument",
    "broken-suite-waved-through": "a suite misses its folder on the build machine, and errors do not count as failures",
    "rollback-keeps-standby": "rollback starts reviewers of the release it left, to be quicker when that comes again",
    "results-taken-for-cache": "the downgrade empties the results, which were thought to be computed again when needed",
    "retention-breaks-chain": "the retention of operational state removes the full backup that the hourly ones need",
    "dump-up-to-midnight": "the dump of preferences was written for the night and takes nothing of the present day",
    "offsite-recompressed": "older copies off-site are compressed anew, and the catalogue keeps their old hashes",
    "restore-holds-queue": "restore stops the orchestrator so that no task runs twice; a wiki says how to start it",
    "restore-stamps-rows": "restore writes through a path that dates each row with the time of the restore",
    "index-rows-shifted": "restore pairs documents with contents from two queries in different orders",
    "quarantine-after-crash": "a planner that crashed comes back held, until somebody starts the service by hand",
    "old-format-dropped": "2.3 gave up the format of 2.2, because no instance was seen to speak it",
    "validates-the-old": "the validation pins its workflows to the release that the history still calls current",
    "timer-after-work": "the timer of a task is started where it is read, when the work is over",
    "local-time": "one component writes the local time and no zone",
    "long-records-cut": "records are cut at a length that terminals show well",
    "tool-calls-without-context": "the client of the tools builds headers of its own, without the correlation id",
    "bare-error-records": "the error of an attempt is a bare event, past the step that completes error records",
    "emergency-locked-out": "when the levels were tidied up, emergency lost the right to restore",
    "audit-links-only": "the verification follows the links of the audit log and never computes a hash",
    "overload-wedges-queue": "orders at hand are counted up when they come and down only when they were taken in",
    "overload-drops-accepted": "over its limit the queue makes room by forgetting the work that waits longest",
    "leak-per-task": "an agent keeps fifty kilobytes of every task that it has done",
    "descriptor-leak": "the gateway opens its settings again for every workflow and never closes them",
    "pool-saturated-after-spike": "a permit that an overdue task held is never given back",
    "breaker-stays-open": "a breaker opens when work piles up, and closes after ten minutes where seconds were meant",
    "global-lock": "at most two tasks are leased at a time: that was written when every role had one replica",
    "work-pinned-to-first": "the second replica of a role was meant as a standby, and so is every further one",
    "n-1-below-peak": "a researcher pauses between two searches: two carry the peak with it, one does not",
    "lease-outlives-agent": "an agent keeps its tasks and its share of the work for a minute and a half after it died",
    "scale-in-drops-tasks": "scaling in kills the replica, and what it held is taken out of the queue as cancelled",
    "key-in-environment": "the provider's key is handed down in the environment of every process",
    "full-table-scan": "search was written before there was an index: it reads all documents and ranks them itself",
    "unbounded-history": "reading a workflow also collects all that its caller ever ordered, without a limit",
    "baseline-without-errors": "the team's baseline of the steady load was written down without the errors",
    "baseline-averages-only": "the team's baseline holds averages, without number, range and distribution",
    "noisy-neighbour": "a nightly job got the schedule of a test, and packs logs on all cores every few seconds",
    "warming-cache": "each search first goes through a cache, entry by entry, which is slower the more it holds",
    "tail-doubles": "one connection in thirty has been closed, and is noticed only after a second and a half",
    "slower-everywhere": "every task first waits until its start was noted elsewhere",
    "bursty-housekeeping": "knowledge checks the sums of what it holds without pause for a while, then rests",
    "cache-fills-memory": "a cache was sized by the memory limit instead of by what it is to hold",
    "no-graceful-shutdown": "an agent that is told to stop ends at once, and what it holds is struck off with it",
    "old-stopped-before-new-ready": "a deploy stops the old gateways before it starts the new ones, to save memory",
    "knowledge-on-anonymous-volume": "the volume of the documents has no name: it goes with the instance",
    "write-cache-on-instance": "state is written back once a minute from a cache that goes with the instance",
    "tool-allowlist-in-prompt": "which tools a role may use stands in its prompt and is checked nowhere else",
    "tool-misuse-unrecorded": "a tool that is refused answers 403 and writes nothing anywhere",
    "lease-role-not-bound": "the tools believe the role that stands in the request, before that of the lease",
    "task-dies-with-agent": "a task whose agent is lost stays leased to it: the sweep was written for lost workflows",
    "stale-lease-accepted": "a report is taken by the task that its lease once was for, whoever has that task by now",
    "report-repeats-effect": "the last report of a workflow makes its effect as often as it arrives",
    "duplicates-not-recognised": "an order that arrives twice is told apart by its arrival, and done twice",
    "order-assumed": "a report sent before the last that arrived is taken for an old one: it ends its task, no more",
    "poison-retried-forever": "a message that cannot be read goes back to the queue at once, and is never counted",
    "accepted-in-memory": "accepted workflows are gathered in memory and written once a second",
    "fallback-invents-answer": "without the knowledge tool the researcher goes on with a text of its own, unreviewed",
    "impatient-retries": "the client of the tools waits a quarter of a second, asks twice at once, and gives up",
    "retry-storm": "429 and 5xx are tried again at once, without a pause, three hundred times",
    "no-provider-timeout": "a call of the provider waits for an answer for an hour, and its lease is renewed meanwhile",
    "half-answer-taken": "an answer that ends early is repaired with what is there, and not reviewed for completeness",
    "review-waved-through": "the reviewer approves whatever it is given",
    "breaker-never-closes": "the breaker for the provider opens after three failures in a row and has no way back",
    "gateway-gives-up": "after five failed calls in a row the gateway takes the orchestrator for dead, until restarted",
    "index-lost-on-crash": "knowledge that was not stopped in the orderly way begins with an empty index, and is ready",
    "credential-failure-sticks": "once refused, an agent takes its credential for wrong until it is restarted",
    "dashboard-excludes-deploys": "the dashboard leaves out what ended while something was rolled out: that is planned",
    "sla-counts-tasks": "the dashboard counts tasks, of which a workflow that fails has few, and not workflows",
}
VALUED = {
    "slow-restart": "a killed process is back only after so many seconds",
    "slow-restore": "restore takes so many seconds longer",
    "backup-age": "the newest incremental backup is so many seconds old",
    "full-backup-age": "the newest full backup is so many seconds old",
    "junit-age": "the test report is so many seconds old",
    "clock-skew-logs": "the clock of one component is wrong by so many seconds",
    "task-count-error": "the task counter is off by so many percent",
    "slow-rollback": "rollback takes so many seconds longer",
    "tool-event-delay": "the record of a refused tool is written so many seconds late",
}
ALL = SWITCHED | VALUED
"""Name of every defect and what a tired engineer did."""


class Defects:
    """The defects that are switched on in one deployment."""

    def __init__(self, enabled: Mapping[str, str] | None = None) -> None:
        self._enabled = dict(enabled or {})

    def on(self, name: str) -> bool:
        """Tells whether a defect is switched on; a name that nobody registered is a programming error."""
        if name not in ALL:
            raise KeyError(name)
        return name in self._enabled

    def value(self, name: str, default: float = 0.0) -> float:
        """Returns the value of a defect, or the default when it is off."""
        if name not in VALUED:
            raise KeyError(name)
        return float(self._enabled[name]) if name in self._enabled else default

    def as_mapping(self) -> dict[str, str]:
        """Returns name -> value, with an empty value for those that take none."""
        return dict(self._enabled)

    @classmethod
    def parse(cls, given: Iterable[str]) -> Defects:
        """Reads `NAME` and `NAME=VALUE`; raises WrongUsageError with one line for anything else."""
        enabled: dict[str, str] = {}
        for item in given:
            name, _, value = item.partition("=")
            if name not in ALL:
                raise unknown("defect", name, ALL)
            if (name in VALUED) != bool(value):
                form = f"{name}=NUMBER" if name in VALUED else name
                raise WrongUsageError(f"defect {item!r}: write {form} ({ALL[name]})")
            try:
                float(value or 0)
            except ValueError:
                raise WrongUsageError(f"defect {item!r}: {value!r} is not a number") from None
            enabled[name] = value
        return cls(enabled)
