"""The link of scopes: what may be asked of the role, and whether the role could do more than that. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from keyless.identity.verify.model import Bounds, Facts, Link, Role, State
from keyless.policy import Document, Named, admits_all, parse
from keyless.policy.statements import Actions, Resources, Statement

_EXPECTED = "each namespace reads the keys of its scopes"


def scopes_hold(facts: Facts) -> Link | None:
    """The scopes of this control plane; a role that may read more is told of, for scopes are not the only way to it."""
    bounds = facts.bounds
    if bounds is None:
        return None
    if not bounds.scoped:
        found = "none: whom a shared store selects may ask for any key that the role may read"
        return Link("scopes", State.HELD, _EXPECTED, found)
    found = "; ".join(bounds.rows) or "none is for this control plane: no key is read"
    return Link("scopes", State.HELD, _EXPECTED, found, notes=tuple(_wider(facts.role, bounds)))


def _wider(role: object, bounds: Bounds) -> Iterator[str]:
    if not isinstance(role, Role):
        return
    statement = {"Effect": "Allow", "Action": list(bounds.actions), "Resource": list(bounds.resources)}
    admitted = parse({"Version": "2012-10-17", "Statement": [statement]}, "identity") if bounds.resources else None
    for source in role.identity:
        if not isinstance(source, Named):
            continue
        wide = [action for action in bounds.actions if _reads_more(source.document, action, admitted)]
        if wide:
            yield f"{source.name} allows {', '.join(wide)} on more than the scopes admit; scopes bound Keyless alone"


def _reads_more(document: Document, action: str, admitted: Document | None) -> bool:
    """Whether an Allow lets ``action`` reach what no scope admits; not proven to be within counts as more."""
    named = Actions.of((action.lower(),), negated=False)
    allows = [
        replace(statement, actions=named)
        for statement in document.statements
        if not statement.deny and statement.actions.match(action.lower())
    ]
    return any(
        admitted is None or not admits_all(admitted, replace(document, statements=(own,)))
        for statement in allows
        if (own := _on(statement, action.partition(":")[0])) is not None
    )


def _on(statement: Statement, service: str) -> Statement | None:
    """The statement on the resources of one service: it may name others beside, which the action is not about."""
    resources = statement.resources
    if resources is None or resources.negated:
        return statement
    own = tuple(each for each in resources.patterns if each.text == "*" or each.text.split(":")[2] in (service, "*"))
    return replace(statement, resources=Resources.of(own, negated=False)) if own else None
