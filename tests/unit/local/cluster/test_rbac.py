"""Role-based access control."""

from __future__ import annotations

import pytest

from keyless.local.cluster import ANONYMOUS, User
from keyless.local.cluster.authorization import Asked
from keyless.local.cluster.authorization.rules import allows, uncovered
from keyless.local.cluster.users import AUTHENTICATED
from unit.local.cluster.support import Kubectl, crd

RBAC = "/apis/rbac.authorization.k8s.io/v1"
PODS = "/api/v1/namespaces/default/pods"


async def grant(kubectl: Kubectl, name: str, *rules: dict[str, object], kind: str = "Role") -> None:
    """Bind rules to the service account of that name."""
    place = f"{RBAC}/namespaces/default/{kind.lower()}" if kind == "Role" else f"{RBAC}/clusterrole"
    await kubectl.ok("POST", f"{place}s", {"metadata": {"name": name}, "rules": list(rules)})
    await kubectl.ok(
        "POST",
        f"{place}bindings",
        {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
        },
    )


def rule(verbs: str, resources: str, groups: str = "", **more: object) -> dict[str, object]:
    return {"verbs": verbs.split(), "resources": resources.split(), "apiGroups": [groups], **more}


async def test_a_service_account_may_nothing_and_is_told_in_kubernetes_words(kubectl: Kubectl) -> None:
    account = await kubectl.account("a")
    user = "system:serviceaccount:default:a"
    collection = await kubectl.refused("GET", PODS, user=account)
    assert collection["message"] == (
        f'pods is forbidden: User "{user}" cannot list resource "pods" in API group "" in the namespace "default"'
    )
    one = await kubectl.refused("GET", "/apis/apps/v1/namespaces/default/deployments/d", user=account)
    assert one["message"] == (
        f'deployments.apps "d" is forbidden: User "{user}" cannot get resource "deployments" in API group "apps"'
        ' in the namespace "default"'
    )
    everywhere = await kubectl.refused("GET", "/api/v1/nodes", user=account)
    assert everywhere["message"].endswith('cannot list resource "nodes" in API group "" at the cluster scope')
    path = await kubectl.refused("GET", "/metrics", user=account)
    assert path["message"] == f'forbidden: User "{user}" cannot get path "/metrics"'


async def test_a_role_opens_its_namespace_only(kubectl: Kubectl) -> None:
    account = await kubectl.account("a")
    await grant(kubectl, "a", rule("list", "pods"))
    assert (await kubectl("GET", PODS, user=account)).ok
    assert (await kubectl("GET", "/api/v1/namespaces/kube-system/pods", user=account)).status == 403
    assert (await kubectl("GET", "/api/v1/pods", user=account)).status == 403


async def test_a_cluster_role_opens_all_and_a_removed_binding_closes_at_once(kubectl: Kubectl) -> None:
    account = await kubectl.account("a")
    await grant(kubectl, "a", rule("list", "pods"), kind="ClusterRole")
    assert (await kubectl("GET", "/api/v1/pods", user=account)).ok
    await kubectl.ok("DELETE", f"{RBAC}/clusterrolebindings/a")
    assert (await kubectl("GET", "/api/v1/pods", user=account)).status == 403


@pytest.mark.parametrize(
    ("given", "asked", "expected"),
    [
        (rule("get", "pods"), Asked("get", "", "pods"), True),
        (rule("get", "pods"), Asked("get", "", "pods", "log"), False),
        (rule("get", "pods/log"), Asked("get", "", "pods", "log"), True),
        (rule("get", "*"), Asked("get", "", "pods", "log"), True),
        (rule("get", "*/scale"), Asked("get", "", "pods", "scale"), True),
        (rule("get", "*/scale"), Asked("get", "", "pods"), False),
        (rule("*", "pods", "*"), Asked("delete", "apps", "pods"), True),
        (rule("get", "pods", resourceNames=["a"]), Asked("get", "", "pods", name="a"), True),
        (rule("get", "pods", resourceNames=["a"]), Asked("get", "", "pods", name="b"), False),
        (rule("list", "pods", resourceNames=["a"]), Asked("list", "", "pods"), False),
        ({"verbs": ["get"], "nonResourceURLs": ["/healthz/*"]}, Asked("get", path="/healthz/ping"), True),
        ({"verbs": ["get"], "nonResourceURLs": ["/healthz"]}, Asked("get", path="/healthz/ping"), False),
        ({"verbs": ["get"], "nonResourceURLs": ["*"]}, Asked("get", "", "pods"), False),
        ({}, Asked("get", "", "pods"), False),
    ],
)
def test_a_rule_allows_exactly_what_it_says(given: dict[str, object], asked: Asked, expected: bool) -> None:
    assert allows(given, asked) is expected


def test_what_someone_would_gain_is_found_permission_by_permission() -> None:
    held = [rule("get list", "pods"), rule("*", "secrets", resourceNames=["one"])]
    assert uncovered(held, [rule("get", "pods")]) == []
    assert uncovered(held, [rule("get", "secrets", resourceNames=["one"])]) == []
    assert uncovered(held, [rule("get", "secrets")]) == [rule("get", "secrets")]
    assert uncovered(held, [rule("get delete", "pods")]) == [rule("delete", "pods")]


async def test_nobody_grants_what_they_do_not_hold(kubectl: Kubectl) -> None:
    account = await kubectl.account("a")
    rbac = rule("create update", "roles rolebindings", "rbac.authorization.k8s.io")
    await grant(kubectl, "a", rbac, rule("get", "pods"))
    path = f"{RBAC}/namespaces/default/roles"
    assert (await kubectl("POST", path, {"metadata": {"name": "r"}, "rules": [rule("get", "pods")]}, user=account)).ok
    body = {"metadata": {"name": "r2"}, "rules": [rule("get", "secrets")]}
    refusal = await kubectl.refused("POST", path, body, user=account)
    assert "is attempting to grant RBAC permissions not currently held" in refusal["message"]
    assert '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}' in refusal["message"]
    binding = {
        "metadata": {"name": "up"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": "default"}],
    }
    refusal = await kubectl.refused("POST", f"{RBAC}/namespaces/default/rolebindings", binding, user=account)
    assert refusal["code"] == 403


async def test_who_may_bind_a_role_need_not_hold_it(kubectl: Kubectl) -> None:
    account = await kubectl.account("a")
    group = "rbac.authorization.k8s.io"
    await grant(
        kubectl,
        "a",
        rule("create", "rolebindings", group),
        rule("bind", "clusterroles", group, resourceNames=["view"]),
    )
    binding = {
        "metadata": {"name": "viewers"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "User", "name": "somebody"}],
    }
    assert (await kubectl("POST", f"{RBAC}/namespaces/default/rolebindings", binding, user=account)).ok


async def test_the_role_of_a_binding_never_changes(kubectl: Kubectl) -> None:
    await kubectl.account("a")
    await grant(kubectl, "a", rule("get", "pods"))
    path = f"{RBAC}/namespaces/default/rolebindings/a"
    binding = await kubectl.ok("GET", path)
    binding["roleRef"]["name"] = "other"
    assert "cannot change roleRef" in (await kubectl.refused("PUT", path, binding))["message"]


async def test_aggregated_roles_take_in_new_parts(kubectl: Kubectl) -> None:
    label = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    body = {"metadata": {"name": "widgets", "labels": label}, "rules": [rule("get", "widgets", "example.org")]}
    await kubectl.ok("POST", f"{RBAC}/clusterroles", body)
    for name in ("view", "edit", "admin"):
        role = await kubectl.ok("GET", f"{RBAC}/clusterroles/{name}")
        assert rule("get", "widgets", "example.org") in role["rules"]


async def test_view_shows_no_secrets(kubectl: Kubectl) -> None:
    role = await kubectl.ok("GET", f"{RBAC}/clusterroles/view")
    assert not any("secrets" in r["resources"] for r in role["rules"])


async def test_anybody_sees_health_and_version_but_no_resource(kubectl: Kubectl) -> None:
    reply = await kubectl.cluster.call("keyless", "GET", "/version", user=ANONYMOUS)
    assert reply.body["gitVersion"].startswith("v1.32")
    assert (await kubectl("GET", PODS, user=ANONYMOUS)).status == 403
    assert (await kubectl("GET", "/apis", user=ANONYMOUS)).status == 403


async def test_reviews_answer_for_others_and_for_oneself(kubectl: Kubectl) -> None:
    account = await kubectl.account("a")
    await grant(kubectl, "a", rule("list", "pods"))
    attributes = {"verb": "list", "resource": "pods", "namespace": "default"}
    reviews = "/apis/authorization.k8s.io/v1"
    own = await kubectl.ok(
        "POST", f"{reviews}/selfsubjectaccessreviews", {"spec": {"resourceAttributes": attributes}}, user=account
    )
    assert own["status"]["allowed"] is True
    assert own["status"]["reason"] == 'RBAC: allowed by RoleBinding "a/default" of Role "a"'
    spec = {"user": account.name, "resourceAttributes": {**attributes, "verb": "delete"}}
    other = await kubectl.ok("POST", f"{reviews}/subjectaccessreviews", {"spec": spec})
    assert other["status"] == {"allowed": False}
    assert (await kubectl("POST", f"{reviews}/subjectaccessreviews", {"spec": spec}, user=account)).status == 403
    rules = await kubectl.ok(
        "POST", f"{reviews}/selfsubjectrulesreviews", {"spec": {"namespace": "default"}}, user=account
    )
    assert rule("list", "pods") in rules["status"]["resourceRules"]
    who = await kubectl.ok("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, user=account)
    assert who["status"]["userInfo"]["username"] == account.name


@pytest.mark.parametrize("spec", [{}, {"user": "u"}, {"resourceAttributes": {"verb": "get"}}])
async def test_a_review_without_a_question_is_refused(kubectl: Kubectl, spec: dict[str, object]) -> None:
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert (await kubectl.refused("POST", path, {"spec": spec}))["code"] == 400


async def test_the_node_may_run_pods_but_hand_out_no_rights(kubectl: Kubectl) -> None:
    node = User("system:node:local-node", ("system:nodes", AUTHENTICATED))
    assert (await kubectl("GET", "/api/v1/pods", user=node)).ok
    body = {"metadata": {"name": "x"}, "rules": []}
    assert (await kubectl("POST", f"{RBAC}/clusterroles", body, user=node)).status == 403
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert (await kubectl("POST", path, crd(), user=node)).status == 403
