"""The link of keys: KMS lets the role's session use each key that is behind what the component reaches. Pure."""

from __future__ import annotations

from dataclasses import replace

from keyless.api import Access, Reason
from keyless.identity.verify.behind import KeyUse, Unseen, uses_of
from keyless.identity.verify.deciding import constrained, decide_key
from keyless.identity.verify.model import Cluster, Facts, Fix, Link, Role, State
from keyless.identity.verify.permission_fix import permit
from keyless.identity.verify.resource_fix import elsewhere, put_key_policy, renew_key_policy
from keyless.identity.verify.stale import told
from keyless.identity.verify.trust import denied_by
from keyless.identity.verify.untold import untold
from keyless.policy import Decision, Layer, Outcome, Source, explain

_EXPECTED = "the key behind what is reached may be used by the role's session"
_REFUSED = (Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY)


def secrets_are_not_deleted(facts: Facts) -> Link | None:
    """A secret that waits for its deletion is there, and is not read."""
    going = [one for one in facts.reached.values() if one.deleted]
    if not going:
        return None
    found = "; ".join(f"{one.resource} is scheduled for deletion, from {one.deleted} on" for one in going)
    expected = "no secret that is shared is scheduled for deletion"
    link = Link("sources", State.BROKEN, expected, found, Reason.SECRET_SCHEDULED_FOR_DELETION)
    return link.fixed_by(restore_secrets([one.resource for one in going], region_of(facts)), "")


def restore_secrets(arns: list[str], region: str) -> Fix:
    """Take the deletion back; a secret that is not scheduled is left as it is."""
    restore = (f"aws secretsmanager restore-secret --secret-id {arn}{elsewhere(arn, region)}" for arn in arns)
    return Fix(" && ".join(restore), "cancels the deletion; whoever scheduled it may have meant it")


def keys_may_be_used(facts: Facts) -> Link | None:
    """Told only where a key is behind something: S3's and the services' own encryption asks nobody."""
    uses = list(uses_of(facts.reached))
    if not uses or not isinstance(facts.role, Role):
        return None
    unusable = key_is_enabled([use for use in uses if isinstance(use, KeyUse)], region_of(facts))
    return unusable or _judged(facts, facts.role, uses)


def key_is_enabled(uses: list[KeyUse], region: str) -> Link | None:
    """A key that is disabled, or waits for its deletion, helps nobody, whoever may use it."""
    use = next((one for one in uses if one.state != "Enabled"), None)
    if use is None:
        return None
    found = f"{use.arn} has the state {use.state}: {use.action} is refused to everybody"
    link = Link("key", State.BROKEN, f"{use.arn} is enabled", found, Reason.KEY_NOT_ENABLED)
    option = f"--key-id {use.arn}{elsewhere(use.arn, region)}"
    enable = f"aws kms enable-key {option}"
    if use.state == "Disabled":
        return link.fixed_by(Fix(enable, "enables the key; whoever disabled it may have meant it"), "")
    if use.state == "PendingDeletion":
        says = "cancels the deletion and enables the key; whoever scheduled it may have meant it"
        return link.fixed_by(Fix(f"aws kms cancel-key-deletion {option} && {enable}", says), "")
    return replace(link, advice=f"aws kms describe-key {option} says what it waits for")


def _judged(facts: Facts, role: Role, uses: list[KeyUse | Unseen]) -> Link:
    asked = [(use, decide_key(facts, role, use, {})) for use in uses if isinstance(use, KeyUse)]
    refused = [(use, one) for use, one in asked if _certainly_refused(use, one, role)]
    if refused:
        denied = [each for each in refused if each[1].outcome is Outcome.EXPLICIT_DENY]
        use, decision = (denied or refused)[0]
        return _refused(facts, role, use, decision, [one for one, _ in refused if one.arn == use.arn])
    unseen = [use.what for use in uses if isinstance(use, Unseen)]
    for use, decision in asked:
        unseen += _doubts(use, decision, role)
    if unseen:
        return Link("key", State.UNKNOWN, _EXPECTED, "; ".join(dict.fromkeys(unseen)))
    keys = ", ".join(dict.fromkeys(use.arn for use, _ in asked))
    return Link("key", State.HELD, _EXPECTED, keys)


def _certainly_refused(use: KeyUse, decision: Decision, role: Role) -> bool:
    """A grant that was not seen, or whose constraints only the call tells, may still allow what no policy does."""
    if decision.outcome not in _REFUSED or untold(decision):
        return False
    may_be_granted = isinstance(use.grants, Unseen) or bool(constrained(use, role))
    return decision.outcome is Outcome.EXPLICIT_DENY or not may_be_granted


def _doubts(use: KeyUse, decision: Decision, role: Role) -> list[str]:
    if decision.allowed and not untold(decision):
        return []
    grants = [use.grants.what] if isinstance(use.grants, Unseen) else list(constrained(use, role))
    keys = untold(decision)
    hangs = [f"{use.action} on {use.arn} hangs on {', '.join(keys)}, which only the call itself tells"] if keys else []
    return [*decision.unread, *grants, *hangs]


def _refused(facts: Facts, role: Role, use: KeyUse, decision: Decision, alike: list[KeyUse]) -> Link:
    """In the role's own policies where the key's leaves it to them, else in the key's policy.

    ``alike``: all that is refused of this key, so that one command mends it.
    """
    why = "; ".join(line.strip() for line in explain(decision)[1:])
    kept = told(use.written, "key policy")
    found = f"{use.action} on {use.arn}: {why}{f'; {kept}' if kept else ''}"
    link = Link("key", State.BROKEN, _EXPECTED, found, Reason.PERMISSION_MISSING)

    def agrees(policy: Source) -> bool:
        return decide_key(facts, role, replace(use, policy=policy), {}).allowed

    if kept and (renewal := renew_key_policy(use, role, region_of(facts), agrees)):
        return replace(link, reason=Reason.PRINCIPAL_STALE).fixed_by(renewal, "")
    if decision.outcome is Outcome.EXPLICIT_DENY:
        return replace(link, reason=Reason.PERMISSION_DENIED_EXPLICITLY, advice=denied_by(decision))
    if decision.layer in (Layer.BOUNDARY, Layer.SESSION):
        advice = f"the {decision.layer} bounds it, whatever the role's policies allow: widen it by {use.action}"
        return replace(link, reason=Reason.PERMISSION_BOUNDED, advice=advice)
    component = facts.access.component if facts.access else facts.subject.service_account
    access = Access(component, facts.subject.service_account, (use.action,), (use.arn,), use.action)

    def holds(identity: tuple[Source, ...]) -> bool:
        return all(decide_key(facts, replace(role, identity=identity), one, {}).allowed for one in alike)

    missing = [(one.action, one.arn) for one in alike]
    fix = permit(role, access, missing, holds) or put_key_policy(use, role, region_of(facts), agrees)
    return link.fixed_by(fix, "no change of the role's policies or the key's is proven to allow this: amend by hand")


def region_of(facts: Facts) -> str:
    """The region that a printed command goes to by itself."""
    return facts.cluster.region if isinstance(facts.cluster, Cluster) else ""
