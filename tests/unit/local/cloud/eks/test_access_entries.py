"""Access entries and access policies, and the bindings that the cluster gets of them."""

from __future__ import annotations

from typing import Any

import pytest

from unit.local.cloud.support import ACCOUNT, World, allow, document, refusal

ADMIN = f"arn:aws:iam::{ACCOUNT}:user/keyless-admin"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/team"
POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKS{}Policy"
WHERE = {"clusterName": "keyless", "principalArn": ROLE}


@pytest.fixture
def eks(world: World) -> Any:
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    world.aws("iam").create_role(RoleName="team", AssumeRolePolicyDocument=document(trust))
    return world.aws("eks")


def associate(eks: Any, policy: str, *namespaces: str) -> Any:
    scope: dict[str, Any] = {"type": "namespace", "namespaces": list(namespaces)} if namespaces else {"type": "cluster"}
    return eks.associate_access_policy(**WHERE, policyArn=POLICY.format(policy), accessScope=scope)


def bindings(world: World) -> dict[tuple[str, str], str]:
    """(kind, namespace) → ClusterRole, of every binding to the team's entry."""
    return {
        (one["kind"], one["metadata"].get("namespace", "")): one["roleRef"]["name"]
        for (plural, _, _), one in world.kube.objects.items()
        if plural.endswith("rolebindings")
        if one["metadata"]["labels"]["keyless.dev/eks-access-entry"] == entry_id(world)
    }


def entry_id(world: World) -> str:
    found = world.aws("eks").describe_access_entry(**WHERE)["accessEntry"]["accessEntryArn"]
    return str(found).rpartition("/")[2]


def test_who_made_the_cluster_administers_it(world: World) -> None:
    eks = world.aws("eks")
    assert eks.describe_cluster(name="keyless")["cluster"]["accessConfig"]["authenticationMode"] == "API"
    assert eks.list_access_entries(clusterName="keyless")["accessEntries"] == [ADMIN]
    entry = eks.describe_access_entry(clusterName="keyless", principalArn=ADMIN)["accessEntry"]
    assert (entry["type"], entry["username"], entry["kubernetesGroups"]) == ("STANDARD", ADMIN, [])
    prefix = f"arn:aws:eks:us-west-2:{ACCOUNT}:access-entry/keyless/user/{ACCOUNT}/keyless-admin/"
    assert entry["accessEntryArn"].startswith(prefix)
    (policy,) = eks.list_associated_access_policies(clusterName="keyless", principalArn=ADMIN)[
        "associatedAccessPolicies"
    ]
    assert policy["policyArn"] == POLICY.format("ClusterAdmin")
    assert policy["accessScope"] == {"type": "cluster", "namespaces": []}


def test_the_creator_s_entry_can_be_deleted_for_good(world: World) -> None:
    world.aws("eks").delete_access_entry(clusterName="keyless", principalArn=ADMIN)
    world.restart()
    assert world.aws("eks").list_access_entries(clusterName="keyless")["accessEntries"] == []


def test_a_role_is_named_after_its_sessions_unless_the_entry_says_otherwise(eks: Any) -> None:
    made = eks.create_access_entry(**WHERE, kubernetesGroups=["readers"], tags={"team": "blue"})["accessEntry"]
    assert made["username"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/team/{{{{SessionName}}}}"
    assert (made["kubernetesGroups"], made["tags"]) == (["readers"], {"team": "blue"})
    changed = eks.update_access_entry(**WHERE, username="team:{{SessionName}}", kubernetesGroups=[])["accessEntry"]
    assert (changed["username"], changed["kubernetesGroups"]) == ("team:{{SessionName}}", [])
    assert eks.list_tags_for_resource(resourceArn=made["accessEntryArn"])["tags"] == {"team": "blue"}


def test_a_principal_has_one_entry(eks: Any) -> None:
    eks.create_access_entry(**WHERE)
    text = "The specified access entry resource is already in use on this cluster."
    assert refusal(eks.create_access_entry, **WHERE) == ("ResourceInUseException", text, 409)


def test_an_entry_that_is_not_there_is_said_to_be_found_by_listing(eks: Any) -> None:
    text = (
        "The specified principalArn could not be found. You can view your available access entries with"
        " 'list-access-entries'."
    )
    assert refusal(eks.describe_access_entry, **WHERE) == ("ResourceNotFoundException", text, 404)
    assert refusal(lambda: associate(eks, "View")) == ("ResourceNotFoundException", text, 404)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (
            {"kubernetesGroups": ["system:masters"]},
            "The kubernetes group name system:masters is invalid, it cannot start with system:",
        ),
        (
            {"kubernetesGroups": ["eks:access-entry:x"]},
            "The kubernetes group name eks:access-entry:x is invalid, it cannot start with eks:",
        ),
        ({"username": "system:node:a"}, "The username must not begin with system:"),
        ({"username": "{{SessionName}}"}, "The username must have a colon before the name of the session."),
        ({"principalArn": ROLE + "x"}, "The specified principalArn is invalid: invalid principal."),
        ({"principalArn": "team"}, "The specified principalArn is invalid: invalid principal."),
    ],
)
def test_what_an_entry_may_not_say(eks: Any, params: dict[str, Any], text: str) -> None:
    answer = refusal(eks.create_access_entry, **{**WHERE, **params})
    assert answer == ("InvalidParameterException", text, 400)


def test_entries_for_nodes_are_refused_by_name(eks: Any) -> None:
    code, message, _ = refusal(eks.create_access_entry, **WHERE, type="EC2_LINUX")
    assert code == "InvalidParameterException"
    assert "EC2_LINUX" in message


def test_a_policy_for_the_cluster_is_bound_there_and_goes_with_its_association(world: World, eks: Any) -> None:
    eks.create_access_entry(**WHERE)
    answer = associate(eks, "View")
    assert answer["associatedAccessPolicy"]["accessScope"] == {"type": "cluster", "namespaces": []}
    assert bindings(world) == {("ClusterRoleBinding", ""): "view"}
    listed = eks.list_access_entries(clusterName="keyless", associatedPolicyArn=POLICY.format("View"))
    assert listed["accessEntries"] == [ROLE]
    eks.disassociate_access_policy(**WHERE, policyArn=POLICY.format("View"))
    assert bindings(world) == {}
    assert refusal(eks.disassociate_access_policy, **WHERE, policyArn=POLICY.format("View"))[2] == 404


def test_a_policy_for_namespaces_is_bound_in_those_that_are_there(world: World, eks: Any) -> None:
    for name in ("default", "dev-a", "dev-b", "prod"):
        world.kube.objects["namespaces", "", name] = {"metadata": {"name": name}}
    eks.create_access_entry(**WHERE)
    associate(eks, "Edit", "dev-*", "default", "later")
    places = {("RoleBinding", name): "edit" for name in ("default", "dev-a", "dev-b")}
    assert bindings(world) == places
    associate(eks, "Edit", "prod")
    assert bindings(world) == {("RoleBinding", "prod"): "edit"}


def test_an_entry_that_goes_takes_its_bindings_along(world: World, eks: Any) -> None:
    eks.create_access_entry(**WHERE)
    associate(eks, "AdminView")
    group = f"eks:access-entry:{entry_id(world)}"
    role = world.kube.objects["clusterroles", "", "eks:admin-view"]
    assert role["rules"][0]["verbs"] == ["get", "list", "watch"]
    eks.delete_access_entry(**WHERE)
    subjects = [
        subject["name"]
        for (plural, _, _), one in world.kube.objects.items()
        if plural == "clusterrolebindings"
        for subject in one["subjects"]
    ]
    assert group not in subjects
    assert len(subjects) == 1


@pytest.mark.parametrize(
    ("policy", "scope"),
    [
        ("arn:aws:eks::aws:cluster-access-policy/Nope", {"type": "cluster"}),
        (POLICY.format("View").replace("eks::aws", "iam::aws"), {"type": "cluster"}),
        (POLICY.format("View"), {"type": "namespace"}),
        (POLICY.format("View"), {"type": "cluster", "namespaces": ["default"]}),
        (POLICY.format("View"), {"type": "namespace", "namespaces": ["Not/One"]}),
    ],
)
def test_a_policy_and_its_scope_must_make_sense(eks: Any, policy: str, scope: dict[str, Any]) -> None:
    eks.create_access_entry(**WHERE)
    answer = refusal(eks.associate_access_policy, **WHERE, policyArn=policy, accessScope=scope)
    assert answer[0] == "InvalidParameterException"


def test_the_policies_there_are_can_be_listed(world: World) -> None:
    found = world.aws("eks").list_access_policies()["accessPolicies"]
    assert {"name": "AmazonEKSViewPolicy", "arn": POLICY.format("View")} in found


def test_iam_can_limit_which_policy_is_handed_out(world: World, eks: Any) -> None:
    eks.create_access_entry(**WHERE)
    only_view = {"StringEquals": {"eks:policyArn": POLICY.format("View"), "eks:accessScope": "cluster"}}
    iam = world.aws("iam")
    iam.create_user(UserName="dev")
    text = document(allow("eks:AssociateAccessPolicy", Condition=only_view))
    iam.put_user_policy(UserName="dev", PolicyName="p", PolicyDocument=text)
    theirs = world.aws("eks", iam.create_access_key(UserName="dev")["AccessKey"])
    associate(theirs, "View")
    assert refusal(lambda: associate(theirs, "ClusterAdmin"))[0] == "AccessDeniedException"
