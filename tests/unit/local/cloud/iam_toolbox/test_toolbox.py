"""Why a request was denied, by the id in its refusal (facts/identity.md#denials)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from unit.local.cloud.support import ACCOUNT, World, a_role, allow, document, refusal

LIMIT = f"arn:aws:iam::{ACCOUNT}:policy/limit"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/reader"


def denied(world: World, *statements: dict[str, Any]) -> tuple[str, str]:
    """A refusal's text and its authorization id."""
    credentials = a_role(world, *statements)
    text = refusal(world.aws("iam", credentials).get_role, RoleName="reader")[1]
    found = re.search(r"with the following authorization id: ([0-9a-z]+)$", text)
    assert found, text
    return text, found[1]


def test_a_refusal_of_iam_ends_in_an_id(world: World) -> None:
    text, identifier = denied(world, allow("s3:*"))
    start = (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/reader/test is not authorized to perform: iam:GetRole on resource:"
        " role reader because no identity-based policy allows the iam:GetRole action. "
    )
    assert text.startswith(start)
    assert f"keyless explain --event {identifier}" in text


def test_the_id_gives_context_checks_and_policies(world: World) -> None:
    _, identifier = denied(world, {**allow("iam:*"), "Sid": "All"}, {**allow("iam:Get*"), "Effect": "Deny"})
    found = world.aws("iam-toolbox").get_request_authorization_details(authorizationId=identifier)
    (evaluation,) = found["evaluations"]
    assert (evaluation["action"], evaluation["resource"]) == ("iam:GetRole", ROLE)
    assert evaluation["evaluatedEffect"] == "EXPLICIT_DENY"
    (check,) = evaluation["checks"]
    assert (check["checkType"], check["evaluatedEffect"]) == ("PRINCIPAL", "EXPLICIT_DENY")
    (policy,) = found["policies"]
    assert (policy["type"], policy["inline"], policy["attachedTo"]) == (
        "IDENTITY_BASED_POLICY",
        True,
        [{"arn": ROLE}],
    )
    (matched,) = check["matchedPolicies"]
    assert matched["uri"] == policy["uri"]
    assert [(one["sid"], one["evaluatedEffect"]) for one in matched["matchedStatements"]] == [
        ("All", "ALLOW"),
        ("Statement2", "DENY"),
    ]
    assert found["requestContext"]["aws:RequestedRegion"] == "us-west-2"


def test_a_boundary_that_lacks_the_allow_is_a_check(world: World) -> None:
    world.aws("iam").create_policy(PolicyName="limit", PolicyDocument=document(allow("s3:*")))
    credentials = a_role(world, allow("iam:*"))
    world.aws("iam").put_role_permissions_boundary(RoleName="reader", PermissionsBoundary=LIMIT)
    text = refusal(world.aws("iam", credentials).get_role, RoleName="reader")[1]
    found = world.aws("iam-toolbox").get_request_authorization_details(authorizationId=text.rpartition(" ")[2])
    checks = {one["checkType"]: one["evaluatedEffect"] for one in found["evaluations"][0]["checks"]}
    assert checks == {"PRINCIPAL": "ALLOW", "PERMISSIONS_BOUNDARY": "IMPLICIT_DENY"}
    assert LIMIT in [policy["uri"] for policy in found["policies"]]


def test_refusals_of_other_services_have_an_id_too_the_one_of_the_request(world: World) -> None:
    s3 = world.aws("s3", a_role(world, allow("iam:*")))
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.list_buckets()
    identifier = refused.value.response["ResponseMetadata"]["RequestId"].replace("-", "")
    found = world.aws("iam-toolbox").get_request_authorization_details(authorizationId=identifier)
    assert found["evaluations"][0]["action"] == "s3:ListAllMyBuckets"


def test_an_id_that_is_not_known_is_not_found(world: World) -> None:
    ask = world.aws("iam-toolbox").get_request_authorization_details
    assert refusal(ask, authorizationId="0abc")[0] == "ResourceNotFoundException"
    assert refusal(ask, authorizationId="A-B")[0] == "ValidationException"


def test_asking_needs_a_permission(world: World) -> None:
    _, identifier = denied(world, allow("s3:*"))
    own = world.aws("iam-toolbox", a_role_again(world))
    answer = refusal(own.get_request_authorization_details, authorizationId=identifier)
    assert answer[0] == "AccessDeniedException"


def a_role_again(world: World) -> Any:
    return world.aws("sts").assume_role(RoleArn=ROLE, RoleSessionName="again")["Credentials"]
