"""A principal that is no more: IAM keeps a role's unique id in a policy, and a role made again has another. Pure.

The policy then shows the id of the old one (``AROA…``) where the ARN stood, and admits nobody
(facts/identity.md#principals).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from keyless.policy.amend import Written

_UNIQUE_ID = re.compile(r"(?:AROA|AIDA)[A-Z0-9]{12,124}")


def stale_principals(document: Written | None) -> tuple[str, ...]:
    """The unique ids that stand where an ARN stood, in their order."""
    return tuple(dict.fromkeys(_ids(document))) if document else ()


def renewed(document: Written, unique_id: str, arn: str) -> Written:
    """The document with ``arn`` in place of the id, wherever it is a principal; nothing else changes."""
    statements = document.get("Statement", [])
    listed = statements if isinstance(statements, list) else [statements]
    return {**document, "Statement": [_renewed(one, unique_id, arn) for one in listed]}


def _renewed(statement: Any, unique_id: str, arn: str) -> Any:
    principal = statement.get("Principal") if isinstance(statement, Mapping) else None
    if not isinstance(principal, Mapping) or "AWS" not in principal:
        return statement
    named = principal["AWS"]
    put: Any = [arn if each == unique_id else each for each in named] if isinstance(named, list) else named
    return {**statement, "Principal": {**principal, "AWS": arn if put == unique_id else put}}


def _ids(document: Written) -> list[str]:
    statements = document.get("Statement", [])
    found = []
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal") if isinstance(statement, Mapping) else None
        named = principal.get("AWS", []) if isinstance(principal, Mapping) else []
        for each in named if isinstance(named, list) else [named]:
            if isinstance(each, str) and _UNIQUE_ID.fullmatch(each):
                found.append(each)
    return found
