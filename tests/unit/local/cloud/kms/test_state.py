"""What KMS leaves on disk, and what it makes of what older versions left."""

import json
import sqlite3
from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyless.api import Permanent
from keyless.local.cloud.database import Database
from keyless.local.cloud.kms import Kms, root_key_in
from keyless.local.cloud.kms.keyring import KIND, Keyring

KEY_ID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def database():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield Database(connection)
    connection.close()


def old_key(material: bytes, **more):
    """A key as the first version kept it."""
    return {
        "id": KEY_ID,
        "arn": f"arn:aws:kms:us-west-2:111122223333:key/{KEY_ID}",
        "description": "",
        "created": 1.0,
        "deletion": None,
        "policy": '{"Version":"2012-10-17","Statement":[]}',
        "material": b64encode(material).decode(),
        "manager": "CUSTOMER",
    } | more


def old_seal(material: bytes, plaintext: bytes, context: dict[str, str]) -> bytes:
    nonce = b"n" * 12
    return KEY_ID.encode() + nonce + AESGCM(material).encrypt(nonce, plaintext, json.dumps(context).encode())


def test_a_key_of_an_older_state_opens_its_ciphertexts_and_is_wrapped_from_then_on(world):
    material = bytes(range(32))
    world.cloud.database.put(KIND, KEY_ID, old_key(material) | {"policy": world_policy()})
    world.restart()
    kms = world.aws("kms")
    opened = kms.decrypt(CiphertextBlob=old_seal(material, b"old", {"a": "b"}), EncryptionContext={"a": "b"})
    assert opened["Plaintext"] == b"old"
    stored = json.dumps(world.cloud.database.get(KIND, KEY_ID))
    assert b64encode(material).decode() not in stored
    kms.rotate_key_on_demand(KeyId=KEY_ID)
    again = kms.decrypt(CiphertextBlob=old_seal(material, b"old", {"a": "b"}), EncryptionContext={"a": "b"})
    assert again["Plaintext"] == b"old"


def world_policy() -> str:
    allow = {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [allow]})


def test_an_older_states_own_key_of_a_service_gets_that_services_policy(database):
    database.put(KIND, KEY_ID, old_key(b"m" * 32, manager="AWS", description="Default key for alias/aws/ssm"))
    key = Keyring(database).find(KEY_ID, 2.0)
    assert key is not None
    assert "ssm.us-west-2.amazonaws.com" in key.policy


def test_the_root_key_lies_in_a_file_of_its_own_that_only_its_owner_reads(tmp_path):
    key = root_key_in(tmp_path)
    [file] = tmp_path.iterdir()
    assert (len(key), file.stat().st_mode & 0o777) == (32, 0o600)
    assert root_key_in(tmp_path) == key


def test_half_a_root_key_is_told_by_name(tmp_path):
    (tmp_path / "root.key").write_bytes(b"short")
    with pytest.raises(Permanent, match=r"root\.key: expected a key of 32 bytes, found 5"):
        root_key_in(tmp_path)


def test_another_root_key_is_told_at_start(database):
    Kms(database, b"a" * 32)
    with pytest.raises(Permanent, match="expected the one that this state was written with"):
        Kms(database, b"b" * 32)
    Kms(database, b"a" * 32)


def test_material_that_was_tampered_with_does_not_open(database):
    database.put(KIND, KEY_ID, old_key(b"m" * 32))
    ring = Keyring(database)
    document = database.get(KIND, KEY_ID)
    document["materials"][0]["wrapped"] = b64encode(b"x" * 60).decode()
    database.put(KIND, KEY_ID, document)
    key = ring.find(KEY_ID, 2.0)
    assert key is not None
    with pytest.raises(Permanent, match="does not open under the root key"):
        ring.material(key)
