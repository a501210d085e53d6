"""Short ways to ask the engine: the caller of most tests is one role session of account 111122223333."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from keyless.policy import Decision, Document, Kind, Named, Policies, Principal, Request, evaluate, parse

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/team/billing"
SESSION = Principal(
    "AssumedRole",
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:assumed-role/billing/pod",
    role_arn=ROLE,
    unique_id="AROAEXAMPLEEXAMPLE123:pod",
)
USER = Principal("User", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/ann", unique_id="AIDAEXAMPLEEXAMPLE123")
ROOT = Principal("Root", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")
ANYONE = Principal("Anonymous")
OTHER = Principal(
    "AssumedRole",
    "444455556666",
    "arn:aws:sts::444455556666:assumed-role/other/pod",
    role_arn="arn:aws:iam::444455556666:role/other",
    unique_id="AROAOTHEROTHEROTHER12:pod",
)
HOST = "127.0.0.1/clusters/keyless"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"
TOKEN = Principal("WebIdentity", ACCOUNT, federated=PROVIDER)
POD_IDENTITY = Principal("Service", service="pods.eks.amazonaws.com")
BUCKET = "arn:aws:s3:::bucket"
OBJECT = f"{BUCKET}/key"


def document(*statements: Mapping[str, Any], kind: Kind = "identity", version: str = "2012-10-17") -> Document:
    return parse(json.dumps({"Version": version, "Statement": list(statements)}), kind)


def statement(effect: str = "Allow", action: Any = "s3:*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    made = {"Effect": effect, "Action": action, "Resource": resource, **more}
    return {name: value for name, value in made.items() if value is not ...}


def named(*statements: Mapping[str, Any], kind: Kind = "identity", version: str = "2012-10-17") -> Named:
    return Named(f"the {kind} policy", document(*statements, kind=kind, version=version))


def ask(
    policies: Policies | Sequence[Mapping[str, Any]],
    *,
    action: str = "s3:PutObject",
    resource: str = OBJECT,
    principal: Principal = SESSION,
    context: Mapping[str, Any] | None = None,
) -> Decision:
    if not isinstance(policies, Policies):
        policies = Policies(identity=(named(*policies),))
    return evaluate(Request(action, resource, principal, context or {}), policies)


def under(condition: Mapping[str, Any], context: Mapping[str, Any], *, version: str = "2012-10-17") -> bool:
    """Whether a condition holds; checked as an Allow and as a Deny, since a wrong rule often shows only in one."""
    allow = statement(Condition=condition)
    deny = statement("Deny", Condition=condition)
    allowed = ask(Policies(identity=(named(allow, version=version),)), context=context)
    denied = ask(Policies(identity=(named(statement(), deny, version=version),)), context=context)
    assert allowed.allowed is not denied.allowed
    assert allowed.allowed or allowed.outcome == "ImplicitDeny"
    assert denied.allowed or denied.outcome == "ExplicitDeny"
    return allowed.allowed
