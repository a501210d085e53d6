"""What the operator may do with its own account, on a real API server: in host namespaces its work, elsewhere nothing.

Each attempt is asked as the operator; RBAC allows all of them, so what refuses is the chart's admission policy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from subprocess import CalledProcessError

import pytest

from production.node import OneNode

pytestmark = [pytest.mark.production, pytest.mark.timeout(600)]
AS = "--as=system:serviceaccount:default:spaces-operator"
RBAC = "rbac.authorization.k8s.io"
HOST, GROUP, PLAIN = "rights-host", "rights-group", "rights-plain"
NAMESPACES = {
    HOST: {"keyless.dev/control-plane-id": "1"},
    GROUP: {"spaces.upbound.io/group": "true"},
    PLAIN: {},
}
OURS = {"app.kubernetes.io/managed-by": "spaces-operator"}


def _object(kind: str, name: str, namespace: str = "", api: str = "v1", **content: object) -> dict[str, object]:
    metadata = {"name": name, "labels": OURS} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **content}


def secret(namespace: str, name: str = "tried") -> dict[str, object]:
    return _object("Secret", name, namespace)


def account(namespace: str, name: str = "tried") -> dict[str, object]:
    return _object("ServiceAccount", name, namespace)


def role(namespace: str, name: str = "tried") -> dict[str, object]:
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    return _object("Role", name, namespace, f"{RBAC}/v1", rules=rules)


def binding(namespace: str, kind: str = "Role", name: str = "tried") -> dict[str, object]:
    ref = {"apiGroup": RBAC, "kind": kind, "name": name}
    subjects = [{"kind": "ServiceAccount", "name": "tried", "namespace": namespace}]
    return _object("RoleBinding", "tried", namespace, f"{RBAC}/v1", roleRef=ref, subjects=subjects)


def cluster_role(name: str, resource: str) -> dict[str, object]:
    group = "spaces.upbound.io" if resource == "controlplanes" else ""
    rules = [{"apiGroups": [group], "resources": [resource], "verbs": ["get"]}]
    return _object("ClusterRole", name, api=f"{RBAC}/v1", rules=rules)


def cluster_binding(name: str, bound: str) -> dict[str, object]:
    ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": bound}
    subjects = [{"kind": "ServiceAccount", "name": "tried", "namespace": HOST}]
    return _object("ClusterRoleBinding", name, api=f"{RBAC}/v1", roleRef=ref, subjects=subjects)


def pod(namespace: str, name: str = "tried", account: str = "default") -> dict[str, object]:
    spec = {"serviceAccountName": account, "containers": [{"name": "one", "image": "one"}]}
    return _object("Pod", name, namespace, spec=spec)


def namespace(name: str) -> dict[str, object]:
    return _object("Namespace", name)


#: what stands there before: each attempt is its own, in any order
THERE = (
    account(HOST, "backup"),
    role(HOST, "there"),
    role(GROUP, "there"),
    secret(GROUP, "there"),
    cluster_role("spaces-vector-there", "controlplanes"),
    namespace("rights-there"),
)
APPLY, CREATE = ("apply", "--server-side", "-f", "-"), ("create", "-f", "-")
ALLOWED = {
    "a service account in a host namespace": (APPLY, account(HOST)),
    "a token of it": (("create", "token", "default", "-n", HOST), None),
    "a Secret in a host namespace": (APPLY, secret(HOST)),
    "a role in a host namespace": (APPLY, role(HOST)),
    "a role's binding": (APPLY, binding(HOST, name="there")),
    "a Secret in a group": (APPLY, secret(GROUP)),
    "a role in a group": (APPLY, role(GROUP)),
    "a role's binding in a group": (APPLY, binding(GROUP, name="there")),
    "a pod as a dry run": (("create", "--dry-run=server", "-f", "-"), pod(HOST)),
    "the pod that fills a volume": (CREATE, pod(HOST, "restore", "backup")),
    "the census": (APPLY, cluster_role("spaces-vector-tried", "controlplanes")),
    "the census's binding": (APPLY, cluster_binding("spaces-vector-there", "spaces-vector-there")),
    "its own Secret's end": (("delete", "secret", "there", "-n", GROUP), None),
    "a host namespace": (APPLY, namespace("rights-made")),
    "a host namespace's end": (("delete", "namespace", "rights-there", "--wait=false"), None),
}
REFUSED = {
    **{
        f"{kind} in {where}": (APPLY, made(where))
        for where in ("kube-system", PLAIN)
        for kind, made in {
            "a Secret": secret,
            "a service account": account,
            "a role": role,
            "a binding": binding,
        }.items()
    },
    "a token in kube-system": (("create", "token", "default", "-n", "kube-system"), None),
    "a token in a plain namespace": (("create", "token", "default", "-n", PLAIN), None),
    "a token in a group": (("create", "token", "default", "-n", GROUP), None),
    "a service account in a group": (APPLY, account(GROUP)),
    "the end of somebody's Secret": (("delete", "secret", "theirs", "-n", PLAIN), None),
    "kube-system as a host namespace": (
        ("label", "namespace", "kube-system", "keyless.dev/control-plane-id=1"), None,
    ),
    "a group as a host namespace": (("label", "namespace", GROUP, "keyless.dev/control-plane-id=1"), None),
    "the end of a group": (("delete", "namespace", GROUP, "--wait=false"), None),
    "a pod that runs": (CREATE, pod(HOST)),
    "a pod of another name as that service account": (CREATE, pod(HOST, account="backup")),
    "a pod of that name as another service account": (CREATE, pod(HOST, "restore")),
    "that pod in a group": (CREATE, pod(GROUP, "restore", "backup")),
    "a binding to a ClusterRole": (APPLY, binding(HOST, "ClusterRole", "spaces-operator") | {
        "metadata": {"name": "wide", "namespace": HOST},
    }),
    "a ClusterRole of another name": (APPLY, cluster_role("tried", "controlplanes")),
    "a census of Secrets": (APPLY, cluster_role("spaces-vector-wide", "secrets")),
    "its own rights for another": (APPLY, cluster_binding("spaces-vector-more", "spaces-operator")),
}  # fmt: skip


@pytest.fixture(scope="module")
def places(space: OneNode) -> Iterator[OneNode]:
    """A host namespace, a group and a plain namespace; in each a role that a binding may name."""
    for name, labels in NAMESPACES.items():
        metadata = {"name": name, "labels": labels}
        space.kubectl(
            "apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        )
    for name in ("kube-system", PLAIN):
        bare = role(name) | {"metadata": {"name": "tried", "namespace": name}}
        space.kubectl("apply", "-f", "-", given=json.dumps(bare))
    space.kubectl("create", "secret", "generic", "theirs", "-n", PLAIN)
    # Without it the pod of a group would be refused before any policy is asked.
    space.kubectl("create", "serviceaccount", "backup", "-n", GROUP)
    for one in THERE:
        space.kubectl("apply", "-f", "-", given=json.dumps(one))
    space.kubectl("wait", "--for=create", "serviceaccount/default", "-n", HOST, "--timeout=60s")
    yield space
    space.kubectl("delete", "namespace", *NAMESPACES)
    space.kubectl("delete", "role", "tried", "-n", "kube-system")
    census = ("spaces-vector-there", "spaces-vector-tried")
    space.kubectl("delete", "clusterrole,clusterrolebinding", *census, "--ignore-not-found")


@pytest.mark.parametrize(("words", "given"), ALLOWED.values(), ids=ALLOWED.keys())
def test_its_work_it_may_do(places: OneNode, words: tuple[str, ...], given: dict[str, object] | None) -> None:
    places.kubectl(*words, AS, given=json.dumps(given) if given else None)


@pytest.mark.parametrize(("words", "given"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_its_work_the_policy_refuses(
    places: OneNode, words: tuple[str, ...], given: dict[str, object] | None
) -> None:
    with pytest.raises((CalledProcessError, AssertionError)) as refused:
        places.kubectl(*words, AS, given=json.dumps(given) if given else None)
    assert "ValidatingAdmissionPolicy 'spaces-operator'" in str(getattr(refused.value, "stderr", "")) + str(
        refused.value
    )
