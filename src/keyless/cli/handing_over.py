"""What a plan of grants leaves to be done in Kubernetes: commands that run as they are printed. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from keyless.billing.access import EXPORT
from keyless.cli.verifying import BILLING, ENCRYPTION, EXPORT_SUBJECT, SHARED_SECRETS
from keyless.identity.grants import Way
from keyless.identity.verify.values import Value, upgrade

if TYPE_CHECKING:
    from keyless.identity.grants import Asked, Plan, Wish
    from keyless.identity.verify import Space, Subject

ANNOTATION = "eks.amazonaws.com/role-arn"
Annotated = Mapping[tuple[str, str], str]
"""What the service accounts say: (namespace, name) → role's ARN."""
_ESCAPED = r"eks\.amazonaws\.com/role-arn"
_HOSTS = "$(kubectl get controlplanes -A -o jsonpath='{.items[*].status.hostNamespace}')"
_SUBJECTS = {"billing": BILLING, "shared-secrets": SHARED_SECRETS, EXPORT: EXPORT_SUBJECT}
_SUBJECTS[ENCRYPTION.title] = ENCRYPTION


def handed_over(asked: Asked, made: Plan, space: Space, annotated: Annotated) -> tuple[str, ...]:
    """The commands: Helm values that name the roles, no static keys, and pods made anew with their identity."""
    values: dict[str, str] = {}
    after: list[str] = []
    for wish in asked.wishes:
        subject = _SUBJECTS[wish.title]
        roles = _roles(asked, made, wish)
        changes = _changes(subject, roles, space.values, irsa=asked.way is Way.IRSA)
        values |= changes
        after += _commands(asked, made, wish, roles, annotated, changed=bool(changes))
    return (*([upgrade(space, values)] if values else []), *after)


def _roles(asked: Asked, made: Plan, wish: Wish) -> dict[str, str]:
    """Host namespace → role's ARN."""
    prefix = f"arn:{asked.cluster.partition}:iam::{asked.cluster.account}:role/"
    subjects = {one: f"system:serviceaccount:{one}:{wish.service_account}" for one in wish.namespaces}
    # The wider modes place a pattern, in one role.
    return {one: prefix + made.places.get(subject, wish.role) for one, subject in subjects.items()}


def _changes(subject: Subject, roles: Mapping[str, str], values: Mapping[str, str], *, irsa: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    if subject.static_keys and values.get(subject.static_keys):
        found[subject.static_keys] = ""
    path, several = f"{subject.annotations}.{_ESCAPED}", len(set(roles.values())) > 1
    if irsa and several and values.get(path):
        # One value cannot name several roles, and the operator would write it over every namespace's own.
        found[path] = Value(None)
    elif irsa and roles and not several and values.get(path) != next(iter(roles.values())):
        found[path] = next(iter(roles.values()))
    return found


def _commands(
    asked: Asked, made: Plan, wish: Wish, roles: Mapping[str, str], annotated: Annotated, *, changed: bool
) -> Iterator[str]:
    if wish.of_space:
        # Each of its runs is a new pod.
        return
    subject, account = _SUBJECTS[wish.title], wish.service_account
    restart = f'kubectl rollout restart {subject.kind} {subject.deployment} -n "$host"'
    there = f'kubectl wait --for=create {subject.kind}/{subject.deployment} -n "$host" --timeout=60s'
    if asked.way is Way.PODS:
        fresh = any(step.operation.startswith("Create") and account in step.what for step in made.steps)
        if changed or (fresh and roles):
            yield f"for host in {_HOSTS}; do {there} && {restart}; done"
        return
    if len(set(roles.values())) > 1:
        by_role: dict[str, list[str]] = {}
        for host, arn in sorted(roles.items()):
            if annotated.get((host, account)) != arn:
                by_role.setdefault(arn, []).append(host)
        for arn, hosts in by_role.items():
            note = f'kubectl annotate --overwrite serviceaccount {account} {ANNOTATION}={arn} -n "$host"'
            yield f"for host in {' '.join(map(shlex.quote, hosts))}; do {note} && {restart}; done"
    elif changed:
        # A pod that is made before its service account is annotated never gets its identity.
        written = f"'--for=jsonpath={{.metadata.annotations.{_ESCAPED}}}={next(iter(roles.values()))}'"
        wait = f'kubectl wait {written} serviceaccount/{account} -n "$host" --timeout=60s'
        yield f"for host in {_HOSTS}; do {wait} && {there} && {restart}; done"
