"""The values that go into a decision and come out of it.

Nothing here decides; see :mod:`keyless.policy.evaluate`. Facts: facts/identity.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from keyless.policy.statements import Document

Kind = Literal["identity", "trust", "resource", "session", "boundary", "scp", "rcp", "endpoint"]
PrincipalKind = Literal["AssumedRole", "User", "FederatedUser", "Root", "WebIdentity", "Service", "Anonymous"]
ContextValue = str | tuple[str, ...]
"""A context key's value: ``str`` for a single-valued key, a tuple for a multi-valued one (``aws:TagKeys``)."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. Fill what the kind has; the rest stays empty.

    ``arn``: the session's ARN (AssumedRole, FederatedUser), the user's or the root's. ``role_arn``: the role behind a
    session, with its path; for a FederatedUser (GetFederationToken) the user behind it. ``unique_id``:
    ``AROA…:session`` or ``AIDA…`` (becomes aws:userid). ``federated``: the ARN of the OIDC or SAML provider
    (WebIdentity), whose account is ``account``. ``service``: ``pods.eks.amazonaws.com`` and the like.
    ``canonical_id``: the account's canonical user id, as bucket policies may name it.
    """

    kind: PrincipalKind
    account: str = ""
    arn: str = ""
    role_arn: str = ""
    unique_id: str = ""
    federated: str = ""
    service: str = ""
    canonical_id: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One question: may ``principal`` do ``action`` ("s3:PutObject") on ``resource`` (an ARN, or "*")?

    ``context`` keys are case-insensitive and win over the keys that follow from the principal (aws:PrincipalArn,
    aws:PrincipalAccount, aws:PrincipalType, aws:userid, aws:username) and the resource (aws:ResourceAccount).
    ``resource_account`` is needed only where the ARN does not carry the account (S3) and it is not the caller's.
    """

    action: str
    resource: str
    principal: Principal
    context: Mapping[str, ContextValue] = field(default_factory=dict)
    resource_account: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """A document and the name that traces and messages call it by ("inline policy billing", an ARN)."""

    name: str
    document: Document


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A document that exists but could not be read, and ``why`` ("lacks iam:GetRolePolicy")."""

    name: str
    why: str
    document: ClassVar[None] = None


Source = Named | Unreadable


@dataclass(frozen=True, slots=True)
class Policies:
    """Every document that bears on a request. Build it once for a caller and decide many times.

    ``identity`` and ``session`` are unions; ``boundary`` and ``resource`` single; ``scps`` and ``rcps`` are levels
    (root, unit, account), each a union that must allow. Empty or ``None`` means: there is none of that kind.
    ``resource`` is the role's trust policy for ``sts:AssumeRole*``; ``endpoint`` the policy of the VPC endpoint that
    the request comes through. What does not bear on the caller is passed over: organisations' policies for
    service-linked roles, service control policies for callers that are no account's own (services, tokens, anonymous).
    """

    identity: tuple[Source, ...] = ()
    resource: Source | None = None
    boundary: Source | None = None
    session: tuple[Source, ...] = ()
    scps: tuple[tuple[Source, ...], ...] = ()
    rcps: tuple[tuple[Source, ...], ...] = ()
    endpoint: Source | None = None


class Outcome(StrEnum):
    """What a decision can be."""

    ALLOWED = "Allowed"
    EXPLICIT_DENY = "ExplicitDeny"
    IMPLICIT_DENY = "ImplicitDeny"
    UNKNOWN = "Unknown"


class Layer(StrEnum):
    """The kind of policy that decided, in AWS's words (its AccessDenied texts use them)."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    TRUST = "role trust policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    SCP = "service control policy"
    RCP = "resource control policy"
    ENDPOINT = "VPC endpoint policy"


@dataclass(frozen=True, slots=True)
class ConditionTrace:
    """One operator on one key: what the policy wants, what the request has (``None``: key absent), and the result."""

    operator: str
    key: str
    expected: tuple[str, ...]
    actual: ContextValue | None
    holds: bool


def statement_label(index: int, sid: str, document: str) -> str:
    """``statement 0 (AllowWrites) of inline policy billing``."""
    return f"statement {index}{f' ({sid})' if sid else ''} of {document}"


@dataclass(frozen=True, slots=True)
class StatementTrace:
    """How one statement met the request. A statement applies when all four parts match."""

    layer: Layer
    document: str
    index: int
    sid: str
    effect: str
    action: bool
    resource: bool
    principal: bool
    conditions: tuple[ConditionTrace, ...] = ()

    @property
    def applies(self) -> bool:
        """Whether the statement's effect counts for this request."""
        return self.action and self.resource and self.principal and all(c.holds for c in self.conditions)

    @property
    def label(self) -> str:
        """``statement 0 (AllowWrites) of inline policy billing``."""
        return statement_label(self.index, self.sid, self.document)
