"""No value of Secrets Manager, Parameter Store or KMS gets out: not into the audit, a log, an error, or the database.

Every operation of the three services is called with planted values, in requests that succeed, that are refused and
that are malformed; what came back as a secret is looked for as well.
"""

import json
from base64 import b64encode

import pytest
from botocore.exceptions import ClientError

from keyless.local.cloud.faults import Fault
from unit.local.cloud.support import ACCOUNT, a_role, allow, document

PLANTED = "correct-horse-battery-staple"
TOKEN = "t" * 32
ROOT = f"arn:aws:iam::{ACCOUNT}:root"


class AnyPart(str):
    """A text whose every part is a text: an id as well as a structure that holds one."""

    __slots__ = ()

    def __getitem__(self, _):
        return "x" * 40


class AnyAnswer(dict):
    """Stands for the answer to a refused call, where the next call needs a part of it."""

    def __missing__(self, _):
        return AnyPart("x" * 40)


ANYTHING = AnyAnswer()


class Witness:
    """Calls operations, keeps the texts of errors, and what answers held that must be found nowhere else."""

    def __init__(self, world):
        self._world = world
        self.errors = []
        self.answers = []

    def __call__(self, service, operation, credentials=None, **params):
        api = self._world.aws(service, credentials)
        method = next(name for name, other in api.meta.method_to_api_mapping.items() if other == operation)
        try:
            answer = getattr(api, method)(**params)
        except ClientError as error:
            self.errors.append(json.dumps(error.response, default=str))
            return {}
        self.answers += [
            answer[member]
            for member in ("Plaintext", "PrivateKeyPlaintext", "RandomPassword", "SecretString", "SecretBinary")
            if member in answer
        ]
        return answer


def all_of_secrets_manager(call, key):
    made = call("secretsmanager", "CreateSecret", Name="s", SecretString=PLANTED, KmsKeyId=key)
    call("secretsmanager", "CreateSecret", Name="s", SecretString=PLANTED)
    call("secretsmanager", "CreateSecret", Name="bad name", SecretString=PLANTED)
    call("secretsmanager", "CreateSecret", Name="long", SecretString=PLANTED * 4000)
    call("secretsmanager", "CreateSecret", Name="typed", SecretString=[PLANTED])
    call("secretsmanager", "PutSecretValue", SecretId="s", SecretString=PLANTED, ClientRequestToken=TOKEN)
    call("secretsmanager", "PutSecretValue", SecretId="s", SecretString=PLANTED + "2", ClientRequestToken=TOKEN)
    call("secretsmanager", "PutSecretValue", SecretId="s", SecretString=PLANTED, SecretBinary=PLANTED.encode())
    call("secretsmanager", "PutSecretValue", SecretId="s", SecretBinary=PLANTED.encode())
    call("secretsmanager", "UpdateSecret", SecretId="s", SecretString=PLANTED, Description="d")
    call("secretsmanager", "UpdateSecret", SecretId="s", KmsKeyId="alias/aws/secretsmanager")
    call("secretsmanager", "UpdateSecret", SecretId="s", KmsKeyId="alias/none", SecretString=PLANTED)
    call("secretsmanager", "GetSecretValue", SecretId="s")
    call("secretsmanager", "GetSecretValue", SecretId=PLANTED[:3])
    call("secretsmanager", "BatchGetSecretValue", SecretIdList=["s", "none"])
    stage = {"VersionStage": "X", "MoveToVersionId": made["VersionId"]}
    call("secretsmanager", "UpdateSecretVersionStage", SecretId="s", **stage)
    for operation in ("DescribeSecret", "ListSecretVersionIds", "GetResourcePolicy", "RotateSecret"):
        call("secretsmanager", operation, SecretId="s")
    call("secretsmanager", "ListSecrets")
    call("secretsmanager", "CancelRotateSecret", SecretId="s")
    call("secretsmanager", "TagResource", SecretId="s", Tags=[{"Key": "a", "Value": "b"}])
    call("secretsmanager", "UntagResource", SecretId="s", TagKeys=["a"])
    policy = document(allow("secretsmanager:*", Principal={"AWS": ACCOUNT}))
    for operation in ("PutResourcePolicy", "ValidateResourcePolicy"):
        call("secretsmanager", operation, SecretId="s", ResourcePolicy=policy)
    call("secretsmanager", "DeleteResourcePolicy", SecretId="s")
    call("secretsmanager", "GetRandomPassword")
    call("secretsmanager", "DeleteSecret", SecretId="s")
    call("secretsmanager", "RestoreSecret", SecretId="s")


def all_of_parameter_store(call, key):
    secure = {"Value": PLANTED, "Type": "SecureString"}
    call("ssm", "PutParameter", Name="/own", **secure, KeyId=key)
    call("ssm", "PutParameter", Name="/big", **secure, Tier="Advanced")
    call("ssm", "PutParameter", Name="/big", **secure)
    call("ssm", "PutParameter", Name="bad/name", **secure)
    call("ssm", "PutParameter", Name="/pattern", **secure, AllowedPattern=r"\d+")
    call("ssm", "PutParameter", Name="/key", **secure, KeyId="alias/none")
    call("ssm", "PutParameter", Name="/long", Value=PLANTED * 400, Type="SecureString")
    call("ssm", "PutParameter", Name="/nested", Value=PLANTED + "{{x}}", Type="SecureString")
    call("ssm", "PutParameter", Name="/typed", Value={"a": PLANTED}, Type="SecureString")
    call("ssm", "PutParameter", Name="/kind", Value=PLANTED, Type="Secret")
    for decrypt in (True, False):
        call("ssm", "GetParameter", Name="/own", WithDecryption=decrypt)
        call("ssm", "GetParameters", Names=["/own", "/big"], WithDecryption=decrypt)
        call("ssm", "GetParametersByPath", Path="/", WithDecryption=decrypt)
        call("ssm", "GetParameterHistory", Name="/own", WithDecryption=decrypt)
    call("ssm", "DescribeParameters")
    call("ssm", "LabelParameterVersion", Name="/own", Labels=["a"])
    call("ssm", "UnlabelParameterVersion", Name="/own", ParameterVersion=1, Labels=["a"])
    tagged = {"ResourceType": "Parameter", "ResourceId": "/own"}
    call("ssm", "AddTagsToResource", **tagged, Tags=[{"Key": "a", "Value": "b"}])
    call("ssm", "RemoveTagsFromResource", **tagged, TagKeys=["a"])
    call("ssm", "ListTagsForResource", **tagged)
    call("ssm", "DeleteParameter", Name="/big")
    call("ssm", "DeleteParameters", Names=["/none"])


def all_of_kms(call, key):
    plain = PLANTED.encode()
    signer = call("kms", "CreateKey", KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    mac = call("kms", "CreateKey", KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    sealed = call("kms", "Encrypt", KeyId=key, Plaintext=plain)["CiphertextBlob"]
    call("kms", "Encrypt", KeyId=key, Plaintext=plain * 200)
    call("kms", "Encrypt", KeyId=signer, Plaintext=plain)
    call("kms", "Encrypt", KeyId="none", Plaintext=plain)
    call("kms", "Encrypt", KeyId=key, Plaintext="%%%" + PLANTED)
    call("kms", "Decrypt", CiphertextBlob=sealed)
    call("kms", "Decrypt", CiphertextBlob=plain)
    call("kms", "ReEncrypt", CiphertextBlob=sealed, DestinationKeyId=key)
    for end in ("", "WithoutPlaintext"):
        call("kms", f"GenerateDataKey{end}", KeyId=key, KeySpec="AES_256")
        call("kms", f"GenerateDataKeyPair{end}", KeyId=key, KeyPairSpec="ECC_NIST_P256")
    call("kms", "GenerateRandom", NumberOfBytes=32)
    signed = {"KeyId": signer, "Message": plain, "SigningAlgorithm": "ECDSA_SHA_256"}
    call("kms", "Verify", **signed, Signature=call("kms", "Sign", **signed)["Signature"])
    call("kms", "Verify", **signed, Signature=plain)
    coded = {"KeyId": mac, "Message": plain, "MacAlgorithm": "HMAC_SHA_256"}
    call("kms", "VerifyMac", **coded, Mac=call("kms", "GenerateMac", **coded)["Mac"])
    call("kms", "VerifyMac", **coded, Mac=plain)
    call("kms", "GetPublicKey", KeyId=signer)
    grant = {"KeyId": key, "GranteePrincipal": ROOT, "Operations": ["DescribeKey"]}
    call("kms", "RevokeGrant", KeyId=key, GrantId=call("kms", "CreateGrant", **grant)["GrantId"])
    call("kms", "RetireGrant", GrantToken=call("kms", "CreateGrant", **grant)["GrantToken"])
    call("kms", "ListGrants", KeyId=key)
    call("kms", "ListRetirableGrants", RetiringPrincipal=ROOT)
    alias = {"AliasName": "alias/mine", "TargetKeyId": key}
    for operation in ("CreateAlias", "UpdateAlias"):
        call("kms", operation, **alias)
    call("kms", "DeleteAlias", AliasName="alias/mine")
    call("kms", "TagResource", KeyId=key, Tags=[{"TagKey": "a", "TagValue": "b"}])
    call("kms", "UntagResource", KeyId=key, TagKeys=["a"])
    call("kms", "PutKeyPolicy", KeyId=key, Policy=call("kms", "GetKeyPolicy", KeyId=key)["Policy"])
    call("kms", "UpdateKeyDescription", KeyId=key, Description="d")
    for operation in ("ListKeys", "ListAliases"):
        call("kms", operation)
    named = ("DescribeKey", "ListKeyPolicies", "ListResourceTags", "EnableKeyRotation", "GetKeyRotationStatus")
    rotation = ("RotateKeyOnDemand", "ListKeyRotations", "DisableKeyRotation", "DisableKey", "EnableKey")
    for operation in (*named, *rotation, "ScheduleKeyDeletion", "CancelKeyDeletion"):
        call("kms", operation, KeyId=key)


ALL = {"secretsmanager": all_of_secrets_manager, "ssm": all_of_parameter_store, "kms": all_of_kms}


def spellings(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return {raw, b64encode(raw), json.dumps(raw.decode("latin-1"))[1:-1].encode(), raw.hex().encode()}


def refused_too(call, world, everything, key):
    """All once more for a caller who may nothing, and with each service failing."""
    nobody = a_role(world, allow("s3:ListAllMyBuckets"))

    def as_nobody(service, operation, **params):
        return call(service, operation, nobody, **params) or ANYTHING

    everything(as_nobody, key)
    world.cloud.app.faults.set(Fault("error"))
    everything(lambda *names, **params: call(*names, **params) or ANYTHING, key)
    world.cloud.app.faults.clear()


@pytest.mark.parametrize("service", sorted(ALL))
def test_no_value_gets_out(world, caplog, service):
    caplog.set_level("DEBUG", "keyless")
    call = Witness(world)
    key = world.aws("kms").create_key()["KeyMetadata"]["KeyId"]
    ALL[service](call, key)
    refused_too(call, world, ALL[service], key)

    audit = world.audit()
    served = {one.name: set(one.table) for one in world.cloud.app.services}[service]
    succeeded = {line["operation"] for line in audit if line["code"] == "Success"} | {"RotateSecret"}  # never does
    assert succeeded >= served, "an operation was not tried"
    assert len(call.errors) > 20
    if service != "ssm":
        assert call.answers

    told = "\n".join([json.dumps(audit), caplog.text, *call.errors]).encode()
    stored = world.connection.serialize()
    for value in (PLANTED, *call.answers):
        for spelling in spellings(value):
            assert spelling not in told
            assert spelling not in stored


def test_a_fault_that_fails_in_the_middle_of_a_secret_says_nothing_of_it(world, caplog):
    """What nobody foresaw is logged by its type and its place in the code, not by its text."""
    secrets = world.aws("secretsmanager")
    secrets.create_secret(Name="s", SecretString=PLANTED)
    document = world.cloud.database.get("secretsmanager", "s")
    [version] = document["versions"].values()
    version["value"]["ciphertext"] = b64encode(b"x" * 40).decode()
    world.cloud.database.put("secretsmanager", "s", document)
    with pytest.raises(ClientError) as caught:
        secrets.get_secret_value(SecretId="s")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert PLANTED not in caplog.text + str(caught.value)
