"""Amend a policy document from what is there, and prove that nothing else changes. Pure.

A document is read, changed in one place and written back whole, since IAM replaces whole documents. What is written
back must be shown to be harmless first: :func:`proven` is that proof, by the engine that decides.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from keyless.policy.coverage import admits_all
from keyless.policy.errors import MalformedPolicy
from keyless.policy.grammar import VERSIONS
from keyless.policy.model import Kind
from keyless.policy.parse import parse

Written = Mapping[str, Any]
"""A policy document, or a statement of one, as JSON has it."""


def statements(document: Written) -> list[Written]:
    """The statements of a document, of which one alone may stand without a list."""
    listed = document.get("Statement", ())
    return [listed] if isinstance(listed, Mapping) else list(listed)


def with_statement(document: Written | None, statement: Written) -> Written:
    """The document with one statement more at its end; a new document where there is none."""
    if document is None:
        return {"Version": VERSIONS[1], "Statement": [statement]}
    return {**document, "Statement": [*statements(document), statement]}


def replacing(document: Written, index: int, statement: Written) -> Written:
    """The document with another statement at a place; the rest, and its order, stays."""
    listed = statements(document)
    return {**document, "Statement": [*listed[:index], statement, *listed[index + 1 :]]}


def proven(before: Written | None, after: Written, added: Sequence[Written], kind: Kind) -> bool:
    """True when it is proven that ``after`` allows what ``before`` allowed and ``added`` allows, and nothing else.

    Every Deny stays, and none comes. False means: not proven. ``added`` are Allow statements.
    """
    least = before
    for statement in added:
        least = with_statement(least, statement)
    if least is None:
        return False
    try:
        new, most = parse(after, kind), parse(least, kind)
    except MalformedPolicy:
        return False
    return admits_all(new, most) and admits_all(most, new)


def compact(document: Written) -> str:
    """JSON as a command carries it."""
    return json.dumps(document, separators=(",", ":"))


def difference(before: Written | None, after: Written) -> tuple[str, ...]:
    """Lines as ``diff`` writes them, without its head: what a document loses (-) and what it gains (+)."""
    old = json.dumps(before, indent=1).splitlines() if before is not None else []
    lines = difflib.unified_diff(old, json.dumps(after, indent=1).splitlines(), n=2, lineterm="")
    return tuple(line for line in lines if not line.startswith(("---", "+++")))
