"""Who may do what, when it begins to count, and what the record says of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from keyless.local.cloud import last_number, read_audit
from unit.local.cloud.support import (
    ACCOUNT,
    ISSUER,
    World,
    allow,
    document,
    irsa_trust,
    pod_token,
    refusal,
    signing_key,
)


@pytest.fixture
def slow() -> Iterator[World]:
    """A world where IAM takes ten seconds to act."""
    found = World(delay_seconds=10)
    yield found
    found.close()


def make_user(world: World, *policies: str) -> dict[str, str]:
    iam = world.aws("iam")
    iam.create_user(UserName="dev")
    for number, text in enumerate(policies):
        iam.put_user_policy(UserName="dev", PolicyName=f"p{number}", PolicyDocument=text)
    found: dict[str, str] = iam.create_access_key(UserName="dev")["AccessKey"]
    return found


def test_who_has_no_policy_is_told_what_lacks(world: World) -> None:
    code, message, status = refusal(world.aws("iam", make_user(world)).get_role, RoleName="billing")
    assert (code, status) == ("AccessDenied", 403)
    assert message.startswith(
        f"User: arn:aws:iam::{ACCOUNT}:user/dev is not authorized to perform: iam:GetRole on resource: role billing"
        " because no identity-based policy allows the iam:GetRole action"
    )


def test_everybody_may_ask_who_they_are(world: World) -> None:
    deny = document({"Effect": "Deny", "Action": "*", "Resource": "*"})
    assert world.aws("sts", make_user(world, deny)).get_caller_identity()["Account"] == ACCOUNT


def test_an_explicit_deny_is_told_as_one(world: World) -> None:
    deny = document({"Effect": "Deny", "Action": "iam:ListRoles", "Resource": "*"})
    message = refusal(world.aws("iam", make_user(world, document(allow("*")), deny)).list_roles)[1]
    assert "with an explicit deny in an identity-based policy. Run keyless explain" in message


@pytest.mark.parametrize(
    ("condition", "held"),
    [
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, False),
        ({"StringEquals": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:user/dev"}}, True),
        ({"StringEquals": {"aws:username": "dev"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "us-west-2"}}, True),
        ({"StringEquals": {"aws:RequestTag/team": "blue"}}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["cost"]}}, False),
    ],
)
def test_conditions_see_the_call(world: World, condition: dict[str, Any], held: bool) -> None:
    key = make_user(world, document(allow("iam:CreateRole", Condition=condition)))
    wanted = {"RoleName": "r", "AssumeRolePolicyDocument": irsa_trust(), "Tags": [{"Key": "team", "Value": "blue"}]}
    if held:
        assert world.aws("iam", key).create_role(**wanted)
    else:
        assert refusal(world.aws("iam", key).create_role, **wanted)[0] == "AccessDenied"


def test_a_boundary_bounds(world: World) -> None:
    key = make_user(world, document(allow("*")))
    iam = world.aws("iam")
    made = iam.create_policy(PolicyName="bound", PolicyDocument=document(allow("sts:*")))["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName="dev", PermissionsBoundary=made)
    message = refusal(world.aws("iam", key).list_roles)[1]
    assert "because no permissions boundary allows the iam:ListRoles action. " in message


def test_old_sessions_are_cut_off_by_their_time_of_issue(world: World) -> None:
    world.issuers.publish(ISSUER, signing_key())
    iam = world.aws("iam")
    iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=["sts.amazonaws.com"])
    iam.create_role(RoleName="billing", AssumeRolePolicyDocument=irsa_trust())
    iam.put_role_policy(RoleName="billing", PolicyName="p", PolicyDocument=document(allow("*")))
    wanted = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/billing", "RoleSessionName": "vector"}

    def assume() -> Any:
        sts = world.aws("sts", False)
        return sts.assume_role_with_web_identity(**wanted, WebIdentityToken=pod_token(world))["Credentials"]

    old = assume()
    world.clock.pass_seconds(60)
    revoked = {"DateLessThan": {"aws:TokenIssueTime": "2026-09-21T14:14:00Z"}}
    deny = document({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": revoked})
    iam.put_role_policy(RoleName="billing", PolicyName="revoke", PolicyDocument=deny)
    assert refusal(world.aws("iam", old).list_roles)[0] == "AccessDenied"
    assert world.aws("iam", assume()).list_roles()["Roles"]


# Propagation -------------------------------------------------------------------------------------------------------


def test_a_permission_counts_after_the_delay_and_is_read_at_once(slow: World) -> None:
    key = make_user(slow, document(allow("iam:ListRoles")))
    assert slow.aws("iam").get_user_policy(UserName="dev", PolicyName="p0")["PolicyName"] == "p0"
    assert refusal(slow.aws("iam", key).list_roles)[0] == "AccessDenied"
    slow.clock.pass_seconds(10)
    assert slow.aws("iam", key).list_roles()["Roles"]


def test_a_permission_taken_away_holds_until_the_delay_is_over(slow: World) -> None:
    key = make_user(slow, document(allow("iam:ListRoles")))
    slow.clock.pass_seconds(10)
    slow.aws("iam").delete_user_policy(UserName="dev", PolicyName="p0")
    slow.clock.pass_seconds(9)
    assert slow.aws("iam", key).list_roles()["Roles"]
    slow.clock.pass_seconds(1)
    assert refusal(slow.aws("iam", key).list_roles)[0] == "AccessDenied"


def test_pending_changes_keep_their_time_over_a_restart(slow: World) -> None:
    key = make_user(slow, document(allow("iam:ListRoles")))
    slow.clock.pass_seconds(9)
    slow.restart(delay_seconds=0)
    assert refusal(slow.aws("iam", key).list_roles)[0] == "AccessDenied"
    slow.clock.pass_seconds(1)
    assert slow.aws("iam", key).list_roles()["Roles"]


def test_a_new_version_of_a_policy_replaces_the_old_one_after_the_delay(slow: World) -> None:
    key = make_user(slow)
    iam = slow.aws("iam")
    arn = iam.create_policy(PolicyName="p", PolicyDocument=document(allow("iam:ListRoles")))["Policy"]["Arn"]
    iam.attach_user_policy(UserName="dev", PolicyArn=arn)
    slow.clock.pass_seconds(10)
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(allow("iam:ListUsers")), SetAsDefault=True)
    assert slow.aws("iam", key).list_roles()["Roles"]
    slow.clock.pass_seconds(10)
    assert refusal(slow.aws("iam", key).list_roles)[0] == "AccessDenied"
    assert slow.aws("iam", key).list_users()["Users"]


def test_trust_and_providers_take_effect_after_the_delay(slow: World) -> None:
    slow.issuers.publish(ISSUER, signing_key())
    iam = slow.aws("iam")
    iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=["sts.amazonaws.com"])
    wanted = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/billing", "RoleSessionName": "vector"}
    token = pod_token(slow)
    call = slow.aws("sts", False).assume_role_with_web_identity
    assert refusal(call, **wanted, WebIdentityToken=token)[0] == "InvalidIdentityToken"
    slow.clock.pass_seconds(10)
    iam.create_role(RoleName="billing", AssumeRolePolicyDocument=irsa_trust())
    assert refusal(call, **wanted, WebIdentityToken=token)[0] == "AccessDenied"
    slow.clock.pass_seconds(10)
    assert call(**wanted, WebIdentityToken=token)["Credentials"]


def test_a_role_made_again_lends_nothing_to_sessions_of_its_predecessor(world: World) -> None:
    iam = world.aws("iam")
    me = f"arn:aws:iam::{ACCOUNT}:user/keyless-admin"
    trust = document({"Effect": "Allow", "Principal": {"AWS": me}, "Action": "sts:AssumeRole"})

    def make() -> None:
        iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust)
        iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document(allow("iam:ListRoles")))

    make()
    arn = f"arn:aws:iam::{ACCOUNT}:role/r"
    old = world.aws("sts").assume_role(RoleArn=arn, RoleSessionName="s1")["Credentials"]
    assert world.aws("iam", old).list_roles()["Roles"]
    iam.delete_role_policy(RoleName="r", PolicyName="p")
    iam.delete_role(RoleName="r")
    make()
    assert refusal(world.aws("iam", old).list_roles)[0] == "AccessDenied"


# AssumeRole --------------------------------------------------------------------------------------------------------


def chain(world: World, **statement: Any) -> tuple[str, str]:
    """Two roles: the administrator may assume the first, the first the second."""
    iam = world.aws("iam")
    me = f"arn:aws:iam::{ACCOUNT}:user/keyless-admin"
    actions = ["sts:AssumeRole", "sts:TagSession"]
    trust = document({"Effect": "Allow", "Principal": {"AWS": me}, "Action": actions})
    first = iam.create_role(RoleName="first", AssumeRolePolicyDocument=trust, MaxSessionDuration=43200)["Role"]["Arn"]
    iam.put_role_policy(RoleName="first", PolicyName="p", PolicyDocument=document(allow("sts:*")))
    trust = document({"Effect": "Allow", "Principal": {"AWS": first}, "Action": actions, **statement})
    made = iam.create_role(RoleName="second", AssumeRolePolicyDocument=trust, MaxSessionDuration=43200)
    return first, made["Role"]["Arn"]


def test_an_external_id_must_match(world: World) -> None:
    first, second = chain(world, Condition={"StringEquals": {"sts:ExternalId": "right"}})
    keys = world.aws("sts").assume_role(RoleArn=first, RoleSessionName="s1")["Credentials"]
    sts = world.aws("sts", keys)
    assert sts.assume_role(RoleArn=second, RoleSessionName="s2", ExternalId="right")["Credentials"]
    answer = refusal(sts.assume_role, RoleArn=second, RoleSessionName="s2", ExternalId="wrong")
    text = (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/first/s1 is not authorized to perform: sts:AssumeRole on resource:"
        f" {second}"
    )
    assert answer == ("AccessDenied", text, 403)


def test_a_chained_session_lasts_an_hour_at_most(world: World) -> None:
    first, second = chain(world)
    keys = world.aws("sts").assume_role(RoleArn=first, RoleSessionName="s1", DurationSeconds=43200)["Credentials"]
    answer = refusal(world.aws("sts", keys).assume_role, RoleArn=second, RoleSessionName="s2", DurationSeconds=3601)
    text = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
    assert answer == ("ValidationError", text, 400)


def test_transitive_tags_pass_on_and_others_do_not(world: World) -> None:
    first, second = chain(world)
    keys = world.aws("sts").assume_role(
        RoleArn=first,
        RoleSessionName="s1",
        Tags=[{"Key": "team", "Value": "blue"}, {"Key": "own", "Value": "1"}],
        TransitiveTagKeys=["team"],
    )["Credentials"]
    chained = world.aws("sts", keys).assume_role(RoleArn=second, RoleSessionName="s2")["Credentials"]
    tagged = allow("iam:ListRoles", Condition={"StringEquals": {"aws:PrincipalTag/team": "blue"}})
    own = allow("iam:ListUsers", Condition={"StringEquals": {"aws:PrincipalTag/own": "1"}})
    world.aws("iam").put_role_policy(RoleName="second", PolicyName="p", PolicyDocument=document(tagged, own))
    assert world.aws("iam", chained).list_roles()["Roles"]
    assert refusal(world.aws("iam", chained).list_users)[0] == "AccessDenied"


# The record --------------------------------------------------------------------------------------------------------


def test_every_call_leaves_one_line(world: World) -> None:
    before = last_number(world.connection)
    world.aws("sts").get_caller_identity()
    refusal(world.aws("iam").get_role, RoleName="none")
    refusal(world.aws("eks").list_eks_anywhere_subscriptions)
    refusal(world.aws("sts", {"AccessKeyId": "AKIA", "SecretAccessKey": "x"}).get_caller_identity)
    codes = [line["code"] for line in world.audit()[before:]]
    assert codes == ["Success", "NoSuchEntity", "UnknownOperationException", "InvalidClientTokenId"]


def test_denied_calls_can_be_read_alone(world: World) -> None:
    key = make_user(world)
    refusal(world.aws("iam", key).list_roles)
    world.aws("sts", key).get_caller_identity()
    lines = list(read_audit(world.connection, denied=True))
    assert len(lines) == 1
    assert '"iam:ListRoles"' in lines[0].text
    assert list(read_audit(world.connection, after=lines[0].number, denied=True)) == []


def test_no_secret_is_in_the_record_or_in_the_state_as_a_document_of_it(world: World) -> None:
    iam = world.aws("iam")
    iam.create_user(UserName="dev")
    key = iam.create_access_key(UserName="dev")["AccessKey"]
    session = world.aws("sts", key).get_session_token()["Credentials"]
    world.aws("sts", session).get_caller_identity()
    recorded = " ".join(line.text for line in read_audit(world.connection))
    for secret in (key["SecretAccessKey"], session["SecretAccessKey"], session["SessionToken"]):
        assert secret not in recorded
