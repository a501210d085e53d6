"""Operations on keys: make, describe, list, enable, delete, policies, tags."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from keyless.local.cloud.call import Call, ResourcePolicy, Target
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam.principals import UnknownPrincipal, shown, stored
from keyless.local.cloud.kms import specs
from keyless.local.cloud.kms.asymmetric import new_material
from keyless.local.cloud.kms.keyring import Keyring, NewKey
from keyless.local.cloud.kms.model import DAY_SECONDS, Key
from keyless.local.cloud.kms.paging import page
from keyless.local.cloud.kms.policies import POLICY_NAME, checked, default_policy
from keyless.local.cloud.kms.states import not_pending

_LEAST_DAYS, _MOST_DAYS = 7, 30
_MOST_TAGS = 50
_MOST_KEYS_LISTED, _KEYS_LISTED = 1000, 100
_MOST_TAGS_LISTED = 50


class KeyOperations:
    """One method for each operation."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def create(self, call: Call) -> dict[str, Any]:
        params = call.params
        _not_here(params)
        spec = str(params.get("KeySpec") or params.get("CustomerMasterKeySpec") or "SYMMETRIC_DEFAULT")
        usage = specs.usage_of(spec, params.get("KeyUsage"))
        policy = self._kept(call, str(params.get("Policy") or default_policy(call.account)))
        if params.get("Policy") and not params.get("BypassPolicyLockoutSafetyCheck"):
            _refuse_lockout(call, "*", policy)
        new = NewKey(
            description=str(params.get("Description") or ""),
            policy=policy,
            material=new_material(spec),
            spec=spec,
            usage=usage,
        )
        return {"KeyMetadata": metadata(call, self._keyring.make(call, new, _tags(params.get("Tags"), {})))}

    def describe(self, call: Call) -> dict[str, Any]:
        return {"KeyMetadata": metadata(call, self._key(call))}

    def list_all(self, call: Call) -> dict[str, Any]:
        keys = [{"KeyId": key.id, "KeyArn": key.arn} for key in self._keyring.all(call.now)]
        return page(call, "Keys", keys, most=_MOST_KEYS_LISTED, default=_KEYS_LISTED)

    def update_description(self, call: Call) -> None:
        self._changed(call, lambda key: replace(key, description=str(call.params["Description"])))

    def enable(self, call: Call) -> None:
        self._changed(call, lambda key: replace(key, enabled=True))

    def disable(self, call: Call) -> None:
        self._changed(call, lambda key: replace(key, enabled=False))

    # Deletion

    def schedule_deletion(self, call: Call) -> dict[str, Any]:
        asked = call.params.get("PendingWindowInDays")
        days = _MOST_DAYS if asked is None else int(asked)
        if not _LEAST_DAYS <= days <= _MOST_DAYS:
            bound = (
                f"less than or equal to {_MOST_DAYS}"
                if days > _MOST_DAYS
                else (f"greater than or equal to {_LEAST_DAYS}")
            )
            text = (
                f"1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to satisfy constraint: "
                f"Member must have value {bound}"
            )
            raise AwsError("ValidationException", text, status=400)
        at = call.now + days * DAY_SECONDS
        key = self._changed(call, lambda key: replace(key, deletion=at, enabled=False))
        return {
            "KeyId": key.arn,
            "DeletionDate": _time(at),
            "KeyState": key.state,
            "PendingWindowInDays": days,
        }

    def cancel_deletion(self, call: Call) -> dict[str, Any]:
        key = self._key(call)
        if key.deletion is None:
            raise AwsError("KMSInvalidStateException", f"{key.arn} is not pending deletion.")
        self._keyring.keep(replace(key, deletion=None))
        return {"KeyId": key.arn}

    # Policies

    def get_policy(self, call: Call) -> dict[str, Any]:
        key = self._key(call)
        _known_policy(call)
        return {"Policy": _indented(shown(self._keyring.connection, key.policy)), "PolicyName": POLICY_NAME}

    def _kept(self, call: Call, policy: str) -> str:
        """The policy as it is stored: users and roles of the account by unique id, who must be there."""
        try:
            return stored(self._keyring.connection, checked(policy), account=call.account)
        except UnknownPrincipal:
            text = "Policy contains a statement with one or more invalid principals."
            raise AwsError("MalformedPolicyDocumentException", text) from None

    def list_policies(self, call: Call) -> dict[str, Any]:
        self._key(call)
        return page(call, "PolicyNames", [POLICY_NAME], most=1000, default=100)

    def put_policy(self, call: Call) -> None:
        _known_policy(call)
        policy = self._kept(call, str(call.params["Policy"]))
        key = not_pending(self._key(call))
        if not call.params.get("BypassPolicyLockoutSafetyCheck"):
            _refuse_lockout(call, key.arn, policy)
        self._keyring.keep(replace(key, policy=policy))

    # Tags

    def tag(self, call: Call) -> None:
        self._changed(call, lambda key: replace(key, tags=_tags(call.params["Tags"], dict(key.tags))))

    def untag(self, call: Call) -> None:
        gone = set(call.params["TagKeys"])
        self._changed(call, lambda key: replace(key, tags={k: v for k, v in key.tags.items() if k not in gone}))

    def list_tags(self, call: Call) -> dict[str, Any]:
        tags = [{"TagKey": k, "TagValue": v} for k, v in self._key(call).tags.items()]
        return page(call, "Tags", tags, most=_MOST_TAGS_LISTED, default=_MOST_TAGS_LISTED)

    # Shared steps

    def _key(self, call: Call) -> Key:
        return self._keyring.existing(call, str(call.params["KeyId"]))

    def _changed(self, call: Call, change: Callable[[Key], Key]) -> Key:
        key = change(not_pending(self._key(call)))
        self._keyring.keep(key)
        return key


def metadata(call: Call, key: Key) -> dict[str, Any]:
    """A key as CreateKey and DescribeKey show it."""
    deletion = {} if key.deletion is None else {"DeletionDate": _time(key.deletion)}
    current = {"CurrentKeyMaterialId": key.materials[-1].id} if key.spec == "SYMMETRIC_DEFAULT" else {}
    return {
        "AWSAccountId": call.account,
        "KeyId": key.id,
        "Arn": key.arn,
        "CreationDate": _time(key.created),
        "Enabled": key.state == "Enabled",
        "Description": key.description,
        "KeyUsage": key.usage,
        "KeyState": key.state,
        "Origin": "AWS_KMS",
        "KeyManager": key.manager,
        "KeySpec": key.spec,
        "CustomerMasterKeySpec": key.spec,
        specs.algorithms_member(key.usage): list(specs.algorithms(key.spec, key.usage)),
        "MultiRegion": False,
        **deletion,
        **current,
    }


def _not_here(params: Any) -> None:
    """What AWS has and this cloud has not is refused, never quietly something else."""
    if params.get("Origin", "AWS_KMS") != "AWS_KMS":
        raise AwsError("UnsupportedOperationException", f"Origin {params['Origin']} is not part of this cloud's kms")
    if params.get("MultiRegion"):
        raise AwsError("UnsupportedOperationException", "MultiRegion keys are not part of this cloud's kms")


def _known_policy(call: Call) -> None:
    if call.params.get("PolicyName", POLICY_NAME) != POLICY_NAME:
        raise AwsError("NotFoundException", "No such policy exists")


def _refuse_lockout(call: Call, arn: str, policy: str) -> None:
    """AWS keeps callers from a policy under which they could not put the next one."""
    keys = {"kms:CallerAccount": call.caller.account}
    target = Target(arn, "kms:PutKeyPolicy", keys=keys, policy=ResourcePolicy(policy, "new key policy"))
    if not call.decide(call, target).allowed:
        text = "The new key policy will not allow you to update the key policy in the future."
        raise AwsError("MalformedPolicyDocumentException", text)


def _indented(policy: str) -> str:
    """AWS gives policies back with its own white space."""
    return json.dumps(json.loads(policy), indent=2)


def _tags(wanted: list[dict[str, str]] | None, had: dict[str, str]) -> dict[str, str]:
    tags = {**had, **{tag["TagKey"]: tag["TagValue"] for tag in wanted or ()}}
    if any(key.lower().startswith("aws:") for key in tags):
        raise AwsError("TagException", "The tag key cannot start with aws:")
    if len(tags) > _MOST_TAGS:
        raise AwsError("TagException", "Too many tags")
    return tags


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
