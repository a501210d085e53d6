"""Keys of KMS: names, states and their refusals, policies, rotation, tags, aliases."""

import json

import pytest

from unit.local.cloud.support import ACCOUNT, World, a_role, allow, document, refusal

ARN = f"arn:aws:kms:us-west-2:{ACCOUNT}"
DAY_SECONDS = 86400


@pytest.fixture
def kms(world):
    return world.aws("kms")


@pytest.fixture
def key(kms):
    return kms.create_key(Description="mine")["KeyMetadata"]


def test_a_key_is_found_by_id_arn_alias_and_alias_arn(kms, key):
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key["KeyId"])
    for named in (key["KeyId"], key["Arn"], "alias/mine", f"{ARN}:alias/mine"):
        assert kms.describe_key(KeyId=named)["KeyMetadata"]["Arn"] == key["Arn"]


@pytest.mark.parametrize(
    ("named", "text"),
    [
        ("nonsense", "Invalid keyId 'nonsense'"),
        ("alias/none", f"Alias {ARN}:alias/none is not found."),
        (
            "11111111-2222-3333-4444-555555555555",
            f"Key '{ARN}:key/11111111-2222-3333-4444-555555555555' does not exist",
        ),
        ("arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555", "Invalid arn eu-west-1"),
        ("alias/aws/nothing", f"Alias {ARN}:alias/aws/nothing is not found."),
    ],
)
def test_what_names_no_key_is_told_in_awss_words(kms, named, text):
    assert refusal(kms.describe_key, KeyId=named) == ("NotFoundException", text, 400)


def test_an_arn_of_something_else_is_no_key(kms):
    code, _, _ = refusal(kms.describe_key, KeyId="arn:aws:iam::111122223333:role/x")
    assert code == "InvalidArnException"


def test_a_disabled_key_refuses_cryptography_until_it_is_enabled(kms, key):
    sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=key["KeyId"])
    disabled = ("DisabledException", f"{key['Arn']} is disabled.", 400)
    assert refusal(kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x") == disabled
    assert refusal(kms.decrypt, CiphertextBlob=sealed) == disabled
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Disabled"
    kms.enable_key(KeyId=key["KeyId"])
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"


def test_a_deletion_waits_can_be_cancelled_and_leaves_the_key_disabled(world, kms, key):
    answer = kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    assert (answer["KeyState"], answer["PendingWindowInDays"]) == ("PendingDeletion", 7)
    pending = ("KMSInvalidStateException", f"{key['Arn']} is pending deletion.", 400)
    for call, more in (
        (kms.encrypt, {"Plaintext": b"x"}),
        (kms.enable_key, {}),
        (kms.disable_key, {}),
        (kms.update_key_description, {"Description": "d"}),
        (kms.schedule_key_deletion, {}),
        (kms.tag_resource, {"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
    ):
        assert refusal(call, KeyId=key["KeyId"], **more) == pending
    assert kms.cancel_key_deletion(KeyId=key["KeyId"])["KeyId"] == key["Arn"]
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Disabled"
    again = refusal(kms.cancel_key_deletion, KeyId=key["KeyId"])
    assert again == ("KMSInvalidStateException", f"{key['Arn']} is not pending deletion.", 400)


def test_after_its_window_a_key_is_gone_with_its_aliases(world, kms, key):
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key["KeyId"])
    kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    world.clock.pass_seconds(7 * DAY_SECONDS)
    assert refusal(kms.describe_key, KeyId=key["KeyId"])[0] == "NotFoundException"
    assert kms.list_aliases()["Aliases"] == []


@pytest.mark.parametrize("days", [6, 31])
def test_a_deletion_waits_seven_to_thirty_days(kms, key, days):
    code, text, _ = refusal(kms.schedule_key_deletion, KeyId=key["KeyId"], PendingWindowInDays=days)
    assert code == "ValidationException"
    assert f"Value '{days}' at 'pendingWindowInDays' failed to satisfy constraint" in text


def test_rotation_keeps_old_ciphertexts_readable(world, kms, key):
    old = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"old")["CiphertextBlob"]
    kms.enable_key_rotation(KeyId=key["KeyId"], RotationPeriodInDays=90)
    status = kms.get_key_rotation_status(KeyId=key["KeyId"])
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 90)
    world.clock.pass_seconds(91 * DAY_SECONDS)
    kms.rotate_key_on_demand(KeyId=key["KeyId"])
    new = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"new")["CiphertextBlob"]
    assert [kms.decrypt(CiphertextBlob=blob)["Plaintext"] for blob in (old, new)] == [b"old", b"new"]
    assert [one["RotationType"] for one in kms.list_key_rotations(KeyId=key["KeyId"])["Rotations"]] == [
        "AUTOMATIC",
        "ON_DEMAND",
    ]
    kms.disable_key_rotation(KeyId=key["KeyId"])
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is False


def test_a_key_that_missed_years_is_rotated_once_and_on_its_old_days(world, kms, key):
    kms.enable_key_rotation(KeyId=key["KeyId"], RotationPeriodInDays=100)
    due = kms.get_key_rotation_status(KeyId=key["KeyId"])["NextRotationDate"].timestamp()
    world.clock.pass_seconds(1050 * DAY_SECONDS)
    status = kms.get_key_rotation_status(KeyId=key["KeyId"])
    assert status["NextRotationDate"].timestamp() == due + 1000 * DAY_SECONDS
    assert len(kms.list_key_rotations(KeyId=key["KeyId"])["Rotations"]) == 1


def test_only_symmetric_keys_rotate(kms):
    signer = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    assert refusal(kms.enable_key_rotation, KeyId=signer["KeyId"])[0] == "UnsupportedOperationException"


def test_a_policy_that_locks_its_caller_out_is_refused_unless_the_check_is_bypassed(kms, key):
    locked = document({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "kms:DescribeKey", "Resource": "*"})
    put = {"KeyId": key["KeyId"], "Policy": locked}
    text = "The new key policy will not allow you to update the key policy in the future."
    assert refusal(kms.put_key_policy, **put) == ("MalformedPolicyDocumentException", text, 400)
    assert refusal(kms.create_key, Policy=locked)[0] == "MalformedPolicyDocumentException"
    kms.put_key_policy(**put, BypassPolicyLockoutSafetyCheck=True)
    assert refusal(kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x")[0] == "AccessDeniedException"


def test_a_key_policy_is_named_default_and_comes_back_as_json(kms, key):
    assert kms.list_key_policies(KeyId=key["KeyId"])["PolicyNames"] == ["default"]
    policy = json.loads(kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"])
    assert policy["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert refusal(kms.get_key_policy, KeyId=key["KeyId"], PolicyName="other") == (
        "NotFoundException",
        "No such policy exists",
        400,
    )


def test_a_key_policy_alone_lets_a_role_in(world, kms):
    credentials = a_role(world, allow("s3:ListAllMyBuckets"))
    own = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "kms:*", "Resource": "*"}
    role = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/reader"},
        "Action": "kms:Encrypt",
        "Resource": "*",
    }
    key = kms.create_key(Policy=document(own, role))["KeyMetadata"]["KeyId"]
    reader = world.aws("kms", credentials)
    assert reader.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    code, text, _ = refusal(reader.generate_data_key, KeyId=key, KeySpec="AES_256")
    assert code == "AccessDeniedException"
    assert "kms:GenerateDataKey" in text


def test_an_identity_policy_counts_only_where_the_key_policy_delegates(world, kms):
    credentials = a_role(world, allow("kms:*"))
    admin = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/keyless-admin"},
        "Action": "kms:*",
        "Resource": "*",
    }
    key = kms.create_key(Policy=document(admin))["KeyMetadata"]["KeyId"]
    code, text, _ = refusal(world.aws("kms", credentials).encrypt, KeyId=key, Plaintext=b"x")
    assert code == "AccessDeniedException"
    assert text.endswith("because no resource-based policy allows the kms:Encrypt action")


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": {"kms:EncryptionContext:app": "a"}}, True),
        ({"StringEquals": {"kms:EncryptionContext:app": "b"}}, False),
        ({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["app", "stage"]}}, True),
        ({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": ["stage"]}}, False),
        ({"StringEquals": {"kms:CallerAccount": ACCOUNT}}, True),
        ({"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT", "kms:KeyUsage": "ENCRYPT_DECRYPT"}}, True),
        ({"StringEquals": {"kms:RequestAlias": "alias/mine"}}, True),
        ({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/mine"}}, True),
        ({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/other"}}, False),
        ({"StringEquals": {"kms:ViaService": "ssm.us-west-2.amazonaws.com"}}, False),
        ({"StringEquals": {"aws:ResourceTag/team": "red"}}, True),
        ({"StringEquals": {"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}}, True),
    ],
)
def test_condition_keys_of_kms_decide(world, kms, condition, allowed):
    key = kms.create_key(Tags=[{"TagKey": "team", "TagValue": "red"}])["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key)
    user = world.aws("kms", a_role(world, allow("kms:Encrypt", Condition=condition)))
    encrypt = {
        "KeyId": "alias/mine",
        "Plaintext": b"x",
        "EncryptionContext": {"app": "a"},
        "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    }
    if allowed:
        assert user.encrypt(**encrypt)["CiphertextBlob"]
    else:
        assert refusal(user.encrypt, **encrypt)[0] == "AccessDeniedException"


def test_tags_are_set_replaced_removed_and_listed(kms, key):
    kms.tag_resource(KeyId=key["KeyId"], Tags=[{"TagKey": "a", "TagValue": "1"}, {"TagKey": "b", "TagValue": "2"}])
    kms.tag_resource(KeyId=key["KeyId"], Tags=[{"TagKey": "a", "TagValue": "3"}])
    kms.untag_resource(KeyId=key["KeyId"], TagKeys=["b"])
    assert kms.list_resource_tags(KeyId=key["KeyId"])["Tags"] == [{"TagKey": "a", "TagValue": "3"}]
    reserved = {"KeyId": key["KeyId"], "Tags": [{"TagKey": "aws:x", "TagValue": "1"}]}
    assert refusal(kms.tag_resource, **reserved)[0] == "TagException"


def test_a_key_with_tags_needs_the_right_to_tag(world):
    user = world.aws("kms", a_role(world, allow("kms:CreateKey")))
    assert user.create_key()["KeyMetadata"]["KeyId"]
    _, text, _ = refusal(user.create_key, Tags=[{"TagKey": "a", "TagValue": "1"}])
    assert "kms:TagResource" in text


def test_aliases_move_between_keys_of_one_kind(kms, key):
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    signer = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key["KeyId"])
    exists = refusal(kms.create_alias, AliasName="alias/mine", TargetKeyId=other)
    assert exists == ("AlreadyExistsException", f"An alias with the name {ARN}:alias/mine already exists", 400)
    kms.update_alias(AliasName="alias/mine", TargetKeyId=other)
    assert kms.list_aliases(KeyId=other)["Aliases"][0]["AliasName"] == "alias/mine"
    assert refusal(kms.update_alias, AliasName="alias/mine", TargetKeyId=signer)[0] == "ValidationException"
    kms.delete_alias(AliasName="alias/mine")
    gone = ("NotFoundException", f"Alias {ARN}:alias/mine is not found.", 400)
    assert refusal(kms.delete_alias, AliasName="alias/mine") == gone
    assert refusal(kms.update_alias, AliasName="alias/mine", TargetKeyId=other) == gone
    assert refusal(kms.create_alias, AliasName="alias/aws/mine", TargetKeyId=other)[0] == "NotAuthorizedException"
    assert refusal(kms.create_alias, AliasName="mine", TargetKeyId=other)[0] == "ValidationException"


def test_making_an_alias_needs_the_right_on_the_alias_and_on_the_key(world, kms, key):
    user = world.aws("kms", a_role(world, allow("kms:CreateAlias", f"{ARN}:alias/*")))
    alias = {"AliasName": "alias/mine", "TargetKeyId": key["KeyId"]}
    assert refusal(user.create_alias, **alias)[0] == "AccessDeniedException"


def test_lists_come_in_pages(kms):
    for _ in range(3):
        kms.create_key()
    first = kms.list_keys(Limit=2)
    rest = kms.list_keys(Limit=2, Marker=first["NextMarker"])
    assert (first["Truncated"], rest["Truncated"]) == (True, False)
    assert len({one["KeyId"] for one in first["Keys"] + rest["Keys"]}) == 3
    assert refusal(kms.list_keys, Marker="nonsense")[0] == "InvalidMarkerException"


def test_a_services_own_key_is_made_when_first_described_and_is_not_its_users_to_change(world, kms):
    found = kms.describe_key(KeyId="alias/aws/ssm")["KeyMetadata"]
    assert found["KeyManager"] == "AWS"
    assert kms.describe_key(KeyId="alias/aws/ssm")["KeyMetadata"]["Arn"] == found["Arn"]
    for call, more in (
        (kms.schedule_key_deletion, {}),
        (kms.disable_key, {}),
        (kms.encrypt, {"Plaintext": b"x"}),
        (kms.put_key_policy, {"Policy": "{}"}),
    ):
        assert refusal(call, KeyId=found["KeyId"], **more)[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}, "UnsupportedOperationException"),
        ({"KeySpec": "RSA_2048"}, "ValidationException"),
        ({"KeySpec": "HMAC_256", "KeyUsage": "SIGN_VERIFY"}, "ValidationException"),
        ({"Origin": "EXTERNAL"}, "UnsupportedOperationException"),
        ({"MultiRegion": True}, "UnsupportedOperationException"),
        ({"Policy": "{"}, "MalformedPolicyDocumentException"),
    ],
)
def test_a_key_that_cannot_be_is_not_made(kms, asked, code):
    assert refusal(kms.create_key, **asked)[0] == code
    assert kms.list_keys()["Keys"] == []


def test_a_ciphertext_is_asked_for(world: World) -> None:
    kms = world.aws("kms")
    null = "Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be null"
    assert refusal(kms.decrypt) == ("ValidationException", f"1 validation error detected: {null}", 400)
