"""What Secrets Manager leaves on disk, and what it makes of what older versions left."""

import sqlite3
from base64 import b64encode

from keyless.local.cloud.database import Database
from keyless.local.cloud.kms import Kms
from keyless.local.cloud.secretsmanager import SecretsManager
from keyless.local.cloud.secretsmanager.secrets import KIND

PLANTED = "correct-horse-battery"


def old_secret(name, versions, **more):
    """A secret as the first version kept it."""
    return {
        "name": name,
        "arn": f"arn:aws:secretsmanager:us-west-2:111122223333:secret:{name}-abcdef",
        "description": "",
        "kmsKeyId": "",
        "tags": {},
        "created": 1.0,
        "changed": 2.0,
        "accessed": None,
        "deletion": None,
        "policy": "",
        "versions": versions,
    } | more


def old_version(stages, **value):
    return {"stages": stages, "created": 1.0, **value}


def test_an_older_states_secrets_open_with_their_stages_and_keys(world):
    key = world.aws("kms").create_key()["KeyMetadata"]["KeyId"]
    binary = b64encode(b"\x00\x01").decode()
    for name, key_id in (("plain", ""), ("own", key), ("lost", "alias/never-was")):
        versions = {
            "v" * 32: old_version(["AWSPREVIOUS"], string=PLANTED),
            "w" * 32: old_version(["AWSCURRENT"], binary=binary),
        }
        world.cloud.database.put(KIND, name, old_secret(name, versions, kmsKeyId=key_id))
    world.restart()
    secrets = world.aws("secretsmanager")
    for name in ("plain", "own", "lost"):
        assert secrets.get_secret_value(SecretId=name)["SecretBinary"] == b"\x00\x01"
        previous = secrets.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")
        assert (previous["SecretString"], previous["VersionId"]) == (PLANTED, "v" * 32)
    world.aws("kms").disable_key(KeyId=key)
    assert secrets.get_secret_value(SecretId="plain")["SecretBinary"] == b"\x00\x01"


def test_nothing_of_an_older_states_values_is_left_in_the_files(tmp_path):
    file = tmp_path / "state.db"
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    database = Database(connection)
    for number in range(50):
        version = old_version(["AWSCURRENT"], string=f"{PLANTED} {number} {'x' * 500}")
        database.put(KIND, f"s{number}", old_secret(f"s{number}", {"v" * 32: version}))
    assert any(PLANTED.encode() in one.read_bytes() for one in tmp_path.iterdir())
    SecretsManager(database, Kms(database, b"k" * 32).for_services)
    assert not any(PLANTED.encode() in one.read_bytes() for one in tmp_path.iterdir())
    connection.close()
