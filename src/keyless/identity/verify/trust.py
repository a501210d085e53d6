"""The role's trust policy: decided by the policy engine, its near misses named. Pure."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, replace

from keyless.api import Reason
from keyless.api.words import counted
from keyless.identity.verify.federation import audience_of
from keyless.identity.verify.model import Cluster, Facts, Link, Role, State, Unread
from keyless.identity.verify.trust_fix import (
    POD_ACTIONS,
    PODS_SERVICE,
    WEB_IDENTITY,
    admit_pods,
    admit_token,
    label,
    listed,
    principals,
)
from keyless.policy import (
    Admission,
    ContextValue,
    Decision,
    Document,
    Named,
    Policies,
    Principal,
    Request,
    admitted,
    evaluate,
    explain,
)
from keyless.policy.amend import compact, statements

# <OIDC_PROVIDER>, ${YOUR_ACCOUNT_ID}, $YOUR_CLUSTER_NAME, YOUR_ROLE: of the guides, and of a shell that did not expand.
# IAM's own variables have a colon or a lower case letter in them (${aws:username}, ${*}).
_PLACEHOLDER = re.compile(r"<[A-Z][A-Z0-9_ -]*>|\$\{[A-Z][A-Z0-9_]*\}|\$[A-Z][A-Z0-9_]{2,}|\bYOUR_[A-Z0-9_]+", re.ASCII)
_OF_SUBJECT = (
    Reason.TRUST_NAMES_ANOTHER_NAMESPACE,
    Reason.TRUST_NAMES_ANOTHER_ACCOUNT,
    Reason.CONTROL_PLANE_NOT_TRUSTED,
    Reason.TRUST_OPERATOR_LITERAL,
    Reason.TRUST_DENIES,
)
_PODS = Principal("Service", service=PODS_SERVICE)


@dataclass(frozen=True, slots=True)
class _Miss:
    """Why a trust policy refuses: our word for it, and a sentence."""

    reason: Reason
    found: str

    @property
    def is_of_subject(self) -> bool:
        """Whether notes on wide and left subjects belong to it; under any other error they would lead astray."""
        return self.reason in _OF_SUBJECT


def role_trusts_the_component(facts: Facts) -> Link:
    """The role exists and admits exactly this component."""
    expected = f"role {facts.role_arn or '?'} admits {_whom(facts)}"
    if not facts.role_arn:
        return Link("trust", State.SKIPPED, expected, "no role is named")
    if isinstance(facts.role, Unread):
        return Link("trust", State.UNKNOWN, expected, f"role {facts.role.why}")
    if facts.role is None:
        # The role itself is judged by a link of its own.
        return Link("trust", State.SKIPPED, expected, "no such role")
    if isinstance(facts.cluster, Unread):
        return Link("trust", State.UNKNOWN, expected, f"cluster {facts.cluster.why}")
    if facts.by_association:
        return _by_association(facts, facts.role, facts.cluster, expected)
    return _by_token(facts, facts.role, facts.cluster, expected)


def _whom(facts: Facts) -> str:
    return "pods.eks.amazonaws.com" if facts.by_association else facts.subject_name


def _name(facts: Facts) -> str:
    return facts.role_arn.rpartition("/")[2]


def _by_token(facts: Facts, role: Role, cluster: Cluster, expected: str) -> Link:
    decision = decide_token(facts, role, cluster)
    notes = (*_wildcards(role, cluster), *leftovers(facts))
    if decision.allowed:
        by = decision.decided_by
        return Link("trust", State.HELD, expected, by.label if by else "", notes=notes)
    miss = _token_miss(facts, role, cluster, decision)
    link = Link("trust", State.BROKEN, expected, miss.found, miss.reason, notes=notes if miss.is_of_subject else ())
    if decision.outcome == "ExplicitDeny":
        return replace(link, advice=denied_by(decision))
    fix = admit_token(facts, role, cluster, lambda new: decide_token(facts, replace(role, trust=new), cluster).allowed)
    return link.fixed_by(fix, _by_hand(facts))


def denied_by(decision: Decision) -> str:
    """What is to be done about a Deny: an Allow does not help, wherever it stands."""
    by = decision.decided_by
    named = by.label if by else "a statement"
    return f"{named} denies this explicitly, and no Allow overrules a Deny: change that statement, or remove it"


def _by_hand(facts: Facts) -> str:
    return (
        f"no change of this trust policy is proven to admit {_whom(facts)} and to leave the rest as it is: "
        f"read it with aws iam get-role --role-name {_name(facts)} and add the statement by hand"
    )


def decide_token(facts: Facts, role: Role, cluster: Cluster) -> Decision:
    """What STS would decide for a token of the component."""
    principal = Principal("WebIdentity", cluster.account, federated=cluster.provider_arn)
    host, audience = cluster.host_path, audience_of(facts)
    context: dict[str, ContextValue] = {
        f"{host}:sub": facts.subject_name,
        f"{host}:aud": audience,
        f"{host}:oaud": (audience,),
        "aws:FederatedProvider": cluster.provider_arn,
        # Kubernetes' tokens have no roles claim, and STS takes that as a no (facts/identity.md#claims).
        "sts:RoleAuthorizedByIdp": "false",
    }
    request = Request(WEB_IDENTITY, role.arn, principal, context)
    return evaluate(request, Policies(resource=Named(f"trust policy of {role.name}", role.trust)))


def _token_miss(facts: Facts, role: Role, cluster: Cluster, decision: Decision) -> _Miss:
    """The likeliest misstep; the engine's own explanation where none is recognised."""
    ways = admitted(role.trust)
    if decision.outcome == "ExplicitDeny":
        return _Miss(Reason.TRUST_DENIES_EXPLICITLY, explained(decision))
    ours = [way for way in ways if way.provider == cluster.provider_arn]
    other = _another_action(role, cluster) if not ours else ""
    if other:
        return _Miss(Reason.TRUST_NAMES_ANOTHER_ACTION, other)
    if not ours and not placeholders_in(role):
        others = ", ".join(way.provider for way in ways) or "none by web identity"
        return _Miss(Reason.TRUST_NAMES_ANOTHER_PROVIDER, f"admitted: {others}; not {cluster.provider_arn}")
    placeholders = placeholders_in(role)
    if placeholders:
        found = f"{', '.join(placeholders)} still stands in the trust policy: a placeholder that was not filled in"
        return _Miss(Reason.TRUST_HAS_PLACEHOLDER, f"{found} admits nobody")
    audience = audience_of(facts)
    if not any(way.has_audience(audience) for way in ours):
        found = f"{explained(decision)}: the tokens are for {audience}"
        return _Miss(Reason.TRUST_NAMES_ANOTHER_AUDIENCE, found)
    subjects = [subject for way in ours for subject in way.subjects]
    return _subject_miss(facts, ours, subjects) or _Miss(Reason.TRUST_DENIES, explained(decision))


def _another_action(role: Role, cluster: Cluster) -> str:
    """The provider is named, but for an action that no token asks for: sts:AssumeRole is the usual slip."""
    for index, statement in enumerate(statements(role.written or {})):
        federated = listed(principals(statement).get("Federated"))
        if statement.get("Effect") == "Allow" and cluster.provider_arn in federated:
            actions = ", ".join(listed(statement.get("Action"))) or "no action"
            return f"{label(statement, index)} allows {cluster.provider_arn} {actions}; a token needs {WEB_IDENTITY}"
    return ""


def _subject_miss(facts: Facts, ways: list[Admission], subjects: list[str]) -> _Miss | None:
    literal_star = [s for way in ways if not way.subjects_are_patterns for s in way.subjects if "*" in s or "?" in s]
    fitting = [subject for subject in literal_star if fnmatch.fnmatchcase(facts.subject_name, subject)]
    if fitting:
        found = f"StringEquals compares {fitting[0]!r} letter by letter; a wildcard needs StringLike"
        return _Miss(Reason.TRUST_OPERATOR_LITERAL, found)
    if not subjects or any(way.further for way in ways):
        return None
    ending = f":{facts.subject.service_account}"
    namespaces = {s.removesuffix(ending).rpartition(":")[2] for s in subjects if s.endswith(ending)}
    known = namespaces & facts.space.host_namespaces
    shown = ", ".join(subjects[:3]) + (f" and {len(subjects) - 3} more" if len(subjects) > 3 else "")
    if known:
        found = f"exact trust for {counted(len(known), 'other control plane')} ({shown}); this one came later"
        return _Miss(Reason.CONTROL_PLANE_NOT_TRUSTED, found)
    if any(s.startswith(f"system:serviceaccount:{facts.namespace}:") for s in subjects):
        return _Miss(Reason.TRUST_NAMES_ANOTHER_ACCOUNT, f"trusted: {shown}; not service account {ending[1:]}")
    return _Miss(Reason.TRUST_NAMES_ANOTHER_NAMESPACE, f"trusted: {shown}; not {facts.subject_name}")


def explained(decision: Decision) -> str:
    """The engine's own words in one line."""
    return "; ".join(line.strip() for line in explain(decision)[1:])


def _by_association(facts: Facts, role: Role, cluster: Cluster, expected: str) -> Link:
    expected = f"{expected} to sts:AssumeRole and sts:TagSession"
    for action in POD_ACTIONS:
        if action == "sts:TagSession" and facts.association and not facts.association.tags:
            continue
        decision = decide_service(facts, role, cluster, action)
        if not decision.allowed:
            return _service_refused(facts, role, cluster, expected, decision)
    return Link("trust", State.HELD, expected, "both are allowed", notes=leftovers(facts))


def _service_refused(facts: Facts, role: Role, cluster: Cluster, expected: str, decision: Decision) -> Link:
    action = decision.request.action
    found = f"{action} is refused: {explained(decision)}"
    if decision.outcome == "ExplicitDeny":
        reason = Reason.TRUST_DENIES_EXPLICITLY
        return Link("trust", State.BROKEN, expected, found, reason, advice=denied_by(decision))
    tags = session_tags(facts, cluster)

    def holds(new: Document) -> bool:
        after = replace(role, trust=new)
        actions = POD_ACTIONS if tags else POD_ACTIONS[:1]
        return all(decide_service(facts, after, cluster, each).allowed for each in actions)

    reason = Reason.TAG_SESSION_NOT_TRUSTED if action == "sts:TagSession" else Reason.TRUST_DENIES
    link = Link("trust", State.BROKEN, expected, found, reason)
    return link.fixed_by(admit_pods(role, tags, holds), _by_hand(facts))


def decide_service(facts: Facts, role: Role, cluster: Cluster, action: str) -> Decision:
    """What STS would decide for EKS's Pod Identity service on behalf of the component."""
    arn = f"arn:{cluster.partition}:eks:{cluster.region}:{cluster.account}:cluster/{cluster.name}"
    tags = session_tags(facts, cluster)
    context: dict[str, ContextValue] = {"aws:SourceAccount": cluster.account, "aws:SourceArn": arn}
    context |= {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    request = Request(action, role.arn, _PODS, {**context, "aws:TagKeys": tuple(tags)})
    return evaluate(request, Policies(resource=Named(f"trust policy of {role.name}", role.trust)))


def session_tags(facts: Facts, cluster: Cluster) -> dict[str, str]:
    """The session tags that EKS sets (facts/identity.md#eks-auth), as far as they are known before there is a pod."""
    if facts.association is None or not facts.association.tags:
        return {}
    return {
        "eks-cluster-arn": f"arn:{cluster.partition}:eks:{cluster.region}:{cluster.account}:cluster/{cluster.name}",
        "eks-cluster-name": cluster.name,
        "kubernetes-namespace": facts.namespace,
        "kubernetes-service-account": facts.subject.service_account,
        "kubernetes-pod-name": facts.pods[0].name if facts.pods else facts.subject.deployment,
    }


def placeholders_in(role: Role) -> tuple[str, ...]:
    """What stands in the trust policy for a value that somebody should have filled in."""
    return tuple(dict.fromkeys(_PLACEHOLDER.findall(compact(role.written)))) if role.written else ()


def _wildcards(role: Role, cluster: Cluster) -> tuple[str, ...]:
    """How wide the trust is for this cluster's tokens: a statement about another provider admits none of them."""
    return tuple(
        f"{way.statement} admits {' or '.join(way.subjects) or 'every service account of the cluster'}{_only(way)}"
        for way in admitted(role.trust)
        if way.provider == cluster.provider_arn
        and _is_wide(way)
        and not _PLACEHOLDER.search(" ".join((way.provider, *way.subjects, *way.further)))
    )


def _is_wide(way: Admission) -> bool:
    return not way.subjects or (way.subjects_are_patterns and any("*" in subject for subject in way.subjects))


def _only(way: Admission) -> str:
    """What else a token must meet, or must not."""
    met = f", if {' and '.join(way.further)}" if way.further else ""
    return met + (f", unless {' or '.join(way.unless)}" if way.unless else "")


def leftovers(facts: Facts) -> tuple[str, ...]:
    """Trusted subjects and associations of host namespaces that no control plane has (any more)."""
    account, known = facts.subject.service_account, facts.space.host_namespaces
    role = facts.role if isinstance(facts.role, Role) else None
    subjects = [s for way in admitted(role.trust) for s in way.subjects] if role else []
    exact = {s.split(":")[2] for s in subjects if s.endswith(f":{account}") and s.count(":") == 3 and "*" not in s}
    notes = [
        f"the trust policy still admits {namespace}, which is no control plane's" for namespace in sorted(exact - known)
    ]
    associations = () if isinstance(facts.associations, Unread) else facts.associations
    notes += [
        f"association {a.association_id} is left for {a.namespace}, which is no control plane's"
        for a in associations
        if a.service_account == account and a.namespace not in known
    ]
    if notes:
        notes.append(
            "sessions that are already open live until they expire; to end them now, deny everything to the role where "
            "aws:TokenIssueTime is earlier than now (DateLessThan)"
        )
    return tuple(notes)
