"""What one role or user may do with a resource, as far as policies tell. Pure.

A question about a bucket is about all of its objects, and a policy may name a part of them: then the part is decided. A
key that nobody told counts neither as there nor as absent: what hangs on it is Conditional.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from keyless.api import Arn
from keyless.identity.access.model import Allowed, Evidence, Holder, Verdict
from keyless.identity.verify.behind import KeyUse, Unseen
from keyless.policy import (
    ContextValue,
    Decision,
    Layer,
    Named,
    Outcome,
    Policies,
    Principal,
    Request,
    StatementTrace,
    Unreadable,
    evaluate,
    granted_within,
)

_SESSION = "keyless"
_BEST = (Verdict.ALLOWED, Verdict.CONDITIONAL, Verdict.UNKNOWN, Verdict.DENIED)


def may(evidence: Evidence, holder: Holder) -> tuple[Allowed, ...]:
    """What of the asked the holder may do; what is certainly denied is left out."""
    return tuple(found for action, resource in evidence.asked if (found := _one(evidence, holder, action, resource)))


def _one(evidence: Evidence, holder: Holder, action: str, resource: str) -> Allowed | None:
    own = evidence.policies.get(resource)
    if isinstance(own, Unreadable):
        # Taken at its best it would let in the whole account: who is told are those whom their own policies let in.
        evidence = replace(evidence, policies={}, owner=account_in(resource) or evidence.account)
        judged_without = _one(evidence, holder, action, resource)
        return replace(judged_without, verdict=Verdict.UNKNOWN) if judged_without else None
    policies = Policies(holder.identity, own, holder.boundary)
    request = _request(evidence, holder, action, resource)
    parts = granted_within(request, policies, resource) if "*" in resource or "?" in resource else ()
    each = [(part, judged(evaluate(_request(evidence, holder, action, part), policies))) for part in (resource, *parts)]
    found, (verdict, by, keys) = min(each, key=lambda pair: _BEST.index(pair[1][0]))
    use = evidence.keys.get((action, resource))
    if use is not None and verdict in (Verdict.ALLOWED, Verdict.CONDITIONAL):
        verdict, keys = _with_key(evidence, holder, use, verdict, keys)
    return None if verdict is Verdict.DENIED else Allowed(action, found, verdict, by, keys)


def _with_key(
    evidence: Evidence, holder: Holder, use: KeyUse | Unseen, verdict: Verdict, keys: tuple[str, ...]
) -> tuple[Verdict, tuple[str, ...]]:
    """The service asks KMS in the caller's name, and gives what is encrypted to nobody whom the key refuses."""
    if isinstance(use, Unseen):
        return Verdict.UNKNOWN, keys
    request = _request(evidence, holder, use.action, use.arn, dict(use.context))
    of_key, _, more = judged(evaluate(request, Policies(holder.identity, use.policy, holder.boundary)))
    if of_key is Verdict.DENIED and _granted(use, holder):
        return verdict, keys
    worst = max(verdict, of_key, key=_BEST.index)
    return worst, tuple(sorted({*keys, *more}))


def _granted(use: KeyUse, holder: Holder) -> bool:
    """A grant allows by itself; one that could not be listed may."""
    operation = use.action.partition(":")[2]
    if isinstance(use.grants, Unseen):
        return True
    return any(one.get("GranteePrincipal") == holder.arn and operation in one["Operations"] for one in use.grants)


def judged(decision: Decision) -> tuple[Verdict, str, tuple[str, ...]]:
    """The verdict, the statement that gives it, and the keys that it hangs on."""
    by = decision.decided_by
    named = by.label if by else decision.layer.value if decision.layer else ""
    if decision.outcome is Outcome.UNKNOWN:
        return Verdict.UNKNOWN, "; ".join(decision.unread), ()
    open_ = tuple(_open(decision))
    keys = tuple(sorted({key for one in open_ for key in _open_keys(one)}))
    if decision.outcome is Outcome.ALLOWED:
        return Verdict.ALLOWED, named, keys
    if keys:
        return Verdict.CONDITIONAL, open_[0].label, keys
    return Verdict.DENIED, named, ()


def _open(decision: Decision) -> Iterator[StatementTrace]:
    """The statements that turn the answer if keys that nobody told are there."""
    trace = [one for one in decision.trace_of_action if one.action and one.resource and one.principal]
    denies = [one for one in trace if one.effect == "Deny"]
    allows = [one for one in trace if one.effect == "Allow"]
    if decision.outcome is Outcome.EXPLICIT_DENY:
        applying = [one for one in denies if one.applies]
        if all(_open_keys(one) for one in applying) and any(_may_apply(one) for one in allows):
            yield from applying
    elif decision.outcome is Outcome.IMPLICIT_DENY:
        layers = (decision.layer, Layer.RESOURCE)
        yield from (one for one in allows if one.layer in layers and not one.applies and _may_apply(one))
    else:
        yield from (one for one in denies if _open_keys(one) and _may_apply(one))
        applying = [one for one in allows if one.applies and one.layer is decision.layer]
        if applying and all(_open_keys(one) for one in applying):
            yield from applying


def _may_apply(statement: StatementTrace) -> bool:
    return all(one.holds or one.actual is None for one in statement.conditions)


def _open_keys(statement: StatementTrace) -> list[str]:
    return [one.key for one in statement.conditions if one.actual is None]


def principal_of(holder: Holder) -> Principal:
    """A session of the role, or the user."""
    arn = Arn.parse(holder.arn)
    if not holder.is_role:
        return Principal("User", arn.account, holder.arn)
    session = f"arn:{arn.partition}:sts::{arn.account}:assumed-role/{holder.name}/{_SESSION}"
    return Principal("AssumedRole", arn.account, session, role_arn=holder.arn)


def _request(
    evidence: Evidence, holder: Holder, action: str, resource: str, context: dict[str, ContextValue] | None = None
) -> Request:
    told: dict[str, ContextValue] = {"aws:SecureTransport": "true", "aws:ViaAWSService": "false"}
    told |= {f"aws:PrincipalTag/{key}": value for key, value in holder.tags.items()}
    owner = account_in(resource) or evidence.owner
    return Request(action, resource, principal_of(holder), told | (context or {}), resource_account=owner)


def account_in(resource: str) -> str:
    """The account that an ARN tells; S3's tell none."""
    return resource.split(":", 5)[4] if resource.count(":") >= 5 else ""


def becomes(evidence: Evidence, holder: Holder, role: Holder) -> Verdict:
    """Whether the holder may assume the role: the role's trust must agree."""
    if role.trust is None:
        return Verdict.DENIED
    policies = Policies(holder.identity, Named(f"trust policy of {role.name}", role.trust), holder.boundary)
    request = _request(evidence, holder, "sts:AssumeRole", role.arn)
    return judged(evaluate(request, policies))[0]
