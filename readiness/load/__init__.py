"""Load whose numbers are true: an open model on Locust, files between measuring and judging, verdicts with intervals.

`plan` says what is sent, `runner` lets a Locust child send it, `child` is that child's side (the only place that
imports Locust), `samples` is what lies between the two, `results` reads it, `validity` and `verdict` judge it.
"""
