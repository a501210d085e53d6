"""What reading shared secrets needs in AWS: the guide's three actions and nothing more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

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


def shared_resources(
    stores: Iterable[Mapping[str, Any]], secrets: Iterable[Mapping[str, Any]], *, account: str, partition: str = "aws"
) -> tuple[str, ...]:
    """The ARN patterns of what a group's SharedExternalSecrets read through its SharedSecretStores.

    A secret's ARN ends in six characters that AWS chose; they are written as ``??????``.
    """
    by_name = {s["spec"].get("secretStoreName") or s["metadata"]["name"]: s["spec"]["provider"] for s in stores}
    found = set()
    for secret in secrets:
        for store, key in _references(secret["spec"].get("externalSecretSpec") or {}):
            aws = (by_name.get(store) or {}).get("aws")
            if aws and key:
                found.add(_arn(aws, key, account, partition))
    return tuple(sorted(found))


def arns_within(prefix: str, partition: str, account: str) -> tuple[str, ...]:
    """Return the ARN patterns of what a scope's prefix admits, in every region."""
    if prefix.startswith("arn:"):
        return (f"{prefix}*",) if prefix.endswith("/") else (prefix, f"{prefix}-??????", f"{prefix}/*")
    bare = prefix.removeprefix("/")
    secret, parameter = (f"arn:{partition}:{service}:*:{account}:" for service in ("secretsmanager", "ssm"))
    if bare == "*" or bare.endswith("/"):
        below = bare.rstrip("*")
        return f"{secret}secret:{below}*", f"{parameter}parameter/{below}*"
    whole = (f"{secret}secret:{bare}-??????", f"{parameter}parameter/{bare}")
    return (*whole, f"{secret}secret:{bare}/*", f"{parameter}parameter/{bare}/*")


def _references(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    default = (spec.get("secretStoreRef") or {}).get("name", "")
    for item in (*(spec.get("data") or ()), *(spec.get("dataFrom") or ())):
        store = ((item.get("sourceRef") or {}).get("storeRef") or {}).get("name") or default
        reference = item.get("remoteRef") or item.get("extract") or {}
        yield store, str(reference.get("key") or "")


def _arn(aws: Mapping[str, Any], key: str, account: str, partition: str) -> str:
    name = f"{aws.get('prefix', '')}{key}"
    if name.startswith("arn:"):
        return name
    place = f"{aws.get('region', '')}:{account}"
    if aws.get("service") == "ParameterStore":
        return f"arn:{partition}:ssm:{place}:parameter/{name.partition(':')[0].removeprefix('/')}"
    return f"arn:{partition}:secretsmanager:{place}:secret:{name}-??????"
