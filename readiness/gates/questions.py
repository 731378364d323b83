"""Questions whose answers are known, asked of a deployment."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from readiness.deployment import Deployment
from readiness.descriptor import Golden
from readiness.templates import field_of
from readiness.together import at_once


def telling(deployment: Deployment) -> list[Golden]:
    """Give the golden questions that do not hold their own answer: an echo would answer those."""
    return [known for known in deployment.descriptor.golden if known.expect not in known.question]


def answered(deployment: Deployment, asked: Sequence[Golden]) -> set[str]:
    """Ask each question, once more where the answer was wrong, and give those that were answered rightly."""
    right: set[str] = set()
    for _ in range(2):
        open_ = [known for known in asked if known.question not in right]
        answers = at_once([functools.partial(_is_right, deployment, known) for known in open_])
        right |= {known.question for known, is_right in zip(open_, answers, strict=True) if is_right}
    return right


def _is_right(deployment: Deployment, known: Golden) -> bool:
    answers = deployment.transact("ask", question=known.question)
    spec = deployment.descriptor.workload.ask
    name = (spec.answer if spec is not None else None) or "answer"
    found = field_of(answers[0].result, name) if answers else None
    return known.expect.casefold() in str(found).casefold()
