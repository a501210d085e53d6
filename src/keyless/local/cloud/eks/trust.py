"""Whether a role's trust policy is fit for Pod Identity; decided by ``keyless.policy``."""

from __future__ import annotations

import orjson

from keyless.local.cloud.authorise import source
from keyless.local.cloud.iam.model import Role
from keyless.policy import Policies, Principal, Request, evaluate

SERVICE = "pods.eks.amazonaws.com"
ACTIONS = ("sts:AssumeRole", "sts:TagSession")


def trusts_pods(role: Role) -> bool:
    """Whether ``role`` lets EKS assume and tag it *under some condition*: what is asked when an association is made."""
    document = orjson.loads(role.trust)
    statements = document.get("Statement", [])
    listed = statements if isinstance(statements, list) else [statements]
    allowing = [
        {key: value for key, value in statement.items() if key != "Condition"}
        for statement in listed
        if statement.get("Effect") == "Allow"
    ]
    if not allowing:
        return False
    text = orjson.dumps({**document, "Statement": allowing}).decode()
    policies = Policies(resource=source(f"trust policy of {role.name}", text, "trust"))
    principal = Principal("Service", service=SERVICE)
    return all(evaluate(Request(action, role.arn, principal), policies).allowed for action in ACTIONS)
