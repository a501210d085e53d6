"""The question, the evidence it is answered by, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from keyless.identity.verify import Facts, Link
from keyless.identity.verify.model import Missing
from keyless.policy import ContextValue, Decision, Source
from keyless.policy.amend import Written


class Verdict(StrEnum):
    """What the answer can be. ``UNKNOWN``: what could not be read, or was not told, may change it."""

    ALLOWED = "Allowed"
    DENIED = "Denied"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Question:
    """May a pod of this service account do ``action`` on ``resource`` (an ARN, or "*")?

    ``context``: condition keys that only the asker knows, such as ``aws:SourceIp``; they win over what follows from
    the chain.
    """

    namespace: str
    service_account: str
    action: str
    resource: str
    context: Mapping[str, ContextValue] = field(default_factory=dict)
    doubt: str = ""
    """Why there may be no such action at all; a policy that allows everything does not make one."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """Something that bears on the answer and could not be read: ``what`` and why."""

    what: str


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What the service asks KMS for in the caller's name: ``action`` on the key ``arn``, with these condition keys.

    ``grants``: the key's, as KMS lists them. ``written``: its policy as KMS has it, where a fix starts; ``None`` where
    it was not read, or where AWS manages the key and nobody may change it.
    """

    action: str
    arn: str
    context: Mapping[str, ContextValue]
    policy: Source
    grants: tuple[Mapping[str, Any], ...] | Unseen = ()
    written: Written | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything an answer rests on. ``resource_policy``: ``None`` where the resource has none; ``key``: no key.

    ``missing``: the resource, where it is certainly not there.
    """

    question: Question
    chain: Facts
    resource_policy: Source | None
    now: float
    key: KeyUse | Unseen | None = None
    missing: Missing | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdict and everything that led to it.

    ``links``: how the service account comes to its role. ``decision``: ``None`` where there is no role to ask about.
    ``key``: the second decision, on the key behind the resource.
    ``untold``: condition keys of the call that the answer hangs on. ``unread``: policies that could not be read.
    """

    question: Question
    verdict: Verdict
    role_arn: str
    way: str
    links: tuple[Link, ...]
    decision: Decision | None = None
    untold: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    key: Decision | None = None
