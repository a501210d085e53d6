"""The steps from what AWS has to what is asked. Pure; a plan made again after any step is the rest of it.

Order: provider, then each role with its trust, its permissions, and then associations. A role without permissions
can do nothing, and an association needs a role that trusts; so every prefix is safe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from keyless.api import Permanent
from keyless.api.words import counted
from keyless.identity.grants.documents import (
    AUDIENCE,
    NOBODY,
    admitted_by_others,
    edited,
    own_subjects,
    require_storable,
    same,
    sid_of,
    signed,
    signed_sids,
    subjects_of,
    trust_statement,
    with_own,
)
from keyless.identity.grants.model import (
    TAG,
    Asked,
    Guard,
    Have,
    HeldAssociation,
    HeldRole,
    Mode,
    Plan,
    Step,
    Way,
    Wish,
)
from keyless.identity.grants.placing import cost, number, place
from keyless.policy import size
from keyless.policy.amend import Written, compact, difference, statements
from keyless.policy.arns import account_of

_TAGS = [{"Key": TAG, "Value": "true"}]
_QUOTA = "L-C07B4B0D"


@dataclass(slots=True)
class _Making:
    steps: list[Step] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    nexts: dict[str, str] = field(default_factory=dict)


def plan(asked: Asked, have: Have) -> Plan:
    """What is missing, in a safe order. Raises ``Permanent`` where a person changed a statement of ours, or IAM would
    take no trust policy that keeps a statement of others."""
    made = _Making()
    if asked.way is Way.IRSA:
        made.steps += _provider(asked, have)
    if asked.mode is not Mode.EXACT:
        made.warnings.append(f"mode {asked.mode} admits namespaces that do not exist yet: whoever can make one gets in")
    if not asked.wishes:
        made.warnings.append("no feature is on whose resources are known; shared secrets need --secret-prefix too")
    for wish in asked.wishes:
        if not wish.namespaces and asked.mode is Mode.EXACT and not wish.of_space:
            made.warnings.append(f"{wish.title}: no control plane has a host namespace yet; nothing is admitted")
        made.warnings += _elsewhere(asked, wish)
        _grant(asked, have, wish, made)
    for wish in asked.wishes if asked.way is Way.PODS else ():
        _associate(asked, have, wish, made)
    return Plan(tuple(made.steps), tuple(made.warnings), made.places, operator_policy(asked), made.nexts)


def _elsewhere(asked: Asked, wish: Wish) -> Iterator[str]:
    """What lies in another account, where the role's own policy is half of it and the other half not ours to write."""
    named = dict.fromkeys(arn for one in wish.statements for arn in _listed(one.get("Resource", [])))
    for arn in named:
        if account_of(arn) not in ("", "*", asked.cluster.account):
            yield (
                f"{wish.title}: {arn} is of account {account_of(arn)}, and this is {asked.cluster.account}: its own "
                f"policy has to let role {wish.role} in, too, which whoever keeps it writes"
            )


def _listed(value: Any) -> list[str]:
    """A policy may name one without a list around it."""
    return [value] if isinstance(value, str) else list(value)


def undo(asked: Asked, have: Have) -> Plan:
    """The steps that take away what we made, and nothing else: associations, statements, then roles of our own."""
    steps: list[Step] = []
    warnings = ["the OIDC provider stays: other roles may trust it"]
    for wish in asked.wishes:
        steps += [
            _dissociate(asked, one)
            for one in have.associations
            if one.managed and one.service_account == wish.service_account
        ]
        for role in _shards(have, wish):
            if changed := edited(asked, wish, role):
                # A person's edit is a person's: what it is for, we cannot know.
                warnings.append(f"role {role.name} stays: {_changed(changed)}; delete it by hand, or undo the change")
                continue
            steps += _take_away(asked, wish, role)
    return Plan(tuple(steps), tuple(warnings), {}, operator_policy(asked))


def _changed(sids: list[str]) -> str:
    return f"expected our statement {', '.join(sids)} as we wrote it, found it changed by somebody"


def operator_policy(asked: Asked) -> Written:
    """What whoever applies or destroys the plan needs, and nothing more; ``iam:PassRole`` for associations alone."""
    cluster = asked.cluster
    iam = f"arn:{cluster.partition}:iam::{cluster.account}"
    roles = [f"{iam}:role/{wish.role}{tail}" for wish in asked.wishes for tail in ("", "-*")]
    verbs: tuple[str, ...] = (
        "GetRole",
        "CreateRole",
        "TagRole",
        "UpdateAssumeRolePolicy",
        "DeleteRole",
        "ListRolePolicies",
    )
    verbs += ("GetRolePolicy", "PutRolePolicy", "DeleteRolePolicy", "ListAttachedRolePolicies")
    listed: list[Written] = [
        {"Effect": "Allow", "Action": ["iam:ListRoles", "iam:ListOpenIDConnectProviders"], "Resource": "*"},
        {"Effect": "Allow", "Action": [f"iam:{verb}" for verb in verbs], "Resource": roles},
    ]
    kinds = ("Get", "Create", "Tag")
    actions = [f"iam:{kind}OpenIDConnectProvider" for kind in kinds] + ["iam:AddClientIDToOpenIDConnectProvider"]
    if asked.way is Way.IRSA:
        listed.append({"Effect": "Allow", "Action": actions, "Resource": f"{iam}:oidc-provider/*"})
        return {"Version": "2012-10-17", "Statement": listed}
    passed = {"StringEquals": {"iam:PassedToService": "pods.eks.amazonaws.com"}}
    place_of = f"arn:{cluster.partition}:eks:{cluster.region}:{cluster.account}"
    own = [f"{place_of}:cluster/{cluster.name}", f"{place_of}:podidentityassociation/{cluster.name}/*"]
    verbs = ("Create", "Describe", "Delete")
    actions = [f"eks:{verb}PodIdentityAssociation" for verb in verbs]
    actions += ["eks:ListPodIdentityAssociations", "eks:DescribeCluster", "eks:TagResource"]
    listed.append({"Effect": "Allow", "Action": "iam:PassRole", "Resource": roles, "Condition": passed})
    listed.append({"Effect": "Allow", "Action": actions, "Resource": own})
    return {"Version": "2012-10-17", "Statement": listed}


def _provider(asked: Asked, have: Have) -> Iterator[Step]:
    provider = f"OIDC provider {asked.cluster.host_path}"
    own = asked.cluster.issuer.partition("://")[2]
    if have.url and have.url != own:
        # Two clusters on one host: IAM's names leave the port out, and trust of the one would be read as the other's.
        raise Permanent(
            f"{asked.cluster.provider_arn} is the provider of https://{have.url}, and this cluster's issuer is "
            f"https://{own}: IAM has one provider for both, since its ARN leaves the port out. Give one of them "
            "an issuer with another path, or an account of its own; if the other is gone, "
            f"aws iam delete-open-id-connect-provider --open-id-connect-provider-arn {asked.cluster.provider_arn}"
        )
    if have.audiences is None:
        params: dict[str, object] = {"Url": asked.cluster.issuer, "ClientIDList": [AUDIENCE], "Tags": _TAGS}
        yield Step("iam", "CreateOpenIDConnectProvider", params, f"create {provider}", provider, "create")
    elif AUDIENCE not in have.audiences:
        params = {"OpenIDConnectProviderArn": asked.cluster.provider_arn, "ClientID": AUDIENCE}
        does = f"add client ID {AUDIENCE}"
        yield Step("iam", "AddClientIDToOpenIDConnectProvider", params, f"{does} to {provider}", provider, does)


def _shards(have: Have, wish: Wish) -> list[HeldRole]:
    found = [role for role in have.roles.values() if number(role.name, wish.role)]
    return sorted(found, key=lambda role: number(role.name, wish.role))


def _grant(asked: Asked, have: Have, wish: Wish, made: _Making) -> None:
    roles = {role.name: role for role in _shards(have, wish)}
    for role in roles.values():
        if changed := edited(asked, wish, role):
            undo_it = "undo the change or give the statement another Sid, and plan again"
            raise Permanent(f"role {role.name}: {_changed(changed)}; {undo_it}")
    if asked.way is Way.PODS:
        # The service admits every pod of the cluster alike: associations choose, and one role is enough.
        names: Mapping[str, list[str]] = {wish.role: [""]}
        foreign: dict[str, str] = {}
    else:
        names, foreign = _placed(asked, wish, roles, made)
    if set(names) - {wish.role} and asked.way is Way.IRSA:
        made.warnings.append(
            f"{wish.title}: {counted(len(names), 'role')}, and the Helm value annotates all namespaces with one:"
            f" let the operator annotate each (WorkloadIdentity, manage: true), raise quota {_QUOTA} to 8192"
            " and use --quota 8192, or use --way pod-identity"
        )
    for name in sorted({*names, *roles, *foreign.values()}, key=lambda one: number(one, wish.role)):
        _role(asked, wish, roles.get(name), name, names.get(name, []), made)


def _placed(
    asked: Asked, wish: Wish, roles: Mapping[str, HeldRole], made: _Making
) -> tuple[Mapping[str, list[str]], dict[str, str]]:
    """Subjects of our statement by role, and the role of those that statements of others admit already."""
    mode = Mode.EXACT if wish.of_space else asked.mode
    wanted = subjects_of(mode, wish.namespaces, wish.service_account)
    placed, foreign, rooms = {}, {}, {}
    for name, role in roles.items():
        mine = own_subjects(asked, role.trust) or ()
        staying = [one for one in mine if one in wanted]
        placed.update({one: name for one in staying if one not in placed})
        rooms[name] = _room(asked, role.trust) - sum(cost(one) for one in staying)
        if mode is Mode.EXACT:
            foreign.update({s: name for s in admitted_by_others(asked, role.trust, wanted) if s not in foreign})
    rest = [one for one in wanted if one not in foreign or one in placed]
    found = place(rest, placed, rooms, name=wish.role, fresh=_room(asked, None))
    made.places.update({**foreign, **found})
    left = dict(rooms)
    for subject, name in found.items():
        if subject not in placed:
            left[name] = left.get(name, _room(asked, None)) - cost(subject)
    usual = _typical(wish)
    made.nexts[wish.title] = place([usual], {}, left, name=wish.role, fresh=_room(asked, None))[usual]
    names: dict[str, list[str]] = {}
    for subject, name in found.items():
        names.setdefault(name, []).append(subject)
    return names, foreign


def _typical(wish: Wish) -> str:
    """The subject of a control plane that does not exist yet: its host namespace is named after a UUID."""
    return f"system:serviceaccount:mxp-{'0' * 36}-system:{wish.service_account}"


def per_role(asked: Asked, wish: Wish) -> int:
    """How many usual control planes a new role's trust policy holds."""
    return max(1, _room(asked, None) // cost(_typical(wish)))


def _room(asked: Asked, trust: Written | None) -> int:
    """Characters that a trust policy has for subjects beside all else; a comma more than it may need."""
    empty = compact(with_own(trust, [trust_statement(asked, [])], [sid_of(asked), "KeylessNobody"]))
    return asked.quota - size(empty) - 1


def _role(asked: Asked, wish: Wish, held: HeldRole | None, name: str, subjects: list[str], made: _Making) -> None:
    own = [trust_statement(asked, sorted(subjects))] if subjects else []
    before = held.trust if held else None
    after = with_own(before, own, [sid_of(asked), str(NOBODY["Sid"])])
    if not statements(after):
        after = with_own(after, [NOBODY], [])
    if held is None:
        made.steps.append(_create(asked, name, after))
    elif not same(sorted_statements(before), sorted_statements(after)):
        require_storable(name, held.trust)
        guard = Guard("GetRole", {"RoleName": name}, ("Role", "AssumeRolePolicyDocument"), held.trust)
        params = {"RoleName": name, "PolicyDocument": compact(after)}
        what, does = f"role {name}", f"change trust ({_more_and_fewer(asked, before, subjects)})"
        says, lines = f"update trust of {what}", difference(before, after)
        made.steps.append(Step("iam", "UpdateAssumeRolePolicy", params, says, what, does, lines, guard))
    if held and asked.boundary and held.boundary != asked.boundary:
        made.warnings.append(f"role {name} has boundary {held.boundary or 'none'}, not {asked.boundary}; it stays so")
    made.steps += _permissions(wish, held, name)


def _create(asked: Asked, name: str, trust: Written) -> Step:
    params: dict[str, object] = {"RoleName": name, "AssumeRolePolicyDocument": compact(trust), "Tags": _TAGS}
    if asked.boundary:
        params["PermissionsBoundary"] = asked.boundary
    what = f"role {name}"
    return Step("iam", "CreateRole", params, f"create {what}", what, "create", difference(None, trust))


def _more_and_fewer(asked: Asked, before: Written | None, subjects: list[str]) -> str:
    if asked.way is Way.PODS:
        return "the service of EKS Pod Identity"
    held = set(own_subjects(asked, before or {}) or ())
    more, fewer = len(set(subjects) - held), len(held - set(subjects))
    return (
        ", ".join(told for count, told in ((more, f"{more} more"), (fewer, f"{fewer} fewer")) if count) or "no subject"
    )


def sorted_statements(document: Written | None) -> list[str]:
    """The statements in an order of their own: where they stand changes nothing."""
    return sorted(compact(one) for one in statements(document or {}))


def _permissions(wish: Wish, held: HeldRole | None, name: str) -> Iterator[Step]:
    before = held.policies.get(wish.policy) if held else None
    after = with_own(before, [signed(one) for one in wish.statements], signed_sids(before or {}))
    if before is not None and same(before, after):
        return
    guard = None
    if before is not None:
        read = {"RoleName": name, "PolicyName": wish.policy}
        guard = Guard("GetRolePolicy", read, ("PolicyDocument",), before)
    params = {"RoleName": name, "PolicyName": wish.policy, "PolicyDocument": compact(after)}
    what, does = f"role {name}", f"put policy {wish.policy}"
    lines = difference(before, after)
    yield Step("iam", "PutRolePolicy", params, f"{does} of {what}", what, does, lines, guard)


def _associate(asked: Asked, have: Have, wish: Wish, made: _Making) -> None:
    cluster, wanted = asked.cluster, set(wish.namespaces)
    arn = have.roles[wish.role].arn if wish.role in have.roles else ""
    arn = arn or f"arn:{cluster.partition}:iam::{cluster.account}:role/{wish.role}"
    there = {one.namespace: one for one in have.associations if one.service_account == wish.service_account}
    for namespace in sorted(wanted):
        held, subject = there.get(namespace), f"{namespace}/{wish.service_account}"
        made.places[f"system:serviceaccount:{namespace}:{wish.service_account}"] = wish.role
        if held is None:
            params: dict[str, object] = {"clusterName": cluster.name, "namespace": namespace, "roleArn": arn}
            params |= {"serviceAccount": wish.service_account, "tags": {TAG: "true"}}
            says, what = f"associate {subject}", _associations_of(wish.service_account)
            made.steps.append(Step("eks", "CreatePodIdentityAssociation", params, says, what, "create"))
        elif held.role_arn != arn:
            made.warnings.append(f"{subject} is associated with {held.role_arn}, not with {arn}; it stays so")
    for one in there.values():
        if one.managed and one.namespace not in wanted:
            made.steps.append(_dissociate(asked, one))


def _associations_of(service_account: str) -> str:
    return f"associations of service account {service_account}"


def _dissociate(asked: Asked, one: HeldAssociation) -> Step:
    params = {"clusterName": asked.cluster.name, "associationId": one.association_id}
    says, what = f"end the association of {one.namespace}/{one.service_account}", _associations_of(one.service_account)
    return Step("eks", "DeletePodIdentityAssociation", params, says, what, "end")


def _take_away(asked: Asked, wish: Wish, role: HeldRole) -> Iterator[Step]:
    sids, what = {sid_of(asked), str(NOBODY["Sid"])}, f"role {role.name}"
    others = [one for one in statements(role.trust) if one.get("Sid") not in sids]
    if others and len(others) < len(statements(role.trust)):
        require_storable(role.name, role.trust)
        after = with_own(role.trust, [], sids)
        guard = Guard("GetRole", {"RoleName": role.name}, ("Role", "AssumeRolePolicyDocument"), role.trust)
        params = {"RoleName": role.name, "PolicyDocument": compact(after)}
        says, lines = f"take our statement out of the trust of {what}", difference(role.trust, after)
        yield Step("iam", "UpdateAssumeRolePolicy", params, says, what, "take our statement out of trust", lines, guard)
    policy = role.policies.get(wish.policy, {})
    foreign = [one for one in statements(policy) if one.get("Sid") not in signed_sids(policy)]
    if others or foreign or not role.managed or role.attached or set(role.policies) - {wish.policy}:
        return  # somebody else's role, or one that others use: it keeps its permissions
    if wish.policy in role.policies:
        params = {"RoleName": role.name, "PolicyName": wish.policy}
        does, guard = f"delete policy {wish.policy}", Guard("GetRolePolicy", params, ("PolicyDocument",), policy)
        yield Step("iam", "DeleteRolePolicy", params, f"{does} of {what}", what, does, (), guard)
    guard = Guard("GetRole", {"RoleName": role.name}, ("Role", "AssumeRolePolicyDocument"), role.trust)
    yield Step("iam", "DeleteRole", {"RoleName": role.name}, f"delete {what}", what, "delete", (), guard)
