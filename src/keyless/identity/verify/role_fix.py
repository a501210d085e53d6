"""A role where the component has none: one of the account that admits it, else a new one. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace

from keyless.api import Access
from keyless.identity.verify.behind import KeyUse, Reached, uses_of
from keyless.identity.verify.federation import audience_of
from keyless.identity.verify.model import ANNOTATION, Cluster, Facts, Fix, Role, Unread
from keyless.identity.verify.near import resembling
from keyless.identity.verify.permission_fix import needed, permissions, put, with_permissions
from keyless.identity.verify.trust import decide_token
from keyless.identity.verify.trust_fix import pods_statement, token_statement
from keyless.identity.verify.values import upgrade
from keyless.policy.amend import compact, with_statement

# A trust policy of IAM's default quota holds about twenty subjects (facts/identity.md#quotas).
_MOST_SUBJECTS = 16
_WAIT_SECONDS = 60


def near_roles(facts: Facts) -> tuple[str, ...]:
    """ARNs of the account whose name resembles the one that is not there, the nearest first."""
    if isinstance(facts.roles, Unread):
        return ()
    wanted = facts.role_arn.rpartition("/")[2]
    names = {arn.rpartition("/")[2]: arn for arn in facts.roles}
    return tuple(names[name] for name in resembling(wanted, names))


def admitting(facts: Facts, arns: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """The roles of the account (or of ``arns``) that would take the component's token."""
    if isinstance(facts.roles, Unread) or isinstance(facts.cluster, Unread):
        return ()
    cluster = facts.cluster
    roles = {arn: trust for arn, trust in facts.roles.items() if arns is None or arn in arns}
    return tuple(arn for arn, trust in roles.items() if decide_token(facts, Role(arn, trust, ()), cluster).allowed)


def name_role(facts: Facts, arn: str) -> Fix:
    """Annotate the service account by its Helm value, and make new pods once the annotation has arrived."""
    if not facts.subject.annotations:  # a service account of somebody's own: no Helm value of ours is behind it
        place = f"{facts.subject.service_account} -n {facts.namespace}"
        command = f"kubectl annotate serviceaccount {place} --overwrite {ANNOTATION}={arn}"
        return Fix(command, f"annotates the service account with {arn}; running pods get it once they are made anew")
    key = ANNOTATION.replace(".", "\\.")
    command = upgrade(facts.space, {f"{facts.subject.annotations}.{key}": arn})
    path = shlex.quote(f"--for=jsonpath={{.metadata.annotations.{key}}}={arn}")
    account = f"serviceaccount/{facts.subject.service_account}"
    wait = f"kubectl wait {path} {account} -n {facts.namespace} --timeout={_WAIT_SECONDS}s"
    says = f"annotates the service account with {arn}; running pods get it by the restart"
    return Fix(f"{command} && {wait} && {facts.restart}", says)


def make_role(facts: Facts) -> Fix | None:
    """Create the role that is named, with a trust policy and the permissions of this component, and nothing else."""
    if isinstance(facts.cluster, Unread) or not facts.role_arn:
        return None
    return Fix(_create(facts, facts.cluster, facts.role_arn), "creates the role for this component alone")


def make_and_name_role(facts: Facts) -> Fix | None:
    """Create a role of our name, and annotate the service account with it."""
    if isinstance(facts.cluster, Unread) or isinstance(facts.roles, Unread) or not facts.access:
        return None
    cluster = facts.cluster
    arn = f"arn:{cluster.partition}:iam::{cluster.account}:role/keyless-{facts.access.component}"
    if any(each.rpartition("/")[2] == arn.rpartition("/")[2] for each in facts.roles):
        return None
    named = name_role(facts, arn)
    return Fix(f"{_create(facts, cluster, arn)} && {named.command}", f"creates role {arn}, and {named.says}")


def _create(facts: Facts, cluster: Cluster, arn: str) -> str:
    path, _, name = arn.partition(":role/")[2].rpartition("/")
    statement = (
        pods_statement()
        if facts.by_association
        else token_statement(cluster.provider_arn, _subjects(facts), audience_of(facts))
    )
    trust = shlex.quote(compact(with_statement(None, statement)))
    place = f" --path /{path}/" if path else ""
    create = f"aws iam create-role --role-name {name}{place} --assume-role-policy-document {trust}"
    return f"{create} && {_permit(name, facts.access, facts.reached)}" if facts.access else create


def _permit(name: str, access: Access, behind: Mapping[str, Reached]) -> str:
    """The keys, too: a role that may write and not encrypt or sign would only be refused one step later."""
    # What AWS manages lets everybody in who comes through the service, and has no policy that was read to be changed.
    keys = [(use.action, use.arn) for use in uses_of(behind) if isinstance(use, KeyUse) and use.written is not None]
    return put(name, f"keyless-{access.component}", with_permissions(None, permissions([*needed(access), *keys])))


def _subjects(facts: Facts) -> list[str]:
    """The value is one for all control planes: so their service accounts are admitted, each by its name."""
    spaces = sorted({facts.namespace, *facts.space.host_namespaces})
    chosen = spaces if len(spaces) <= _MOST_SUBJECTS else [facts.namespace]
    return [f"system:serviceaccount:{namespace}:{facts.subject.service_account}" for namespace in chosen]


def switch_role(facts: Facts, arn: str) -> Fix:
    """Let the component become another role, by the way that is in force."""
    association = facts.association
    if association is None:
        return name_role(facts, arn)
    command = (
        f"aws eks update-pod-identity-association --cluster-name {facts.eks_name} "
        f"--association-id {association.association_id} --role-arn {arn}"
    )
    command += f" && {facts.restart}" if facts.subject.condition else ""
    return replace(Fix(command), says=f"lets the association lead to {arn}")
