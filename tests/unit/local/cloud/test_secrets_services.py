"""Secrets Manager, Parameter Store and KMS as botocore sees them."""

import json

import pytest
from botocore.exceptions import ClientError

from unit.local.cloud.support import a_role

PLANTED = "correct-horse-battery"


def code_of(call, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    return caught.value.response["Error"]["Code"]


# The guide's policy for shared secrets.
GUIDE = {
    "Effect": "Allow",
    "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", "ssm:GetParameter"],
    "Resource": [
        "arn:aws:secretsmanager:us-west-2:111122223333:secret:keyless/*",
        "arn:aws:ssm:us-west-2:111122223333:parameter/keyless/*",
    ],
}


@pytest.fixture
def secrets(world):
    return world.aws("secretsmanager")


@pytest.fixture
def ssm(world):
    return world.aws("ssm")


def test_a_new_value_is_current_and_the_old_one_previous(secrets):
    first = secrets.create_secret(Name="keyless/db", SecretString="1")
    second = secrets.put_secret_value(SecretId="keyless/db", SecretString="2")
    assert secrets.get_secret_value(SecretId="keyless/db")["SecretString"] == "2"
    previous = secrets.get_secret_value(SecretId="keyless/db", VersionStage="AWSPREVIOUS")
    assert (previous["SecretString"], previous["VersionId"]) == ("1", first["VersionId"])
    by_id = secrets.get_secret_value(SecretId="keyless/db", VersionId=second["VersionId"])
    assert by_id["VersionStages"] == ["AWSCURRENT"]


def test_a_secret_is_found_by_name_by_arn_and_by_arn_without_its_random_end(secrets):
    arn = secrets.create_secret(Name="keyless/db", SecretBinary=b"\x00\x01")["ARN"]
    for secret_id in ("keyless/db", arn, arn[:-7]):
        assert secrets.get_secret_value(SecretId=secret_id)["SecretBinary"] == b"\x00\x01"
    assert code_of(secrets.get_secret_value, SecretId=arn[:-6] + "ZZZZZZ") == "ResourceNotFoundException"


def test_the_same_token_with_another_value_is_refused(secrets):
    token = "a" * 32
    secrets.create_secret(Name="s", SecretString="1")
    secrets.put_secret_value(SecretId="s", SecretString="2", ClientRequestToken=token)
    secrets.put_secret_value(SecretId="s", SecretString="2", ClientRequestToken=token)
    again = {"SecretId": "s", "SecretString": "3", "ClientRequestToken": token}
    assert code_of(secrets.put_secret_value, **again) == "ResourceExistsException"


def test_a_deleted_secret_waits_and_can_be_restored(world, secrets):
    secrets.create_secret(Name="s", SecretString="1")
    secrets.delete_secret(SecretId="s", RecoveryWindowInDays=7)
    assert code_of(secrets.get_secret_value, SecretId="s") == "InvalidRequestException"
    secrets.restore_secret(SecretId="s")
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "1"
    secrets.delete_secret(SecretId="s", RecoveryWindowInDays=7)
    world.clock.pass_seconds(8 * 86400)
    assert code_of(secrets.get_secret_value, SecretId="s") == "ResourceNotFoundException"


def test_the_guides_policy_reads_its_prefix_and_nothing_else(world, secrets, ssm):
    secrets.create_secret(Name="keyless/db", SecretString="1")
    secrets.create_secret(Name="other", SecretString="1")
    ssm.put_parameter(Name="/keyless/p", Type="String", Value="v")
    ssm.put_parameter(Name="/other", Type="String", Value="v")
    credentials = a_role(world, GUIDE)
    reader, parameters = world.aws("secretsmanager", credentials), world.aws("ssm", credentials)
    assert reader.get_secret_value(SecretId="keyless/db")["SecretString"] == "1"
    assert parameters.get_parameter(Name="/keyless/p")["Parameter"]["Value"] == "v"
    assert code_of(reader.get_secret_value, SecretId="other") == "AccessDeniedException"
    assert code_of(reader.batch_get_secret_value, SecretIdList=["keyless/db"]) == "AccessDeniedException"
    assert code_of(parameters.get_parameter, Name="/other") == "AccessDeniedException"
    assert code_of(parameters.get_parameters, Names=["/keyless/p"]) == "AccessDeniedException"


def test_a_batch_answers_each_secret_by_itself(world, secrets):
    secrets.create_secret(Name="keyless/db", SecretString="1")
    secrets.create_secret(Name="other", SecretString="1")
    batch = {"Effect": "Allow", "Action": "secretsmanager:BatchGetSecretValue", "Resource": "*"}
    reader = world.aws("secretsmanager", a_role(world, GUIDE, batch))
    answer = reader.batch_get_secret_value(SecretIdList=["keyless/db", "other", "keyless/none"])
    assert [v["Name"] for v in answer["SecretValues"]] == ["keyless/db"]
    errors = {e["SecretId"]: e["ErrorCode"] for e in answer["Errors"]}
    assert errors == {"other": "AccessDeniedException", "keyless/none": "ResourceNotFoundException"}
    assert code_of(secrets.batch_get_secret_value, SecretIdList=["s"] * 21) == "ValidationException"


def test_no_value_reaches_the_audit(world, secrets, ssm):
    secrets.create_secret(Name="s", SecretString=PLANTED)
    secrets.get_secret_value(SecretId="s")
    ssm.put_parameter(Name="/p", Type="SecureString", Value=PLANTED)
    ssm.get_parameter(Name="/p", WithDecryption=True)
    assert len(world.audit()) == 4
    assert PLANTED not in json.dumps(world.audit())


def test_parameters_have_versions_labels_and_paths(ssm):
    ssm.put_parameter(Name="/a/b/c", Type="String", Value="1")
    ssm.put_parameter(Name="/a/b/c", Value="2", Overwrite=True)
    ssm.label_parameter_version(Name="/a/b/c", ParameterVersion=1, Labels=["stable"])
    assert ssm.get_parameter(Name="/a/b/c")["Parameter"]["Value"] == "2"
    assert ssm.get_parameter(Name="/a/b/c:1")["Parameter"]["Value"] == "1"
    assert ssm.get_parameter(Name="/a/b/c:stable")["Parameter"]["Version"] == 1
    assert code_of(ssm.get_parameter, Name="/a/b/c:9") == "ParameterVersionNotFound"
    assert ssm.get_parameters_by_path(Path="/a")["Parameters"] == []
    assert len(ssm.get_parameters_by_path(Path="/a", Recursive=True)["Parameters"]) == 1
    assert code_of(ssm.put_parameter, Name="/a/b/c", Value="3") == "ParameterAlreadyExists"


def test_a_secure_string_needs_the_right_to_decrypt_with_a_customer_key(world, ssm):
    key = world.aws("kms").create_key()["KeyMetadata"]["KeyId"]
    ssm.put_parameter(Name="/keyless/own", Type="SecureString", Value=PLANTED, KeyId=key)
    ssm.put_parameter(Name="/keyless/aws", Type="SecureString", Value=PLANTED)
    reader = world.aws("ssm", a_role(world, GUIDE))
    assert PLANTED not in reader.get_parameter(Name="/keyless/aws")["Parameter"]["Value"]
    assert reader.get_parameter(Name="/keyless/aws", WithDecryption=True)["Parameter"]["Value"] == PLANTED
    assert code_of(reader.get_parameter, Name="/keyless/own", WithDecryption=True) == "AccessDeniedException"


def test_what_a_key_sealed_it_opens_in_the_same_context_only(world):
    kms = world.aws("kms")
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key["KeyId"])
    sealed = kms.encrypt(KeyId="alias/mine", Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    opened = kms.decrypt(CiphertextBlob=sealed, EncryptionContext={"a": "b"})
    assert (opened["Plaintext"], opened["KeyId"]) == (b"x", key["Arn"])
    assert code_of(kms.decrypt, CiphertextBlob=sealed) == "InvalidCiphertextException"
    data = kms.generate_data_key(KeyId=key["Arn"], KeySpec="AES_256")
    assert kms.decrypt(CiphertextBlob=data["CiphertextBlob"])["Plaintext"] == data["Plaintext"]
    kms.schedule_key_deletion(KeyId=key["KeyId"])
    assert code_of(kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x") == "KMSInvalidStateException"


def test_a_key_policy_must_allow_even_the_administrator(world):
    kms = world.aws("kms")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*"}
    allow = {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow, deny]})
    key = kms.create_key(Policy=policy)["KeyMetadata"]["KeyId"]
    assert code_of(kms.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"
