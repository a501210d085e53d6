"""Logical clusters: apart from the host and from one another, with one bridge for the owner."""

from __future__ import annotations

import pytest

from keyless.local.cluster import ApiError, Cluster, ClusterSettings
from keyless.local.cluster.controllers.logical_clusters.controller import definition
from keyless.local.cluster.users import User
from unit.local.cluster.support import Kubectl, claims, token, who

OWNER = "system:serviceaccount:default:owner"


@pytest.fixture
def tenant(cluster: Cluster) -> Kubectl:
    cluster.ensure_cluster("t1", OWNER)
    return Kubectl(cluster, "t1")


async def test_a_new_cluster_has_its_namespaces_and_roles(tenant: Kubectl) -> None:
    names = [i["metadata"]["name"] for i in (await tenant.ok("GET", "/api/v1/namespaces"))["items"]]
    assert names == ["default", "kube-node-lease", "kube-public", "kube-system"]
    await tenant.ok("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin")


async def test_objects_of_one_cluster_are_not_seen_in_another(tenant: Kubectl, kubectl: Kubectl) -> None:
    await tenant.ok("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "c"}})
    assert (await kubectl("GET", "/api/v1/namespaces/default/configmaps/c")).status == 404


async def test_a_tenants_token_never_passes_for_the_hosts(tenant: Kubectl, kubectl: Kubectl, cluster: Cluster) -> None:
    # The same namespace, name and audience as on the host: only issuer and key differ.
    await kubectl.account("vector")
    await tenant.account("vector")
    text = await token(tenant, "vector")
    assert claims(text)["iss"].endswith("/clusters/t1")
    assert who(cluster, text, "t1").name == "system:serviceaccount:default:vector"
    with pytest.raises(ApiError, match="Unauthorized"):
        who(cluster, text, "keyless")


async def test_the_owner_is_admin_inside_and_nobody_else_of_the_host_gets_in(
    tenant: Kubectl, kubectl: Kubectl, cluster: Cluster
) -> None:
    await kubectl.account("owner")
    await kubectl.account("other")
    user = who(cluster, await token(kubectl, "owner"), "t1")
    assert user.is_master
    with pytest.raises(ApiError, match="Unauthorized"):
        who(cluster, await token(kubectl, "other"), "t1")


async def test_an_account_inside_with_the_owners_name_is_not_the_owner(
    tenant: Kubectl, kubectl: Kubectl, cluster: Cluster
) -> None:
    await kubectl.account("owner")
    await tenant.account("owner")
    assert not who(cluster, await token(tenant, "owner"), "t1").is_master


async def test_the_owner_of_one_tenant_is_a_stranger_in_the_next(
    tenant: Kubectl, kubectl: Kubectl, cluster: Cluster
) -> None:
    await kubectl.account("owner")
    cluster.ensure_cluster("t2", None)
    with pytest.raises(ApiError, match="Unauthorized"):
        who(cluster, await token(kubectl, "owner"), "t2")


def test_the_admin_of_the_state_is_admin_everywhere_and_the_node_only_on_the_host(
    tenant: Kubectl, cluster: Cluster
) -> None:
    assert who(cluster, "the-admin-token", "t1").is_master
    with pytest.raises(ApiError, match="Unauthorized"):
        who(cluster, "the-node-token", "t1")


async def test_a_removed_cluster_takes_objects_keys_and_tokens_along(tenant: Kubectl, cluster: Cluster) -> None:
    await tenant.account("a")
    text = await token(tenant, "a")
    cluster.remove_cluster("t1")
    assert not cluster.has("t1")
    assert cluster.store.resources("t1") == []
    cluster.ensure_cluster("t1", OWNER)
    await tenant.account("a")
    with pytest.raises(ApiError, match="Unauthorized"):
        who(cluster, text, "t1")


def test_clusters_outlive_a_restart(tenant: Kubectl, settings: ClusterSettings) -> None:
    again = Cluster(settings)
    assert again.clusters() == ["keyless", "t1"]


async def test_who_creates_a_logical_cluster_is_written_down_and_cannot_be_rewritten(kubectl: Kubectl) -> None:
    await kubectl.ok("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition())
    path = "/apis/keyless.dev/v1alpha1/logicalclusters"
    asked = {"metadata": {"name": "t1", "annotations": {"keyless.dev/owner": "someone else"}}, "spec": {}}
    user = User(OWNER, ("system:masters",))
    made = await kubectl.ok("POST", path, {**asked, "kind": "LogicalCluster"}, user=user)
    assert made["metadata"]["annotations"]["keyless.dev/owner"] == OWNER
    patch = {"metadata": {"annotations": {"keyless.dev/owner": "system:serviceaccount:default:thief"}}}
    changed = await kubectl.ok("PATCH", f"{path}/t1", patch, content_type="application/merge-patch+json")
    assert changed["metadata"]["annotations"]["keyless.dev/owner"] == OWNER
