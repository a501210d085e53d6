"""A principal that is no more: IAM keeps a role's unique id in a policy, and a role made again has another. Pure.

The policy then shows the id of the old one (``AROA…``; a user's: ``AIDA…``) where the ARN stood, and means nobody.
AWS takes no policy back that names such an id, so whatever is written from it leaves them out or has another in their
place (facts/identity.md#principals).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from keyless.policy.amend import Written, statements

_UNIQUE_ID = re.compile(r"(?:AROA|AIDA)[A-Z0-9]{12,124}", re.ASCII)
_ELEMENTS = ("Principal", "NotPrincipal")


def stale_principals(document: Written | None) -> tuple[str, ...]:
    """The unique ids that stand where an ARN stood, in their order."""
    return tuple(dict.fromkeys(_ids(document))) if document else ()


def told(document: Written | None, name: str) -> str:
    """A sentence about the ids that the policy of this name keeps; empty where it keeps none."""
    ids = ", ".join(stale_principals(document))
    return f"the {name} names {ids}, what IAM keeps of a principal that was deleted: it means nobody" if ids else ""


def living(document: Written) -> Written | None:
    """The document without such ids, which says the same; ``None`` where an element would be left without any."""
    kept = [_living(one) for one in statements(document)]
    if any(one is None for one in kept):
        return None
    return {**document, "Statement": [one for one in kept if one]} if stale_principals(document) else document


def renewal(document: Written | None, arn: str) -> Written | None:
    """The document with ``arn`` in the place of the one id that it keeps, where that may have been this role's.

    ``None`` where there are several, since whose they were nobody can tell; where it was a user's; and where it was
    let do everything: an administrator's place is not filled by a guess.
    """
    ids = stale_principals(document)
    if document is None or len(ids) != 1 or not ids[0].startswith("AROA"):
        return None
    if any(_is_everything(one) for one in statements(document) if ids[0] in _of(one, "Principal")):
        return None
    return renewed(document, ids[0], arn)


def renewed(document: Written, unique_id: str, arn: str) -> Written:
    """The document with ``arn`` in place of the id, wherever it is a principal; nothing else changes."""
    return {**document, "Statement": [_renewed(one, unique_id, arn) for one in statements(document)]}


def _renewed(statement: Written, unique_id: str, arn: str) -> Written:
    changed = dict(statement)
    for element in _ELEMENTS:
        principal = statement.get(element)
        if isinstance(principal, Mapping) and "AWS" in principal:
            named = principal["AWS"]
            put: Any = [arn if each == unique_id else each for each in named] if isinstance(named, list) else named
            changed[element] = {**principal, "AWS": arn if put == unique_id else put}
    return changed


def _living(statement: Written) -> Written | None:
    """Empty where nobody is left that an Allow or Deny would be about; ``None`` where that cannot be written."""
    changed = dict(statement)
    for element in _ELEMENTS:
        named = _of(statement, element)
        if not any(_UNIQUE_ID.fullmatch(each) for each in named):
            continue
        rest = [each for each in named if not _UNIQUE_ID.fullmatch(each)]
        others = {kind: value for kind, value in statement[element].items() if kind != "AWS"}
        if not rest and not others:
            # "Everybody but nobody" is everybody: that is another text, and nobody asked for it.
            return {} if element == "Principal" else None
        changed[element] = {**others, "AWS": rest} if rest else others
    return changed


def _is_everything(statement: Written) -> bool:
    actions = statement.get("Action", "*")
    listed = actions if isinstance(actions, list) else [actions]
    return any(str(action) == "*" or str(action).endswith(":*") for action in listed)


def _ids(document: Written) -> Iterator[str]:
    for statement in statements(document):
        for element in _ELEMENTS:
            yield from (each for each in _of(statement, element) if _UNIQUE_ID.fullmatch(each))


def _of(statement: Written, element: str) -> list[str]:
    principal = statement.get(element)
    named = principal.get("AWS", []) if isinstance(principal, Mapping) else []
    return [str(each) for each in named] if isinstance(named, list) else [str(named)]
