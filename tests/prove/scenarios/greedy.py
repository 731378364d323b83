"""Users who send as fast as they are answered: what a stock load test looks like, and what it cannot measure."""

from __future__ import annotations

from locust import HttpUser, task


class Greedy(HttpUser):
    """Asks again at once, whatever came back."""

    @task
    def ask(self) -> None:
        """Asks for the cheapest answer there is."""
        self.client.get("/healthz")
