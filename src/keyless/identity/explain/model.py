"""The question, the evidence it is answered by, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from keyless.identity.verify import Facts, Link
from keyless.identity.verify.behind import KeyUse, Unseen
from keyless.identity.verify.model import Missing
from keyless.policy import ContextValue, Decision, Source


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
class Evidence:
    """Everything an answer rests on. ``resource_policy``: ``None`` where the resource has none; ``key``: no key.

    ``missing``: the resource, where it is certainly not there. ``deleted``: when a secret goes whose deletion somebody
    scheduled, and which is not read until then.
    """

    question: Question
    chain: Facts
    resource_policy: Source | None
    key: KeyUse | Unseen | None = None
    missing: Missing | None = None
    deleted: str = ""


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
