"""``SharedSecretsRead`` on the ControlPlane: as whom secrets are read, or what AWS said instead.

It tells of the last real read of every ExternalSecret that uses the pod's identity: it is True while none of them
failed. As long as there was none it is Unknown, and tells whose the pod's credentials are. It is False where they
cannot be had, or are not those that the pod was given: a node's role may read a great deal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import structlog

from keyless.api import KeylessError, Reason
from keyless.aws import AWS_FAILURES
from keyless.kube import Kube, KubeObject, Name, condition_of, timestamp
from keyless.kube.resources import CONTROLPLANES
from keyless.shared_secrets.projection.identity import Given, judge

CONDITION = "SharedSecretsRead"
FIELD_MANAGER = "external-secrets"
MESSAGE_LIMIT = 1000
# An identity may be granted at any moment; STS's answer costs nothing.
RETRY_SECONDS, SETTLED_SECONDS = 10.0, 300.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Told:
    """What the condition says."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


class SharedSecretsRead:
    """Listens to syncs and keeps the condition.

    ``whoami`` returns the session's ARN; raises AWS's failures. ``recovered`` is called when it answers again after a
    failure.
    """

    def __init__(
        self,
        host: Kube,
        *,
        name: str,
        group: str,
        whoami: Callable[[], Awaitable[str]],
        given: Given,
        control_plane: Callable[[], KubeObject | None],
        now: Callable[[], datetime],
        recovered: Callable[[], None],
        pod: str = "",
    ) -> None:
        self._host, self._name, self._group, self._pod = host, name, group, pod
        self._whoami, self._given, self._control_plane, self._now = whoami, given, control_plane, now
        self._news = asyncio.Event()
        self._failed: dict[Name, tuple[str, str]] = {}
        self._read: set[Name] = set()
        self._written: Told | None = None
        self._recovered, self._nobody = recovered, False

    def read_succeeded(self, key: Name) -> None:
        """Hear that an ExternalSecret was read from its provider."""
        if self._failed.pop(key, None) or key not in self._read:
            self._read.add(key)
            self._news.set()

    def read_failed(self, key: Name, code: str, message: str) -> None:
        """Hear why one was not."""
        self._read.discard(key)
        if self._failed.get(key) != (code, message):
            self._failed[key] = (code, message)
            self._news.set()

    def forget(self, key: Name) -> None:
        """Hear that an ExternalSecret is gone, or reads with a tenant's own credentials."""
        self._read.discard(key)
        if self._failed.pop(key, None):
            self._news.set()

    async def run(self) -> None:
        """Keep the condition until cancelled."""
        while True:
            told = await self.tell()
            wait = SETTLED_SECONDS if told.status == "True" else RETRY_SECONDS
            try:
                async with asyncio.timeout(wait):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()

    async def tell(self) -> Told:
        """Say it once, if it is news."""
        told = await self._told()
        if told != self._written:
            try:
                await self._host.apply(
                    CONTROLPLANES, self._body(told), field_manager=FIELD_MANAGER, subresource="status"
                )
            except KeylessError as error:
                log.warning("condition not written", condition=CONDITION, error=str(error))
            else:
                self._written = told
        return told

    async def _told(self) -> Told:
        """The identity first: what is read, or refused, as somebody else says nothing of the pod's own."""
        try:
            arn = await self._whoami()
        except AWS_FAILURES as error:
            self._nobody = True
            return self._failure() or Told("False", error.code, str(error)[:MESSAGE_LIMIT])
        if self._nobody:
            self._nobody = False
            self._recovered()
        wrong = judge(arn, self._given)
        if wrong:
            return Told("False", wrong.reason, wrong.message[:MESSAGE_LIMIT])
        return self._failure() or self._success(arn)

    def _failure(self) -> Told | None:
        if not self._failed:
            return None
        key = min(self._failed)
        code, message = self._failed[key]
        others = f" ({len(self._failed)} ExternalSecrets fail)" if len(self._failed) > 1 else ""
        text = f"ExternalSecret {key.namespace}/{key.name}{others}: {message}"
        return Told("False", code, text[:MESSAGE_LIMIT])

    def _success(self, arn: str) -> Told:
        if self._read:
            return Told("True", Reason.SECRETS_READ, f"secrets are read as {arn}")
        return Told("Unknown", Reason.IDENTITY_PROVEN, f"no secret was read yet; the identity is {arn}")

    def _body(self, told: Told) -> KubeObject:
        status = (self._control_plane() or {}).get("status") or {}
        before = condition_of(status.get("conditions"), CONDITION)
        unchanged = before is not None and before.get("status") == told.status
        since = before["lastTransitionTime"] if before and unchanged else timestamp(self._now())
        condition = {
            "type": CONDITION,
            "status": told.status,
            "reason": told.reason,
            "message": told.message,
            "lastTransitionTime": since,
            # What the pod before this one read was read with what that one was given.
            **({"pod": self._pod} if self._pod else {}),
        }
        return {
            "metadata": {"name": self._name, "namespace": self._group},
            "status": {"conditions": [condition]},
        }
