"""Who reaches a resource: the roles and users whose policies allow it, and everybody who can become one of them. Pure.

The way is walked backwards: resource, permission, role, then roles that may assume it, then whom their trust admits,
then who in Kubernetes can act as those service accounts. A role that trusts a service account can be had by every pod
that runs as it, whatever its annotation says: the pod asks for a token and takes it to STS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from keyless.identity.access.judging import account_in, becomes, judged, may
from keyless.identity.access.model import Account, Evidence, Holder, Reach, Report, StaticKey, Verdict, Way
from keyless.identity.access.rbac import hands
from keyless.identity.verify.behind import Unseen
from keyless.identity.verify.model import STS_AUDIENCE, Association
from keyless.policy import Admission, Named, Policies, Principal, Request, Unreadable, admitted, evaluate
from keyless.policy.statements import Document, Statement

ASSUME = "sts:AssumeRole"
_WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"
_PODS = "pods.eks.amazonaws.com"


def report(evidence: Evidence) -> Report:
    """The whole answer."""
    reaches = tuple(sorted(_reaches(evidence), key=_order))
    subjects = {way.subject for one in reaches for way in one.ways}
    acting = [one for one in evidence.accounts if one.subject in subjects]
    gone = {subject for subject in subjects if subject.count(":") == 3 and "*" not in subject}
    absent = [_of_subject(one) for one in sorted(gone - {one.subject for one in acting})]
    static = tuple(replace(key, certain=_is_certain(one)) for one in reaches for key in one.keys)
    return Report(
        resource=evidence.resource,
        actions=tuple(dict.fromkeys(action for action, _ in evidence.asked)),
        reaches=reaches,
        outside=tuple(dict.fromkeys(_outside(evidence))),
        hands=hands(evidence.rbac, [*acting, *absent]),
        static=(*static, *evidence.kept_keys),
        unread=(*evidence.unread, *dict.fromkeys(_not_seen(evidence, reaches))),
    )


def _of_subject(subject: str) -> Account:
    namespace, name = subject.split(":")[2:]
    return Account(namespace, name)


def _order(one: Reach) -> tuple[bool, str, str]:
    return (not one.holder.is_role, one.holder.arn, one.through)


def _is_certain(one: Reach) -> bool:
    return not one.may or any(each.verdict is not Verdict.UNKNOWN for each in one.may)


def _not_seen(evidence: Evidence, reaches: tuple[Reach, ...]) -> Iterator[str]:
    """Each document once: hundreds of roles may hang on the same one."""
    own = [one for one in evidence.policies.values() if isinstance(one, Unreadable)]
    yield from (f"{one.name}: {one.why}" for one in own)
    yield from (use.what for use in evidence.keys.values() if isinstance(use, Unseen))
    for one in reaches:
        documents = (*one.holder.identity, *((one.holder.boundary,) if one.holder.boundary else ()))
        yield from (f"{one.holder.arn}: {each.name}: {each.why}" for each in documents if isinstance(each, Unreadable))


def _reaches(evidence: Evidence) -> Iterator[Reach]:
    """Those who reach it themselves, then whoever may become one of those, at any remove; each once."""
    own = {one.arn: found for one in evidence.holders if (found := _own(evidence, one))}
    yield from own.values()
    known, near = set(own), [one for one in own.values() if one.holder.is_role]
    while near:
        role = near.pop()
        for holder in evidence.holders:
            if holder.arn in known or becomes(evidence, holder, role.holder) is Verdict.DENIED:
                continue
            known.add(holder.arn)
            found = replace(_reach(evidence, holder), may=role.may, through=role.holder.arn)
            yield found
            near += [found] if holder.is_role else []


def _own(evidence: Evidence, holder: Holder) -> Reach | None:
    if holder.arn == evidence.resource:  # a question about a role: it is what is reached
        return _reach(evidence, holder)
    allowed = may(evidence, holder)
    return replace(_reach(evidence, holder), may=allowed) if allowed else None


def _reach(evidence: Evidence, holder: Holder) -> Reach:
    if holder.trust is None:
        return Reach(holder, (), keys=evidence.user_keys.get(holder.name, ()))
    ways = tuple(sorted(_ways(evidence, holder, holder.trust), key=lambda way: (way.subject, way.how)))
    return Reach(holder, (), ways=ways, others=tuple(dict.fromkeys(_others(evidence, holder.trust))))


def _ways(evidence: Evidence, role: Holder, trust: Document) -> Iterator[Way]:
    """By token, exactly for each service account that there is; by association; and what trust admits beyond that."""
    provider = evidence.cluster.provider_arn
    for account in evidence.accounts:
        verdict, keys = _by_token(evidence, role, trust, account)
        if verdict is not Verdict.DENIED:
            yield Way(account.subject, "irsa", names_it=account.names == role.arn, hangs_on=keys)
    there = {one.subject for one in evidence.accounts}
    for admission in admitted(trust):
        if admission.provider == provider:
            yield from (Way(one, "irsa", there=False, names_it=False) for one in _open_subjects(admission, there))
    running = {(one.namespace, one.name) for one in evidence.accounts}
    for one in evidence.associations:
        if one.role_arn == role.arn and _trusts_pods(trust):
            is_there = (one.namespace, one.service_account) in running
            yield Way(_subject(one), "pod-identity", there=is_there)


def _subject(association: Association) -> str:
    return f"system:serviceaccount:{association.namespace}:{association.service_account}"


def _open_subjects(admission: Admission, there: set[str]) -> Iterator[str]:
    """Subjects that somebody may still make: those of no service account yet, and patterns."""
    if not admission.has_audience(STS_AUDIENCE):
        return
    subjects = admission.subjects or ("system:serviceaccount:*:*",)
    for one in subjects:
        if one not in there:
            yield one


def _by_token(evidence: Evidence, role: Holder, trust: Document, account: Account) -> tuple[Verdict, tuple[str, ...]]:
    cluster = evidence.cluster
    keys = {f"{cluster.host_path}:sub": account.subject, f"{cluster.host_path}:aud": STS_AUDIENCE}
    asks = Principal("WebIdentity", cluster.account, federated=cluster.provider_arn)
    request = Request(_WEB_IDENTITY, role.arn, asks, keys)
    decision = evaluate(request, Policies(resource=Named(f"trust policy of {role.name}", trust)))
    verdict, _, hangs_on = judged(decision)
    return verdict, hangs_on


def _trusts_pods(trust: Document) -> bool:
    """Conditions on the tags of a session are not asked: what EKS sends is its own to say."""
    return any(
        _is_about(one, ASSUME) and one.principals and _PODS in one.principals.services for one in trust.statements
    )


def _is_about(statement: Statement, action: str) -> bool:
    return not statement.deny and statement.actions.match(action.lower())


def _others(evidence: Evidence, trust: Document) -> Iterator[str]:
    """Whom the trust policy admits beside this cluster's service accounts."""
    for statement in trust.statements:
        entries = statement.principals
        if entries is None or statement.deny:
            continue
        under = " under conditions" if statement.conditions else ""
        if _is_about(statement, ASSUME):
            yield from (f"everybody in AWS{under}",) if entries.everyone else ()
            yield from (f"everybody but those it names{under}",) if entries.negated else ()
            yield from (f"account {one}{under}" for one in sorted(entries.accounts) if one != evidence.account)
            yield from (f"{one}{under}" for one in sorted(entries.aws) if account_in(one) != evidence.account)
            yield from (f"service {one}{under}" for one in sorted(entries.services) if one != _PODS)
        for provider in sorted(entries.federated - {evidence.cluster.provider_arn}):
            yield f"provider {provider}{under}"


def _outside(evidence: Evidence) -> Iterator[str]:
    """Whom the resource's own policy lets in from elsewhere: what their own policies say is not seen here."""
    for action, resource in evidence.asked:
        policy = evidence.policies.get(resource)
        for statement in policy.document.statements if policy and policy.document else ():
            entries = statement.principals
            if entries is None or not _is_about(statement, action):
                continue
            under = " under conditions" if statement.conditions else ""
            yield from (f"{action}: everybody{under}",) if entries.everyone else ()
            yield from (f"{action}: everybody but those it names{under}",) if entries.negated else ()
            yield from (f"{action}: account {one}{under}" for one in sorted(entries.accounts - {evidence.account}))
            yield from (f"{action}: {one}{under}" for one in sorted(entries.aws) if account_in(one) != evidence.account)
            yield from (f"{action}: service {one}{under}" for one in sorted(entries.services))


def in_use(static: tuple[StaticKey, ...]) -> bool:
    """Whether a key that is no workload identity reaches the resource."""
    return any(one.certain for one in static)
