"""Which kinds of keys there are and what each can do: the tables of KMS's key spec reference.

https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html
"""

from __future__ import annotations

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms.model import SYMMETRIC

ENCRYPT, SIGN, MAC = "ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC"

RSA_BITS = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
HMAC_BITS = {"HMAC_224": 224, "HMAC_256": 256, "HMAC_384": 384, "HMAC_512": 512}
ELLIPTIC = {
    "ECC_NIST_P256": "ECDSA_SHA_256",
    "ECC_NIST_P384": "ECDSA_SHA_384",
    "ECC_NIST_P521": "ECDSA_SHA_512",
    "ECC_SECG_P256K1": "ECDSA_SHA_256",
}
RSA_ENCRYPTION = ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256")
RSA_SIGNATURES = tuple(
    f"RSASSA_{padding}_SHA_{bits}" for padding in ("PKCS1_V1_5", "PSS") for bits in ("256", "384", "512")
)
#: SM2, ML-DSA, ML-KEM and Edwards keys, and key agreement, are AWS's and not here
_USAGES: dict[str, tuple[str, ...]] = {
    SYMMETRIC: (ENCRYPT,),
    **dict.fromkeys(RSA_BITS, (ENCRYPT, SIGN)),
    **dict.fromkeys(ELLIPTIC, (SIGN,)),
    **dict.fromkeys(HMAC_BITS, (MAC,)),
}


def usage_of(spec: str, wanted: str | None) -> str:
    """The usage of a new key of ``spec``; raises what CreateKey answers when the two do not fit."""
    usages = _USAGES.get(spec)
    if usages is None:
        raise AwsError("UnsupportedOperationException", f"KeySpec {spec} is not part of this cloud's kms")
    if wanted is None and spec != SYMMETRIC:
        text = "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."
        raise AwsError("ValidationException", text, status=400)
    usage = wanted or ENCRYPT
    if usage not in usages:
        raise AwsError("ValidationException", f"KeyUsage {usage} is not compatible with KeySpec {spec}", status=400)
    return usage


def algorithms(spec: str, usage: str) -> tuple[str, ...]:
    """The algorithms of a key, as DescribeKey lists them."""
    if spec == SYMMETRIC:
        return (SYMMETRIC,)
    if spec in RSA_BITS:
        return RSA_ENCRYPTION if usage == ENCRYPT else RSA_SIGNATURES
    if spec in HMAC_BITS:
        return (spec.replace("HMAC_", "HMAC_SHA_"),)
    return (ELLIPTIC[spec],)


def algorithms_member(usage: str) -> str:
    """The member of the metadata that lists them."""
    return {ENCRYPT: "EncryptionAlgorithms", SIGN: "SigningAlgorithms", MAC: "MacAlgorithms"}[usage]


def operations(spec: str, usage: str) -> frozenset[str]:
    """What a grant on such a key may allow."""
    always = {"DescribeKey", "CreateGrant", "RetireGrant"}
    if spec == SYMMETRIC:
        data_keys = {f"GenerateDataKey{kind}{end}" for kind in ("", "Pair") for end in ("", "WithoutPlaintext")}
        return frozenset(always | data_keys | {"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo"})
    if usage == MAC:
        return frozenset(always | {"GenerateMac", "VerifyMac"})
    if usage == SIGN:
        return frozenset(always | {"Sign", "Verify", "GetPublicKey"})
    return frozenset(always | {"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GetPublicKey"})
