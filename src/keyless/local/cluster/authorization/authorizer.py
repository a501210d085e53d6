"""Decisions from the RBAC objects in the store; nothing is remembered beyond the rules of a user.

``system:masters`` is asked nothing. A logical cluster judges by its own objects alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from keyless.local.cluster.authorization.attributes import Asked
from keyless.local.cluster.authorization.rules import Rule, allows
from keyless.local.cluster.selectors import LabelSelector
from keyless.local.cluster.store import Change, Key, Store
from keyless.local.cluster.users import User, split_service_account

RBAC = "rbac.authorization.k8s.io"
_CACHE_SIZE = 1024


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it is allowed, and by which binding."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Grant:
    """A rule, where it came from, and the namespace it is limited to (empty: everywhere)."""

    rule: Rule
    source: str
    namespace: str


class Authorizer:
    """Answers for all clusters."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._grants: dict[tuple[str, User], tuple[_Grant, ...]] = {}
        store.subscribe(self._forget)

    def decide(self, cluster: str, user: User, asked: Asked) -> Decision:
        """Judge a question."""
        if user.is_master:
            return Decision(True)
        for grant in self._of(cluster, user):
            if grant.namespace in ("", asked.namespace) and allows(grant.rule, asked):
                return Decision(True, grant.source)
        return Decision(False)

    def rules(self, cluster: str, user: User, namespace: str) -> list[Rule]:
        """Every rule that holds for the user in the namespace (empty: cluster scope only)."""
        if user.is_master:
            return [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["*"], "nonResourceURLs": ["*"]},
            ]
        return [g.rule for g in self._of(cluster, user) if g.namespace in ("", namespace)]

    def role_rules(self, cluster: str, namespace: str, ref: Mapping[str, Any]) -> list[Rule] | None:
        """The rules of a Role or ClusterRole that a binding refers to; None when there is no such role."""
        resource, place = ("clusterroles", "") if ref.get("kind") == "ClusterRole" else ("roles", namespace)
        entry = self._store.get(Key(cluster, RBAC, resource, place, ref.get("name", "")))
        return list(entry.object.get("rules") or ()) if entry else None

    def aggregate(self, cluster: str) -> None:
        """Fill in the rules of ClusterRoles that are made from others."""
        roles = self._store.list(cluster, RBAC, "clusterroles")
        for entry in roles:
            wanted = (entry.object.get("aggregationRule") or {}).get("clusterRoleSelectors")
            if not wanted:
                continue
            selectors = [LabelSelector.from_object(one) for one in wanted]
            rules: list[Rule] = []
            for other in roles:
                labels = other.object["metadata"].get("labels") or {}
                if other.key != entry.key and any(selector.matches(labels) for selector in selectors):
                    rules += [rule for rule in other.object.get("rules") or () if rule not in rules]
            if rules != (entry.object.get("rules") or []):
                self._store.put(entry.key, {**entry.object, "rules": rules})
                # What was filled in may itself be part of another role.
                self.aggregate(cluster)
                return

    def _of(self, cluster: str, user: User) -> tuple[_Grant, ...]:
        known = self._grants.get((cluster, _without_extra(user)))
        if known is None:
            if len(self._grants) >= _CACHE_SIZE:
                self._grants.clear()
            known = self._grants[cluster, _without_extra(user)] = tuple(self._find(cluster, user))
        return known

    def _find(self, cluster: str, user: User) -> Iterator[_Grant]:
        for resource, kind in (("clusterrolebindings", "ClusterRoleBinding"), ("rolebindings", "RoleBinding")):
            for entry in self._store.list(cluster, RBAC, resource):
                binding, namespace = entry.object, entry.key.namespace
                if not any(_is(user, subject, namespace) for subject in binding.get("subjects") or ()):
                    continue
                ref = binding["roleRef"]
                name = f"{entry.key.name}/{namespace}" if namespace else entry.key.name
                source = f'RBAC: allowed by {kind} "{name}" of {ref["kind"]} "{ref["name"]}"'
                for rule in self.role_rules(cluster, namespace, ref) or ():
                    yield _Grant(rule, source, namespace)

    def _forget(self, change: Change) -> None:
        if change.entry.key.group == RBAC:
            cluster = change.entry.key.cluster
            self._grants = {key: value for key, value in self._grants.items() if key[0] != cluster}


def _without_extra(user: User) -> User:
    # The extra facts (pod names, a dict) play no part in RBAC and cannot be hashed.
    return User(user.name, user.groups, "", _NOTHING)


class _Nothing(dict[str, tuple[str, ...]]):
    def __hash__(self) -> int:  # type: ignore[override]  # always empty, so the hash never changes
        return 0


_NOTHING = _Nothing()


def _is(user: User, subject: Mapping[str, Any], namespace: str) -> bool:
    kind, name = subject.get("kind"), subject.get("name")
    if kind == "User":
        return bool(name == user.name)
    if kind == "Group":
        return name in user.groups
    account = split_service_account(user.name)
    return kind == "ServiceAccount" and account == (subject.get("namespace") or namespace, name)
