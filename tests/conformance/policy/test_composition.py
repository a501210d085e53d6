"""How the kinds of policies are put together: the whole product of identity.md §2.1 rules 1–5.

``expected`` is the rules in prose turned into a few lines, without the engine; every combination of caller, account,
identity policy, resource policy, boundary, session policy and guard is asked.
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
GUARDS = ("none", "scp silent", "scp deny", "rcp silent", "rcp deny", "endpoint silent", "endpoint deny")


@dataclass(frozen=True, slots=True)
class Case:
    """One combination. Resource: whom its policy names; ``whole`` is the role or user, ``one`` the session itself."""

    caller: str
    across: bool
    identity: str
    resource: str
    boundary: str
    session: str
    guard: str


def expected(case: Case) -> Outcome:
    """§2.1, rule by rule."""
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
    if case.across:
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
    for across, *rest in itertools.product((False, True), identities, RESOURCES, limits, limits, GUARDS):
        yield Case(caller, across, *rest)


ELSEWHERE = {"action": "ec2:*"}


def told(says: str, kind: Kind, **more: Any) -> Named | None:
    """A document that says nothing about the request, allows it or denies it."""
    if says == "none":
        return None
    made = statement("Deny") if says == "deny" else statement(**(ELSEWHERE if says == "silent" else {}))
    return named({**made, **more}, kind=kind)


def resource_policy(caller: str, says: str) -> Named | None:
    who = CALLERS[caller]
    entries: dict[str, Any] = {
        "account": {"AWS": ACCOUNT},
        "whole": {"AWS": who.role_arn or who.arn or USER.arn},
        "one": {"Service": who.service} if who.service else {"AWS": who.arn or USER.arn},
    }
    return told(
        "allow" if says in entries else says.replace("star", "allow"), "resource", Principal=entries.get(says, "*")
    )


FULL = {"scp": named(statement(), kind="scp"), "rcp": named(statement(Principal="*"), kind="rcp")}
MADE: dict[tuple[str, str], Named | None] = {
    **{(kind, says): told(says, kind) for kind in ("identity", "boundary", "session", "scp") for says in LIMITS},  # type: ignore[arg-type] # literals
    **{(kind, says): told(says, kind, Principal="*") for kind in ("rcp", "endpoint") for says in LIMITS},  # type: ignore[arg-type] # literals
    **{(caller, says): resource_policy(caller, says) for caller in CALLERS for says in RESOURCES},
}


def policies(case: Case) -> Policies:
    def some(key: tuple[str, str]) -> tuple[Named, ...]:
        made = MADE[key]
        return (made,) if made else ()

    kind, _, says = case.guard.partition(" ")
    levels = {name: ((full,), some((name, says))) if kind == name else () for name, full in FULL.items()}
    if says == "deny":  # beside the full access that every level has
        levels = {name: tuple((FULL[name], *level) for level in both) for name, both in levels.items()}
    return Policies(
        identity=some(("identity", case.identity)),
        resource=MADE[case.caller, case.resource],
        boundary=MADE["boundary", case.boundary],
        session=some(("session", case.session)),
        scps=levels["scp"],
        rcps=levels["rcp"],
        endpoint=MADE["endpoint", says] if kind == "endpoint" else None,
    )


def outcome(case: Case) -> Outcome:
    account = "444455556666" if case.across else ACCOUNT
    return evaluate(
        Request("s3:PutObject", OBJECT, CALLERS[case.caller], resource_account=account), policies(case)
    ).outcome


@pytest.mark.parametrize("caller", CALLERS)
def test_all_kinds_of_policies_together(caller: str) -> None:
    wrong = [case for case in cases(caller) if outcome(case) is not expected(case)]
    assert wrong == []


def test_the_product_is_whole() -> None:
    every = [case for caller in CALLERS for case in cases(caller)]
    assert len(every) == 4 * 2 * 3 * 7 * 4 * 4 * 7 + 3 * 2 * 7 * 7
    outcomes = [expected(case) for case in every]
    assert all(outcomes.count(one) > 500 for one in (Outcome.ALLOWED, Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY))
