"""Addons: the agent, which has an effect, and the roles of an addon's own service accounts."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from unit.local.cloud.support import ACCOUNT, World, allow, document, pods_trust, refusal

AGENT = "eks-pod-identity-agent"
CNI = {"clusterName": "keyless", "addonName": "vpc-cni"}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/cni"


@pytest.fixture
def eks(world: World) -> Any:
    world.aws("iam").create_role(RoleName="cni", AssumeRolePolicyDocument=pods_trust())
    return world.aws("eks")


def links(eks: Any) -> list[dict[str, Any]]:
    """The associations that there are, whole."""
    return [
        eks.describe_pod_identity_association(clusterName="keyless", associationId=one["associationId"])["association"]
        for one in eks.list_pod_identity_associations(clusterName="keyless")["associations"]
    ]


def test_the_agent_runs_from_the_start_and_goes_with_its_addon(world: World, eks: Any) -> None:
    world.loop.run(world.cloud.reconcile())
    place = ("daemonsets", "kube-system", "eks-pod-identity-agent")
    container = world.kube.objects[place]["spec"]["template"]["spec"]["containers"][0]
    assert container["args"][:2] == ["run", "agent"]
    assert container["args"][container["args"].index("--port") + 1] == "80"
    assert eks.list_addons(clusterName="keyless")["addons"] == ["eks-pod-identity-agent"]
    gone = eks.delete_addon(clusterName="keyless", addonName="eks-pod-identity-agent")["addon"]
    assert gone["status"] == "DELETING"
    assert place not in world.kube.objects
    world.restart()
    world.loop.run(world.cloud.reconcile())
    assert place not in world.kube.objects
    world.aws("eks").create_addon(clusterName="keyless", addonName="eks-pod-identity-agent")
    assert place in world.kube.objects


def test_an_addon_that_is_preserved_leaves_its_pods(world: World, eks: Any) -> None:
    world.loop.run(world.cloud.reconcile())
    eks.delete_addon(clusterName="keyless", addonName="eks-pod-identity-agent", preserve=True)
    assert ("daemonsets", "kube-system", "eks-pod-identity-agent") in world.kube.objects


def test_an_agent_that_the_settings_leave_out_comes_with_them_again(world: World) -> None:
    place = ("daemonsets", "kube-system", AGENT)
    world.restart(looks_after_agent=False)
    world.loop.run(world.cloud.reconcile())
    assert place not in world.kube.objects
    world.restart()
    world.loop.run(world.cloud.reconcile())
    assert place in world.kube.objects
    # An addon that somebody deleted is another matter.
    world.aws("eks").delete_addon(clusterName="keyless", addonName=AGENT)
    for looks_after in (False, True):
        world.restart(looks_after_agent=looks_after)
        world.loop.run(world.cloud.reconcile())
        assert place not in world.kube.objects


def test_an_addon_exists_once_and_must_be_known(eks: Any) -> None:
    create = eks.create_addon
    assert refusal(create, clusterName="keyless", addonName="eks-pod-identity-agent")[0] == "ResourceInUseException"
    assert refusal(create, clusterName="keyless", addonName="nope")[0] == "InvalidParameterException"


def test_an_addon_s_association_is_its_own_and_goes_with_it(world: World, eks: Any) -> None:
    """P3: ownerArn."""
    pairs = [{"serviceAccount": "aws-node", "roleArn": ROLE}]
    made = eks.create_addon(**CNI, podIdentityAssociations=pairs, resolveConflicts="OVERWRITE")["addon"]
    (link,) = links(eks)
    assert link["ownerArn"] == made["addonArn"]
    assert (link["namespace"], link["serviceAccount"], link["roleArn"]) == ("kube-system", "aws-node", ROLE)
    assert made["podIdentityAssociations"] == [link["associationArn"]]
    assert eks.list_pod_identity_associations(clusterName="keyless")["associations"][0]["ownerArn"] == made["addonArn"]
    listed = world.kube.objects["configmaps", "kube-system", "eks-pod-identity-associations"]["data"]["config.json"]
    assert {"namespace": "kube-system", "serviceAccount": "aws-node"} in orjson.loads(listed)["identities"]
    eks.delete_addon(**CNI)
    assert links(eks) == []


def test_an_update_replaces_an_addon_s_associations_only_where_it_names_them(world: World, eks: Any) -> None:
    eks.create_addon(**CNI, podIdentityAssociations=[{"serviceAccount": "aws-node", "roleArn": ROLE}])
    (before,) = links(eks)
    update = eks.update_addon(**CNI, resolveConflicts="PRESERVE")["update"]
    assert links(eks) == [before]
    read = eks.describe_update(name="keyless", addonName="vpc-cni", updateId=update["id"])["update"]
    assert (read["status"], read["type"]) == ("Successful", "AddonUpdate")
    assert eks.list_updates(name="keyless", addonName="vpc-cni")["updateIds"] == [update["id"]]
    world.aws("iam").create_role(RoleName="other", AssumeRolePolicyDocument=pods_trust())
    other = f"arn:aws:iam::{ACCOUNT}:role/other"
    eks.update_addon(**CNI, podIdentityAssociations=[{"serviceAccount": "aws-node", "roleArn": other}])
    (after,) = links(eks)
    assert (after["associationId"], after["roleArn"]) == (before["associationId"], other)
    eks.update_addon(**CNI, podIdentityAssociations=[])
    assert links(eks) == []


@pytest.mark.parametrize(
    ("name", "pair", "code"),
    [
        (AGENT, {"serviceAccount": "aws-node", "roleArn": ROLE}, "InvalidParameterException"),
        ("vpc-cni", {"serviceAccount": "default", "roleArn": ROLE}, "InvalidParameterException"),
        ("vpc-cni", {"serviceAccount": "aws-node", "roleArn": ROLE + "x"}, "InvalidParameterException"),
    ],
)
def test_an_addon_whose_associations_cannot_be_is_not_made(eks: Any, name: str, pair: Any, code: str) -> None:
    eks.delete_addon(clusterName="keyless", addonName=AGENT)
    answer = refusal(eks.create_addon, clusterName="keyless", addonName=name, podIdentityAssociations=[pair])
    assert (answer[0], answer[2]) == (code, 400)
    assert eks.list_addons(clusterName="keyless")["addons"] == []
    assert links(eks) == []


def test_an_association_of_the_account_s_own_stands_in_an_addon_s_way(eks: Any) -> None:
    eks.create_pod_identity_association(
        clusterName="keyless", namespace="kube-system", serviceAccount="aws-node", roleArn=ROLE
    )
    pairs = [{"serviceAccount": "aws-node", "roleArn": ROLE}]
    code, message, status = refusal(eks.create_addon, **CNI, podIdentityAssociations=pairs)
    assert (code, status) == ("ResourceInUseException", 409)
    assert message.startswith("Association already exists: a-")
    assert "vpc-cni" not in eks.list_addons(clusterName="keyless")["addons"]


def test_who_gives_an_addon_a_role_must_be_allowed_to_pass_it(world: World, eks: Any) -> None:
    iam = world.aws("iam")
    iam.create_user(UserName="dev")
    iam.put_user_policy(UserName="dev", PolicyName="p", PolicyDocument=document(allow("eks:*")))
    theirs = world.aws("eks", iam.create_access_key(UserName="dev")["AccessKey"])
    pairs = [{"serviceAccount": "aws-node", "roleArn": ROLE}]
    code, message, _ = refusal(theirs.create_addon, **CNI, podIdentityAssociations=pairs)
    assert code == "AccessDeniedException"
    assert f"iam:PassRole on resource: {ROLE}" in message
    assert theirs.create_addon(**CNI)["addon"]["status"] == "ACTIVE"


def test_an_addon_says_what_it_can_be_told(eks: Any) -> None:
    offered = eks.describe_addon_versions(addonName="vpc-cni", kubernetesVersion="1.32")["addons"][0]
    version = offered["addonVersions"][0]
    assert version["requiresIamPermissions"] is True
    assert version["compatibilities"][0]["defaultVersion"] is True
    found = eks.describe_addon_configuration(addonName="vpc-cni", addonVersion=version["addonVersion"])
    policy = "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"
    account = {"serviceAccount": "aws-node", "recommendedManagedPolicies": [policy]}
    assert found["podIdentityConfiguration"] == [account]
    assert "env" in orjson.loads(found["configurationSchema"])["properties"]
    assert eks.describe_addon_versions(kubernetesVersion="1.29")["addons"] == []


@pytest.mark.parametrize("text", ['{"colour": {}}', "[1]", "{", "a: &x [*x]"])
def test_an_addon_is_told_nothing_that_it_does_not_know(eks: Any, text: str) -> None:
    code, message, _ = refusal(eks.create_addon, **CNI, configurationValues=text)
    assert code == "InvalidParameterException"
    assert message.startswith("ConfigurationValue provided in request is not supported: ")


@pytest.mark.parametrize("text", ['{"env": {"A": "b"}}', "env:\n  A: b\n"])
def test_an_addon_keeps_what_it_was_told_as_it_was_told(eks: Any, text: str) -> None:
    made = eks.create_addon(**CNI, configurationValues=text)["addon"]
    assert made["configurationValues"] == text
    assert eks.describe_addon(**CNI)["addon"]["configurationValues"] == text
