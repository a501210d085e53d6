"""Apply a plan, step by step; stop at the first that AWS refuses. Planning again gives the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from keyless.aws import AWS_FAILURES, AwsError, AwsTransient
from keyless.identity.grants.documents import same
from keyless.identity.grants.model import Plan, Step
from keyless.identity.grants.refusals import Caller, Explaining

# IAM shows a new role to others within seconds; 1+2+4+8+15+15 s is three times its usual worst.
_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 15.0)
_UNSEEN = ("does not exist", "Trust policy of the role provided is invalid")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many steps were done; ``stopped`` says why not all, and what to do, else it is empty.

    ``passes``: what stopped it passes by itself, such as throttling; nobody has to do anything.
    """

    done: int
    stopped: str = ""
    passes: bool = False


async def apply(
    plan: Plan, aws: Caller, *, pause: Callable[[float], Awaitable[None]], tell: Callable[[Step], None]
) -> Outcome:
    """Do the steps in their order; ``tell`` is called after each."""
    aws = Explaining(aws, plan.operator)
    for done, step in enumerate(plan.steps):
        try:
            if not await _is_as_planned(step, aws):
                return Outcome(done, f"{step.says}: somebody changed it since the plan was made; plan again")
            await _patiently(step, aws, pause)
        except AWS_FAILURES as error:
            words = f"{step.says}: {error}; apply again to go on from here"
            return Outcome(done, words, isinstance(error, AwsTransient))
        tell(step)
    return Outcome(len(plan.steps))


async def _is_as_planned(step: Step, aws: Caller) -> bool:
    """IAM replaces whole documents and knows no versions of them: a person's edit would be lost."""
    if step.guard is None:
        return True
    found: Any = await aws.call("iam", step.guard.operation, **step.guard.params)
    for key in step.guard.path:
        found = found[key]
    return same(found, step.guard.found)


async def _patiently(step: Step, aws: Caller, pause: Callable[[float], Awaitable[None]]) -> None:
    for seconds in _PAUSES:
        try:
            await aws.call(step.service, step.operation, **step.params)
        except AWS_FAILURES as error:
            if not _may_pass(step, error):
                raise
            await pause(seconds)
        else:
            return
    await aws.call(step.service, step.operation, **step.params)


def _may_pass(step: Step, error: AwsError) -> bool:
    """Throttling, and a role that was made a moment ago and is not seen everywhere yet."""
    unseen = step.operation == "CreatePodIdentityAssociation" and any(words in error.message for words in _UNSEEN)
    return isinstance(error, AwsTransient) or unseen
