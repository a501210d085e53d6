"""Whether a bucket policy is public, as S3's public access block judges it. Pure.

A policy is public unless every statement that allows is narrowed, by its principals or by a condition, to fixed values
of what tells accounts, networks or resources apart.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html ("The meaning of public")
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_network
from typing import Any

import orjson

#: keys that narrow where their values are fixed (no wildcard, no variable)
_NARROWING = {
    "aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce", "aws:sourceowner", "aws:sourceaccount", "aws:principalorgid",
    "aws:principalorgpaths", "aws:principalaccount", "aws:principalarn", "aws:sourceorgid", "aws:sourceorgpaths",
    "aws:userid", "s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:dataaccesspointarn",
    "s3:dataaccesspointaccount",
}  # fmt: skip
_EQUALS = {"stringequals", "stringlike", "arnequals", "arnlike", "stringequalsignorecase"}
#: a network with fewer fixed bits than this is as good as everyone
_SHORTEST_PREFIX = {4: 8, 6: 32}


@lru_cache(maxsize=256)
def is_public(text: str) -> bool:
    """Whether the policy lets everyone in; ``text`` has been parsed before (so its shape is known)."""
    statements = orjson.loads(text)["Statement"]
    return any(
        statement["Effect"] == "Allow" and _anyone(statement) and not _narrowed(statement.get("Condition") or {})
        for statement in _listed(statements)
    )


def _anyone(statement: Mapping[str, Any]) -> bool:
    if "NotPrincipal" in statement:
        return True
    principal = statement.get("Principal")
    if isinstance(principal, Mapping):
        return any(value == "*" for kind in principal.values() for value in _listed(kind))
    return principal == "*"


def _narrowed(condition: Mapping[str, Any]) -> bool:
    """Conditions all hold together: one that narrows is enough."""
    return any(
        _narrows(operator.lower(), key.lower(), [str(value) for value in _listed(values)])
        for operator, keys in condition.items()
        for key, values in keys.items()
    )


def _narrows(operator: str, key: str, values: list[str]) -> bool:
    if key == "aws:sourceip":
        return operator == "ipaddress" and all(map(_narrow_network, values))
    if key not in _NARROWING or operator.removeprefix("foranyvalue:") not in _EQUALS:
        return False
    return all(_fixed(key, value) for value in values)


def _fixed(key: str, value: str) -> bool:
    if key == "aws:userid" and value.endswith(":*"):
        value = value.removesuffix(":*")
    return not any(mark in value for mark in ("*", "?", "${"))


def _narrow_network(text: str) -> bool:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return False
    return network.prefixlen >= _SHORTEST_PREFIX[network.version]


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]
