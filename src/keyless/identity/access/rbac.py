"""Who can act as a service account, by the cluster's own roles and bindings. Pure.

A pod runs as any service account of its namespace that its maker names, so whoever makes pods there, or what makes
pods, becomes every one of them; who enters a running pod finds its token; who mints tokens needs no pod. Whoever may
bind or escalate roles, or act for others, can give themselves all of that.

Rules: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from keyless.identity.access.model import Account, Hand, Hands, Rbac

Rule = Mapping[str, Any]
MAKE, ENTER, MINT, RAISE = "create pods", "exec", "mint tokens", "raise own rights"
MEANS = (MAKE, ENTER, MINT, RAISE)
_DEFAULTS = "kubernetes.io/bootstrapping"


@dataclass(frozen=True, slots=True)
class _Needs:
    """One permission that is enough: any of the verbs on the resource; ``named``: a rule may be for some names alone.

    ``cluster``: it counts only where it is given for the whole cluster.
    """

    means: str
    verbs: tuple[str, ...]
    group: str
    resource: str
    named: str = ""
    cluster: bool = False


_WRITE = ("create", "update", "patch")
_ENOUGH = (
    # A rule with resourceNames never allows create: the name is not known yet.
    _Needs(MAKE, ("create",), "", "pods"),
    *(
        _Needs(MAKE, _WRITE, group, plural)
        for group, plurals in {
            "": ("replicationcontrollers",),
            "apps": ("deployments", "replicasets", "statefulsets", "daemonsets"),
            "batch": ("jobs", "cronjobs"),
        }.items()
        for plural in plurals
    ),
    # Over WebSocket, exec and attach are a get.
    _Needs(ENTER, ("create", "get"), "", "pods/exec", named="pod"),
    _Needs(ENTER, ("create", "get"), "", "pods/attach", named="pod"),
    _Needs(ENTER, ("update", "patch"), "", "pods/ephemeralcontainers", named="pod"),
    _Needs(ENTER, ("create", "get"), "", "nodes/proxy", named="any", cluster=True),
    _Needs(MINT, ("create",), "", "serviceaccounts/token", named="account"),
    _Needs(RAISE, ("bind", "escalate"), "rbac.authorization.k8s.io", "clusterroles", named="any", cluster=True),
    _Needs(RAISE, ("bind", "escalate"), "rbac.authorization.k8s.io", "clusterroles", named="any"),
    _Needs(RAISE, ("bind", "escalate"), "rbac.authorization.k8s.io", "roles", named="any"),
    _Needs(RAISE, ("impersonate",), "", "users", named="any", cluster=True),
    _Needs(RAISE, ("impersonate",), "", "groups", named="any", cluster=True),
    _Needs(RAISE, ("impersonate",), "", "serviceaccounts", named="account"),
)


def hands(rbac: Rbac, accounts: Iterable[Account]) -> tuple[Hands, ...]:
    """Who can act as any of the accounts, by namespace; namespaces with the same answer are told once."""
    of: dict[str, list[Account]] = {}
    for one in accounts:
        of.setdefault(one.namespace, []).append(one)
    found = sorted((_in_namespace(rbac, name, own), name) for name, own in of.items())
    alike = groupby(found, key=lambda pair: pair[0])
    return tuple(Hands(tuple(name for _, name in group), tuple(Hand(*one) for one in who)) for who, group in alike)


def _in_namespace(rbac: Rbac, namespace: str, accounts: list[Account]) -> tuple[tuple[Any, ...], ...]:
    """Hands as tuples, which compare."""
    came: dict[tuple[str, str, bool], set[str]] = {}
    for binding, rules, whole in _bound(rbac, namespace):
        means = {need.means for need in _ENOUGH if _given(need, rules, accounts, whole=whole)}
        if not means:
            continue
        metadata = binding["metadata"]
        own = _DEFAULTS in (metadata.get("labels") or {})
        by = ("ClusterRoleBinding " if whole else f"RoleBinding {metadata.get('namespace')}/") + metadata["name"]
        for subject in binding.get("subjects") or ():
            who = _who(subject, metadata.get("namespace", ""))
            came.setdefault((who, by, own and who.startswith("ServiceAccount kube-system/")), set()).update(means)
    return tuple(
        sorted((who, tuple(one for one in MEANS if one in means), by, own) for (who, by, own), means in came.items())
    )


def _bound(rbac: Rbac, namespace: str) -> Iterator[tuple[Mapping[str, Any], list[Rule], bool]]:
    """Each binding that counts in the namespace, with its rules; whether it counts in the whole cluster."""
    cluster = {one["metadata"]["name"]: one.get("rules") or [] for one in rbac.cluster_roles}
    local = {
        one["metadata"]["name"]: one.get("rules") or []
        for one in rbac.roles
        if one["metadata"].get("namespace") == namespace
    }
    for binding in rbac.cluster_bindings:
        yield binding, cluster.get(binding["roleRef"]["name"], []), True
    for binding in rbac.bindings:
        if binding["metadata"].get("namespace") == namespace:
            known = cluster if binding["roleRef"].get("kind") == "ClusterRole" else local
            yield binding, known.get(binding["roleRef"]["name"], []), False


def _given(need: _Needs, rules: list[Rule], accounts: list[Account], *, whole: bool) -> bool:
    return (whole or not need.cluster) and any(_allows(rule, need, accounts) for rule in rules)


def _allows(rule: Rule, need: _Needs, accounts: list[Account]) -> bool:
    return (
        _has(rule.get("apiGroups"), need.group)
        and any(_has(rule.get("verbs"), verb) for verb in need.verbs)
        and _fits(rule.get("resources") or (), need.resource)
        and _is_for(rule.get("resourceNames") or (), need, accounts, rule.get("verbs") or ())
    )


def _has(values: Iterable[str] | None, wanted: str) -> bool:
    return values is not None and ("*" in values or wanted in values)


def _fits(resources: Iterable[str], wanted: str) -> bool:
    # "*" takes subresources in; "*/exec" is that subresource of every resource.
    sub = wanted.partition("/")[2]
    return not {"*", wanted, *((f"*/{sub}",) if sub else ())}.isdisjoint(resources)


def _is_for(names: Iterable[str], need: _Needs, accounts: list[Account], verbs: Iterable[str]) -> bool:
    """Whether a rule for some names alone is about one of ours."""
    if not names:
        return True
    if need.named == "account":
        return any(one.name in names for one in accounts)
    if need.named == "pod":
        return any(pod in names for one in accounts for pod in one.pods)
    # Of what makes pods, update and patch have a name; create has none yet.
    return need.named == "any" or (need.resource != "pods" and any(_has(verbs, one) for one in ("update", "patch")))


def _who(subject: Mapping[str, Any], namespace: str) -> str:
    if subject.get("kind") == "ServiceAccount":
        return f"ServiceAccount {subject.get('namespace') or namespace}/{subject['name']}"
    return f"{subject.get('kind', 'User')} {subject.get('name', '')}"
