"""Spoils HTTP messages on the links between services: `python -m readiness.httpfaults` serves, `client` uses it.

The server imports nothing of the rest of the package, so that it runs beside any deployment.
"""
