"""The change of a trust policy that admits a component, computed from the policy that is there and proven. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keyless.identity.verify.federation import audience_of
from keyless.identity.verify.model import Cluster, Facts, Fix, Role
from keyless.identity.verify.stale import living, stale_principals
from keyless.policy import Document, MalformedPolicy, parse, size, web_identity_trust
from keyless.policy.amend import Written, compact, difference, proven, replacing, statements, with_statement

WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"
POD_ACTIONS = ("sts:AssumeRole", "sts:TagSession")
PODS_SERVICE = "pods.eks.amazonaws.com"
# IAM takes no more, however high the quota was raised (facts/identity.md#quotas).
_LARGEST = 8192
_LISTS = ("StringEquals", "StringLike")

Holds = Callable[[Document], bool]
"""Whether the component is admitted by a trust policy."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A whole new document, and the statement that says what it admits beyond the old one."""

    after: Written
    added: Written
    says: str


def admit_token(facts: Facts, role: Role, cluster: Cluster, holds: Holds) -> Fix | None:
    """Admit the component's token: one subject more where a statement fits, else one statement more."""
    subject, audience = facts.subject_name, audience_of(facts)
    exact = token_statement(cluster.provider_arn, [subject], audience)
    written = _kept(role)
    return _first_proven(role, written, _by_token(written, cluster, subject, exact), holds)


def admit_pods(role: Role, tags: Mapping[str, str], holds: Holds) -> Fix | None:
    """Admit EKS Pod Identity: the action or the tag's value that is missing, else one statement more."""
    actions = POD_ACTIONS if tags else POD_ACTIONS[:1]
    written = _kept(role)
    return _first_proven(role, written, _by_service(written, actions, tags), holds)


def admit_role(role: Role, arn: str, actions: Sequence[str], external_id: str, holds: Holds) -> Fix | None:
    """Admit another role, under the external id that is told: the action that is missing, else one statement more."""
    written = _kept(role)
    return _first_proven(role, written, _by_role(written, arn, actions, external_id), holds)


def token_statement(provider_arn: str, subjects: Sequence[str], audience: str) -> Written:
    """The statement that admits exactly these subjects."""
    document = json.loads(web_identity_trust(provider_arn, subjects=subjects, audience=audience))
    (found,) = statements(document)
    return found


def pods_statement(actions: Sequence[str] = POD_ACTIONS) -> dict[str, Any]:
    """The statement of the guides for EKS Pod Identity."""
    return {"Effect": "Allow", "Principal": {"Service": PODS_SERVICE}, "Action": list(actions)}


def _kept(role: Role) -> Written | None:
    """What of the trust policy can be written back: IAM takes no id of a principal that was deleted."""
    return living(role.written) if role.written else None


def _first_proven(role: Role, written: Written | None, candidates: Iterator[_Candidate], holds: Holds) -> Fix | None:
    """Nothing where no candidate is proven: a command that may harm is not printed."""
    if written is None:
        return None
    ids = ", ".join(stale_principals(role.written))
    unchanged = "; nothing else changes"
    rest = f" and leaves out {ids}, which IAM knows no more" if ids else unchanged
    for each in candidates:
        text = compact(each.after)
        # The bound on what is proven, too: the proof compares each value with each.
        if size(text) > _LARGEST:
            continue
        if _admits(each.after, holds) and proven(written, each.after, [each.added], "trust"):
            command = f"aws iam update-assume-role-policy --role-name {role.name} --policy-document {shlex.quote(text)}"
            return Fix(command, each.says.removesuffix(unchanged) + rest, difference(role.written, each.after))
    return None


def _admits(document: Written, holds: Holds) -> bool:
    try:
        return holds(parse(document, "trust"))
    except MalformedPolicy:
        return False


def _by_token(written: Written | None, cluster: Cluster, subject: str, exact: Written) -> Iterator[_Candidate]:
    key = f"{cluster.host_path}:sub"
    for index, statement in enumerate(statements(written or {})):
        if statement.get("Effect") != "Allow" or cluster.provider_arn not in listed(
            principals(statement).get("Federated")
        ):
            continue
        for changed in _with_value(statement, key, subject):
            after = replacing(written or {}, index, changed)
            yield _Candidate(after, exact, f"adds {subject} to {label(statement, index)}; nothing else changes")
    says = f"adds a statement that admits {subject} alone; nothing else changes"
    yield _Candidate(with_statement(written, exact), exact, says)


def _by_service(written: Written | None, actions: Sequence[str], tags: Mapping[str, str]) -> Iterator[_Candidate]:
    conditioned = False
    for index, statement in enumerate(statements(written or {})):
        if statement.get("Effect") != "Allow" or PODS_SERVICE not in listed(principals(statement).get("Service")):
            continue
        conditioned = conditioned or bool(statement.get("Condition"))
        names = listed(statement.get("Action"))
        missing = [action for action in actions if action.lower() not in {name.lower() for name in names}]
        if missing and "Action" in statement:
            changed, added = {**statement, "Action": [*names, *missing]}, {**statement, "Action": missing}
            says = f"adds {' and '.join(missing)} to {label(statement, index)}; nothing else changes"
            yield _Candidate(replacing(written or {}, index, changed), added, says)
        yield from _with_tags(written or {}, index, statement, tags)
    # Whoever bounds by tags wants no statement that every association satisfies.
    exact = {**pods_statement(actions), "Condition": {"StringEquals": _own(tags)}} if conditioned and tags else None
    added = exact or pods_statement(actions)
    whom = "of this service account alone" if exact else "for this role"
    says = f"adds a statement that admits EKS Pod Identity sessions {whom}; nothing else changes"
    yield _Candidate(with_statement(written, added), added, says)


def _by_role(written: Written | None, arn: str, actions: Sequence[str], external_id: str) -> Iterator[_Candidate]:
    for index, statement in enumerate(statements(written or {})):
        if statement.get("Effect") != "Allow" or arn not in listed(principals(statement).get("AWS")):
            continue
        names = listed(statement.get("Action"))
        missing = [action for action in actions if action.lower() not in {name.lower() for name in names}]
        if missing and "Action" in statement:
            changed, added = {**statement, "Action": [*names, *missing]}, {**statement, "Action": missing}
            says = f"adds {' and '.join(missing)} to {label(statement, index)}; nothing else changes"
            yield _Candidate(replacing(written or {}, index, changed), added, says)
    added = {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": list(actions)}
    if external_id:
        added["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
    says = f"adds a statement that admits {arn} alone; nothing else changes"
    yield _Candidate(with_statement(written, added), added, says)


def _with_tags(written: Written, index: int, statement: Written, tags: Mapping[str, str]) -> Iterator[_Candidate]:
    """One more namespace or service account where a statement lists them."""
    for key, value in _own(tags).items():
        more, alone = _with_value(statement, key, value), _with_value(statement, key, value, alone=True)
        for changed, added in zip(more, alone, strict=True):
            says = f"adds {value} to {key} of {label(statement, index)}; nothing else changes"
            yield _Candidate(replacing(written, index, changed), added, says)


def _own(tags: Mapping[str, str]) -> dict[str, str]:
    names = ("kubernetes-namespace", "kubernetes-service-account")
    return {f"aws:RequestTag/{name}": tags[name] for name in names if name in tags}


def _with_value(statement: Written, key: str, value: str, *, alone: bool = False) -> list[Written]:
    """The statement with a value more (or ``alone``) in each condition that lists values of ``key``."""
    conditions = statement.get("Condition")
    if not isinstance(conditions, Mapping):
        return []
    found: list[Written] = []
    for operator, tests in conditions.items():
        if operator not in _LISTS or not isinstance(tests, Mapping):
            continue
        for name, values in tests.items():
            if name.lower() == key.lower():
                wanted = value if alone else [*dict.fromkeys([*listed(values), value])]
                found.append({**statement, "Condition": {**conditions, operator: {**tests, name: wanted}}})
    return found


def principals(statement: Written) -> Mapping[str, Any]:
    """The principals of a statement by kind; empty where it names everyone by a star."""
    found = statement.get("Principal")
    return found if isinstance(found, Mapping) else {}


def listed(values: object) -> list[str]:
    """The values of an element, of which one alone may stand without a list."""
    return [values] if isinstance(values, str) else [str(each) for each in values] if isinstance(values, list) else []


def label(statement: Written, index: int) -> str:
    """How people find a statement: by its place, and its Sid where it has one."""
    sid = statement.get("Sid")
    return f"statement {index}{f' ({sid})' if sid else ''}"
