"""The documents that we write into others': our statements are known by their Sid, all others stay. Pure."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Sequence

from keyless.api import Permanent
from keyless.identity.grants.model import Asked, HeldRole, Mode, Way, Wish
from keyless.identity.verify.stale import living, stale_principals
from keyless.policy import MalformedPolicy, admitted, parse
from keyless.policy.amend import Written, compact, statements

AUDIENCE = "sts.amazonaws.com"
NOBODY: Written = {"Sid": "KeylessNobody", "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole*"}
"""What is left in a trust policy when its last subject goes: IAM stores no policy without a statement."""
_SIGNED = re.compile(r"(Keyless(?:Data|Key|Signing))([0-9a-f]{8})")


def sid_of(asked: Asked) -> str:
    """The Sid of our statement for one issuer, or one cluster: a role may have several."""
    whom = asked.cluster.provider_arn if asked.way is Way.IRSA else f"pods of {cluster_arn(asked)}"
    return f"Keyless{hashlib.sha256(whom.encode()).hexdigest()[:8]}"


def cluster_arn(asked: Asked) -> str:
    """The EKS cluster's ARN."""
    cluster = asked.cluster
    return f"arn:{cluster.partition}:eks:{cluster.region}:{cluster.account}:cluster/{cluster.name}"


def trust_statement(asked: Asked, subjects: Sequence[str]) -> Written:
    """Our statement: the subjects by web identity, or the service of EKS Pod Identity for this cluster."""
    if asked.way is Way.PODS:
        condition = {
            "StringEquals": {"aws:SourceAccount": asked.cluster.account},
            "ArnEquals": {"aws:SourceArn": cluster_arn(asked)},
        }
        return {
            "Sid": sid_of(asked),
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": condition,
        }
    host = asked.cluster.host_path
    equals: dict[str, object] = {f"{host}:aud": AUDIENCE}
    exact = not any("*" in subject or "?" in subject for subject in subjects)
    # Always a list: one subject more must never cost more than its own characters.
    named = {f"{host}:sub": list(subjects)}
    return {
        "Sid": sid_of(asked),
        "Effect": "Allow",
        "Principal": {"Federated": asked.cluster.provider_arn},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {**equals, **named}} if exact else {"StringEquals": equals, "StringLike": named},
    }


def own_subjects(asked: Asked, trust: Written) -> tuple[str, ...] | None:
    """The subjects of our statement; empty where there is none, ``None`` where somebody else changed it."""
    mine = [one for one in statements(trust) if one.get("Sid") == sid_of(asked)]
    if not mine:
        return ()
    condition = mine[0].get("Condition") or {}
    key = f"{asked.cluster.host_path}:sub"
    listed = [block[key] for block in condition.values() if isinstance(block, dict) and key in block]
    # IAM may give a list of one back as its only value.
    values = tuple(listed[0]) if listed and isinstance(listed[0], list) else tuple(listed)
    return values if same(trust_statement(asked, values), mine[0]) else None


def signed(statement: Written) -> Written:
    """A permission statement whose Sid ends in a digest of the rest: whatever we once wrote is known again as ours."""
    rest = {key: value for key, value in statement.items() if key != "Sid"}
    digest = hashlib.sha256(json.dumps(_plain(rest), sort_keys=True).encode()).hexdigest()[:8]
    return {**statement, "Sid": f"{statement['Sid']}{digest}"}


def signed_sids(document: Written) -> set[str]:
    """The Sids of a permission policy that look like ours; whether they are, :func:`edited` says."""
    return {str(one["Sid"]) for one in statements(document) if _SIGNED.fullmatch(str(one.get("Sid", "")))}


def edited(asked: Asked, wish: Wish, role: HeldRole) -> list[str]:
    """Sids of ours in a role whose statements are not as we wrote them: a person changed them."""
    found = []
    mine = own_subjects(asked, role.trust)
    if mine is None or not all(subject.endswith(f":{wish.service_account}") for subject in mine):
        found.append(sid_of(asked))
    nobody = [one for one in statements(role.trust) if one.get("Sid") == NOBODY["Sid"]]
    found += [str(one["Sid"]) for one in nobody if not same(one, NOBODY)]
    for one in statements(role.policies.get(wish.policy) or {}):
        told = _SIGNED.fullmatch(str(one.get("Sid", "")))
        if told and not same(signed({**one, "Sid": told[1]}), one):
            found.append(told[0])
    return found


def same(one: object, other: object) -> bool:
    """Whether two documents say the same: IAM may give a list of one back as its only value."""
    return _plain(one) == _plain(other)


def require_storable(role: str, trust: Written | None) -> None:
    """Raises ``Permanent`` where a statement of others names what was deleted: IAM would take nothing written from it.

    The command that mends it leaves those ids out, which mean nobody; whether to is for whoever wrote the statement.
    """
    ids = ", ".join(stale_principals(trust))
    if not ids or trust is None:
        return
    rest = living(trust)
    by = "remove it by hand"
    if rest and statements(rest):
        text = shlex.quote(compact(rest))
        by = f"aws iam update-assume-role-policy --role-name {role} --policy-document {text} leaves it out"
    raise Permanent(
        f"role {role}: expected a trust policy that IAM takes back, found a statement of others with {ids}, what it "
        f"keeps of a principal that was deleted and refuses in whatever is written: {by}"
    )


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return _plain(value[0]) if len(value) == 1 else [_plain(each) for each in value]
    return value


def with_own(document: Written | None, own: Iterable[Written], sids: Iterable[str]) -> Written:
    """The document with our statements in place of those with our ``sids``; the others and their order stay."""
    mine, others = set(sids), statements(document or {})
    kept = [one for one in others if one.get("Sid") not in mine]
    return {"Version": "2012-10-17", **(document or {}), "Statement": [*kept, *own]}


def admitted_by_others(asked: Asked, trust: Written, subjects: Iterable[str]) -> dict[str, str]:
    """Subjects that statements of others admit already, and by which statement: these need nothing of ours."""
    rest = {**trust, "Statement": [one for one in statements(trust) if one.get("Sid") != sid_of(asked)]}
    try:
        ways = [one for one in admitted(parse(rest, "trust")) if one.provider == asked.cluster.provider_arn]
    except MalformedPolicy:
        return {}
    certain = [one for one in ways if not one.further and not one.unless]
    found = {s: next((one.statement for one in certain if one.admits(s, AUDIENCE)), "") for s in subjects}
    return {subject: statement for subject, statement in found.items() if statement}


def subjects_of(mode: Mode, namespaces: Iterable[str], service_account: str) -> tuple[str, ...]:
    """``sub`` of the tokens to admit, or the patterns of them in the wider modes."""
    wide = {Mode.SYSTEM: ("mxp-*-system",), Mode.ANY: ("*",)}
    chosen = wide.get(mode) or tuple(sorted(set(namespaces)))
    return tuple(f"system:serviceaccount:{namespace}:{service_account}" for namespace in chosen)
