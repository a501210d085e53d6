"""What an operation of KMS touches, for authorisation: the key with its policy, its grants, and the condition keys.

A grant is decided as one statement more of the key's policy: it lets its grantee in as that policy would, a Deny
anywhere still counts, and a trace names it. Grants whose constraints the request does not meet are left out.

https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.local.cloud.authorise import resource_tag_keys, tag_keys
from keyless.local.cloud.call import Call, ResourcePolicy, Target
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms import ciphertexts
from keyless.local.cloud.kms.keyring import Keyring
from keyless.local.cloud.kms.model import Grant, Key
from keyless.local.cloud.kms.policies import with_statements
from keyless.policy import ContextValue

#: operations whose encryption context grants may constrain
_CONTEXTUAL = frozenset(
    {
        "Encrypt",
        "Decrypt",
        "ReEncryptFrom",
        "ReEncryptTo",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
    }
)
_UNKNOWN_CIPHERTEXT = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are "
    "not allowed to access."
)
#: members of requests that are condition keys as they are
_MEMBERS = {
    "EncryptionAlgorithm": "kms:EncryptionAlgorithm",
    "SigningAlgorithm": "kms:SigningAlgorithm",
    "MacAlgorithm": "kms:MacAlgorithm",
    "MessageType": "kms:MessageType",
    "KeyPairSpec": "kms:DataKeyPairSpec",
    "PendingWindowInDays": "kms:ScheduleKeyDeletionPendingWindowInDays",
    "RotationPeriodInDays": "kms:RotationPeriodInDays",
    "GranteePrincipal": "kms:GranteePrincipal",
    "RetiringPrincipal": "kms:RetiringPrincipal",
}


class Targets:
    """One method for each way in which operations name keys."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def key(self, call: Call) -> Target:
        """The key that ``KeyId`` means."""
        return self.of(call, self._keyring.existing(call, str(call.params["KeyId"])), named=str(call.params["KeyId"]))

    def new_key(self, call: Call) -> list[Target]:
        """CreateKey: no resource yet, but what it will be. Tags need their own permission."""
        params = call.params
        keys = {
            "kms:CallerAccount": call.caller.account,
            "kms:KeySpec": str(params.get("KeySpec") or params.get("CustomerMasterKeySpec") or "SYMMETRIC_DEFAULT"),
            "kms:KeyUsage": str(params.get("KeyUsage") or "ENCRYPT_DECRYPT"),
            "kms:KeyOrigin": str(params.get("Origin") or "AWS_KMS"),
            "kms:MultiRegion": _bool(params.get("MultiRegion")),
            "kms:BypassPolicyLockoutSafetyCheck": _bool(params.get("BypassPolicyLockoutSafetyCheck")),
            **_request_tags(params),
        }
        actions = ("", "kms:TagResource") if params.get("Tags") else ("",)
        return [Target("*", action, keys=keys) for action in actions]

    def ciphertext(self, call: Call) -> Target:
        """The key that a ciphertext was made under; an asymmetric one must be named."""
        return self.of(call, self.key_of_ciphertext(call, "CiphertextBlob", "KeyId"))

    def re_encryption(self, call: Call) -> list[Target]:
        """Both keys of ReEncrypt, each with its own action and context."""
        source = self.key_of_ciphertext(call, "CiphertextBlob", "SourceKeyId")
        destination = self._keyring.existing(call, str(call.params["DestinationKeyId"]))
        same = {"kms:ReEncryptOnSameKey": _bool(source.id == destination.id)}
        pairs = (("ReEncryptFrom", source, "Source"), ("ReEncryptTo", destination, "Destination"))
        return [
            self.of(
                call,
                key,
                action=f"kms:{action}",
                context=call.params.get(f"{side}EncryptionContext"),
                more=same,
                named=str(call.params.get(f"{side}KeyId") or ""),
            )
            for action, key, side in pairs
        ]

    def alias_and_key(self, call: Call) -> list[Target]:
        """The alias, and the keys that it names: the one it has, and the one it shall have."""
        name = str(call.params["AliasName"])
        found = [Target(call.arn(name))]
        alias = self._keyring.alias(name, call.now)
        if alias is None and call.operation != "CreateAlias":
            raise AwsError("NotFoundException", f"Alias {call.arn(name)} is not found.")
        if alias is not None and call.operation != "CreateAlias" and (key := self._keyring.find(alias.key, call.now)):
            found.append(self.of(call, key))
        if call.params.get("TargetKeyId"):
            found.append(self.of(call, self._keyring.existing(call, str(call.params["TargetKeyId"]))))
        return found

    def key_of_ciphertext(self, call: Call, blob: str, key_id: str) -> Key:
        """The key under which the request's ciphertext must open, as far as names go."""
        named = call.params.get(key_id)
        key = self._keyring.existing(call, str(named)) if named else None
        if key is not None and key.spec != "SYMMETRIC_DEFAULT":
            return key
        if call.params.get(blob) is None:  # optional in the model for the sake of dry runs, which are not here
            null = f"Value null at '{blob[0].lower()}{blob[1:]}' failed to satisfy constraint: Member must not be null"
            raise AwsError("ValidationException", f"1 validation error detected: {null}")
        read = ciphertexts.read_untrusted(bytes(call.params[blob]))
        if read is None:
            raise AwsError("InvalidCiphertextException", "")
        found = self._keyring.find(read.key_id, call.now)
        if found is None:
            raise AwsError("AccessDeniedException", _UNKNOWN_CIPHERTEXT, status=400)
        if key is not None and key.id != found.id:
            text = "The key ID in the request does not identify a CMK that can perform this operation."
            raise AwsError("IncorrectKeyException", text)
        return found

    def of(
        self,
        call: Call,
        key: Key,
        *,
        action: str = "",
        context: Mapping[str, str] | None = None,
        more: Mapping[str, ContextValue] | None = None,
        named: str = "",
    ) -> Target:
        """``action`` (default: the call's) on ``key`` in an encryption context (default: the request's)."""
        pairs = dict(context if context is not None else call.params.get("EncryptionContext") or {})
        operation = action.removeprefix("kms:") or call.operation
        keys = self._keys(call, key, pairs, named) | dict(more or {})
        statements = [
            _statement(key, grant)
            for grant in self._keyring.grants(key.id)
            if operation in grant.operations and _meets(grant, operation, pairs) and _hands_on(grant, call)
        ]
        policy = ResourcePolicy(with_statements(key.policy, statements), "key policy")
        return Target(key.arn, action, keys=keys, policy=policy)

    def _keys(self, call: Call, key: Key, context: Mapping[str, str], named: str) -> dict[str, ContextValue]:
        keys: dict[str, ContextValue] = {f"kms:EncryptionContext:{k}": v for k, v in context.items()}
        if context:
            keys["kms:EncryptionContextKeys"] = tuple(context)
        if names := self._keyring.names_of(key.id):
            keys["kms:ResourceAliases"] = names
        if (alias := named[named.find("alias/") :]).startswith("alias/"):
            keys["kms:RequestAlias"] = alias
        if call.via:
            keys["kms:ViaService"] = call.via[-1].replace(".", f".{call.region}.", 1)
        # Where another service asks for its caller, the request's members are that service's.
        asked: Mapping[str, Any] = call.params if call.service == "kms" else {}
        keys |= _service_keys(asked) | _request_tags(asked) | resource_tag_keys(dict(key.tags))
        return keys | {
            "kms:CallerAccount": call.caller.account,
            "kms:KeySpec": key.spec,
            "kms:KeyUsage": key.usage,
            "kms:KeyOrigin": "AWS_KMS",
            "kms:MultiRegion": "false",
        }


def _service_keys(params: Mapping[str, Any]) -> dict[str, ContextValue]:
    keys: dict[str, ContextValue] = {key: str(params[name]) for name, key in _MEMBERS.items() if params.get(name)}
    if params.get("Operations"):
        keys["kms:GrantOperations"] = tuple(params["Operations"])
        keys["kms:GrantIsForAWSResource"] = "false"
    for name in params.get("Constraints") or ():
        keys["kms:GrantConstraintType"] = name
    if "BypassPolicyLockoutSafetyCheck" in params:
        keys["kms:BypassPolicyLockoutSafetyCheck"] = _bool(params["BypassPolicyLockoutSafetyCheck"])
    return keys


def _request_tags(params: Mapping[str, Any]) -> dict[str, ContextValue]:
    keys = tag_keys({tag["TagKey"]: tag["TagValue"] for tag in params.get("Tags") or ()})
    if params.get("TagKeys"):
        keys["aws:TagKeys"] = tuple(params["TagKeys"])
    return keys


def _meets(grant: Grant, operation: str, context: Mapping[str, str]) -> bool:
    """Whether a request is within a grant's constraints. They compare by case, and bind contextual operations alone."""
    if operation not in _CONTEXTUAL:
        return True
    if grant.equals is not None and dict(grant.equals) != dict(context):
        return False
    return grant.subset is None or grant.subset.items() <= context.items()


def _hands_on(grant: Grant, call: Call) -> bool:
    """A grantee that may grant hands on no more than it has: no further operation, no looser constraint."""
    if call.operation != "CreateGrant":
        return True
    wanted = call.params.get("Constraints") or {}
    equals, subset = wanted.get("EncryptionContextEquals"), wanted.get("EncryptionContextSubset")
    held = equals if equals is not None else subset
    if grant.equals is not None and (equals is None or dict(equals) != dict(grant.equals)):
        return False
    if grant.subset is not None and (held is None or not grant.subset.items() <= held.items()):
        return False
    return set(call.params["Operations"]) <= set(grant.operations)


def _statement(key: Key, grant: Grant) -> dict[str, Any]:
    return {
        "Sid": f"grant {grant.id}",
        "Effect": "Allow",
        "Principal": principal(grant.grantee),
        "Action": [f"kms:{operation}" for operation in grant.operations],
        "Resource": key.arn,
    }


def principal(named: str) -> dict[str, str]:
    """The Principal element for a grantee."""
    return {"Service": named} if named.endswith(".amazonaws.com") else {"AWS": named}


def _bool(value: object) -> str:
    return "true" if value else "false"
