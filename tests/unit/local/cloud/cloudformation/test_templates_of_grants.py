"""Grants as CloudFormation, applied to the local cloud: the same roles, trust and associations as by the steps."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from keyless.identity.grants import Asked, Have, Way, plan
from keyless.identity.grants.templates import cloudformation, terraform
from keyless.identity.verify import Cluster
from unit.identity.grants.test_grants import asked, host_namespace
from unit.local.cloud.support import ACCOUNT, World

NOTHING = Have(None, {})


def of_this_account(way: Way, count: int, cluster: str = "keyless") -> Asked:
    issuer = "https://oidc.eks.us-west-2.amazonaws.com/id/ABCDEF"
    return replace(asked(*range(count), way=way), cluster=Cluster(cluster, issuer, ACCOUNT, "us-west-2"))


def roles(world: World) -> dict[str, Any]:
    iam, found = world.aws("iam"), {}
    for one in iam.list_roles()["Roles"]:
        name = one["RoleName"]
        if not name.startswith("keyless-billing"):
            continue
        role = iam.get_role(RoleName=name)["Role"]
        policies = {
            each: iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"]
            for each in iam.list_role_policies(RoleName=name)["PolicyNames"]
        }
        tags = [tag for tag in role["Tags"] if not tag["Key"].startswith("aws:")]
        found[name] = (role["AssumeRolePolicyDocument"], policies, tags)
    return found


def by_steps(world: World, wanted: Asked) -> dict[str, Any]:
    for step in plan(wanted, NOTHING).steps:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", step.operation.replace("OpenIDConnect", "OpenIdConnect")).lower()
        getattr(world.aws(step.service), name)(**step.params)
    return roles(world)


@pytest.mark.parametrize("count", [0, 1, 45])
def test_a_stack_makes_the_same_roles_as_the_steps(world: World, count: int) -> None:
    wanted = of_this_account(Way.IRSA, count)
    template = json.dumps(cloudformation(wanted, plan(wanted, NOTHING)))
    cfn = world.aws("cloudformation")
    cfn.create_stack(StackName="grants", TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"])
    assert cfn.describe_stacks(StackName="grants")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    made = roles(world)
    assert len(made) == -(-count // 20)

    cfn.delete_stack(StackName="grants")
    iam = world.aws("iam")
    for one in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
        if "ABCDEF" in one["Arn"]:
            iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=one["Arn"])
    assert roles(world) == {}
    assert by_steps(world, wanted) == made


def test_associations_stand_in_the_template_each_with_its_role() -> None:
    wanted = of_this_account(Way.PODS, 3)
    found = cloudformation(wanted, plan(wanted, NOTHING))["Resources"]
    made = [one["Properties"] for one in found.values() if one["Type"] == "AWS::EKS::PodIdentityAssociation"]

    assert [one["Namespace"] for one in made] == [host_namespace(n) for n in range(3)]
    (role,) = [name for name, one in found.items() if one["Type"] == "AWS::IAM::Role"]
    assert all(one["RoleArn"] == {"Fn::GetAtt": [role, "Arn"]} for one in made)
    assert all(re.fullmatch("[A-Za-z0-9]{1,255}", name) for name in found)


@pytest.mark.parametrize("way", Way)
def test_terraform_has_the_same_documents_and_says_that_nobody_checked_it(way: Way) -> None:
    wanted = of_this_account(way, 45)
    made = plan(wanted, NOTHING)
    found = terraform(wanted, made)
    template = cloudformation(wanted, made)["Resources"].values()
    trusts = [one["Properties"]["AssumeRolePolicyDocument"] for one in template if one["Type"] == "AWS::IAM::Role"]

    assert "not checked" in found["//"]
    assert [json.loads(one["assume_role_policy"]) for one in found["resource"]["aws_iam_role"].values()] == trusts
    assert len(found["resource"].get("aws_eks_pod_identity_association", {})) == (45 if way is Way.PODS else 0)
    assert all("${" not in one["policy"] for one in found["resource"]["aws_iam_role_policy"].values())
