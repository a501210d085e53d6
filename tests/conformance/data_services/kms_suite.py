"""KMS: what moto is asked, and where its answers are not AWS's. Ciphertexts are each side's own."""

from __future__ import annotations

from typing import Any

from conformance.data_services.recording import Difference, Ref, Scenario, Step, Suite, step

_API = "https://docs.aws.amazon.com/kms/latest/APIReference"
_GUIDE = "https://docs.aws.amazon.com/kms/latest/developerguide"
KEY = Ref("create.KeyMetadata.KeyId")
NONE = "11111111-2222-3333-4444-555555555555"
CREATE = step("create", "CreateKey", Description="mine")


def on(name: str, operation: str, key: Any = KEY, **more: Any) -> Step:
    return step(name, operation, KeyId=key, **more)


STATES = Scenario(
    "states",
    (
        CREATE,
        on("describe", "DescribeKey"),
        on("describe by ARN", "DescribeKey", Ref("create.KeyMetadata.Arn")),
        on("describe absent", "DescribeKey", NONE),
        on("describe nonsense", "DescribeKey", "nonsense"),
        on("describe absent alias", "DescribeKey", "alias/none"),
        on("encrypt", "Encrypt", Plaintext=b"x"),
        on("disable", "DisableKey"),
        on("disabled", "DescribeKey"),
        on("encrypt disabled", "Encrypt", Plaintext=b"x"),
        on("enable", "EnableKey"),
        on("enabled", "DescribeKey"),
        on("words", "UpdateKeyDescription", Description="other"),
        on("described", "DescribeKey"),
        *(on(f"delete in {days}", "ScheduleKeyDeletion", PendingWindowInDays=days) for days in (6, 31)),
        on("cancel none", "CancelKeyDeletion"),
        on("delete", "ScheduleKeyDeletion", PendingWindowInDays=7),
        on("deleted", "DescribeKey"),
        on("encrypt deleted", "Encrypt", Plaintext=b"x"),
        on("cancel", "CancelKeyDeletion"),
        on("cancelled", "DescribeKey"),
        *(
            on(f"{operation} absent", operation, NONE)
            for operation in ("DisableKey", "EnableKey", "ScheduleKeyDeletion", "CancelKeyDeletion", "GetKeyPolicy")
        ),
        step("list", "ListKeys"),
    ),
)

ROTATION = Scenario(
    "rotation",
    (
        CREATE,
        on("fresh", "GetKeyRotationStatus"),
        on("enable", "EnableKeyRotation"),
        on("enabled", "GetKeyRotationStatus"),
        on("monthly", "EnableKeyRotation", RotationPeriodInDays=90),
        on("enabled monthly", "GetKeyRotationStatus"),
        on("too often", "EnableKeyRotation", RotationPeriodInDays=89),
        on("now", "RotateKeyOnDemand"),
        on("rotations", "ListKeyRotations"),
        on("disable", "DisableKeyRotation"),
        on("disabled", "GetKeyRotationStatus"),
        on("absent", "GetKeyRotationStatus", NONE),
        on("enable absent", "EnableKeyRotation", NONE),
    ),
)

ALIASES = Scenario(
    "aliases",
    (
        CREATE,
        step("second", "CreateKey"),
        step("alias", "CreateAlias", AliasName="alias/mine", TargetKeyId=KEY),
        step("again", "CreateAlias", AliasName="alias/mine", TargetKeyId=KEY),
        on("described", "DescribeKey", "alias/mine"),
        step("listed", "ListAliases", KeyId=KEY),
        step("update", "UpdateAlias", AliasName="alias/mine", TargetKeyId=Ref("second.KeyMetadata.KeyId")),
        on("described anew", "DescribeKey", "alias/mine"),
        step("without prefix", "CreateAlias", AliasName="mine", TargetKeyId=KEY),
        step("reserved", "CreateAlias", AliasName="alias/aws/mine", TargetKeyId=KEY),
        step("bad sign", "CreateAlias", AliasName="alias/a b", TargetKeyId=KEY),
        step("of absent", "CreateAlias", AliasName="alias/other", TargetKeyId=NONE),
        step("update absent", "UpdateAlias", AliasName="alias/none", TargetKeyId=KEY),
        step("delete", "DeleteAlias", AliasName="alias/mine"),
        step("delete again", "DeleteAlias", AliasName="alias/mine"),
    ),
)

ENCRYPTION = Scenario(
    "encryption",
    (
        CREATE,
        step("other", "CreateKey"),
        on("encrypt", "Encrypt", Plaintext=b"hello", EncryptionContext={"a": "b"}),
        step("decrypt", "Decrypt", CiphertextBlob=Ref("encrypt.CiphertextBlob"), EncryptionContext={"a": "b"}),
        step("no context", "Decrypt", CiphertextBlob=Ref("encrypt.CiphertextBlob")),
        step("wrong context", "Decrypt", CiphertextBlob=Ref("encrypt.CiphertextBlob"), EncryptionContext={"a": "c"}),
        on(
            "wrong key",
            "Decrypt",
            Ref("other.KeyMetadata.KeyId"),
            CiphertextBlob=Ref("encrypt.CiphertextBlob"),
            EncryptionContext={"a": "b"},
        ),
        step("garbage", "Decrypt", CiphertextBlob=b"garbage"),
        on("absent", "Encrypt", NONE, Plaintext=b"x"),
        on("nothing", "Encrypt", Plaintext=b""),
        on("most", "Encrypt", Plaintext=b"x" * 4096),
        on("too much", "Encrypt", Plaintext=b"x" * 4097),
        step(
            "move",
            "ReEncrypt",
            CiphertextBlob=Ref("encrypt.CiphertextBlob"),
            SourceEncryptionContext={"a": "b"},
            DestinationKeyId=Ref("other.KeyMetadata.KeyId"),
        ),
        step("moved", "Decrypt", CiphertextBlob=Ref("move.CiphertextBlob")),
        *(on(f"data key {spec}", "GenerateDataKey", KeySpec=spec) for spec in ("AES_256", "AES_128", "DES")),
        *(on(f"data key of {size}", "GenerateDataKey", NumberOfBytes=size) for size in (0, 1, 1024, 1025)),
        on("data key of nothing", "GenerateDataKey"),
        on("data key of both", "GenerateDataKey", KeySpec="AES_256", NumberOfBytes=32),
        on("hidden", "GenerateDataKeyWithoutPlaintext", KeySpec="AES_256"),
        step("random", "GenerateRandom", NumberOfBytes=16),
        *(step(f"random of {size}", "GenerateRandom", NumberOfBytes=size) for size in (0, 1024, 1025)),
    ),
)

_ALGORITHMS = {
    "RSA_2048": ("RSASSA_PSS_SHA_256", "RSASSA_PKCS1_V1_5_SHA_512", "ECDSA_SHA_256"),
    "ECC_NIST_P256": ("ECDSA_SHA_256", "RSASSA_PSS_SHA_256"),
    "ECC_NIST_P384": ("ECDSA_SHA_384",),
    "ECC_SECG_P256K1": ("ECDSA_SHA_256",),
}


def _signed(spec: str) -> tuple[Step, ...]:
    key = Ref(f"create {spec}.KeyMetadata.KeyId")
    steps = [
        step(f"create {spec}", "CreateKey", KeySpec=spec, KeyUsage="SIGN_VERIFY"),
        on(f"public {spec}", "GetPublicKey", key),
    ]
    for algorithm in _ALGORITHMS[spec]:
        asked = {"SigningAlgorithm": algorithm, "Message": b"m"}
        signature = Ref(f"sign {spec} {algorithm}.Signature")
        steps += [
            on(f"sign {spec} {algorithm}", "Sign", key, **asked),
            on(f"verify {spec} {algorithm}", "Verify", key, **asked, Signature=signature),
            on(f"verify other {spec} {algorithm}", "Verify", key, **asked | {"Message": b"n"}, Signature=signature),
        ]
    return tuple(steps)


_HMAC = Ref("create hmac.KeyMetadata.KeyId")
SIGNATURES = Scenario(
    "signatures",
    (
        *(one for spec in _ALGORITHMS for one in _signed(spec)),
        step("create hmac", "CreateKey", KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC"),
        on("mac", "GenerateMac", _HMAC, Message=b"m", MacAlgorithm="HMAC_SHA_256"),
        on("mac holds", "VerifyMac", _HMAC, Message=b"m", MacAlgorithm="HMAC_SHA_256", Mac=Ref("mac.Mac")),
        on("mac of other", "VerifyMac", _HMAC, Message=b"n", MacAlgorithm="HMAC_SHA_256", Mac=Ref("mac.Mac")),
        step("symmetric", "CreateKey"),
        on(
            "sign symmetric", "Sign", Ref("symmetric.KeyMetadata.KeyId"), Message=b"m", SigningAlgorithm="ECDSA_SHA_256"
        ),
    ),
)

_ROLE = "arn:aws:iam::111122223333:root"
GRANTS = Scenario(
    "grants",
    (
        CREATE,
        on("grant", "CreateGrant", GranteePrincipal=_ROLE, Operations=["Encrypt", "Decrypt"], Name="one"),
        on("second", "CreateGrant", GranteePrincipal=_ROLE, Operations=["Decrypt"], RetiringPrincipal=_ROLE),
        on("list", "ListGrants"),
        on("list one", "ListGrants", GrantId=Ref("grant.GrantId")),
        step("retirable", "ListRetirableGrants", RetiringPrincipal=_ROLE),
        on("revoke", "RevokeGrant", GrantId=Ref("grant.GrantId")),
        on("revoked", "ListGrants"),
        on("retire", "RetireGrant", GrantId=Ref("second.GrantId")),
        on("retired", "ListGrants"),
        on("list of absent", "ListGrants", NONE),
    ),
)

AROUND = Scenario(
    "around",
    (
        CREATE,
        on("tag", "TagResource", Tags=[{"TagKey": "a", "TagValue": "1"}]),
        on("tags", "ListResourceTags"),
        on("untag", "UntagResource", TagKeys=["a"]),
        on("no tags", "ListResourceTags"),
        on("tags of absent", "ListResourceTags", NONE),
        on("policies", "ListKeyPolicies"),
        on("other policy", "GetKeyPolicy", PolicyName="other"),
        on("put other policy", "PutKeyPolicy", PolicyName="other", Policy="{}"),
        step("no usage", "CreateKey", KeySpec="RSA_2048"),
        step("wrong usage", "CreateKey", KeySpec="HMAC_256", KeyUsage="SIGN_VERIFY"),
        step("wrong spec", "CreateKey", KeySpec="RSA_1024", KeyUsage="SIGN_VERIFY"),
    ),
)

_ARN = f"the key's ARN ({_API}); moto answers the id, or nothing"
_RANDOM = "random on both sides"
_DIFFERENCES = (
    Difference("*: result.KeyMetadata.CurrentKeyMaterialId", f"{_API}/API_KeyMetadata.html"),
    Difference("*: result.KeyMetadata.KeyUsage", f"ENCRYPT_DECRYPT unless said ({_API}/API_CreateKey.html)"),
    Difference("*: result.KeyMetadata.MultiRegion", f"always there ({_API}/API_KeyMetadata.html)"),
    Difference("*: result.KeyMetadata.SigningAlgorithms", f"only with SIGN_VERIFY ({_API}/API_KeyMetadata.html)"),
    Difference("*: result.*EncryptionAlgorithm", f"always answered ({_API}/API_Encrypt.html)"),
    Difference("states/encrypt d*: *", f"DisabledException, KMSInvalidStateException ({_GUIDE}/key-state.html)"),
    Difference("states/delete in *: *", f"7 to 30 days ({_API}/API_ScheduleKeyDeletion.html)"),
    Difference("states/delete: result.*", f"{_API}/API_ScheduleKeyDeletion.html"),
    Difference("states/cancel none: *", f"KMSInvalidStateException ({_API}/API_CancelKeyDeletion.html)"),
    Difference("states/cancel: result.KeyId", _ARN),
    Difference("grants/*: result.Grants.?.KeyId", _ARN),
    Difference("grants/*: result.Grants.?.CreationDate", f"{_API}/API_GrantListEntry.html"),
    Difference("grants/list of absent: *", "moto fails"),
    Difference("rotation/*: result*.KeyId", _ARN),
    Difference("rotation/enabled*: result.*", f"period and next date ({_API}/API_GetKeyRotationStatus.html)"),
    Difference("rotation/too often: *", f"90 to 2,560 days ({_API}/API_EnableKeyRotation.html)"),
    Difference("rotation/rotations: result.Rotations.0.KeyMaterial*", f"{_API}/API_RotationsListEntry.html"),
    Difference("aliases/listed: result.Aliases.0.*Date", f"{_API}/API_AliasListEntry.html"),
    Difference("aliases/reserved: *", f"alias/aws/ is AWS's ({_API}/API_CreateAlias.html)"),
    Difference("around/*usage: *", f"must be said, and fit the spec ({_API}/API_CreateKey.html)"),
    Difference("signatures/public *: result.KeyId", _ARN),
    Difference("signatures/mac*: result.KeyId", _ARN),
    Difference("signatures/symmetric: result.KeyMetadata.KeyId", "numbered behind the ARNs of the two MACs"),
    Difference("signatures/public *: result.KeySpec", f"{_API}/API_GetPublicKey.html"),
    Difference("signatures/verify other *: *", f"KMSInvalidSignatureException, never false ({_API}/API_Verify.html)"),
    Difference("signatures/*sign *: error.Code", f"InvalidKeyUsageException ({_API}/API_Sign.html)"),
    Difference("signatures/verify *: error.Code", f"InvalidKeyUsageException ({_API}/API_Verify.html)"),
    Difference("signatures/create hmac: result.KeyMetadata.*Algorithms", "an HMAC key makes MACs alone"),
    Difference("encryption/wrong key: error.Code", f"IncorrectKeyException ({_API}/API_Decrypt.html)"),
    Difference("encryption/*: result.KeyMaterialId", f"{_API}/API_GenerateDataKey.html"),
    Difference("encryption/data key *: result.Plaintext", _RANDOM),
    Difference("encryption/random*: result.Plaintext", _RANDOM),
    Difference("encryption/random of 0: *", f"1 to 1,024 bytes ({_API}/API_GenerateRandom.html)"),
)

SUITE = Suite(
    "kms",
    scenarios=(STATES, ROTATION, ALIASES, ENCRYPTION, SIGNATURES, GRANTS, AROUND),
    differences=_DIFFERENCES,
    made_up=frozenset(
        {
            "AliasArn",
            "Arn",
            "CiphertextBlob",
            "CurrentKeyMaterialId",
            "GrantId",
            "GrantToken",
            "KeyArn",
            "KeyId",
            "KeyMaterialId",
            "Mac",
            "PublicKey",
            "Signature",
            "SourceKeyId",
            "TargetKeyId",
        }
    ),
    unseen=frozenset({"AWSAccountId", "IssuingAccount"}),
)
