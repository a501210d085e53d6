"""What is decided within an ARN pattern: a request is about one resource, and a statement may be about others of it.

This searches: a resource is made that both the pattern and a statement are about, and decided. What is found is
certain; that nothing is found proves nothing about NotResource, of which only the request's own resource tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from keyless.policy.arns import ArnPattern, compile_arn
from keyless.policy.context import Context
from keyless.policy.evaluate import Decision, evaluate, sources_of
from keyless.policy.globs import Parts, meeting
from keyless.policy.model import Outcome, Policies, Request
from keyless.policy.statements import Resources
from keyless.policy.variables import resolve


def denied_within(request: Request, policies: Policies, pattern: str) -> Decision | None:
    """The decision about a resource of ``pattern`` that a Deny refuses, where there is one; never raises."""
    whole = compile_arn(pattern, variables=False)
    if whole is None:
        return None
    for resource in dict.fromkeys(_named(request, policies, whole, deny=True)):
        decision = evaluate(replace(request, resource=resource), policies)
        if decision.outcome is Outcome.EXPLICIT_DENY:
            return decision
    return None


def granted_within(request: Request, policies: Policies, pattern: str) -> tuple[str, ...]:
    """Resources of ``pattern``, one for each Allow that is about a part of it: to be decided one by one.

    An Allow of a bare ``*`` is about all of it, which the request with the pattern itself decides."""
    whole = compile_arn(pattern, variables=False)
    return () if whole is None else tuple(dict.fromkeys(_named(request, policies, whole, deny=False)))


def _named(request: Request, policies: Policies, whole: ArnPattern, *, deny: bool) -> Iterator[str]:
    action, context = request.action.lower(), Context(request)
    for source in sources_of(request, policies):
        for statement in source.document.statements if source.document else ():
            if statement.deny is deny and statement.actions.match(action):
                yield from _met(statement.resources, whole, context)


def _met(resources: Resources | None, whole: ArnPattern, context: Context) -> Iterator[str]:
    if resources is None or resources.negated:
        return
    for pattern in resources.patterns:
        segments = pattern.segments
        last = resolve(segments[-1], context) if segments else None
        if last is not None and (found := _both((*segments[:-1], last), whole.segments)) is not None:
            yield found


def _both(one: tuple[Parts, ...], other: tuple[Parts, ...]) -> str | None:
    texts = [meeting(a, b) for a, b in zip(one, other, strict=False)]
    return None if None in texts else ":".join(text or "" for text in texts)
