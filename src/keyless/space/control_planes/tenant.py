"""What the operator keeps inside a control plane's API: identities with that component's rights alone. Pure.

``vector`` may list and watch every kind, and change nothing. Which kinds are managed resources is told by CRDs that
come at any time, in groups that nobody knows before; RBAC knows no pattern between one group and all of them. Rights
that follow the CRDs come after them, and not at all while the operator is away: what is not counted meanwhile is lost.
See ``docs/reference/facts/counting-rights.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from keyless.api import crds
from keyless.kube import KubeObject
from keyless.kube.resources import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    CRDS,
    ROLEBINDINGS,
    ROLES,
    SERVICEACCOUNTS,
)
from keyless.space.components import INSIDE, VECTOR
from keyless.space.items import Item, Key, item

SYSTEM_NAMESPACE = "keyless-system"
OPERATOR = "operator"
"""The operator's own account, in an API that was brought."""
CONNECTION = "connection"
"""The service account behind ``writeConnectionSecretToRef``."""
RBAC = "rbac.authorization.k8s.io"
READ = ["get", "list", "watch"]
ALL = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


@cache
def definitions() -> tuple[Item, ...]:
    """The External Secrets API. Read once: the texts are long, and every plan looks at them."""
    return tuple(
        item(CRDS, definition["metadata"]["name"], spec=definition["spec"])
        for definition in map(crds.load, crds.TENANT)
    )


def identity(name: str) -> tuple[Item, ...]:
    """A service account with its rights: of a component that has any business inside, or of the user's connection."""
    if name == CONNECTION:
        return (_account(name), _binding(name, "cluster-admin"))
    if name not in INSIDE:
        return ()
    rules = _COUNTING_RULES if name == VECTOR else _SECRETS_RULES
    role = item(CLUSTERROLES, f"keyless:{name}", rules=rules)
    return (_account(name), role, _binding(name, f"keyless:{name}"))


def operator(namespace_uid: str, *, connects: bool, controllers: Mapping[str, str] | None = None) -> tuple[Item, ...]:
    """The operator's own account: what it does inside, and what it hands on, which nobody may who does not hold it.

    The namespace owns what stands outside of it: an account cannot take its own rights away and then go on. With
    ``connects`` it may bind the connection that the user asked for to cluster-admin. ``controllers``: by name the
    ClusterRole, or nothing, to which it may bind them; it may issue a token to any account as it is.
    """
    owner = {"apiVersion": "v1", "kind": "Namespace", "name": SYSTEM_NAMESPACE, "uid": namespace_uid}
    name = f"keyless:{OPERATOR}"
    others = controllers or {}
    rules = [*_OPERATOR_RULES, *_COUNTING_RULES, *_SECRETS_RULES, *(_CONNECTION_RULES if connects else ())]
    rules += _controller_rules(others)
    return (
        _account(OPERATOR),
        item(ROLES, name, SYSTEM_NAMESPACE, rules=_ACCOUNT_RULES),
        item(
            ROLEBINDINGS,
            name,
            SYSTEM_NAMESPACE,
            roleRef={"apiGroup": RBAC, "kind": "Role", "name": name},
            subjects=[_subject(OPERATOR)],
        ),
        item(CLUSTERROLES, name, owners=[owner], rules=rules),
        _binding(OPERATOR, name, owners=[owner]),
    )


def operator_keys() -> tuple[Key, ...]:
    """Its objects, rights before the account that holds them."""
    return tuple(reversed([each.key for each in operator("", connects=False)]))


def identity_keys(name: str) -> tuple[Key, ...]:
    """What to remove when the component is gone."""
    return tuple(reversed([each.key for each in identity(name)]))


def account_key(name: str) -> Key:
    """The service account whose tokens are issued."""
    return Key(SERVICEACCOUNTS, name, SYSTEM_NAMESPACE)


def controller_binding(name: str) -> str:
    """The ClusterRoleBinding of a controller that is not ours."""
    return f"keyless:controller:{name}"


def _controller_rules(others: Mapping[str, str]) -> list[KubeObject]:
    bindings = [controller_binding(name) for name in others]
    roles = sorted({role for role in others.values() if role})
    kept = {"resources": ["clusterrolebindings"], "resourceNames": bindings, "verbs": ["get", "patch", "delete"]}
    bound = {"resources": ["clusterroles"], "resourceNames": roles, "verbs": ["bind"]}
    return [{"apiGroups": [RBAC], **rule} for rule, due in ((kept, bindings), (bound, roles)) if due]


def _account(name: str) -> Item:
    return item(SERVICEACCOUNTS, name, SYSTEM_NAMESPACE)


def _binding(name: str, role: str, owners: Sequence[KubeObject] = ()) -> Item:
    return item(
        CLUSTERROLEBINDINGS,
        f"keyless:{name}",
        owners=owners,
        roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        subjects=[_subject(name)],
    )


def _subject(name: str) -> KubeObject:
    return {"kind": "ServiceAccount", "name": name, "namespace": SYSTEM_NAMESPACE}


_NAMES = [f"keyless:{name}" for name in (OPERATOR, CONNECTION, *INSIDE)]
_OPERATOR_RULES: list[KubeObject] = [
    {
        "apiGroups": [""],
        "resources": ["namespaces"],
        "resourceNames": [SYSTEM_NAMESPACE],
        "verbs": ["get", "patch", "delete"],
    },
    # No name can narrow create.
    {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["create"]},
    {
        "apiGroups": ["apiextensions.k8s.io"],
        "resources": ["customresourcedefinitions"],
        "resourceNames": list(crds.TENANT),
        "verbs": ["patch"],
    },
    {"apiGroups": [RBAC], "resources": ["clusterroles", "clusterrolebindings"], "verbs": ["create"]},
    {
        "apiGroups": [RBAC],
        "resources": ["clusterroles", "clusterrolebindings"],
        "resourceNames": _NAMES,
        "verbs": ["get", "patch", "delete"],
    },
]
_CONNECTION_RULES: list[KubeObject] = [
    {"apiGroups": [RBAC], "resources": ["clusterroles"], "resourceNames": ["cluster-admin"], "verbs": ["bind"]},
]
_ACCOUNT_RULES: list[KubeObject] = [
    {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get", "create", "patch", "delete"]},
    {
        "apiGroups": [""],
        "resources": ["serviceaccounts/token"],
        "resourceNames": [OPERATOR, CONNECTION, *INSIDE],
        "verbs": ["create"],
    },
    {"apiGroups": [RBAC], "resources": ["roles", "rolebindings"], "verbs": ["get", "patch", "delete"]},
]
_COUNTING_RULES: list[KubeObject] = [
    {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": READ},
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["list", "watch"]},
]
_SECRETS_RULES: list[KubeObject] = [
    {"apiGroups": ["external-secrets.io"], "resources": ["*"], "verbs": ALL},
    {"apiGroups": ["generators.external-secrets.io"], "resources": ["*"], "verbs": READ},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ALL},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": READ},
    {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
    {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "get", "patch"]},
    # Whether the workloads that use a Secret run, before a staged rotation goes on.
    {"apiGroups": ["apps"], "resources": ["deployments", "statefulsets", "daemonsets"], "verbs": ["list"]},
]
