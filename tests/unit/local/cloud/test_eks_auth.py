"""EKS Auth and the node's metadata: from a pod's token to credentials."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from keyless.local.cloud.eks_auth.eks_auth import session_name
from unit.local.cloud.support import ACCOUNT, World, allow, ask, document, pod_token, pods_trust, refusal

ROLE = f"arn:aws:iam::{ACCOUNT}:role/billing"
CLUSTER = f"arn:aws:eks:us-west-2:{ACCOUNT}:cluster/keyless"
UNAUTHORISED = (
    "AccessDeniedException",
    "Unauthorized Exception! EKS does not have permissions to assume the associated role.",
    400,
)


def reviewed(world: World, token: str, *, name: str = "vector", audience: str = "pods.eks.amazonaws.com") -> str:
    """Let the cluster vouch for ``token``."""
    world.kube.reviews[token] = {
        "authenticated": True,
        "audiences": [audience],
        "user": {
            "username": f"system:serviceaccount:mxp-1-system:{name}",
            "extra": {
                "authentication.kubernetes.io/pod-name": [f"{name}-0"],
                "authentication.kubernetes.io/pod-uid": ["0f1e2d3c-pod-uid"],
            },
        },
    }
    return token


def metadata(world: World, path: str, *, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    status, _, body = world.loop.run(ask(world.cloud.imds_app, method, path, headers=named))
    return status, body


def metadata_token(world: World) -> str:
    seconds = {"x_aws_ec2_metadata_token_ttl_seconds": "21600"}
    return metadata(world, "/latest/api/token", method="PUT", **seconds)[1].decode()


def node(world: World) -> Any:
    """An EKS Auth client with the node's credentials, got as the agent gets them."""
    token = {"x_aws_ec2_metadata_token": metadata_token(world)}
    base = "/latest/meta-data/iam/security-credentials/"
    role = metadata(world, base, **token)[1].decode()
    found = orjson.loads(metadata(world, base + role, **token)[1])
    return world.aws("eks-auth", {**found, "SessionToken": found["Token"]})


@pytest.fixture
def space(world: World) -> World:
    """A world with the role and its association."""
    world.aws("iam").create_role(RoleName="billing", AssumeRolePolicyDocument=pods_trust())
    world.aws("iam").put_role_policy(
        RoleName="billing", PolicyName="p", PolicyDocument=document(allow("iam:ListRoles"))
    )
    associate(world)
    return world


def associate(world: World, **params: Any) -> str:
    wanted = {"clusterName": "keyless", "namespace": "mxp-1-system", "serviceAccount": "vector", "roleArn": ROLE}
    made = world.aws("eks").create_pod_identity_association(**{**wanted, **params})
    return str(made["association"]["associationId"])


def pods_pod_token(world: World, **params: Any) -> str:
    return pod_token(world, audience="pods.eks.amazonaws.com", **params)


def test_a_pod_gets_a_session_of_its_association_s_role(space: World) -> None:
    token = reviewed(space, pods_pod_token(space))
    answer = node(space).assume_role_for_pod_identity(clusterName="keyless", token=token)
    assert answer["subject"] == {"namespace": "mxp-1-system", "serviceAccount": "vector"}
    assert answer["audience"] == "pods.eks.amazonaws.com"
    arn = answer["assumedRoleUser"]["arn"]
    assert arn.startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/billing/eks-keyless-vector-0-")
    given = answer["credentials"]
    keys = {
        "AccessKeyId": given["accessKeyId"],
        "SecretAccessKey": given["secretAccessKey"],
        "SessionToken": given["sessionToken"],
    }
    assert space.aws("sts", keys).get_caller_identity()["Arn"] == arn
    assert space.aws("iam", keys).list_roles()["Roles"]
    line = next(one for one in space.audit() if one["service"] == "eks-auth")
    assert line["notes"]["podUid"] == "0f1e2d3c-pod-uid"
    assert line["caller"]["arn"].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/keyless-node/i-")


@pytest.mark.parametrize(
    ("condition", "held"),
    [
        ({"StringEquals": {"aws:RequestTag/kubernetes-namespace": "mxp-1-system"}}, True),
        ({"StringEquals": {"aws:RequestTag/kubernetes-namespace": "mxp-2-system"}}, False),
        ({"StringEquals": {"aws:RequestTag/kubernetes-service-account": "vector"}}, True),
        ({"StringEquals": {"aws:RequestTag/eks-cluster-name": "keyless"}}, True),
        ({"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnEquals": {"aws:SourceArn": CLUSTER}}, True),
        ({"ArnEquals": {"aws:SourceArn": CLUSTER + "x"}}, False),
    ],
)
def test_the_trust_policy_sees_tags_and_the_cluster(space: World, condition: dict[str, Any], held: bool) -> None:
    trust = pods_trust(Condition=condition)
    space.aws("iam").update_assume_role_policy(RoleName="billing", PolicyDocument=trust)
    token = reviewed(space, pods_pod_token(space))
    call = node(space).assume_role_for_pod_identity
    if held:
        assert call(clusterName="keyless", token=token)["credentials"]
    else:
        assert refusal(call, clusterName="keyless", token=token) == UNAUTHORISED


def test_the_session_s_tags_are_principal_tags(space: World) -> None:
    own = document(
        allow("iam:ListRoles", Condition={"StringEquals": {"aws:PrincipalTag/kubernetes-namespace": "mxp-1-system"}})
    )
    space.aws("iam").put_role_policy(RoleName="billing", PolicyName="p", PolicyDocument=own)
    token = reviewed(space, pods_pod_token(space))
    given = node(space).assume_role_for_pod_identity(clusterName="keyless", token=token)["credentials"]
    keys = {
        "AccessKeyId": given["accessKeyId"],
        "SecretAccessKey": given["secretAccessKey"],
        "SessionToken": given["sessionToken"],
    }
    assert space.aws("iam", keys).list_roles()["Roles"]


def test_without_tag_session_only_an_untagged_session_is_given(space: World) -> None:
    found = space.aws("eks").list_pod_identity_associations(clusterName="keyless")["associations"][0]
    space.aws("eks").update_pod_identity_association(
        clusterName="keyless", associationId=found["associationId"], disableSessionTags=True
    )
    trust = pods_trust(("sts:AssumeRole",))
    space.aws("iam").update_assume_role_policy(RoleName="billing", PolicyDocument=trust)
    token = reviewed(space, pods_pod_token(space))
    assert node(space).assume_role_for_pod_identity(clusterName="keyless", token=token)["credentials"]


def test_a_pod_without_an_association_is_told_so(space: World) -> None:
    token = reviewed(space, pods_pod_token(space, name="other"), name="other")
    code, message, status = refusal(node(space).assume_role_for_pod_identity, clusterName="keyless", token=token)
    assert (code, status) == ("ResourceNotFoundException", 404)
    assert "service account other in namespace mxp-1-system" in message


def test_a_token_that_the_cluster_does_not_know_is_invalid(space: World) -> None:
    call = node(space).assume_role_for_pod_identity
    assert refusal(call, clusterName="keyless", token=pods_pod_token(space))[0] == "InvalidTokenException"


def test_a_token_for_another_audience_is_invalid(space: World) -> None:
    token = reviewed(space, pod_token(space), audience="sts.amazonaws.com")
    call = node(space).assume_role_for_pod_identity
    assert refusal(call, clusterName="keyless", token=token)[0] == "InvalidTokenException"


def test_an_expired_token_is_named_expired(space: World) -> None:
    token = pods_pod_token(space)
    space.clock.pass_seconds(3601)
    code, message, _ = refusal(node(space).assume_role_for_pod_identity, clusterName="keyless", token=token)
    assert code == "ExpiredTokenException"
    assert message.startswith("The token included in the request is expired: current date/time 2026-")


def test_garbage_is_refused_without_being_quoted(space: World) -> None:
    code, message, _ = refusal(node(space).assume_role_for_pod_identity, clusterName="keyless", token="gar bage")
    assert code == "InvalidParameterException"
    assert "gar" not in message


def test_a_cluster_that_cannot_be_asked_is_a_service_that_is_unavailable(space: World) -> None:
    call = node(space).assume_role_for_pod_identity
    space.kube.broken = True
    answer = refusal(call, clusterName="keyless", token=pods_pod_token(space))
    assert (answer[0], answer[2]) == ("ServiceUnavailableException", 503)


def test_who_is_not_the_node_needs_its_permission(space: World) -> None:
    iam = space.aws("iam")
    iam.create_user(UserName="dev")
    key = iam.create_access_key(UserName="dev")["AccessKey"]
    token = reviewed(space, pods_pod_token(space))
    call = space.aws("eks-auth", key).assume_role_for_pod_identity
    code, message, status = refusal(call, clusterName="keyless", token=token)
    assert (code, status) == ("AccessDeniedException", 400)
    assert "eks-auth:AssumeRoleForPodIdentity" in message


def target_trust(external: str) -> str:
    return document(
        {
            "Effect": "Allow",
            "Principal": {"AWS": ROLE},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {"StringEquals": {"sts:ExternalId": external}},
        }
    )


@pytest.mark.parametrize(("account", "held"), [(ACCOUNT, True), ("999999999999", False)])
def test_a_target_role_is_assumed_by_the_first_with_the_external_id(world: World, account: str, held: bool) -> None:
    iam = world.aws("iam")
    iam.create_role(RoleName="billing", AssumeRolePolicyDocument=pods_trust())
    trust = target_trust(f"us-west-2/{account}/keyless/mxp-1-system/vector")
    target = iam.create_role(RoleName="target", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    chain = document(allow(["sts:AssumeRole", "sts:TagSession"], target))
    iam.put_role_policy(RoleName="billing", PolicyName="chain", PolicyDocument=chain)
    associate(world, targetRoleArn=target)
    token = reviewed(world, pods_pod_token(world))
    call = node(world).assume_role_for_pod_identity
    if held:
        answer = call(clusterName="keyless", token=token)
        assert ":assumed-role/target/eks-keyless-vector-0-" in answer["assumedRoleUser"]["arn"]
    else:
        assert refusal(call, clusterName="keyless", token=token) == UNAUTHORISED


@pytest.mark.parametrize(("cluster", "pod"), [("keyless", "vector-0"), ("c" * 100, "p" * 253), ("k", "p" * 253)])
def test_session_names_fit_and_stay_unique(cluster: str, pod: str) -> None:
    unique = "0b0c1a7e-5f60-4f3a-8a43-4c7c2e1c9d11"
    found = session_name(cluster, pod, unique)
    assert len(found) <= 64
    assert found.startswith("eks-")
    assert found.endswith(unique)


# The metadata endpoint ---------------------------------------------------------------------------------------------


def test_metadata_without_a_token_is_refused(world: World) -> None:
    assert metadata(world, "/latest/meta-data/placement/region")[0] == 401
    assert metadata(world, "/latest/meta-data/placement/region", x_aws_ec2_metadata_token="guess")[0] == 401


def test_metadata_tells_where_the_node_is(world: World) -> None:
    token = {"x_aws_ec2_metadata_token": metadata_token(world)}
    assert metadata(world, "/latest/meta-data/placement/region", **token) == (200, b"us-west-2")
    assert metadata(world, "/latest/meta-data/placement/availability-zone", **token) == (200, b"us-west-2a")
    document_ = orjson.loads(metadata(world, "/latest/dynamic/instance-identity/document", **token)[1])
    assert (document_["region"], document_["accountId"]) == ("us-west-2", ACCOUNT)
    assert metadata(world, "/latest/meta-data/nothing", **token)[0] == 404


def test_a_metadata_token_expires(world: World) -> None:
    token = {"x_aws_ec2_metadata_token": metadata_token(world)}
    world.clock.pass_seconds(21601)
    assert metadata(world, "/latest/meta-data/placement/region", **token)[0] == 401


def test_metadata_is_not_served_through_a_proxy_or_by_another_name(world: World) -> None:
    seconds = {"x_aws_ec2_metadata_token_ttl_seconds": "60"}
    assert metadata(world, "/latest/api/token", method="PUT", x_forwarded_for="10.0.0.1", **seconds)[0] == 403
    assert metadata(world, "/latest/api/token", method="PUT", host="evil.example", **seconds)[0] == 403
    assert metadata(world, "/latest/api/token", method="PUT")[0] == 400
