"""What AWS's refusal of a call means for whoever plans, applies or follows: who lacks what, and the statement for it.

AWS names the caller, the action and the resource in its sentence (facts/identity.md#denials). The statement is the one
of the operator's own policy that has the action, cut down to it; a Deny or a boundary is none that it would mend.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from keyless.aws import AwsPermanent
from keyless.aws.errors import Said
from keyless.policy.amend import Written, compact, statements

CODES = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
_SENTENCE = re.compile(
    r"(?:User: (?P<who>\S+) is )?not authorized to perform: (?P<action>[\w-]+:\w+)"
    # IAM names some of its resources as "role NAME".
    r"(?: on resource: (?P<resource>[^;]+?)(?=\.?(?: because | with |\Z)|\. ))?",
    re.ASCII,
)
_DENY = re.compile(r"explicit deny in an? (?P<layer>[\w -]*policy|permissions boundary)", re.ASCII)
_BOUNDARY = re.compile(r"no (?P<layer>permissions boundary|session policy|service control policy) allows", re.ASCII)


class Caller(Protocol):
    """AWS, by operation; raises what ``keyless.aws`` raises."""

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        """Call an operation by its API name."""
        ...


class Explaining:
    """A caller whose refusals end with what mends them; ``operator`` is the policy that the calls need."""

    def __init__(self, aws: Caller, operator: Written) -> None:
        self._aws, self._operator = aws, operator

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        """As the caller behind it."""
        try:
            return await self._aws.call(service, operation, **params)
        except AwsPermanent as error:
            if error.code not in CODES:
                raise
            words = f"{error.message.rstrip('.')}; {mending(error.message, f'{service}:{operation}', self._operator)}"
            raise AwsPermanent(Said(operation, error.code, words, error.request_id)) from error


def mending(message: str, called: str, operator: Written) -> str:
    """What is to be done about a refusal in AWS's words; ``called`` is the action where these name none."""
    found = _SENTENCE.search(message)
    who = (found and found["who"]) or "the caller"
    action = found["action"] if found else called
    resource = f" on {found['resource']}" if found and found["resource"] else ""
    bound = _DENY.search(message) or _BOUNDARY.search(message)
    if bound:
        does = "denies" if bound.re is _DENY else "does not allow"
        return (
            f"{who} needs {action}{resource}, and a {bound['layer']} {does} it: whoever keeps that must let it through"
        )
    statement = _statement(action, operator)
    if statement is None:
        return f"{who} needs {action}{resource}"
    return f"{who} needs {action}{resource}: add {compact(statement)} to its policy"


def _statement(action: str, operator: Written) -> Mapping[str, Any] | None:
    for one in statements(operator):
        listed = one["Action"] if isinstance(one["Action"], list) else [one["Action"]]
        if action in listed:
            return {**one, "Action": action}
    return None
