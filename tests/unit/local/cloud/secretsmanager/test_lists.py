"""Lists, filters, batches, deletion, policies and passwords of Secrets Manager."""

import json
import string

import pytest

from unit.local.cloud.support import ACCOUNT, a_role, allow, document, refusal


@pytest.fixture
def secrets(world):
    return world.aws("secretsmanager")


@pytest.fixture
def several(world, secrets):
    for name, description, tags in (
        ("prod/Billing", "the Billing database", {"team": "red"}),
        ("prod/mail", "outgoing post", {"team": "blue", "Tier": "gold"}),
        ("dev/billing", "", {}),
    ):
        world.clock.pass_seconds(1)
        given = [{"Key": key, "Value": value} for key, value in tags.items()]
        secrets.create_secret(Name=name, SecretString=name, Description=description, Tags=given)
    return secrets


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([("name", ["prod/"])], ["prod/Billing", "prod/mail"]),
        ([("name", ["PROD/"])], []),
        ([("name", ["dev", "prod/m"])], ["prod/mail", "dev/billing"]),
        ([("name", ["!prod"])], ["dev/billing"]),
        ([("tag-key", ["te"])], ["prod/Billing", "prod/mail"]),
        ([("tag-key", ["Ti"]), ("tag-value", ["bl"])], ["prod/mail"]),
        ([("tag-value", ["red", "gold"])], ["prod/Billing", "prod/mail"]),
        ([("tag-key", ["!team"])], ["dev/billing"]),
        ([("description", ["billing"])], ["prod/Billing"]),
        ([("description", ["data the"])], ["prod/Billing"]),
        ([("description", ["atabase"])], []),
        ([("all", ["BILLING"])], ["prod/Billing", "dev/billing"]),
        ([("all", ["gold"])], ["prod/mail"]),
        ([("owning-service", ["rds"])], []),
    ],
)
def test_filters_choose(several, filters, found):
    given = [{"Key": key, "Values": values} for key, values in filters]
    assert [one["Name"] for one in several.list_secrets(Filters=given)["SecretList"]] == found


def test_a_filter_of_an_unknown_kind_is_refused(several):
    given = [{"Key": "colour", "Values": ["red"]}]
    assert refusal(several.list_secrets, Filters=given)[0] == "ValidationException"


@pytest.mark.parametrize(
    ("asked", "first"),
    [({}, "prod/Billing"), ({"SortOrder": "desc"}, "dev/billing"), ({"SortBy": "name"}, "dev/billing")],
)
def test_lists_are_sorted(several, asked, first):
    assert several.list_secrets(**asked)["SecretList"][0]["Name"] == first


def test_lists_come_in_pages(several):
    first = several.list_secrets(MaxResults=2)
    rest = several.list_secrets(MaxResults=2, NextToken=first["NextToken"])
    assert [len(first["SecretList"]), len(rest["SecretList"])] == [2, 1]
    assert "NextToken" not in rest
    assert refusal(several.list_secrets, NextToken="nonsense")[0] == "InvalidNextTokenException"


def test_a_list_tells_versions_and_tags_and_hides_what_waits_for_deletion(several):
    several.delete_secret(SecretId="dev/billing")
    names = [one["Name"] for one in several.list_secrets()["SecretList"]]
    assert "dev/billing" not in names
    everything = several.list_secrets(IncludePlannedDeletion=True)["SecretList"]
    assert [one["Name"] for one in everything if "DeletedDate" in one] == ["dev/billing"]
    assert list(everything[0]["SecretVersionsToStages"].values()) == [["AWSCURRENT"]]
    assert everything[0]["Tags"] == [{"Key": "team", "Value": "red"}]


def test_a_batch_by_filter_needs_the_right_to_list_and_answers_in_pages(world, several):
    given = [{"Key": "name", "Values": ["prod"]}]
    first = several.batch_get_secret_value(Filters=given, MaxResults=1)
    assert [one["SecretString"] for one in first["SecretValues"]] == ["prod/Billing"]
    rest = several.batch_get_secret_value(Filters=given, MaxResults=1, NextToken=first["NextToken"])
    assert [one["SecretString"] for one in rest["SecretValues"]] == ["prod/mail"]
    batch = allow(["secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue"])
    reader = world.aws("secretsmanager", a_role(world, batch))
    code, text, _ = refusal(reader.batch_get_secret_value, Filters=given)
    assert (code, "secretsmanager:ListSecrets" in text) == ("AccessDeniedException", True)


def test_a_batch_tells_for_each_secret_why_not(world, several):
    several.delete_secret(SecretId="dev/billing")
    own = world.aws("kms").create_key()["KeyMetadata"]["KeyId"]
    several.create_secret(Name="prod/own", SecretString="1", KmsKeyId=own)
    arn = f"arn:aws:secretsmanager:us-west-2:{ACCOUNT}:secret"
    read = allow("secretsmanager:GetSecretValue", [f"{arn}:prod/own*", f"{arn}:dev/*", f"{arn}:none*"])
    reader = world.aws("secretsmanager", a_role(world, read, allow("secretsmanager:BatchGetSecretValue")))
    asked = ["prod/own", "prod/mail", "dev/billing", "none"]
    errors = {one["SecretId"]: one for one in reader.batch_get_secret_value(SecretIdList=asked)["Errors"]}
    assert {name: one["ErrorCode"] for name, one in errors.items()} == {
        "prod/own": "AccessDeniedException",
        "prod/mail": "AccessDeniedException",
        "dev/billing": "InvalidRequestException",
        "none": "ResourceNotFoundException",
    }
    assert errors["prod/own"]["Message"] == "Access to KMS is not allowed"
    assert "secretsmanager:GetSecretValue on resource: prod/mail" in errors["prod/mail"]["Message"]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"SecretIdList": ["a"], "Filters": [{"Key": "name", "Values": ["a"]}]},
        {"SecretIdList": ["a"], "MaxResults": 5},
    ],
)
def test_a_batch_is_by_names_or_by_filters(secrets, asked):
    assert refusal(secrets.batch_get_secret_value, **asked)[0] == "InvalidParameterException"


# Deletion


def test_deletion_is_forced_or_waits_and_never_both(secrets):
    secrets.create_secret(Name="s", SecretString="1")
    for asked in (
        {"ForceDeleteWithoutRecovery": True, "RecoveryWindowInDays": 7},
        {"RecoveryWindowInDays": 6},
        {"RecoveryWindowInDays": 31},
    ):
        assert refusal(secrets.delete_secret, SecretId="s", **asked)[0] == "InvalidParameterException"
    secrets.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)
    assert refusal(secrets.describe_secret, SecretId="s")[0] == "ResourceNotFoundException"
    assert secrets.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)["Name"] == "s"
    assert refusal(secrets.delete_secret, SecretId="s")[0] == "ResourceNotFoundException"


def test_what_waits_for_deletion_can_be_described_restored_and_forced_and_nothing_else(secrets):
    secrets.create_secret(Name="s", SecretString="1")
    secrets.delete_secret(SecretId="s")
    assert secrets.describe_secret(SecretId="s")["DeletedDate"]
    marked = "You can't perform this operation on the secret because it was marked for deletion."
    for call, more in (
        (secrets.get_secret_value, {}),
        (secrets.put_secret_value, {"SecretString": "2"}),
        (secrets.update_secret, {"Description": "d"}),
        (secrets.tag_resource, {"Tags": [{"Key": "a", "Value": "b"}]}),
        (secrets.get_resource_policy, {}),
        (secrets.delete_secret, {}),
    ):
        assert refusal(call, SecretId="s", **more) == ("InvalidRequestException", marked, 400)
    code, text, _ = refusal(secrets.create_secret, Name="s", SecretString="1")
    assert code == "InvalidRequestException"
    assert text.endswith("a secret with this name is already scheduled for deletion.")
    secrets.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)
    secrets.create_secret(Name="s", SecretString="2")


# Policies, tags, rotation

EVERYBODY = {"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}


@pytest.mark.parametrize(
    ("condition", "public"),
    [
        (None, True),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, False),
        ({"StringLike": {"aws:PrincipalArn": "*"}}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
    ],
)
def test_a_public_policy_is_blocked_on_request(secrets, condition, public):
    secrets.create_secret(Name="s", SecretString="1")
    policy = document(EVERYBODY | ({"Condition": condition} if condition else {}))
    put = {"SecretId": "s", "ResourcePolicy": policy, "BlockPublicPolicy": True}
    checked = secrets.validate_resource_policy(ResourcePolicy=policy)
    assert checked["PolicyValidationPassed"] is not public
    if public:
        assert refusal(secrets.put_resource_policy, **put)[0] == "PublicPolicyException"
    else:
        secrets.put_resource_policy(**put)
        assert json.loads(secrets.get_resource_policy(SecretId="s")["ResourcePolicy"]) == json.loads(policy)


def test_a_resource_policy_lets_a_role_in_and_keeps_one_out(world, secrets):
    secrets.create_secret(Name="s", SecretString="1")
    reader = world.aws("secretsmanager", a_role(world, allow("s3:ListAllMyBuckets")))
    role = {"AWS": f"arn:aws:iam::{ACCOUNT}:role/reader"}
    secrets.put_resource_policy(SecretId="s", ResourcePolicy=document(EVERYBODY | {"Principal": role}))
    assert reader.get_secret_value(SecretId="s")["SecretString"] == "1"
    secrets.put_resource_policy(SecretId="s", ResourcePolicy=document(EVERYBODY | {"Effect": "Deny"}))
    for caller in (reader, secrets):
        _, text, _ = refusal(caller.get_secret_value, SecretId="s")
        assert text.endswith("with an explicit deny in a resource-based policy")
    secrets.delete_resource_policy(SecretId="s")
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "1"
    malformed = {"SecretId": "s", "ResourcePolicy": "{"}
    assert refusal(secrets.put_resource_policy, **malformed)[0] == "MalformedPolicyDocumentException"


def test_a_resource_policy_names_principals_that_are_there_and_shows_them_by_name(world, secrets):
    a_role(world, allow("s3:ListAllMyBuckets"))
    secrets.create_secret(Name="s", SecretString="1")
    known, unknown = (
        document(EVERYBODY | {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/{name}"}})
        for name in ("reader", "nobody")
    )
    secrets.put_resource_policy(SecretId="s", ResourcePolicy=known)
    assert json.loads(secrets.get_resource_policy(SecretId="s")["ResourcePolicy"]) == json.loads(known)
    refused = ("MalformedPolicyDocumentException", "This resource policy contains an unsupported principal.", 400)
    assert refusal(secrets.put_resource_policy, SecretId="s", ResourcePolicy=unknown) == refused
    assert refusal(secrets.validate_resource_policy, ResourcePolicy=unknown) == refused


def test_tags_at_creation_need_their_own_permission_and_decide_afterwards(world, secrets):
    creator = world.aws("secretsmanager", a_role(world, allow("secretsmanager:CreateSecret")))
    tags = [{"Key": "team", "Value": "red"}]
    assert creator.create_secret(Name="plain")["Name"] == "plain"
    _, text, _ = refusal(creator.create_secret, Name="tagged", Tags=tags)
    assert "secretsmanager:TagResource" in text
    secrets.create_secret(Name="tagged", Tags=tags, SecretString="1")
    condition = {"StringEquals": {"aws:ResourceTag/team": "red"}}
    policy = document(allow("secretsmanager:GetSecretValue", Condition=condition))
    world.aws("iam").put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=policy)
    assert creator.get_secret_value(SecretId="tagged")["SecretString"] == "1"
    secrets.untag_resource(SecretId="tagged", TagKeys=["team"])
    assert refusal(creator.get_secret_value, SecretId="tagged")[0] == "AccessDeniedException"


def test_rotation_answers_as_without_a_lambda(secrets):
    secrets.create_secret(Name="s", SecretString="1")
    assert refusal(secrets.rotate_secret, SecretId="s") == (
        "InvalidRequestException",
        "No Lambda rotation function ARN is associated with this secret.",
        400,
    )
    function = f"arn:aws:lambda:us-west-2:{ACCOUNT}:function:f"
    code, text, _ = refusal(secrets.rotate_secret, SecretId="s", RotationLambdaARN=function)
    assert (code, text.startswith("Secrets Manager cannot invoke")) == ("AccessDeniedException", True)
    rules = {"AutomaticallyAfterDays": 1001}
    assert refusal(secrets.rotate_secret, SecretId="s", RotationRules=rules)[0] in {
        "InvalidParameterException",
        "ValidationException",
    }
    assert secrets.cancel_rotate_secret(SecretId="s")["Name"] == "s"


# Passwords


@pytest.mark.parametrize(
    ("asked", "letters"),
    [
        ({}, string.ascii_letters + string.digits + string.punctuation),
        ({"ExcludePunctuation": True}, string.ascii_letters + string.digits),
        ({"ExcludePunctuation": True, "ExcludeNumbers": True, "ExcludeUppercase": True}, string.ascii_lowercase),
        ({"ExcludeLowercase": True, "ExcludePunctuation": True}, string.ascii_uppercase + string.digits),
        ({"ExcludeCharacters": string.punctuation, "IncludeSpace": True}, string.ascii_letters + string.digits + " "),
    ],
)
def test_a_password_has_the_kinds_that_were_asked_for(secrets, asked, letters):
    password = secrets.get_random_password(PasswordLength=400, **asked)["RandomPassword"]
    assert len(password) == 400
    assert set(password) <= set(letters)
    if asked.get("IncludeSpace"):
        assert " " in password


def test_a_short_password_has_each_kind_once(secrets):
    for _ in range(20):
        password = secrets.get_random_password(PasswordLength=4)["RandomPassword"]
        kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation)
        assert all(any(letter in kind for letter in password) for kind in kinds)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"PasswordLength": 3}, "InvalidParameterException"),
        ({"PasswordLength": 4097}, "ValidationException"),
        ({"PasswordLength": 0}, "ValidationException"),
        (
            {f"Exclude{kind}": True for kind in ("Lowercase", "Uppercase", "Numbers", "Punctuation")},
            "InvalidParameterException",
        ),
    ],
)
def test_a_password_that_cannot_be_is_refused(secrets, asked, code):
    assert refusal(secrets.get_random_password, **asked)[0] == code


def test_a_password_without_each_kind_may_be_of_one_letter(secrets):
    asked = {"PasswordLength": 1, "RequireEachIncludedType": False}
    assert len(secrets.get_random_password(**asked)["RandomPassword"]) == 1
