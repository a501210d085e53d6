"""Keys of KMS: documents in the state, and the two ways of using one (by a caller, by a service for a caller)."""

from __future__ import annotations

import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyless.local.cloud.call import Call, ResourcePolicy, Target
from keyless.local.cloud.database import Database
from keyless.local.cloud.errors import AwsError
from keyless.policy import ContextValue, MalformedPolicy, parse

KIND, ALIAS = "kms-key", "kms-alias"
_KEY_ID_BYTES, _NONCE_BYTES = 36, 12
_DAY_SECONDS = 86400

Key = dict[str, Any]
"""id, arn, description, created, deletion (time or None), policy, material (base64), manager (CUSTOMER | AWS)"""


class Keys:
    """All keys of the account in this region."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Authorisation

    def target(self, call: Call) -> Target:
        """The key that the parameters name."""
        return self._target(call, self.existing(call, str(call.params["KeyId"])))

    def target_of_ciphertext(self, call: Call) -> Target:
        """The key that a ciphertext was made under: Decrypt need not name it."""
        key_id = bytes(call.params["CiphertextBlob"])[:_KEY_ID_BYTES].decode("ascii", "replace")
        found = self._database.get(KIND, key_id)
        if found is None:
            raise AwsError("InvalidCiphertextException", "")
        return self._target(call, found)

    def target_of_alias(self, call: Call) -> Target:
        """The alias itself."""
        return Target(call.arn(str(call.params["AliasName"])))

    def _target(self, call: Call, key: Key, action: str = "", via: str = "") -> Target:
        context = call.params.get("EncryptionContext") or {}
        keys: dict[str, ContextValue] = {f"kms:EncryptionContext:{k}": v for k, v in context.items()}
        if via:
            keys["kms:ViaService"] = via
        keys["kms:CallerAccount"] = call.caller.account
        return Target(key["arn"], action, keys=keys, policy=ResourcePolicy(key["policy"], "key policy"))

    # Keys

    def create(self, call: Call) -> dict[str, Any]:
        policy = call.params.get("Policy") or _default_policy(call.account)
        key = self._made(call, str(uuid4()), call.params.get("Description") or "", _checked(policy), "CUSTOMER")
        return {"KeyMetadata": _metadata(call, key)}

    def describe(self, call: Call) -> dict[str, Any]:
        return {"KeyMetadata": _metadata(call, self.existing(call, str(call.params["KeyId"])))}

    def list_all(self, _: Call) -> dict[str, Any]:
        keys = [{"KeyId": key["id"], "KeyArn": key["arn"]} for key in self._database.all(KIND)]
        return {"Keys": keys, "Truncated": False}

    def get_policy(self, call: Call) -> dict[str, Any]:
        return {"Policy": self.existing(call, str(call.params["KeyId"]))["policy"], "PolicyName": "default"}

    def put_policy(self, call: Call) -> None:
        key = self.existing(call, str(call.params["KeyId"]))
        self._database.put(KIND, key["id"], key | {"policy": _checked(str(call.params["Policy"]))})

    def schedule_deletion(self, call: Call) -> dict[str, Any]:
        key = self.existing(call, str(call.params["KeyId"]))
        days = int(call.params.get("PendingWindowInDays") or 30)
        at = call.now + days * _DAY_SECONDS
        self._database.put(KIND, key["id"], key | {"deletion": at})
        return {"KeyId": key["arn"], "DeletionDate": datetime.fromtimestamp(at, UTC), "KeyState": "PendingDeletion"}

    def create_alias(self, call: Call) -> None:
        name = str(call.params["AliasName"])
        if not name.startswith("alias/") or name.startswith("alias/aws/"):
            raise AwsError("InvalidAliasNameException", f"expected alias/NAME, not alias/aws/…; found {name!r}")
        if self._database.get(ALIAS, name) is not None:
            arn = call.arn(name)
            raise AwsError("AlreadyExistsException", f"An alias with the name {arn} already exists")
        key = self.existing(call, str(call.params["TargetKeyId"]))
        self._database.put(ALIAS, name, {"name": name, "key": key["id"]})

    def delete_alias(self, call: Call) -> None:
        self._database.remove(ALIAS, str(call.params["AliasName"]))

    def list_aliases(self, call: Call) -> dict[str, Any]:
        aliases = [
            {"AliasName": a["name"], "AliasArn": call.arn(a["name"]), "TargetKeyId": a["key"]}
            for a in self._database.all(ALIAS)
        ]
        return {"Aliases": aliases, "Truncated": False}

    def existing(self, call: Call, named: str) -> Key:
        """The key that an id, an ARN or an alias means; raises NotFoundException."""
        name = named.split(":", 5)[5] if named.startswith("arn:") else named
        if name.startswith("alias/"):
            alias = self._database.get(ALIAS, name)
            key_id = alias["key"] if alias else ""
            if not alias and name.startswith("alias/aws/"):
                return self._managed(call, name)
        else:
            key_id = name.removeprefix("key/")
        found: Key | None = self._database.get(KIND, key_id)
        if found is None:
            raise AwsError("NotFoundException", f"Key '{named}' does not exist")
        return found

    # Cryptography

    def encrypt(self, call: Call) -> dict[str, Any]:
        key = self._usable(call, str(call.params["KeyId"]))
        sealed = _seal(key, bytes(call.params["Plaintext"]), call.params.get("EncryptionContext") or {})
        return {"CiphertextBlob": sealed, "KeyId": key["arn"], "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}

    def decrypt(self, call: Call) -> dict[str, Any]:
        blob = bytes(call.params["CiphertextBlob"])
        key = self._usable(call, blob[:_KEY_ID_BYTES].decode("ascii", "replace"))
        if (named := call.params.get("KeyId")) and self.existing(call, named)["id"] != key["id"]:
            text = "The key ID in the request does not identify a CMK that can perform this operation."
            raise AwsError("IncorrectKeyException", text)
        plaintext = _open(key, blob, call.params.get("EncryptionContext") or {})
        return {"Plaintext": plaintext, "KeyId": key["arn"], "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}

    def generate_data_key(self, call: Call) -> dict[str, Any]:
        key = self._usable(call, str(call.params["KeyId"]))
        size = call.params.get("NumberOfBytes") or (16 if call.params.get("KeySpec") == "AES_128" else 32)
        plaintext = secrets.token_bytes(int(size))
        sealed = _seal(key, plaintext, call.params.get("EncryptionContext") or {})
        return {"CiphertextBlob": sealed, "Plaintext": plaintext, "KeyId": key["arn"]}

    def seal_for(self, call: Call, key_id: str, text: str, arn: str) -> str:
        """Encrypt for a service: a customer key needs the caller's ``kms:Encrypt`` through that service."""
        key = self._usable(call, key_id)
        self._authorise_through(call, key, "kms:Encrypt")
        return b64encode(_seal(key, text.encode(), {"PARAMETER_ARN": arn})).decode()

    def open_for(self, call: Call, key_id: str, text: str, arn: str) -> str:
        """Decrypt for a service: a customer key needs the caller's ``kms:Decrypt`` through that service."""
        key = self._usable(call, key_id)
        self._authorise_through(call, key, "kms:Decrypt")
        return _open(key, b64decode(text), {"PARAMETER_ARN": arn}).decode()

    def _authorise_through(self, call: Call, key: Key, action: str) -> None:
        if key["manager"] == "CUSTOMER":
            call.authorise(self._target(call, key, action, via=f"{call.service}.{call.region}.amazonaws.com"))

    def _usable(self, call: Call, named: str) -> Key:
        key = self.existing(call, named)
        if key["deletion"] is not None:
            raise AwsError("KMSInvalidStateException", f"{key['arn']} is pending deletion.")
        return key

    def _managed(self, call: Call, alias: str) -> Key:
        """The account's own key of a service, made at its first use, as on AWS."""
        key = self._made(call, str(uuid4()), f"Default key for {alias}", _default_policy(call.account), "AWS")
        self._database.put(ALIAS, alias, {"name": alias, "key": key["id"]})
        return key

    def _made(self, call: Call, key_id: str, description: str, policy: str, manager: str) -> Key:
        key: Key = {
            "id": key_id,
            "arn": call.arn(f"key/{key_id}", service="kms"),
            "description": description,
            "created": call.now,
            "deletion": None,
            "policy": policy,
            "material": b64encode(AESGCM.generate_key(256)).decode(),
            "manager": manager,
        }
        self._database.put(KIND, key_id, key)
        return key


def _seal(key: Key, plaintext: bytes, context: Mapping[str, str]) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(b64decode(key["material"])).encrypt(nonce, plaintext, _associated(context))
    return str(key["id"]).encode() + nonce + sealed


def _open(key: Key, blob: bytes, context: Mapping[str, str]) -> bytes:
    nonce, sealed = blob[_KEY_ID_BYTES:][:_NONCE_BYTES], blob[_KEY_ID_BYTES + _NONCE_BYTES :]
    try:
        return AESGCM(b64decode(key["material"])).decrypt(nonce, sealed, _associated(context))
    except (InvalidTag, ValueError):
        raise AwsError("InvalidCiphertextException", "") from None


def _associated(context: Mapping[str, str]) -> bytes:
    return json.dumps(dict(context), sort_keys=True).encode()


def _default_policy(account: str) -> str:
    """What CreateKey gives a key: the account may use it as its own policies say."""
    statement = {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Id": "key-default-1", "Statement": [statement]})


def _checked(policy: str) -> str:
    try:
        parse(policy, "resource")
    except MalformedPolicy as error:
        raise AwsError("MalformedPolicyDocumentException", str(error)) from None
    return policy


def _metadata(call: Call, key: Key) -> dict[str, Any]:
    deletion = {"DeletionDate": datetime.fromtimestamp(key["deletion"], UTC)} if key["deletion"] is not None else {}
    return {
        "AWSAccountId": call.account,
        "KeyId": key["id"],
        "Arn": key["arn"],
        "CreationDate": datetime.fromtimestamp(key["created"], UTC),
        "Enabled": key["deletion"] is None,
        "Description": key["description"],
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": "PendingDeletion" if deletion else "Enabled",
        "Origin": "AWS_KMS",
        "KeyManager": key["manager"],
        "KeySpec": "SYMMETRIC_DEFAULT",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": False,
        **deletion,
    }
