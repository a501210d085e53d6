"""Resource policies of secrets: their form, and whether they let everybody in. Pure.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_resource-policies.html
"""

from __future__ import annotations

import json
from typing import Any

from keyless.local.cloud.errors import AwsError
from keyless.policy import MalformedPolicy, parse_to_store

#: conditions that keep "everybody" within known bounds, where they name fixed values
_BINDING = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceorgid",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "aws:username",
    }
)
_BINDING_OPERATORS = ("stringequals", "stringlike", "arnequals", "arnlike")


def checked(text: str) -> str:
    """The policy, or MalformedPolicyDocumentException."""
    try:
        parse_to_store(text, "resource")
    except MalformedPolicy as error:
        raise AwsError("MalformedPolicyDocumentException", str(error)) from None
    return text


def is_public(text: str) -> bool:
    """Whether some statement of a well-formed policy lets in everybody, whoever they are."""
    statements = json.loads(text)["Statement"]
    return any(_lets_everybody_in(one) for one in (statements if isinstance(statements, list) else [statements]))


def _lets_everybody_in(statement: dict[str, Any]) -> bool:
    if statement.get("Effect") != "Allow":
        return False
    principal = statement.get("Principal")
    named = principal.get("AWS", []) if isinstance(principal, dict) else principal
    everybody = "*" in (named if isinstance(named, list) else [named])
    if not everybody and "NotPrincipal" not in statement:
        return False
    return not any(
        operator.lower().removeprefix("foranyvalue:").startswith(_BINDING_OPERATORS)
        and key.lower() in _BINDING
        and not _open_ended(values)
        for operator, keys in (statement.get("Condition") or {}).items()
        for key, values in keys.items()
    )


def _open_ended(values: Any) -> bool:
    return any("*" in str(value) for value in (values if isinstance(values, list) else [values]))
