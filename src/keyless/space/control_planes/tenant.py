"""What the operator keeps inside a control plane's API: identities with that component's rights alone. Pure.

``vector`` may list and watch every kind, and change nothing. Which kinds are managed resources is told by CRDs that
come at any time, in groups that nobody knows before; RBAC knows no pattern between one group and all of them. Rights
that follow the CRDs come after them, and not at all while the operator is away: what is not counted meanwhile is lost.
See ``docs/reference/facts/counting-rights.md``.
"""

from __future__ import annotations

from functools import cache

from keyless.api import crds
from keyless.kube import KubeObject
from keyless.kube.resources import CLUSTERROLEBINDINGS, CLUSTERROLES, CRDS, NAMESPACES, SERVICEACCOUNTS
from keyless.space.components import VECTOR
from keyless.space.items import Item, Key, item

SYSTEM_NAMESPACE = "keyless-system"
CONNECTION = "connection"
"""The service account behind ``writeConnectionSecretToRef``."""
RBAC = "rbac.authorization.k8s.io"
READ = ["get", "list", "watch"]
ALL = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def namespace() -> Item:
    """Where the identities live."""
    return item(NAMESPACES, SYSTEM_NAMESPACE)


@cache
def definitions() -> tuple[Item, ...]:
    """The External Secrets API. Read once: the texts are long, and every plan looks at them."""
    return tuple(
        item(CRDS, definition["metadata"]["name"], spec=definition["spec"])
        for definition in map(crds.load, crds.TENANT)
    )


def identity(name: str) -> tuple[Item, ...]:
    """A service account with its rights: of a component, or of the user's connection."""
    if name == CONNECTION:
        return (_account(name), _binding(name, "cluster-admin"))
    rules = _COUNTING_RULES if name == VECTOR else _SECRETS_RULES
    role = item(CLUSTERROLES, f"keyless:{name}", rules=rules)
    return (_account(name), role, _binding(name, f"keyless:{name}"))


def identity_keys(name: str) -> tuple[Key, ...]:
    """What to remove when the component is gone."""
    return tuple(reversed([each.key for each in identity(name)]))


def account_key(name: str) -> Key:
    """The service account whose tokens are issued."""
    return Key(SERVICEACCOUNTS, name, SYSTEM_NAMESPACE)


def _account(name: str) -> Item:
    return item(SERVICEACCOUNTS, name, SYSTEM_NAMESPACE)


def _binding(name: str, role: str) -> Item:
    return item(
        CLUSTERROLEBINDINGS,
        f"keyless:{name}",
        roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        subjects=[{"kind": "ServiceAccount", "name": name, "namespace": SYSTEM_NAMESPACE}],
    )


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
]
