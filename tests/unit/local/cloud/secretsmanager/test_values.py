"""Values of secrets: versions and stages, idempotency, who may read them, and the keys they lie under."""

import pytest

from unit.local.cloud.support import ACCOUNT, a_role, allow, document, refusal

GONE = ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.", 400)
READ = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
TOKEN = "a" * 32


@pytest.fixture
def secrets(world):
    return world.aws("secretsmanager")


def stages_of(secrets, secret_id="s"):
    return {k: sorted(v) for k, v in secrets.describe_secret(SecretId=secret_id)["VersionIdsToStages"].items()}


# Stages


def test_a_pending_version_becomes_current_as_a_rotation_does_it(secrets):
    first = secrets.create_secret(Name="s", SecretString="1")["VersionId"]
    second = secrets.put_secret_value(SecretId="s", SecretString="2", VersionStages=["AWSPENDING"])["VersionId"]
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "1"
    secrets.update_secret_version_stage(
        SecretId="s", VersionStage="AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=first
    )
    assert stages_of(secrets) == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT", "AWSPENDING"]}
    secrets.update_secret_version_stage(SecretId="s", VersionStage="AWSPENDING", RemoveFromVersionId=second)
    assert stages_of(secrets) == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]}


def test_the_first_version_is_current_whatever_stages_it_asks_for(secrets):
    secrets.create_secret(Name="s")
    made = secrets.put_secret_value(SecretId="s", SecretString="1", VersionStages=["MINE"])
    assert sorted(made["VersionStages"]) == ["AWSCURRENT", "MINE"]


def test_going_back_to_the_previous_version_swaps_the_two(secrets):
    first = secrets.create_secret(Name="s", SecretString="1")["VersionId"]
    second = secrets.put_secret_value(SecretId="s", SecretString="2")["VersionId"]
    secrets.update_secret_version_stage(
        SecretId="s", VersionStage="AWSCURRENT", MoveToVersionId=first, RemoveFromVersionId=second
    )
    assert stages_of(secrets) == {first: ["AWSCURRENT"], second: ["AWSPREVIOUS"]}


def test_stages_move_only_from_where_they_are(secrets):
    first = secrets.create_secret(Name="s", SecretString="1")["VersionId"]
    second = secrets.put_secret_value(SecretId="s", SecretString="2")["VersionId"]
    move = {"SecretId": "s", "VersionStage": "AWSCURRENT"}
    code, text, _ = refusal(secrets.update_secret_version_stage, **move, MoveToVersionId=first)
    assert code == "InvalidParameterException"
    assert f"currently attached to version {second}" in text
    for wrong in (
        {"MoveToVersionId": first, "RemoveFromVersionId": first},
        {"RemoveFromVersionId": second},
        {"MoveToVersionId": "b" * 32, "RemoveFromVersionId": second},
    ):
        assert refusal(secrets.update_secret_version_stage, **move, **wrong)[0] == "InvalidParameterException"


def test_a_version_has_at_most_twenty_stages(secrets):
    secrets.create_secret(Name="s", SecretString="1")
    labels = [f"stage{number}" for number in range(20)]
    asked = {"SecretId": "s", "SecretString": "2", "VersionStages": [*labels[:19], "AWSCURRENT"]}
    version = secrets.put_secret_value(**asked)["VersionId"]
    more = {"SecretId": "s", "VersionStage": labels[19], "MoveToVersionId": version}
    assert refusal(secrets.update_secret_version_stage, **more)[0] == "LimitExceededException"


def test_deprecated_versions_are_listed_on_request_and_go_when_there_are_too_many(secrets):
    secrets.create_secret(Name="s", SecretString="1")
    for number in range(105):
        secrets.put_secret_value(SecretId="s", SecretString=str(number))
    assert len(secrets.list_secret_version_ids(SecretId="s")["Versions"]) == 2
    first = secrets.list_secret_version_ids(SecretId="s", IncludeDeprecated=True)
    assert len(first["Versions"]) == 100
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "104"


# Which version


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"VersionStage": "NONE"}, "Secrets Manager can't find the specified secret value for staging label: NONE"),
        ({"VersionId": TOKEN}, f"Secrets Manager can't find the specified secret value for VersionId: {TOKEN}"),
    ],
)
def test_a_version_that_is_not_there_is_told_from_a_secret_that_is_not(secrets, asked, text):
    secrets.create_secret(Name="s", SecretString="1")
    assert refusal(secrets.get_secret_value, SecretId="s", **asked) == ("ResourceNotFoundException", text, 400)
    assert refusal(secrets.get_secret_value, SecretId="none", **asked) == GONE


def test_a_secret_without_a_value_has_no_current_version(secrets):
    secrets.create_secret(Name="s")
    text = "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"
    assert refusal(secrets.get_secret_value, SecretId="s")[1] == text


def test_an_id_and_a_stage_must_mean_the_same_version(secrets):
    first = secrets.create_secret(Name="s", SecretString="1")["VersionId"]
    secrets.put_secret_value(SecretId="s", SecretString="2")
    asked = {"SecretId": "s", "VersionId": first, "VersionStage": "AWSCURRENT"}
    text = "You provided a VersionStage that is not associated to the provided VersionId."
    assert refusal(secrets.get_secret_value, **asked) == ("InvalidRequestException", text, 400)


# Names and ARNs


def test_a_name_that_ends_like_an_arn_is_not_found_by_its_partial_arn(secrets):
    arn = secrets.create_secret(Name="MySecret-abc123", SecretString="1")["ARN"]
    secrets.create_secret(Name="MySecret", SecretString="2")
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "1"
    assert secrets.get_secret_value(SecretId="MySecret-abc123")["SecretString"] == "1"
    # Taken for the whole ARN of MySecret, whose random end is another.
    assert refusal(secrets.get_secret_value, SecretId=arn[:-7]) == GONE


@pytest.mark.parametrize("arn", ["arn:aws:s3:::b", "arn:aws:secretsmanager", "arn:aws:secretsmanager:us-west-2:1:x:y"])
def test_an_arn_of_something_else_is_no_secret(secrets, arn):
    assert refusal(secrets.get_secret_value, SecretId=arn)[0] == "ValidationException"


def test_another_accounts_arn_is_refused_as_a_cross_account_call(secrets):
    arn = "arn:aws:secretsmanager:us-west-2:999999999999:secret:s-abcdef"
    code, text, _ = refusal(secrets.get_secret_value, SecretId=arn)
    assert code == "AccessDeniedException"
    assert "because no resource-based policy allows" in text


# Writing


def test_a_request_that_comes_twice_is_answered_once(secrets):
    asked = {"Name": "s", "SecretString": "1", "ClientRequestToken": TOKEN}
    assert secrets.create_secret(**asked)["ARN"] == secrets.create_secret(**asked)["ARN"]
    assert refusal(secrets.create_secret, **asked | {"SecretString": "2"})[0] == "ResourceExistsException"
    assert refusal(secrets.create_secret, Name="s", SecretString="1")[:2] == (
        "ResourceExistsException",
        "The operation failed because the secret s already exists.",
    )
    again = {"SecretId": "s", "SecretString": "1", "ClientRequestToken": TOKEN}
    assert secrets.put_secret_value(**again)["VersionId"] == TOKEN
    assert len(secrets.list_secret_version_ids(SecretId="s")["Versions"]) == 1
    code, text, _ = refusal(secrets.update_secret, **again | {"SecretString": "2"})
    assert code == "ResourceExistsException"
    assert f"ClientRequestToken {TOKEN}" in text


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "InvalidRequestException"),
        ({"SecretString": "a", "SecretBinary": b"b"}, "InvalidParameterException"),
        ({"SecretString": "ü" * 40_000}, "ValidationException"),
        ({"SecretBinary": b"x" * 65_537}, "ValidationException"),
        ({"SecretString": "a", "ClientRequestToken": "short"}, "ValidationException"),
    ],
)
def test_a_value_that_cannot_be_is_refused(secrets, asked, code):
    secrets.create_secret(Name="s", SecretString="1")
    assert refusal(secrets.put_secret_value, SecretId="s", **asked)[0] == code
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "1"


def test_a_value_may_have_64_kb_in_both_forms(secrets):
    secrets.create_secret(Name="s", SecretString="x" * 65_536)
    secrets.put_secret_value(SecretId="s", SecretBinary=bytes(range(256)) * 256)
    assert secrets.get_secret_value(SecretId="s")["SecretBinary"] == bytes(range(256)) * 256


def test_an_update_without_a_value_makes_no_version(secrets):
    secrets.create_secret(Name="s", SecretString="1")
    assert "VersionId" not in secrets.update_secret(SecretId="s", Description="d")
    assert secrets.describe_secret(SecretId="s")["Description"] == "d"


def test_a_name_has_letters_and_six_signs(secrets):
    for name in ("a/_+=.@-!b", "x" * 512):
        assert secrets.create_secret(Name=name)["Name"] == name
    for name in ("a b", "a$", "a:b", "x" * 513):
        assert refusal(secrets.create_secret, Name=name)[0] == "ValidationException"


# Keys


@pytest.fixture
def key(world):
    return world.aws("kms").create_key()["KeyMetadata"]


def test_a_customer_key_asks_the_caller(world, secrets, key):
    secrets.create_secret(Name="s", SecretString="1", KmsKeyId=key["KeyId"])
    reader = world.aws("secretsmanager", a_role(world, allow(READ)))
    denied = ("AccessDeniedException", "Access to KMS is not allowed", 400)
    assert refusal(reader.get_secret_value, SecretId="s") == denied
    world.aws("iam").put_role_policy(
        RoleName="reader", PolicyName="kms", PolicyDocument=document(allow("kms:Decrypt", key["Arn"]))
    )
    assert reader.get_secret_value(SecretId="s")["SecretString"] == "1"


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": {"kms:ViaService": "secretsmanager.us-west-2.amazonaws.com"}}, True),
        ({"StringEquals": {"kms:ViaService": "ssm.us-west-2.amazonaws.com"}}, False),
        ({"StringLike": {"kms:EncryptionContext:SecretARN": "arn:aws:secretsmanager:*:secret:s-*"}}, True),
        ({"StringLike": {"kms:EncryptionContext:SecretARN": "arn:aws:secretsmanager:*:secret:other-*"}}, False),
        ({"ForAnyValue:StringEquals": {"aws:CalledVia": "secretsmanager.amazonaws.com"}}, True),
    ],
)
def test_the_key_is_used_through_the_service_in_the_secrets_context(world, secrets, key, condition, allowed):
    secrets.create_secret(Name="s", SecretString="1", KmsKeyId=key["KeyId"])
    grants = (allow(READ), allow("kms:Decrypt", Condition=condition))
    reader = world.aws("secretsmanager", a_role(world, *grants))
    if allowed:
        assert reader.get_secret_value(SecretId="s")["SecretString"] == "1"
    else:
        assert refusal(reader.get_secret_value, SecretId="s")[1] == "Access to KMS is not allowed"


def test_a_grant_opens_a_secret(world, secrets, key):
    secrets.create_secret(Name="s", SecretString="1", KmsKeyId=key["KeyId"])
    reader = world.aws("secretsmanager", a_role(world, allow(READ)))
    grantee = f"arn:aws:iam::{ACCOUNT}:role/reader"
    world.aws("kms").create_grant(KeyId=key["KeyId"], GranteePrincipal=grantee, Operations=["Decrypt"])
    assert reader.get_secret_value(SecretId="s")["SecretString"] == "1"


def test_the_services_own_key_asks_for_nothing_but_a_deny_counts(world, secrets):
    secrets.create_secret(Name="s", SecretString="1")
    reader = world.aws("secretsmanager", a_role(world, allow(READ)))
    assert reader.get_secret_value(SecretId="s")["SecretString"] == "1"
    deny = {"Effect": "Deny", "Action": "kms:*", "Resource": "*"}
    world.aws("iam").put_role_policy(RoleName="reader", PolicyName="deny", PolicyDocument=document(deny))
    assert refusal(reader.get_secret_value, SecretId="s")[1] == "Access to KMS is not allowed"


def test_writing_under_a_customer_key_needs_a_data_key(world, secrets, key):
    decrypt = allow("kms:Decrypt", key["Arn"])
    writer = world.aws("secretsmanager", a_role(world, allow("secretsmanager:*"), decrypt))
    asked = {"Name": "s", "SecretString": "1", "KmsKeyId": key["KeyId"]}
    assert refusal(writer.create_secret, **asked)[1] == "Access to KMS is not allowed"
    assert refusal(secrets.describe_secret, SecretId="s") == GONE


@pytest.mark.parametrize("state", ["disabled", "deleted"])
def test_a_key_that_is_off_fails_both_ways_in_secrets_managers_words(world, secrets, key, state):
    kms = world.aws("kms")
    secrets.create_secret(Name="s", SecretString="1", KmsKeyId=key["KeyId"])
    if state == "disabled":
        kms.disable_key(KeyId=key["KeyId"])
    else:
        kms.schedule_key_deletion(KeyId=key["KeyId"])
    assert refusal(secrets.get_secret_value, SecretId="s")[0] == "DecryptionFailure"
    assert refusal(secrets.put_secret_value, SecretId="s", SecretString="2")[0] == "EncryptionFailure"


def test_a_key_that_is_none_cannot_encrypt(world, secrets):
    signer = world.aws("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    for key_id in ("alias/none", "nonsense", signer):
        code, text, _ = refusal(secrets.create_secret, Name="s", SecretString="1", KmsKeyId=key_id)
        assert code == "EncryptionFailure"
        assert "Check that the KMS key is available" in text


def test_a_new_key_seals_the_staged_versions_anew(world, secrets, key):
    first = secrets.create_secret(Name="s", SecretString="1")["VersionId"]
    secrets.put_secret_value(SecretId="s", SecretString="2")
    secrets.update_secret(SecretId="s", KmsKeyId=key["KeyId"])
    assert secrets.describe_secret(SecretId="s")["KmsKeyId"] == key["KeyId"]
    world.aws("kms").disable_key(KeyId=key["KeyId"])
    assert refusal(secrets.get_secret_value, SecretId="s", VersionId=first)[0] == "DecryptionFailure"


def test_the_services_own_key_is_not_named_in_a_description(secrets, key):
    secrets.create_secret(Name="s", SecretString="1", KmsKeyId=key["KeyId"])
    secrets.update_secret(SecretId="s", KmsKeyId="alias/aws/secretsmanager")
    assert "KmsKeyId" not in secrets.describe_secret(SecretId="s")


def test_a_version_under_an_older_key_is_told_so(world, secrets, key):
    first = secrets.create_secret(Name="s", SecretString="1", KmsKeyId=key["KeyId"])["VersionId"]
    for value in "23":
        secrets.put_secret_value(SecretId="s", SecretString=value)
    other = world.aws("kms").create_key()["KeyMetadata"]
    secrets.update_secret(SecretId="s", KmsKeyId=other["KeyId"])
    reader = world.aws("secretsmanager", a_role(world, allow(READ), allow("kms:Decrypt", other["Arn"])))
    assert reader.get_secret_value(SecretId="s")["SecretString"] == "3"
    _, text, _ = refusal(reader.get_secret_value, SecretId="s", VersionId=first)
    assert text == "Access to KMS is not allowed. This version of secret is not encrypted with the current KMS key."


def test_a_rotated_key_still_opens_what_it_sealed(world, secrets, key):
    secrets.create_secret(Name="s", SecretString="1", KmsKeyId=key["KeyId"])
    world.aws("kms").rotate_key_on_demand(KeyId=key["KeyId"])
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "1"
