"""What a secret's own policy lacks for a role of another account, told whole for its owner to do. Pure.

Across accounts both sides must allow, and these credentials write neither the other account's policies nor its keys, so
this is advice and no command of ours (facts/identity.md#order-and-composition).
"""

from __future__ import annotations

import shlex

from keyless.api import Arn
from keyless.policy import Decision, Layer, Outcome, Source
from keyless.policy.amend import compact


def owners_part(decision: Decision, role_arn: str, policy: Source | None) -> str:
    """What the owner of the secret must add; empty where it is no secret of another account that lacks an Allow.

    ``policy``: the secret's own, where it has one, which a put would replace.
    """
    request, lacks = decision.request, decision.outcome is Outcome.IMPLICIT_DENY and decision.layer is Layer.RESOURCE
    if not lacks or not is_foreign_secret(request.resource, role_arn):
        return ""
    arn = Arn.parse(request.resource)
    allow = {"Effect": "Allow", "Principal": {"AWS": role_arn}, "Action": request.action, "Resource": "*"}
    where = f"--secret-id {arn} --region {arn.region}"
    if policy is None:
        document = shlex.quote(compact({"Version": "2012-10-17", "Statement": [allow]}))
        how = f"aws secretsmanager put-resource-policy {where} --resource-policy {document}"
    else:
        shown = f"aws secretsmanager get-resource-policy {where}"
        how = f"add {compact(allow)} to the policy that {shown} prints, and put it back by put-resource-policy"
    key = "its key must be a customer managed one that lets the role decrypt: AWS's own serves one account alone"
    return f"the owner of the secret, account {arn.account}, must let the role in: {how}; {key}"


def is_foreign_secret(resource: str, role_arn: str) -> bool:
    """Whether it is a secret of another account than the role's."""
    try:
        arn, role = Arn.parse(resource), Arn.parse(role_arn)
    except ValueError:
        return False
    return arn.service == "secretsmanager" and bool(arn.account) and arn.account != role.account
