"""What keys do: encryption with a context, data keys, signatures, MACs; and what is refused."""

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from unit.local.cloud.support import a_role, allow, refusal


@pytest.fixture
def kms(world):
    return world.aws("kms")


@pytest.fixture
def key(kms):
    return kms.create_key()["KeyMetadata"]["KeyId"]


def test_a_ciphertext_opens_in_its_context_alone_and_names_its_key(kms, key):
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    opened = kms.decrypt(CiphertextBlob=sealed, EncryptionContext={"a": "b"}, KeyId=key)
    assert (opened["Plaintext"], opened["EncryptionAlgorithm"]) == (b"x", "SYMMETRIC_DEFAULT")
    for context in ({}, {"A": "b"}, {"a": "b", "c": "d"}):
        assert refusal(kms.decrypt, CiphertextBlob=sealed, EncryptionContext=context) == (
            "InvalidCiphertextException",
            "",
            400,
        )


def test_a_ciphertext_of_another_key_is_told_apart_from_one_that_was_altered(kms, key):
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    text = "The key ID in the request does not identify a CMK that can perform this operation."
    assert refusal(kms.decrypt, CiphertextBlob=sealed, KeyId=other) == ("IncorrectKeyException", text, 400)
    altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
    assert refusal(kms.decrypt, CiphertextBlob=altered)[0] == "InvalidCiphertextException"
    for garbage in (b"\x00", b"\x02", b"\x02" + b"\xff" * 20, b"nonsense" * 8):
        assert refusal(kms.decrypt, CiphertextBlob=garbage)[0] == "InvalidCiphertextException"


def test_a_ciphertext_of_a_key_that_is_no_more_is_refused_as_one_you_may_not_access(kms, key):
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    foreign = sealed[:1] + b"\x11" * 16 + sealed[17:]
    code, text, _ = refusal(kms.decrypt, CiphertextBlob=foreign)
    assert code == "AccessDeniedException"
    assert text.startswith("The ciphertext refers to a customer master key that does not exist")


def test_a_plaintext_has_at_most_4096_bytes(kms, key):
    assert kms.encrypt(KeyId=key, Plaintext=b"x" * 4096)["CiphertextBlob"]
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"x" * 4097)[0] == "ValidationException"


def test_re_encryption_moves_a_ciphertext_and_asks_for_both_keys(world, kms, key):
    other = kms.create_key()["KeyMetadata"]
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    asked = {
        "CiphertextBlob": sealed,
        "SourceEncryptionContext": {"a": "b"},
        "DestinationKeyId": other["KeyId"],
        "DestinationEncryptionContext": {"c": "d"},
    }
    moved = kms.re_encrypt(**asked)
    assert moved["KeyId"] == other["Arn"]
    opened = kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"c": "d"})
    assert opened["Plaintext"] == b"x"
    half = world.aws("kms", a_role(world, allow("kms:ReEncryptTo", other["Arn"])))
    assert refusal(half.re_encrypt, **asked)[0] == "AccessDeniedException"


@pytest.mark.parametrize(("asked", "size"), [({"KeySpec": "AES_128"}, 16), ({"KeySpec": "AES_256"}, 32)])
def test_data_keys_open_under_their_key(kms, key, asked, size):
    made = kms.generate_data_key(KeyId=key, **asked)
    assert len(made["Plaintext"]) == size
    assert kms.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]
    hidden = kms.generate_data_key_without_plaintext(KeyId=key, NumberOfBytes=64)
    assert "Plaintext" not in hidden
    assert len(kms.decrypt(CiphertextBlob=hidden["CiphertextBlob"])["Plaintext"]) == 64


def test_a_data_key_needs_a_spec_or_a_size_and_not_both(kms, key):
    for asked in ({}, {"KeySpec": "AES_256", "NumberOfBytes": 32}):
        assert refusal(kms.generate_data_key, KeyId=key, **asked)[0] == "ValidationException"


def test_a_data_key_pair_comes_with_its_private_half_sealed(kms, key):
    made = kms.generate_data_key_pair(KeyId=key, KeyPairSpec="ECC_NIST_P256")
    opened = kms.decrypt(CiphertextBlob=made["PrivateKeyCiphertextBlob"])["Plaintext"]
    assert opened == made["PrivateKeyPlaintext"]
    public = serialization.load_der_private_key(opened, None).public_key()
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert public.public_bytes(*form) == made["PublicKey"]


def test_random_bytes_have_the_length_that_was_asked_for(kms):
    assert len(kms.generate_random(NumberOfBytes=24)["Plaintext"]) == 24
    assert refusal(kms.generate_random)[0] == "ValidationException"


def test_a_signature_verifies_here_and_with_the_public_key_elsewhere(kms):
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    asked = {"KeyId": key, "Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"}
    signature = kms.sign(**asked)["Signature"]
    assert kms.verify(**asked, Signature=signature)["SignatureValid"] is True
    public = serialization.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    public.verify(signature, b"m", ec.ECDSA(hashes.SHA256()))
    wrong = asked | {"Message": b"n", "Signature": signature}
    assert refusal(kms.verify, **wrong)[0] == "KMSInvalidSignatureException"


@pytest.mark.parametrize("algorithm", ["RSASSA_PSS_SHA_256", "RSASSA_PKCS1_V1_5_SHA_512"])
def test_a_digest_is_signed_as_the_message_is(kms, algorithm):
    key = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    digest = hashes.Hash(hashes.SHA256() if algorithm.endswith("256") else hashes.SHA512())
    digest.update(b"m")
    asked = {"KeyId": key, "SigningAlgorithm": algorithm}
    signature = kms.sign(**asked, Message=digest.finalize(), MessageType="DIGEST")["Signature"]
    assert kms.verify(**asked, Message=b"m", Signature=signature)["SignatureValid"] is True
    short = asked | {"Message": b"short", "MessageType": "DIGEST"}
    assert refusal(kms.sign, **short)[:2] == (
        "ValidationException",
        f"Digest is invalid length for algorithm {algorithm}.",
    )


def test_an_rsa_key_encrypts_what_its_modulus_holds_and_must_be_named_to_decrypt(kms):
    key = kms.create_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["KeyId"]
    asked = {"KeyId": key, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    sealed = kms.encrypt(**asked, Plaintext=b"x" * 190)["CiphertextBlob"]
    assert kms.decrypt(**asked, CiphertextBlob=sealed)["Plaintext"] == b"x" * 190
    assert refusal(kms.encrypt, **asked, Plaintext=b"x" * 191)[0] == "ValidationException"
    # One in 256 begins as a ciphertext of ours does, and then names a key that is not there: not so with this byte.
    assert refusal(kms.decrypt, CiphertextBlob=b"\0" + sealed[1:])[0] == "InvalidCiphertextException"
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"x")[0] == "InvalidKeyUsageException"


def test_macs_verify_and_a_wrong_one_is_refused(kms):
    key = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    asked = {"KeyId": key, "Message": b"m", "MacAlgorithm": "HMAC_SHA_256"}
    code = kms.generate_mac(**asked)["Mac"]
    assert kms.verify_mac(**asked, Mac=code)["MacValid"] is True
    assert refusal(kms.verify_mac, **asked, Mac=code[:-1] + b"\x00\x00")[0] == "KMSInvalidMacException"
    assert refusal(kms.generate_mac, **asked | {"MacAlgorithm": "HMAC_SHA_512"})[0] == "InvalidKeyUsageException"


def test_a_key_is_for_its_usage_alone(kms, key):
    sign = {"KeyId": key, "Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"}
    code, text, _ = refusal(kms.sign, **sign)
    assert code == "InvalidKeyUsageException"
    assert text.endswith("key usage is ENCRYPT_DECRYPT which is not valid for the requested operation.")
    signer = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    assert refusal(kms.encrypt, KeyId=signer, Plaintext=b"x")[0] == "InvalidKeyUsageException"
    assert refusal(kms.generate_data_key, KeyId=signer, KeySpec="AES_256")[0] == "InvalidKeyUsageException"
    assert refusal(kms.get_public_key, KeyId=key)[0] == "UnsupportedOperationException"


def test_a_dry_run_says_that_it_would_have_worked_and_asks_for_permission_all_the_same(world, kms, key):
    dry = {"KeyId": key, "Plaintext": b"x", "DryRun": True}
    assert refusal(kms.encrypt, **dry)[0] == "DryRunOperationException"
    user = world.aws("kms", a_role(world, allow("s3:ListAllMyBuckets")))
    assert refusal(user.encrypt, **dry)[0] == "AccessDeniedException"
