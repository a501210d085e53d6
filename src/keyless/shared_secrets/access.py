"""What reading shared secrets needs in AWS: the guide's three actions and nothing more."""

from __future__ import annotations

from keyless.api import Access

COMPONENT = "external-secrets"
SERVICE_ACCOUNT = "external-secrets-controller"
ACTIONS = ("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", "ssm:GetParameter")


def access(resources: tuple[str, ...]) -> Access:
    """Return the access to ``resources`` (ARN patterns of secrets and parameters)."""
    return Access(
        component=COMPONENT,
        service_account=SERVICE_ACCOUNT,
        actions=ACTIONS,
        resources=resources,
        probe="secretsmanager:GetSecretValue",
    )
