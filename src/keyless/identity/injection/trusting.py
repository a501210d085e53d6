"""Whether the role of a pod would refuse it: told as a warning when the pod is made, not by its first call.

The trust policy is read beside the requests and kept for a moment; a review waits for it only the first time, and not
long: a warning is worth less than a pod. Whatever cannot be read warns of nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from keyless.api import Arn, KeylessError
from keyless.aws import AWS_FAILURES, AwsError
from keyless.policy import MalformedPolicy, Named, Outcome, Policies, Principal, Request, evaluate, parse

FRESH_SECONDS, FIRST_SECONDS = 30.0, 0.5
_MOST = 1024
_ABSENT = ("NoSuchEntity", "NoSuchEntityException")
_ACTION = "sts:AssumeRoleWithWebIdentity"

Call = Callable[..., Awaitable[dict[str, Any]]]
Read = tuple[float, Named | str]
"""When a role was read, and its trust policy, or what is wrong with it; empty: nobody can tell."""


class Trusts:
    """``call`` asks AWS as the webhook itself (``iam:GetRole``); ``host_path``: the issuer, as IAM's keys write it."""

    def __init__(self, call: Call, host_path: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self._call, self._host_path, self._now = call, host_path, now
        self._read: dict[str, Read] = {}
        self._flights: dict[str, asyncio.Task[None]] = {}

    async def warning(self, role: str, subject: str, audience: str) -> str:
        """Say why the role would refuse a token of ``subject`` for ``audience``; empty where it would not."""
        found = self._read.get(role)
        if found is None or found[0] + FRESH_SECONDS <= self._now():
            flight = self._flights.get(role) or self._begin(role)
            if found is None:
                await asyncio.wait({flight}, timeout=FIRST_SECONDS)
                found = self._read.get(role)
        return "" if found is None else self._judged(found[1], role, subject, audience)

    def _begin(self, role: str) -> asyncio.Task[None]:
        flight = self._flights[role] = asyncio.create_task(self._look(role))
        flight.add_done_callback(lambda _: self._flights.pop(role, None))
        return flight

    async def _look(self, role: str) -> None:
        try:
            name = Arn.parse(role).resource.rpartition("/")[2]
            found = (await self._call("iam", "GetRole", RoleName=name))["Role"]
            read: Named | str = Named("its trust policy", parse(found["AssumeRolePolicyDocument"], "trust"))
            read = read if found["Arn"] == role else f"there is no such role (there is {found['Arn']})"
        except AWS_FAILURES as error:
            read = _said(error)
        except (KeylessError, MalformedPolicy, ValueError, KeyError, TypeError):
            read = ""
        if len(self._read) >= _MOST:
            self._read.clear()
        self._read[role] = (self._now(), read)

    def _judged(self, read: Named | str, role: str, subject: str, audience: str) -> str:
        if isinstance(read, str):
            return f"{role}: {read}" if read else ""
        arn = Arn.parse(role)
        provider = f"arn:{arn.partition}:iam::{arn.account}:oidc-provider/{self._host_path}"
        keys = {f"{self._host_path}:sub": subject, f"{self._host_path}:aud": audience}
        asks = Principal("WebIdentity", arn.account, federated=provider)
        decision = evaluate(Request(_ACTION, role, asks, keys), Policies(resource=read))
        if decision.outcome in (Outcome.ALLOWED, Outcome.UNKNOWN):
            return ""
        by = decision.decided_by
        why = f"{by.label} denies it" if by else f"no statement admits it from {provider}"
        return f"{role} would refuse {subject} with audience {audience} now: {why}; STS will say AccessDenied"


def _said(error: AwsError) -> str:
    return "there is no such role" if error.code in _ABSENT else ""
