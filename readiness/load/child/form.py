"""Wrong input in Locust's web form is told in the form, in the line that the command line would say."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from flask import jsonify, request
from locust.env import Environment

from readiness.errors import ReadinessError


def check_form(environment: Environment, check: Callable[[argparse.Namespace], object]) -> None:
    """Let a run that is started in the web page begin only if `check` takes its options."""
    web_ui: Any = environment.web_ui
    if web_ui is None:
        return

    def refused() -> Any:
        if request.method != "POST" or not request.path.endswith("/swarm"):
            return None
        given = {**vars(environment.parsed_options or argparse.Namespace()), **request.form.to_dict()}
        try:
            check(argparse.Namespace(**given))
        except ReadinessError as error:
            return jsonify({"success": False, "message": str(error), "host": environment.host})
        return None

    web_ui.app.before_request(refused)
