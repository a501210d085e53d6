"""Acting as somebody else: every part of it is asked for, and nothing is lost on the way."""

from __future__ import annotations

from typing import Any

import pytest

from keyless.local.cluster import Cluster
from keyless.local.cluster.impersonation import asked_for
from unit.local.cluster.support import Kubectl
from unit.local.cluster.test_app import ADMIN, HOST, Caller

WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
BODY = b'{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}'
RULES = "/apis/rbac.authorization.k8s.io/v1"
Headers = tuple[tuple[bytes, bytes], ...]


def headers(*pairs: tuple[str, str]) -> Headers:
    return tuple((f"impersonate-{name}".encode(), value.encode()) for name, value in pairs)


async def whoami(cluster: Cluster, who: tuple[bytes, bytes], asked: Headers) -> Caller:
    return await Caller(cluster).ask("POST", WHOAMI, HOST, who, *asked, body=BODY)


async def test_all_groups_the_uid_and_extras_arrive(cluster: Cluster) -> None:
    asked = headers(
        ("user", "ada"), ("group", "a"), ("group", "b"), ("uid", "7"),
        ("extra-scopes", "x"), ("extra-scopes", "y"), ("extra-acme.org%2fproject", "p"),
    )  # fmt: skip
    info = (await whoami(cluster, ADMIN, asked)).json["status"]["userInfo"]
    assert info["username"] == "ada"
    assert info["groups"] == ["a", "b", "system:authenticated"]
    assert info["uid"] == "7"
    assert info["extra"] == {"scopes": ["x", "y"], "acme.org/project": ["p"]}


@pytest.mark.parametrize(
    ("asked", "groups"),
    [
        (headers(("user", "ada")), ["system:authenticated"]),
        (headers(("user", "system:anonymous")), ["system:unauthenticated"]),
        (headers(("user", "ada"), ("group", "system:unauthenticated")), ["system:unauthenticated"]),
        (
            headers(("user", "system:serviceaccount:default:a")),
            ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
        ),
        (headers(("user", "system:serviceaccount:default:a"), ("group", "x")), ["x", "system:authenticated"]),
    ],
)
def test_the_groups_are_those_that_kubernetes_gives(asked: Headers, groups: list[str]) -> None:
    found = asked_for((name.decode(), value.decode()) for name, value in asked)
    assert found is not None
    assert list(found.user().groups) == groups


@pytest.mark.parametrize("asked", [headers(("group", "a")), headers(("uid", "1")), headers(("extra-x", "y"))])
async def test_a_group_without_a_user_is_refused(cluster: Cluster, asked: Headers) -> None:
    refused = await whoami(cluster, ADMIN, asked)
    assert refused.status == 500
    assert "without impersonating a user" in refused.json["message"]


async def account(kubectl: Kubectl, *rules: dict[str, Any]) -> tuple[bytes, bytes]:
    """A service account with these rules in the whole cluster; answers its Authorization header."""
    await kubectl.account("a")
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "acts"}}
    await kubectl.ok("POST", f"{RULES}/clusterroles", {**role, "rules": list(rules)})
    binding = {
        **role,
        "kind": "ClusterRoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "acts"},
        "subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": "default"}],
    }
    await kubectl.ok("POST", f"{RULES}/clusterrolebindings", binding)
    token = (await kubectl.ok("POST", "/api/v1/namespaces/default/serviceaccounts/a/token", {}))["status"]["token"]
    return (b"authorization", f"Bearer {token}".encode())


def rule(group: str, resource: str, *names: str) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": [resource], "verbs": ["impersonate"], "resourceNames": list(names)}


AUTHENTICATION = "authentication.k8s.io"
CASES = [
    ("users", rule("", "users", "ada"), headers(("user", "ada"))),
    ("groups", rule("", "groups", "ops"), headers(("user", "ada"), ("group", "ops"))),
    ("uids", rule(AUTHENTICATION, "uids", "7"), headers(("user", "ada"), ("uid", "7"))),
    (
        "userextras/scopes",
        rule(AUTHENTICATION, "userextras/scopes", "x"),
        headers(("user", "ada"), ("extra-scopes", "x")),
    ),
]


@pytest.mark.parametrize(("resource", "granted", "asked"), CASES, ids=[case[0] for case in CASES])
async def test_each_part_needs_a_permission_of_its_own(
    kubectl: Kubectl, cluster: Cluster, resource: str, granted: dict[str, Any], asked: Headers
) -> None:
    who = await account(kubectl, *([] if resource == "users" else [rule("", "users", "ada")]))
    refused = await whoami(cluster, who, asked)
    assert refused.status == 403
    assert f'cannot impersonate resource "{resource}"' in refused.json["message"]
    role = await kubectl.ok("GET", f"{RULES}/clusterroles/acts")
    await kubectl.ok("PUT", f"{RULES}/clusterroles/acts", {**role, "rules": [*(role.get("rules") or []), granted]})
    assert (await whoami(cluster, who, asked)).json["status"]["userInfo"]["username"] == "ada"


async def test_the_right_to_one_group_is_not_the_right_to_another(kubectl: Kubectl, cluster: Cluster) -> None:
    who = await account(kubectl, rule("", "users", "ada"), rule("", "groups", "ops"))
    asked = headers(("user", "ada"), ("group", "ops"), ("group", "system:masters"))
    refused = await whoami(cluster, who, asked)
    assert 'groups "system:masters" is forbidden' in refused.json["message"]


async def test_a_service_account_is_asked_for_in_its_namespace(kubectl: Kubectl, cluster: Cluster) -> None:
    who = await account(kubectl)
    refused = await whoami(cluster, who, headers(("user", "system:serviceaccount:other:b")))
    assert refused.json["message"].endswith('in API group "" in the namespace "other"')
