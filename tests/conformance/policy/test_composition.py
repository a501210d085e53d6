"""How the kinds of policies are put together: the whole product of facts/identity.md#order-and-composition.

``expected`` is the rules in prose turned into a few lines, without the engine; every combination of caller, account,
identity policy, resource policy, boundary, session policy and guard is asked, once about an object and once about a
key, whose policy must agree (rule 2).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from keyless.policy import Kind, Named, Outcome, Policies, Principal, Request, evaluate
from unit.policy.asking import ACCOUNT, ANYONE, OBJECT, ROOT, SESSION, USER, named, statement

LINKED_ROLE = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForEKS"
LINKED = Principal("AssumedRole", ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSServiceRoleForEKS/x", LINKED_ROLE)
FEDERATED = Principal("FederatedUser", ACCOUNT, f"arn:aws:sts::{ACCOUNT}:federated-user/guest", USER.arn)
SERVICE = Principal("Service", service="logging.s3.amazonaws.com")
CALLERS = {
    "session": SESSION,
    "user": USER,
    "federated": FEDERATED,
    "root": ROOT,
    "linked": LINKED,
    "service": SERVICE,
    "anonymous": ANYONE,
}
OWN = ("session", "user", "federated", "root", "linked")
IDENTITIES = ("silent", "allow", "deny")
RESOURCES = ("none", "silent", "account", "whole", "one", "star", "deny")
LIMITS = ("none", "silent", "allow", "deny")
ACTIONS = {"s3:PutObject": OBJECT, "kms:Decrypt": f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1"}
GUARDS = ("none", "scp silent", "scp deny", "rcp silent", "rcp deny", "endpoint silent", "endpoint deny")


@dataclass(frozen=True, slots=True)
class Case:
    """One combination. Resource: whom its policy names; ``whole`` is the role or user, ``one`` the session itself."""

    action: str
    caller: str
    across: bool
    identity: str
    resource: str
    boundary: str
    session: str
    guard: str


def expected(case: Case) -> Outcome:
    """Rule by rule."""
    kind, _, says = case.guard.partition(" ")
    linked, own = case.caller == "linked", case.caller in OWN
    bound = kind == "endpoint" or (kind == "rcp" and not linked) or (kind == "scp" and own and not linked)
    if "deny" in (case.identity, case.resource, case.boundary, case.session) or (bound and says == "deny"):
        return Outcome.EXPLICIT_DENY
    if bound and says == "silent":
        return Outcome.IMPLICIT_DENY
    return Outcome.ALLOWED if allows(case, own=own) else Outcome.IMPLICIT_DENY


def allows(case: Case, *, own: bool) -> bool:
    """Rules 2–5: nothing denies, and the guards let through."""
    if not own:  # the resource's policy alone speaks for services and for anybody
        return case.resource == "star" or (case.caller == "service" and case.resource == "one")
    named = case.resource in ("account", "whole", "one", "star")
    limited = "silent" in (case.boundary, case.session)
    by_identity = (case.identity == "allow" or case.caller == "root") and not limited
    if case.across or (case.action == "kms:Decrypt" and case.resource == "silent"):
        return named and by_identity
    if case.resource == "one" or (case.resource == "whole" and case.caller in ("user", "root")):
        return True  # the user or session itself: boundary and session policies that are silent do not matter
    if case.resource in ("whole", "star"):
        return not limited
    return by_identity


def cases(caller: str) -> Iterator[Case]:
    plain = caller in ("root", "service", "anonymous")  # they have neither boundary nor session policies
    limits = ("none",) if plain else LIMITS
    identities = IDENTITIES if caller in OWN and caller != "root" else ("silent",)
    for action, across, *rest in itertools.product(
        ACTIONS, (False, True), identities, RESOURCES, limits, limits, GUARDS
    ):
        yield Case(action, caller, across, *rest)


def told(kind: Kind, says: str, **more: Any) -> Named:
    """A document that says nothing about the request, allows it or denies it."""
    made = statement("Deny" if says == "deny" else "Allow", action="ec2:*" if says == "silent" else "*")
    return named({**made, **more}, kind=kind)


def resource_policy(caller: str, says: str) -> Named:
    who = CALLERS[caller]
    entries: dict[str, Any] = {
        "account": {"AWS": ACCOUNT},
        "whole": {"AWS": who.role_arn or who.arn or USER.arn},
        "one": {"Service": who.service} if who.service else {"AWS": who.arn or USER.arn},
    }
    return told("resource", says, Principal=entries.get(says, "*"))


PLAIN: tuple[Kind, ...] = ("identity", "boundary", "session", "scp")
GUARDING: tuple[Kind, ...] = ("rcp", "endpoint")
SAYS = ("silent", "allow", "deny")
DOCUMENTS: dict[tuple[str, str], Named] = {
    **{(kind, says): told(kind, says) for kind in PLAIN for says in SAYS},
    **{(kind, says): told(kind, says, Principal="*") for kind in GUARDING for says in SAYS},
    **{(caller, says): resource_policy(caller, says) for caller in CALLERS for says in RESOURCES},
}


def levels(case: Case, kind: str) -> tuple[tuple[Named, ...], ...]:
    """The root's level allows everything; the account's says nothing, or denies beside an Allow."""
    guard, _, says = case.guard.partition(" ")
    if guard != kind:
        return ()
    full, one = DOCUMENTS[kind, "allow"], DOCUMENTS[kind, says]
    return ((full,), (full, one) if says == "deny" else (one,))


def policies(case: Case) -> Policies:
    guard, _, says = case.guard.partition(" ")
    return Policies(
        identity=(DOCUMENTS["identity", case.identity],),
        resource=None if case.resource == "none" else DOCUMENTS[case.caller, case.resource],
        boundary=DOCUMENTS.get(("boundary", case.boundary)),
        session=() if case.session == "none" else (DOCUMENTS["session", case.session],),
        scps=levels(case, "scp"),
        rcps=levels(case, "rcp"),
        endpoint=DOCUMENTS["endpoint", says] if guard == "endpoint" else None,
    )


def outcome(case: Case) -> Outcome:
    account = "444455556666" if case.across else ACCOUNT
    request = Request(case.action, ACTIONS[case.action], CALLERS[case.caller], resource_account=account)
    return evaluate(request, policies(case)).outcome


@pytest.mark.parametrize("caller", CALLERS)
def test_all_kinds_of_policies_together(caller: str) -> None:
    wrong = [case for case in cases(caller) if outcome(case) is not expected(case)]
    assert wrong == []


def test_the_product_is_whole() -> None:
    every = [case for caller in CALLERS for case in cases(caller)]
    assert len(every) == 2 * (4 * 2 * 3 * 7 * 4 * 4 * 7 + 3 * 2 * 7 * 7)
    outcomes = [expected(case) for case in every]
    assert all(outcomes.count(one) > 500 for one in (Outcome.ALLOWED, Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY))
