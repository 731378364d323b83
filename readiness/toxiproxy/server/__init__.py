"""A small server of Toxiproxy's HTTP API, for machines without Toxiproxy: `python -m readiness.toxiproxy.server`."""
