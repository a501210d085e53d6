"""The permission link: what the role may do by its policies, and by those of what it reaches. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from keyless.api import Access, Arn, Reason
from keyless.identity.verify.deciding import decide
from keyless.identity.verify.demanded import values_that_meet
from keyless.identity.verify.model import Bucket, Cluster, Facts, Link, Missing, Role, State, Unread
from keyless.identity.verify.permission_fix import needed, permit
from keyless.identity.verify.pods import is_role_arn
from keyless.identity.verify.resource_fix import Holds, put_bucket_policy, renew_bucket_policy
from keyless.identity.verify.secret_fix import is_foreign_secret, owners_part
from keyless.identity.verify.stale import told
from keyless.identity.verify.trust import denied_by
from keyless.identity.verify.untold import absent_of, untold
from keyless.policy import Decision, Document, Layer, Named, Outcome, Source, Unreadable, denied_within, explain

_REFUSED = (Outcome.IMPLICIT_DENY, Outcome.EXPLICIT_DENY)
# The trust policy is judged by a link of its own, and bears on no decision of this one.
_NO_TRUST = Document("trust", "2012-10-17", ())


@dataclass(frozen=True, slots=True)
class _Judged:
    """A need (action and pattern) and what would be decided about one resource of the pattern."""

    action: str
    pattern: str
    decision: Decision

    @property
    def in_part(self) -> Decision | None:
        """The decision on another resource of the pattern, which a Deny refuses."""
        return denied_within(self.decision.request, self.decision.policies, self.pattern)


def sources_are_there(facts: Facts) -> Link | None:
    """What is read is looked up before a permission is judged: a policy for a misspelt name helps nobody."""
    if not facts.gone:
        return None
    told = [one.name + (f" (there is {', '.join(one.near)})" if one.near else "") for one in facts.gone]
    advice = "make it, or put the right name into remoteRef.key of the SharedExternalSecret"
    expected = "every secret and parameter that is shared exists"
    found = f"there is no {'; no '.join(told)}"
    return Link("sources", State.BROKEN, expected, found, Reason.RESOURCE_MISSING, advice=advice)


def role_may_do_its_work(facts: Facts) -> Link | None:
    """Every action of the component on every resource it declares is allowed by the policies that bear on it."""
    if facts.access is not None and not facts.access.actions:
        return None  # it asks for keys alone, which are the next link
    expected = _needs(facts.access)
    if facts.access is None and isinstance(facts.cluster, Unread):
        # Without the account nobody knows the ARNs of what is needed: that is not "nothing".
        return Link("permission", State.UNKNOWN, expected, f"account and issuer {facts.cluster.why}")
    if facts.access is None:
        return Link("permission", State.SKIPPED, expected, "the component needs nothing yet")
    if not facts.role_arn or facts.role is None:
        return Link("permission", State.SKIPPED, expected, "no role to look at")
    if isinstance(facts.role, Unread):
        return _without_the_role(facts, facts.role, facts.access) or Link(
            "permission", State.UNKNOWN, expected, f"role {facts.role.why}"
        )
    if isinstance(facts.bucket, Missing):
        return Link("permission", State.SKIPPED, expected, "there is no such bucket to have a permission for")
    return _judged(facts, facts.role, facts.access, list(_decisions(facts, facts.role, facts.access)))


def _without_the_role(facts: Facts, unread: Unread, access: Access) -> Link | None:
    """What the bucket's own policy lacks for a role of another account, whose policies only that account shows.

    Across accounts both sides must allow (facts/identity.md#order-and-composition): the side that is seen is judged.
    """
    cluster, bucket = facts.cluster, facts.bucket
    if not isinstance(cluster, Cluster) or not isinstance(bucket, Bucket) or not is_role_arn(facts.role_arn):
        return None
    if Arn.parse(facts.role_arn).account == cluster.account or bucket.owner != cluster.account:
        return None
    role = Role(facts.role_arn, _NO_TRUST, (Unreadable(f"policies of {facts.role_arn}", unread.why),))
    refused = [one for one in _decisions(facts, role, access) if one.decision.outcome in _REFUSED]
    if not refused:
        return None

    def holds(policy: Source) -> bool:
        after = replace(facts, bucket=replace(bucket, policy=policy))
        return not any(one.decision.outcome in _REFUSED for one in _decisions(after, role, access))

    link = _refused_by_policy(access, refused)
    if stale := _stale(link, bucket, facts.role_arn, holds):
        return stale
    if link.advice:
        return link
    fix = put_bucket_policy(
        bucket, facts.role_arn, [one.action for one in refused], [one.pattern for one in refused], holds
    )
    return link.fixed_by(fix, f"no change of the policy of bucket {bucket.name} is proven to allow this: amend by hand")


def _judged(facts: Facts, role: Role, access: Access, asked: list[_Judged]) -> Link:
    """What is certain is told first: a Deny, then a missing Allow; then what is not, with what would make it so."""
    expected = _needs(access)
    refused = [one for one in asked if one.decision.outcome in _REFUSED]
    hangs = [one for one in asked if untold(one.decision, absent_of(access))]
    certain = [one for one in refused if one not in hangs]
    unsure = [one for one in certain if _may_name_the_secret(facts, role, one)]
    if certain and not unsure:
        return _refused(facts, role, access, certain)
    if unsure:
        found = f"a policy names {unsure[0].pattern} with a suffix; whether it is the right one only the probe tells"
        return Link("permission", State.UNKNOWN, expected, found)
    if hangs:
        return _hangs(facts, expected, hangs[0])
    unread = [one.decision for one in asked if one.decision.outcome is Outcome.UNKNOWN]
    if unread:
        return Link("permission", State.UNKNOWN, expected, "; ".join(unread[0].unread))
    partly = next((denied for one in asked if (denied := one.in_part)), None)
    if partly is not None:
        told = f"{_told(partly)}: a part of what is needed; whether the component comes to it only the probe tells"
        return Link("permission", State.UNKNOWN, expected, told, advice=denied_by(partly))
    by = asked[0].decision.decided_by if asked else None
    return Link("permission", State.HELD, expected, by.label if by else "nothing is needed")


def _hangs(facts: Facts, expected: str, one: _Judged) -> Link:
    """Only the call itself tells these keys; a person who knows them asks again."""
    request, keys = one.decision.request, untold(one.decision, absent_of(facts.access))
    told = " ".join(f"--context '{key}=VALUE'" for key in keys)
    account = f"{facts.namespace}/{facts.subject.service_account}"
    found = f"{request.action} on {request.resource} hangs on {', '.join(keys)}, which only the call itself tells"
    advice = f"keyless explain {account} {request.action} {request.resource} {told} answers with the value told"
    return Link("permission", State.UNKNOWN, expected, f"{found}: {_why(one.decision)}", advice=advice)


def _why(decision: Decision) -> str:
    return "; ".join(line.strip() for line in explain(decision)[1:])


def _told(decision: Decision) -> str:
    return f"{decision.request.action} on {decision.request.resource}: {_why(decision)}"


def _refused(facts: Facts, role: Role, access: Access, refused: list[_Judged]) -> Link:
    """A Deny is told first: no Allow helps against it."""
    link, first = _refused_by_policy(access, refused), _first(refused)
    if owner := owners_part(first, role.arn, _policy_behind(facts, first)):
        return replace(link, advice=owner)
    if stale := _stale_bucket(facts, role, access, link):
        return stale
    if link.advice:
        return link.fixed_by(values_that_meet(facts, [one.decision for one in refused]), link.advice)
    if first.layer in (Layer.BOUNDARY, Layer.SESSION):
        return replace(link, reason=Reason.PERMISSION_BOUNDED, advice=bounded(facts, role, first))

    def holds(identity: tuple[Source, ...]) -> bool:
        return all(one.decision.allowed for one in _decisions(facts, replace(role, identity=identity), access))

    fix = permit(role, access, [(one.action, one.pattern) for one in refused], holds)
    otherwise = "no change of the role's inline policies is proven to allow this and to leave the rest as it is"
    return link.fixed_by(fix, otherwise)


def _stale_bucket(facts: Facts, role: Role, access: Access, link: Link) -> Link | None:
    bucket = facts.bucket
    if not isinstance(bucket, Bucket):
        return None

    def holds(policy: Source) -> bool:
        after = replace(facts, bucket=replace(bucket, policy=policy))
        return all(one.decision.allowed for one in _decisions(after, role, access))

    return _stale(link, bucket, role.arn, holds)


def _stale(link: Link, bucket: Bucket, arn: str, holds: Holds) -> Link | None:
    """The role was made again: the id that the bucket's policy keeps is of the one that is gone."""
    kept = told(bucket.written, f"policy of bucket {bucket.name}")
    fix = renew_bucket_policy(bucket, arn, holds) if kept else None
    if fix is None:
        return None
    return replace(link, found=f"{link.found}; {kept}", reason=Reason.PRINCIPAL_STALE).fixed_by(fix, "")


def _policy_behind(facts: Facts, decision: Decision) -> Source | None:
    found = (one.policy for one in facts.reached.values() if one.resource == decision.request.resource)
    return next(found, None)


def _first(refused: list[_Judged]) -> Decision:
    denied = (one.decision for one in refused if one.decision.outcome is Outcome.EXPLICIT_DENY)
    return next(denied, refused[0].decision)


def _refused_by_policy(access: Access, refused: list[_Judged]) -> Link:
    """The link without a fix; with advice where a Deny stands, which no fix overrules."""
    first = _first(refused)
    link = Link("permission", State.BROKEN, _needs(access), _told(first), Reason.PERMISSION_MISSING)
    if first.outcome is Outcome.EXPLICIT_DENY:
        return replace(link, reason=Reason.PERMISSION_DENIED_EXPLICITLY, advice=denied_by(first))
    return link


def bounded(facts: Facts, role: Role, decision: Decision) -> str:
    """What is to be done where a boundary or a session policy allows too little: others are bound by it, too."""
    if decision.layer is Layer.SESSION and facts.association:
        name = f"association {facts.association.association_id}"
        return f"the session policy of {name} bounds its sessions: widen it by aws eks update-pod-identity-association"
    name = role.boundary.name if role.boundary else "the boundary"
    return f"the permissions boundary {name} bounds other roles, too: widen it, or give the role another one"


def _needs(access: Access | None) -> str:
    return f"{', '.join(access.actions)} on {', '.join(access.resources)}" if access else "the component's actions"


def _decisions(facts: Facts, role: Role, access: Access) -> Iterator[_Judged]:
    for action, pattern in needed(access):
        reached = facts.reached.get(pattern)
        resource = reached.resource if reached else one_of(pattern)
        behind = reached.policy if reached else _unseen(resource, role)
        policy = _bucket_policy(facts) if action.startswith("s3:") else behind
        yield _Judged(action, pattern, decide(facts, role, action, resource, policy, {}))


def _unseen(resource: str, role: Role) -> Source | None:
    """A secret of another account is never read without a policy of its own: unseen, it may be the right one."""
    foreign = is_foreign_secret(resource, role.arn)
    return Unreadable(f"policy of {resource}", "it was not looked at") if foreign else None


def _bucket_policy(facts: Facts) -> Source | None:
    """What could not be read may hold a Deny: it is never taken for a bucket without a policy."""
    if isinstance(facts.bucket, Unread):
        return Unreadable("policy of the bucket", facts.bucket.why)
    return facts.bucket.policy if isinstance(facts.bucket, Bucket) else None


def one_of(pattern: str) -> str:
    """One plausible resource of a declared pattern."""
    return pattern.replace("*", "keyless").replace("?", "x")


def _may_name_the_secret(facts: Facts, role: Role, one: _Judged) -> bool:
    """Whether a policy names one secret with its random suffix, which a declared pattern does not know."""
    known = facts.reached.get(one.pattern)
    if (
        known is not None and known.resource != one_of(one.pattern)
    ) or one.decision.outcome is not Outcome.IMPLICIT_DENY:
        return False
    stem, suffix, _ = one.pattern.partition("-??????")
    documents = [source.document for source in role.identity if isinstance(source, Named)]
    resources = [s.resources for document in documents for s in document.statements if not s.deny]
    texts = [each.text for found in resources if found and not found.negated for each in found.patterns]
    return bool(suffix) and any(text.startswith(f"{stem}-") for text in texts)
