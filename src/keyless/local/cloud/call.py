"""What an operation is given: the caller, the parameters, and the question "may they?".

An operation is a plain function ``(call) -> mapping`` (or a coroutine of one); it never sees a signature or a protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from keyless.local.cloud.sessions import Session
from keyless.local.cloud.wire.http import HttpRequest
from keyless.policy import ContextValue, Decision

Wire = Mapping[str, Any]
"""Parameters or a result, named and typed as boto3 has them (datetimes are aware, blobs bytes)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed the request, proven; or nobody (``Anonymous``)."""

    kind: Literal["User", "FederatedUser", "Role", "Root", "Anonymous"]
    account: str = ""
    arn: str = ""
    user_id: str = ""
    name: str = ""  # of the user (a federated one: the user who answers for it) or the role
    access_key_id: str = ""
    session: Session | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


ANONYMOUS = Caller("Anonymous")


@dataclass(frozen=True, slots=True)
class ResourcePolicy:
    """The policy of a resource: its text, and what traces call it."""

    text: str
    name: str = "resource policy"


@dataclass(frozen=True, slots=True)
class Target:
    """What an operation touches, for authorisation: one question to the policy engine."""

    resource: str = "*"
    #: empty: ``<prefix>:<operation>``
    action: str = ""
    #: the account that owns the resource, where its ARN does not say (S3)
    account: str = ""
    #: condition keys of the service, such as ``s3:prefix`` or ``aws:ResourceTag/team``
    keys: Mapping[str, ContextValue] = field(default_factory=dict)
    policy: ResourcePolicy | None = None
    #: how AWS's AccessDenied text calls the resource; empty: its ARN
    label: str = ""


Decide = Callable[["Call", Target], Decision]


@dataclass(slots=True)
class Call:
    """One authenticated call."""

    service: str
    prefix: str
    operation: str
    params: Wire
    caller: Caller
    account: str
    region: str
    request: HttpRequest
    request_id: str
    now: float
    decide: Decide
    #: every decision made for this call; the audit line shows the last refused, else the last one
    decisions: list[Decision] = field(default_factory=list)
    #: facts for the audit line beyond the request, such as the session that was minted; no secrets
    notes: dict[str, Any] = field(default_factory=dict)
    #: set where the refusal's text must not say why (STS); called with the decision, returns an exception to raise
    denial: Callable[[Decision, Target], Exception] | None = None
    #: the services that make this call for the caller, first to last; empty when it came itself
    via: tuple[str, ...] = ()
    #: what the operation answered, for the audit line; empty until it did, and for bodies that are no structure
    answer: Wire = field(default_factory=dict)

    def allows(self, target: Target) -> bool:
        """Decide without raising."""
        decision = self.decide(self, target)
        self.decisions.append(decision)
        return decision.allowed

    def authorise(self, target: Target) -> None:
        """Raise the service's AccessDenied unless the caller may."""
        if not self.allows(target):
            assert self.denial is not None
            raise self.denial(self.decisions[-1], target)

    def arn(self, resource: str, *, service: str = "", region: str | None = None) -> str:
        """An ARN in this call's account and region."""
        place = self.region if region is None else region
        return f"arn:aws:{service or self.service}:{place}:{self.account}:{resource}"
