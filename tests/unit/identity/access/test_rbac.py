"""Who can act as a service account, held against the authorizer that decides in the local cluster."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.identity.access.model import Account, Hand, Rbac
from keyless.identity.access.rbac import ENTER, MAKE, MEANS, MINT, RAISE, hands
from keyless.local.cluster.authorization.attributes import Asked
from keyless.local.cluster.authorization.rules import allows

VECTOR = Account("mxp-1-system", "vector", pods=("vector-0",))
ALL = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]


def rule(resources: str, verbs: str, group: str = "", names: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
    return {**found, "resourceNames": names.split()} if names else found


def bound(rules: list[dict[str, Any]], *, namespace: str = "", local: bool = False, subject: Any = None) -> Rbac:
    """One role and one binding: of the cluster, of a cluster role in a namespace, or of a role there."""
    kind = "Role" if local else "ClusterRole"
    role = {"metadata": {"name": "r", **({"namespace": namespace} if local else {})}, "rules": rules}
    binding = {
        "metadata": {"name": "b", **({"namespace": namespace} if namespace else {})},
        "roleRef": {"kind": kind, "name": "r"},
        "subjects": [subject or {"kind": "User", "name": "alice"}],
    }
    return Rbac(
        cluster_roles=() if local else (role,),
        cluster_bindings=() if namespace else (binding,),
        roles=(role,) if local else (),
        bindings=(binding,) if namespace else (),
    )


def means(rbac: Rbac, account: Account = VECTOR) -> tuple[str, ...]:
    (found,) = hands(rbac, [account])
    return found.hands[0].means if found.hands else ()


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (ALL, MEANS),
        ([rule("pods", "create")], (MAKE,)),
        ([rule("pods", "get list watch delete update patch")], ()),
        ([rule("deployments", "patch", "apps")], (MAKE,)),
        ([rule("deployments", "patch", "extensions")], ()),
        ([rule("cronjobs", "create", "batch")], (MAKE,)),
        ([rule("pods/exec", "get")], (ENTER,)),
        ([rule("*/exec", "create")], (ENTER,)),
        ([rule("pods/attach", "create", names="other-0")], ()),
        ([rule("pods/attach", "create", names="vector-0")], (ENTER,)),
        ([rule("pods", "create", names="vector-0")], ()),
        ([rule("serviceaccounts/token", "create")], (MINT,)),
        ([rule("serviceaccounts/token", "create", names="other")], ()),
        ([rule("serviceaccounts/token", "create", names="vector")], (MINT,)),
        ([rule("serviceaccounts", "create")], ()),
        ([rule("nodes/proxy", "get")], (ENTER,)),
        ([rule("users", "impersonate", names="admin")], (RAISE,)),
        ([rule("roles", "escalate", "rbac.authorization.k8s.io")], (RAISE,)),
        ([{"nonResourceURLs": ["*"], "verbs": ["*"]}], ()),
        ([{"apiGroups": None, "resources": None, "verbs": None}], ()),
        ([], ()),
    ],
)
def test_what_a_rule_lets_its_holder_do_as_a_service_account(
    rules: list[dict[str, Any]], expected: tuple[str, ...]
) -> None:
    assert means(bound(rules)) == expected


def test_a_binding_counts_where_it_is_made() -> None:
    assert means(bound(ALL, namespace="mxp-1-system")) == (MAKE, ENTER, MINT, RAISE)
    assert means(bound(ALL, namespace="mxp-1-system", local=True)) == (MAKE, ENTER, MINT, RAISE)
    assert means(bound(ALL, namespace="other")) == ()
    assert means(bound([rule("nodes/proxy", "get")], namespace="mxp-1-system")) == ()


def test_a_role_of_another_namespace_with_the_same_name_is_another() -> None:
    here = bound(ALL, namespace="other", local=True)
    there = bound([], namespace="mxp-1-system", local=True)
    assert means(Rbac(roles=(*here.roles, *there.roles), bindings=there.bindings)) == ()


def test_holders_are_named_and_kubernetes_own_are_told_apart() -> None:
    default = {"kind": "ServiceAccount", "name": "job-controller", "namespace": "kube-system"}
    rbac = bound(ALL, subject=default)
    rbac.cluster_bindings[0]["metadata"]["labels"] = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    (found,) = hands(rbac, [VECTOR])
    assert found.hands == (Hand("ServiceAccount kube-system/job-controller", MEANS, "ClusterRoleBinding b", own=True),)
    (found,) = hands(bound(ALL, namespace="mxp-1-system", subject={"kind": "ServiceAccount", "name": "ci"}), [VECTOR])
    assert found.hands == (Hand("ServiceAccount mxp-1-system/ci", MEANS, "RoleBinding mxp-1-system/b"),)


def test_namespaces_that_are_alike_are_told_once() -> None:
    planes = [Account(f"mxp-{number}-system", "vector") for number in range(100)]
    rbac = bound([rule("pods", "create")])
    extra = bound([rule("pods/exec", "create")], namespace="mxp-7-system", local=True)
    found = hands(Rbac(rbac.cluster_roles, rbac.cluster_bindings, extra.roles, extra.bindings), planes)
    assert sorted(len(each.namespaces) for each in found) == [1, 99]


WORDS = st.lists(
    st.sampled_from(
        ["pods", "pods/exec", "*/exec", "*", "deployments", "serviceaccounts/token", "pods/ephemeralcontainers"]
    ),
    max_size=2,
)
RULES = st.lists(
    st.fixed_dictionaries(
        {
            "apiGroups": st.lists(st.sampled_from(["", "apps", "*", "x"]), max_size=2),
            "resources": WORDS,
            "verbs": st.lists(st.sampled_from(["create", "get", "update", "patch", "*", "list"]), max_size=2),
        },
        optional={"resourceNames": st.lists(st.sampled_from(["vector", "vector-0", "z"]), max_size=2)},
    ),
    max_size=3,
)
PROOFS = {
    MAKE: [Asked("create", "", "pods", "", "mxp-1-system"), Asked("create", "apps", "deployments", "", "mxp-1-system")],
    ENTER: [
        *(Asked(verb, "", "pods", "exec", "mxp-1-system", "vector-0") for verb in ("create", "get")),
        *(Asked(verb, "", "pods", "ephemeralcontainers", "mxp-1-system", "vector-0") for verb in ("update", "patch")),
    ],
    MINT: [Asked("create", "", "serviceaccounts", "token", "mxp-1-system", "vector")],
}


@settings(deadline=None)
@given(RULES)
def test_nobody_whom_the_authorizer_lets_act_is_left_out(rules: list[dict[str, Any]]) -> None:
    found = means(bound(rules))
    for word, proofs in PROOFS.items():
        if any(allows(one, proof) for one in rules for proof in proofs):
            assert word in found
