"""The cluster as EKS describes it."""

from __future__ import annotations

import base64

from unit.local.cloud.support import ACCOUNT, ISSUER, SERVER, World, refusal


def test_the_cluster_has_what_kubeconfigs_and_eksctl_need(world: World) -> None:
    cluster = world.aws("eks").describe_cluster(name="keyless")["cluster"]
    assert cluster["arn"] == f"arn:aws:eks:us-west-2:{ACCOUNT}:cluster/keyless"
    assert (cluster["status"], cluster["version"]) == ("ACTIVE", "1.32")
    assert cluster["endpoint"] == SERVER
    assert cluster["identity"]["oidc"]["issuer"] == ISSUER
    assert base64.b64decode(cluster["certificateAuthority"]["data"]) == b""


def test_another_name_or_region_has_no_cluster(world: World) -> None:
    code, message, status = refusal(world.aws("eks").describe_cluster, name="other")
    assert (code, message, status) == ("ResourceNotFoundException", "No cluster found for name: other.", 404)
    elsewhere = world.aws("eks", region="eu-west-1")
    assert refusal(elsewhere.describe_cluster, name="keyless")[0] == "ResourceNotFoundException"
    assert elsewhere.list_clusters()["clusters"] == []


def test_an_operation_that_is_not_here_is_unknown(world: World) -> None:
    assert refusal(world.aws("eks").list_nodegroups, clusterName="keyless")[0] == "UnknownOperationException"
