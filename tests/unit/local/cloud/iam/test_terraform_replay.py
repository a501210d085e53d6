"""What terraform's AWS provider sends for five kinds of resources, in its order: write, then read until it agrees.

Terraform itself is not run. The orders follow the provider's documented behaviour: after every write it reads the
resource back, and it plans a change wherever what it reads differs from what was written.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest

from unit.local.cloud.support import ACCOUNT, World, allow, document, irsa_trust, pods_trust, refusal

ROLE = f"arn:aws:iam::{ACCOUNT}:role/tf/billing"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy/tf/billing"
TAGS = [{"Key": "Name", "Value": "billing"}]
URL = "https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE"


class Terraform:
    """The provider's calls on one account; each ``read_`` returns what its state would hold."""

    def __init__(self, world: World) -> None:
        self.iam = world.aws("iam", user_agent_extra="APN/1.0 HashiCorp/1.0 Terraform/1.9")

    # aws_iam_role

    def create_role(self, trust: str) -> None:
        self.iam.create_role(
            RoleName="billing", Path="/tf/", AssumeRolePolicyDocument=trust, MaxSessionDuration=3600, Tags=TAGS
        )

    def read_role(self) -> dict[str, Any]:
        role = self.iam.get_role(RoleName="billing")["Role"]
        inline = self.iam.list_role_policies(RoleName="billing")["PolicyNames"]
        policies = {name: self.iam.get_role_policy(RoleName="billing", PolicyName=name) for name in inline}
        attached = self.iam.list_attached_role_policies(RoleName="billing")["AttachedPolicies"]
        return {
            "arn": role["Arn"],
            "unique_id": role["RoleId"],
            "trust": role["AssumeRolePolicyDocument"],
            "description": role.get("Description", ""),
            "max_session_duration": role["MaxSessionDuration"],
            "permissions_boundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
            "tags": role.get("Tags", []),
            "inline_policy": {name: found["PolicyDocument"] for name, found in policies.items()},
            "managed_policy_arns": [one["PolicyArn"] for one in attached],
        }

    def delete_role(self) -> None:
        assert self.iam.list_instance_profiles_for_role(RoleName="billing")["InstanceProfiles"] == []
        self.iam.delete_role(RoleName="billing")
        assert refusal(self.iam.get_role, RoleName="billing")[0] == "NoSuchEntity"

    # aws_iam_policy

    def read_policy(self) -> dict[str, Any]:
        policy = self.iam.get_policy(PolicyArn=POLICY)["Policy"]
        version = self.iam.get_policy_version(PolicyArn=POLICY, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
        return {
            "arn": policy["Arn"],
            "description": policy.get("Description", ""),
            "path": policy["Path"],
            "attachment_count": policy["AttachmentCount"],
            "policy": version["Document"],
            "tags": policy["Tags"],
        }

    def update_policy(self, text: str) -> None:
        """A version more; the oldest one that does not count gives way first."""
        versions = self.iam.list_policy_versions(PolicyArn=POLICY)["Versions"]
        if len(versions) >= 5:
            spare = [one for one in versions if not one["IsDefaultVersion"]]
            oldest = min(spare, key=lambda one: int(one["VersionId"][1:]))
            self.iam.delete_policy_version(PolicyArn=POLICY, VersionId=oldest["VersionId"])
        self.iam.create_policy_version(PolicyArn=POLICY, PolicyDocument=text, SetAsDefault=True)

    def delete_policy(self) -> None:
        for version in self.iam.list_policy_versions(PolicyArn=POLICY)["Versions"]:
            if not version["IsDefaultVersion"]:
                self.iam.delete_policy_version(PolicyArn=POLICY, VersionId=version["VersionId"])
        self.iam.delete_policy(PolicyArn=POLICY)
        assert refusal(self.iam.get_policy, PolicyArn=POLICY)[0] == "NoSuchEntity"


@pytest.fixture
def terraform(world: World) -> Terraform:
    return Terraform(world)


def test_a_role_is_read_as_it_was_written_and_changed_in_place(terraform: Terraform) -> None:
    assert refusal(terraform.iam.get_role, RoleName="billing")[0] == "NoSuchEntity"
    terraform.create_role(irsa_trust())
    first = terraform.read_role()
    assert first == {
        "arn": ROLE,
        "unique_id": first["unique_id"],
        "trust": orjson.loads(irsa_trust()),
        "description": "",
        "max_session_duration": 3600,
        "permissions_boundary": "",
        "tags": TAGS,
        "inline_policy": {},
        "managed_policy_arns": [],
    }
    iam, role = terraform.iam, {"RoleName": "billing"}
    iam.update_assume_role_policy(**role, PolicyDocument=pods_trust())
    iam.update_role_description(**role, Description="usage")
    iam.update_role(**role, MaxSessionDuration=7200)
    iam.create_policy(PolicyName="limit", PolicyDocument=document(allow("s3:*")))
    limit = f"arn:aws:iam::{ACCOUNT}:policy/limit"
    iam.put_role_permissions_boundary(**role, PermissionsBoundary=limit)
    iam.untag_role(**role, TagKeys=["Name"])
    iam.tag_role(**role, Tags=[{"Key": "team", "Value": "blue"}])
    assert terraform.read_role() == {
        **first,
        "trust": orjson.loads(pods_trust()),
        "description": "usage",
        "max_session_duration": 7200,
        "permissions_boundary": limit,
        "tags": [{"Key": "team", "Value": "blue"}],
    }
    iam.delete_role_permissions_boundary(**role)
    assert terraform.read_role()["permissions_boundary"] == ""
    terraform.delete_role()


def test_an_inline_policy_comes_and_goes(terraform: Terraform) -> None:
    terraform.create_role(pods_trust())
    text = document(allow("s3:PutObject", "arn:aws:s3:::usage/*")).replace(",", ",\n  ")
    one = {"RoleName": "billing", "PolicyName": "put"}
    terraform.iam.put_role_policy(**one, PolicyDocument=text)
    assert terraform.read_role()["inline_policy"] == {"put": orjson.loads(text)}
    terraform.iam.put_role_policy(**one, PolicyDocument=document(allow("s3:GetObject")))
    assert terraform.read_role()["inline_policy"] == {"put": orjson.loads(document(allow("s3:GetObject")))}
    assert refusal(terraform.iam.delete_role, RoleName="billing")[0] == "DeleteConflict"
    terraform.iam.delete_role_policy(**one)
    text = "The role policy with name put cannot be found."
    assert refusal(terraform.iam.get_role_policy, **one) == ("NoSuchEntity", text, 404)
    terraform.delete_role()


def test_a_policy_takes_new_versions_for_ever(terraform: Terraform) -> None:
    first = document(allow("s3:Get0"))
    made = terraform.iam.create_policy(
        PolicyName="billing", Path="/tf/", PolicyDocument=first, Description="usage", Tags=TAGS
    )["Policy"]
    assert made["Arn"] == POLICY
    assert terraform.read_policy() == {
        "arn": POLICY,
        "description": "usage",
        "path": "/tf/",
        "attachment_count": 0,
        "policy": orjson.loads(first),
        "tags": TAGS,
    }
    for number in range(1, 8):
        text = document(allow(f"s3:Get{number}"))
        terraform.update_policy(text)
        assert terraform.read_policy()["policy"] == orjson.loads(text)
    versions = terraform.iam.list_policy_versions(PolicyArn=POLICY)["Versions"]
    assert [(one["VersionId"], one["IsDefaultVersion"]) for one in versions][:2] == [("v8", True), ("v7", False)]
    terraform.delete_policy()


def test_an_attachment_is_found_and_taken_away(terraform: Terraform) -> None:
    terraform.create_role(pods_trust())
    terraform.iam.create_policy(PolicyName="billing", Path="/tf/", PolicyDocument=document(allow("s3:*")))
    pair = {"RoleName": "billing", "PolicyArn": POLICY}
    terraform.iam.attach_role_policy(**pair)
    assert terraform.read_role()["managed_policy_arns"] == [POLICY]
    assert terraform.read_policy()["attachment_count"] == 1
    assert refusal(terraform.iam.delete_policy, PolicyArn=POLICY)[0] == "DeleteConflict"
    terraform.iam.detach_role_policy(**pair)
    assert refusal(terraform.iam.detach_role_policy, **pair)[0] == "NoSuchEntity"
    assert terraform.read_role()["managed_policy_arns"] == []
    terraform.delete_policy()
    terraform.delete_role()


def test_a_provider_is_read_as_it_was_written_and_changed_in_place(terraform: Terraform) -> None:
    iam, thumbprint = terraform.iam, hashlib.sha1(b"authority", usedforsecurity=False).hexdigest()
    found = {"OpenIDConnectProviderArn": PROVIDER}
    made = iam.create_open_id_connect_provider(
        Url=URL, ClientIDList=["sts.amazonaws.com"], ThumbprintList=[thumbprint], Tags=TAGS
    )
    assert made["OpenIDConnectProviderArn"] == PROVIDER
    read = iam.get_open_id_connect_provider(**found)
    assert (read["Url"], read["ClientIDList"], read["ThumbprintList"], read["Tags"]) == (
        URL.removeprefix("https://"),
        ["sts.amazonaws.com"],
        [thumbprint],
        TAGS,
    )
    iam.update_open_id_connect_provider_thumbprint(**found, ThumbprintList=["a" * 40])
    iam.add_client_id_to_open_id_connect_provider(**found, ClientID="other")
    iam.remove_client_id_from_open_id_connect_provider(**found, ClientID="sts.amazonaws.com")
    iam.tag_open_id_connect_provider(**found, Tags=[{"Key": "team", "Value": "blue"}])
    iam.untag_open_id_connect_provider(**found, TagKeys=["Name"])
    read = iam.get_open_id_connect_provider(**found)
    assert (read["ClientIDList"], read["ThumbprintList"], read["Tags"]) == (
        ["other"],
        ["a" * 40],
        [{"Key": "team", "Value": "blue"}],
    )
    text = f"Provider with url {URL} already exists."
    assert refusal(iam.create_open_id_connect_provider, Url=URL) == ("EntityAlreadyExists", text, 409)
    iam.delete_open_id_connect_provider(**found)
    assert refusal(iam.get_open_id_connect_provider, **found)[0] == "NoSuchEntity"
