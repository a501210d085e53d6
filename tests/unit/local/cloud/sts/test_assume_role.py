"""AssumeRole: what passes on from session to session, what is refused, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from unit.local.cloud.support import ACCOUNT, World, allow, document, refusal

ME = f"arn:aws:iam::{ACCOUNT}:user/keyless-admin"
FIRST = f"arn:aws:iam::{ACCOUNT}:role/first"
SECOND = f"arn:aws:iam::{ACCOUNT}:role/second"
ALL = ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity")


def make_role(world: World, name: str, who: str, *, actions: tuple[str, ...] = ALL, **statement: Any) -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": who}, "Action": list(actions), **statement}
    world.aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document(trust), MaxSessionDuration=43200)
    world.aws("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(allow("sts:*")))


def assumed(world: World, role: str = FIRST, keys: Any = None, **more: Any) -> Any:
    return world.aws("sts", keys).assume_role(RoleArn=role, RoleSessionName="s1", **more)["Credentials"]


def refused(world: World, role: str, keys: Any = None, **more: Any) -> tuple[str, str, int]:
    return refusal(world.aws("sts", keys).assume_role, RoleArn=role, RoleSessionName="s2", **more)


@pytest.fixture
def chain(world: World) -> World:
    """The administrator may assume the first role, the first role the second."""
    make_role(world, "first", ME)
    make_role(world, "second", FIRST)
    return world


def test_a_transitive_tag_cannot_be_set_again(chain: World) -> None:
    keys = assumed(chain, Tags=[{"Key": "Team", "Value": "blue"}], TransitiveTagKeys=["team"])
    answer = refused(chain, SECOND, keys, Tags=[{"Key": "TEAM", "Value": "red"}])
    text = (
        "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the"
        " calling session."
    )
    assert answer == ("InvalidParameterValue", text, 400)


def test_a_transitive_key_needs_its_tag(chain: World) -> None:
    text = "The specified transitive tag key must be included in the requested tags."
    asked = {"Tags": [{"Key": "a", "Value": "1"}], "TransitiveTagKeys": ["b"]}
    assert refused(chain, FIRST, **asked) == ("InvalidParameterValue", text, 400)


def test_a_tag_key_comes_once_whatever_its_case(chain: World) -> None:
    text = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
    tags = [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]
    assert refused(chain, FIRST, Tags=tags) == ("InvalidParameterValue", text, 400)


def test_a_source_identity_stays_for_good(chain: World) -> None:
    keys = assumed(chain, SourceIdentity="ana")
    text = "The source identity is already set for this assume role session"
    assert refused(chain, SECOND, keys, SourceIdentity="ben") == ("ValidationError", text, 400)
    answer = chain.aws("sts", keys).assume_role(RoleArn=SECOND, RoleSessionName="s2")
    assert answer["SourceIdentity"] == "ana"
    assert chain.audit()[-1]["caller"]["sourceIdentity"] == "ana"


def test_a_source_identity_that_passes_on_must_be_let_in(world: World) -> None:
    make_role(world, "first", ME)
    make_role(world, "second", FIRST, actions=("sts:AssumeRole",))
    code, message, status = refused(world, SECOND, assumed(world, SourceIdentity="ana"))
    assert (code, status) == ("AccessDenied", 403)
    assert f"is not authorized to perform: sts:SetSourceIdentity on resource: {SECOND}" in message


def test_tags_that_pass_on_must_be_let_in(world: World) -> None:
    make_role(world, "first", ME)
    make_role(world, "second", FIRST, actions=("sts:AssumeRole",))
    keys = assumed(world, Tags=[{"Key": "a", "Value": "1"}], TransitiveTagKeys=["a"])
    assert "sts:TagSession" in refused(world, SECOND, keys)[1]
    assert assumed(world, SECOND, assumed(world, Tags=[{"Key": "a", "Value": "1"}]))


@pytest.mark.parametrize(
    ("condition", "held"),
    [
        ({"StringEquals": {"aws:RequestTag/team": "blue"}}, True),
        ({"StringEquals": {"aws:RequestTag/team": "red"}}, False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}, True),
        ({"ForAllValues:StringEquals": {"sts:TransitiveTagKeys": ["team"]}}, True),
        ({"ForAnyValue:StringEquals": {"sts:TransitiveTagKeys": ["own"]}}, False),
        ({"StringLike": {"sts:RoleSessionName": "s*"}}, True),
        ({"StringEquals": {"sts:RoleSessionName": "${aws:username}"}}, False),
        ({"StringEquals": {"sts:SourceIdentity": "ana"}}, True),
        ({"StringEquals": {"sts:ExternalId": "right"}}, True),
        ({"Null": {"sts:ExternalId": "true"}}, False),
        ({"StringEquals": {"iam:ResourceTag/owner": "us"}}, True),
        ({"StringEquals": {"aws:ResourceTag/owner": "them"}}, False),
        ({"StringEquals": {"aws:PrincipalArn": ME}}, True),
    ],
)
def test_trust_sees_what_the_caller_asks_for(world: World, condition: dict[str, Any], held: bool) -> None:
    make_role(world, "first", ME, Condition=condition)
    world.aws("iam").tag_role(RoleName="first", Tags=[{"Key": "owner", "Value": "us"}])
    asked = {
        "Tags": [{"Key": "team", "Value": "blue"}],
        "TransitiveTagKeys": ["team"],
        "SourceIdentity": "ana",
        "ExternalId": "right",
    }
    if held:
        assert assumed(world, **asked)
    else:
        assert refused(world, FIRST, **asked)[0] == "AccessDenied"


def test_a_role_that_is_not_there_and_one_that_does_not_trust_sound_alike(world: World) -> None:
    make_role(world, "first", f"arn:aws:iam::{ACCOUNT}:role/keyless-node")
    for arn in (FIRST, SECOND, "arn:aws:iam::444455556666:role/theirs"):
        text = f"User: {ME} is not authorized to perform: sts:AssumeRole on resource: {arn}"
        assert refused(world, arn) == ("AccessDenied", text, 403)


def test_a_caller_without_the_permission_is_told_which_policy_lacks_it(world: World) -> None:
    make_role(world, "first", ACCOUNT)
    iam = world.aws("iam")
    iam.create_user(UserName="ana")
    keys = iam.create_access_key(UserName="ana")["AccessKey"]
    assert refused(world, FIRST, keys)[1].endswith(
        f"on resource: {FIRST} because no identity-based policy allows the sts:AssumeRole action"
    )
    deny = {**allow("sts:AssumeRole"), "Effect": "Deny"}
    iam.put_user_policy(UserName="ana", PolicyName="p", PolicyDocument=document(allow("sts:*"), deny))
    assert refused(world, FIRST, keys)[1].endswith("with an explicit deny in an identity-based policy")


def test_a_role_must_let_itself_in_to_assume_itself(world: World) -> None:
    make_role(world, "first", ME)
    keys = assumed(world)
    assert refused(world, FIRST, keys)[0] == "AccessDenied"
    trust = document({"Effect": "Allow", "Principal": {"AWS": [ME, FIRST]}, "Action": "sts:AssumeRole"})
    world.aws("iam").update_assume_role_policy(RoleName="first", PolicyDocument=trust)
    assert assumed(world, FIRST, keys)


def test_a_session_lasts_as_long_as_the_role_allows(world: World) -> None:
    make_role(world, "first", ME)
    world.aws("iam").update_role(RoleName="first", MaxSessionDuration=7200)
    text = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    assert refused(world, FIRST, DurationSeconds=7201) == ("ValidationError", text, 400)
    code, message, _ = refused(world, FIRST, DurationSeconds=899)
    assert (code, "Member must have value greater than or equal to 900" in message) == ("ValidationError", True)


def test_who_one_is_has_a_form_for_each_kind(chain: World) -> None:
    def who(keys: Any = None) -> tuple[str, str]:
        found = chain.aws("sts", keys).get_caller_identity()
        return found["Arn"], found["UserId"]

    role_id = chain.aws("iam").get_role(RoleName="first")["Role"]["RoleId"]
    user_id = chain.aws("iam").get_user(UserName="keyless-admin")["User"]["UserId"]
    assert who() == (ME, user_id)
    assert who(assumed(chain)) == (f"arn:aws:sts::{ACCOUNT}:assumed-role/first/s1", f"{role_id}:s1")
    assert who(chain.aws("sts").get_session_token()["Credentials"]) == (ME, user_id)


def test_a_session_of_a_user_calls_everything_but_iam(world: World) -> None:
    keys = world.aws("sts").get_session_token(DurationSeconds=900)["Credentials"]
    assert world.aws("s3", keys).list_buckets()["Buckets"] == []
    text = "The security token included in the request is invalid."
    assert refusal(world.aws("iam", keys).list_roles) == ("InvalidClientTokenId", text, 403)
    answer = refusal(world.aws("sts", keys).get_session_token)
    assert answer == ("AccessDenied", "Cannot call GetSessionToken with session credentials", 403)


def test_a_key_tells_its_account(world: World) -> None:
    key = world.cloud.admin_credentials().access_key_id
    assert world.aws("sts").get_access_key_info(AccessKeyId=key)["Account"] == ACCOUNT
    assert refusal(world.aws("sts").get_access_key_info, AccessKeyId="X" * 20)[0] == "ValidationError"


# GetFederationToken ---------------------------------------------------------------------------------------------------


def test_a_federated_user_may_what_both_its_user_and_its_session_may(world: World) -> None:
    only = document(allow("s3:ListAllMyBuckets"))
    found = world.aws("sts").get_federation_token(Name="ben", Policy=only, Tags=[{"Key": "team", "Value": "blue"}])
    arn = f"arn:aws:sts::{ACCOUNT}:federated-user/ben"
    assert found["FederatedUser"] == {"FederatedUserId": f"{ACCOUNT}:ben", "Arn": arn}
    assert found["PackedPolicySize"] > 0
    keys = found["Credentials"]
    who = world.aws("sts", keys).get_caller_identity()
    assert (who["Arn"], who["UserId"]) == (arn, f"{ACCOUNT}:ben")
    assert world.aws("s3", keys).list_buckets()["Buckets"] == []
    answer = refusal(world.aws("secretsmanager", keys).list_secrets)
    assert answer[0] == "AccessDeniedException"
    assert f"User: {arn} is not authorized" in answer[1]
    assert "because no session policy allows" in answer[1]
    assert world.audit()[-1]["caller"]["type"] == "FederatedUser"


def test_a_federated_user_without_a_policy_has_what_resources_grant_it(world: World) -> None:
    s3, keys = world.aws("s3"), world.aws("sts").get_federation_token(Name="ben")["Credentials"]
    own = world.aws("s3", keys)
    s3.create_bucket(Bucket="usage", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    assert refusal(own.list_objects_v2, Bucket="usage")[0] == "AccessDenied"
    arn = f"arn:aws:sts::{ACCOUNT}:federated-user/ben"
    statement = allow("s3:ListBucket", "arn:aws:s3:::usage", Principal={"AWS": arn})
    s3.put_bucket_policy(Bucket="usage", Policy=document(statement))
    assert own.list_objects_v2(Bucket="usage")["KeyCount"] == 0


def test_federation_credentials_get_no_others(chain: World) -> None:
    keys = chain.aws("sts").get_federation_token(Name="ben", Policy=document(allow("*")))["Credentials"]
    assert refused(chain, FIRST, keys)[0] == "AccessDenied"
    answer = refusal(chain.aws("sts", keys).get_federation_token, Name="eve")
    assert answer == ("AccessDenied", "Cannot call GetFederationToken with session credentials", 403)
    assert refusal(chain.aws("iam", keys).list_roles)[0] == "InvalidClientTokenId"


def test_federating_needs_a_permission_on_the_name(world: World) -> None:
    iam = world.aws("iam")
    iam.create_user(UserName="ana")
    keys = iam.create_access_key(UserName="ana")["AccessKey"]
    sts = world.aws("sts", keys)
    may = allow("sts:GetFederationToken", f"arn:aws:sts::{ACCOUNT}:federated-user/b*")
    iam.put_user_policy(UserName="ana", PolicyName="p", PolicyDocument=document(may))
    assert sts.get_federation_token(Name="ben")["Credentials"]
    assert refusal(sts.get_federation_token, Name="eve")[0] == "AccessDenied"
    tagged = refusal(sts.get_federation_token, Name="ben", Tags=[{"Key": "a", "Value": "b"}])
    assert "sts:TagSession" in tagged[1]
