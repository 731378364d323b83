"""What a fresh deployment knows: its documents, the questions that prove them, and its configuration."""

from __future__ import annotations

from typing import NamedTuple

CONFIGURATION: dict[str, int] = {
    "rate_limit_per_s": 200,
    "rate_limit_burst": 400,
    "task_attempts": 3,
    "queue_limit": 100,
}
"""Key -> default; requests of one caller to one gateway replica, attempts of one task, and how many tasks may wait.

At the ten workflows a second that two cores do, 100 that wait are ten seconds: more is no use to a caller.
"""


class Document(NamedTuple):
    """One document of the knowledge base."""

    id: str
    title: str
    body: str


class Golden(NamedTuple):
    """A question with one right answer."""

    question: str
    expected: str
    document: str


DOCUMENTS = (
    Document("kb-incident-sev1", "Severity 1 incidents", "A severity 1 incident gets a response within 15 minutes."),
    Document("kb-incident-sev2", "Severity 2 incidents", "A severity 2 incident is resolved within 4 hours."),
    Document("kb-incident-sev3", "Severity 3 incidents", "A severity 3 incident is resolved within 24 hours."),
    Document("kb-backup-critical", "Backups of critical data", "Critical data is backed up every 60 minutes."),
    Document("kb-backup-knowledge", "Backups of knowledge bases", "A full knowledge base backup is kept every 7 days."),
    Document("kb-backup-copies", "Copies of backups", "Every backup exists in 2 failure domains."),
    Document("kb-restore", "Recovery", "A recovery into a clean environment takes at most 120 minutes."),
    Document("kb-deploy-window", "Maintenance windows", "The weekly maintenance window opens on Tuesday at 02:30 UTC."),
    Document("kb-deploy-canary", "Canary", "A canary receives 10 percent of the traffic at first."),
    Document("kb-rollback", "Rollback", "A rollback moves all traffic back within 300 seconds."),
    Document("kb-scaling", "Scaling trigger", "Agents are scaled out when utilisation exceeds 70 percent."),
    Document("kb-capacity", "Capacity reserve", "The capacity plan keeps a reserve of 35 percent."),
    Document("kb-lease", "Task leases", "A task lease expires after 5 seconds unless it is renewed."),
    Document("kb-retries", "Retry budget", "A failing task has a retry budget of 3 attempts."),
    Document("kb-alert-pager", "Paging", "An unacknowledged pager escalates after 12 minutes."),
    Document("kb-dashboard", "Dashboards", "Dashboards refresh their panels every 20 seconds."),
    Document("kb-logs", "Log retention", "Logs are retained for 30 days."),
    Document("kb-metrics", "Metric retention", "Metrics are retained for 395 days."),
    Document("kb-tokens", "Token rotation", "Access tokens are rotated every 90 days."),
    Document("kb-review", "Access review", "The access review takes place every 6 months."),
    Document("kb-vulnerability", "Vulnerabilities", "A critical vulnerability is remediated within 48 hours."),
    Document("kb-availability", "Availability objective", "The availability objective is 99.5 percent."),
)
GOLDEN = (
    Golden("How fast is the response to a severity 1 incident?", "within 15 minutes", "kb-incident-sev1"),
    Golden("How often is critical data backed up?", "every 60 minutes", "kb-backup-critical"),
    Golden("How long may a recovery into a clean environment take?", "at most 120 minutes", "kb-restore"),
    Golden("When does the weekly maintenance window open?", "Tuesday at 02:30 UTC", "kb-deploy-window"),
    Golden("How much traffic does a canary receive at first?", "10 percent of the traffic", "kb-deploy-canary"),
    Golden("Which utilisation scales the agents out?", "exceeds 70 percent", "kb-scaling"),
    Golden("When does a task lease expire?", "after 5 seconds", "kb-lease"),
    Golden("When does an unacknowledged pager escalate?", "after 12 minutes", "kb-alert-pager"),
    Golden("For how long are metrics retained?", "for 395 days", "kb-metrics"),
    Golden("How often are access tokens rotated?", "every 90 days", "kb-tokens"),
)
"""Each has its document as the first one found; a test proves it."""
