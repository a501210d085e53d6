"""The calls of ``eksctl utils associate-iam-oidc-provider`` and friends, in its order (facts/kubernetes.md#eksctl).

eksctl computes the provider's ARN and the condition keys without the issuer's port, and creates the provider with it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from unit.local.cloud.support import ISSUER, PROVIDER, World, irsa_trust, pod_token, refusal, signing_key

ARN = f"arn:aws:iam::111122223333:oidc-provider/{PROVIDER}"


def common_beginning(world: World) -> dict[str, Any]:
    """What every eksctl command on an existing cluster asks first."""
    world.aws("sts").get_caller_identity()
    eks = world.aws("eks")
    cluster: dict[str, Any] = eks.describe_cluster(name="keyless")["cluster"]
    versions = eks.describe_cluster_versions()["clusterVersions"]
    assert cluster["version"] in [one["clusterVersion"] for one in versions]
    return cluster


def associate(world: World) -> None:
    cluster = common_beginning(world)
    issuer = urlsplit(cluster["identity"]["oidc"]["issuer"])
    account = cluster["arn"].split(":")[4]
    arn = f"arn:aws:iam::{account}:oidc-provider/{issuer.hostname}{issuer.path}"
    iam = world.aws("iam")
    assert refusal(iam.get_open_id_connect_provider, OpenIDConnectProviderArn=arn)[0] == "NoSuchEntity"
    made = iam.create_open_id_connect_provider(
        Url=cluster["identity"]["oidc"]["issuer"],
        ClientIDList=["sts.amazonaws.com"],
        ThumbprintList=["9e99a48a9960b14926bb7f3b02e22da2b0ab7280"],
        Tags=[{"Key": "alpha.eksctl.io/cluster-name", "Value": "keyless"}],
    )
    assert made["OpenIDConnectProviderArn"] == arn
    tags = {"alpha.eksctl.io/cluster-oidc-enabled": "true"}
    world.aws("eks").tag_resource(resourceArn=cluster["arn"], tags=tags)


def test_the_provider_is_found_again_by_the_arn_that_eksctl_computes(world: World) -> None:
    associate(world)
    common_beginning(world)
    found = world.aws("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=ARN)
    assert found["Url"] == ISSUER.removeprefix("https://")
    assert found["ClientIDList"] == ["sts.amazonaws.com"]
    assert world.aws("eks").describe_cluster(name="keyless")["cluster"]["tags"] == {
        "alpha.eksctl.io/cluster-oidc-enabled": "true"
    }


def test_a_token_of_the_issuer_with_its_port_is_trusted_by_keys_without_it(world: World) -> None:
    associate(world)
    world.issuers.publish(ISSUER, signing_key())
    world.aws("iam").create_role(RoleName="billing", AssumeRolePolicyDocument=irsa_trust())
    answer = world.aws("sts", False).assume_role_with_web_identity(
        RoleArn="arn:aws:iam::111122223333:role/billing",
        RoleSessionName="vector",
        WebIdentityToken=pod_token(world),
    )
    assert answer["Provider"] == ARN
    assert answer["SubjectFromWebIdentityToken"] == "system:serviceaccount:mxp-1-system:vector"
    assert answer["Audience"] == "sts.amazonaws.com"
    assert 24 <= answer["PackedPolicySize"] <= 34


def test_a_second_provider_that_differs_in_its_port_exists_already(world: World) -> None:
    associate(world)
    create = world.aws("iam").create_open_id_connect_provider
    code, message, status = refusal(create, Url=ISSUER.replace("6443", "7443"), ClientIDList=["sts.amazonaws.com"])
    assert (code, status) == ("EntityAlreadyExists", 409)
    assert message == "Provider with url https://127.0.0.1:7443/clusters/keyless already exists."


def test_a_token_of_an_issuer_on_another_port_finds_no_provider(world: World) -> None:
    associate(world)
    other = ISSUER.replace("6443", "7443")
    world.issuers.publish(other, signing_key())
    code, message, status = refusal(
        world.aws("sts", False).assume_role_with_web_identity,
        RoleArn="arn:aws:iam::111122223333:role/billing",
        RoleSessionName="vector",
        WebIdentityToken=pod_token(world, issuer=other),
    )
    assert (code, status) == ("InvalidIdentityToken", 400)
    assert message == f"No OpenIDConnect provider found in your account for {other}"


def test_the_agent_addon_can_be_created_as_eksctl_creates_it(world: World) -> None:
    eks = world.aws("eks")
    eks.delete_addon(clusterName="keyless", addonName="eks-pod-identity-agent")
    common_beginning(world)
    code = refusal(eks.describe_addon, clusterName="keyless", addonName="eks-pod-identity-agent")[0]
    assert code == "ResourceNotFoundException"
    offered = eks.describe_addon_versions(addonName="eks-pod-identity-agent", kubernetesVersion="1.32")["addons"]
    version = next(
        one["addonVersion"] for one in offered[0]["addonVersions"] if one["compatibilities"][0]["defaultVersion"]
    )
    eks.create_addon(clusterName="keyless", addonName="eks-pod-identity-agent", addonVersion=version)
    addon = eks.describe_addon(clusterName="keyless", addonName="eks-pod-identity-agent")["addon"]
    assert (addon["status"], addon["addonVersion"]) == ("ACTIVE", version)
