"""Operations that write: secrets and values, stages, deletion, tags, resource policies; rotation, which cannot be."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.secretsmanager import policies
from keyless.local.cloud.secretsmanager.model import (
    CURRENT,
    PENDING,
    PREVIOUS,
    Secret,
    Version,
    holder_of,
    with_stage_on,
    with_version,
)
from keyless.local.cloud.secretsmanager.reading import time
from keyless.local.cloud.secretsmanager.secrets import Secrets, arn_suffix, not_found, usable
from keyless.local.cloud.secretsmanager.values import Plain, Values, key_named, value_in

_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]+")
_DAY_SECONDS = 86400
_LEAST_DAYS, _MOST_DAYS = 7, 30
_MOST_TAGS = 50


class Writing:
    """One method for each operation."""

    def __init__(self, secrets: Secrets, values: Values) -> None:
        self._secrets = secrets
        self._values = values

    # Values

    def create(self, call: Call) -> dict[str, Any]:
        name, params = str(call.params["Name"]), call.params
        _refuse_name(name)
        if params.get("AddReplicaRegions"):
            raise AwsError("InvalidParameterException", "Replicas are not part of this cloud: it has one region.")
        version_id = _version_id(call)
        existing = self._secrets.find(name, call.now)
        if existing is not None:
            return self._created_again(call, existing, version_id)
        secret = Secret(
            name=name,
            arn=call.arn(f"secret:{name}{arn_suffix()}"),
            created=call.now,
            changed=call.now,
            description=params.get("Description") or "",
            key_id=key_named(params.get("KmsKeyId")),
            tags=_tags(params.get("Tags"), {}),
        )
        return self._written(call, secret, version_id, value_in(params), (CURRENT,))

    def put_value(self, call: Call) -> dict[str, Any]:
        secret, version_id, value = self._existing(call), _version_id(call), value_in(call.params)
        if value is None:
            raise AwsError("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
        stages = tuple(dict.fromkeys(call.params.get("VersionStages") or (CURRENT,)))
        answer = self._written(call, secret, version_id, value, stages)
        kept = self._existing(call).versions[version_id]
        return answer | {"VersionStages": list(kept.stages)}

    def update(self, call: Call) -> dict[str, Any]:
        secret, params = self._existing(call), call.params
        changed = replace(secret, changed=call.now)
        if params.get("Description") is not None:
            changed = replace(changed, description=params["Description"])
        if params.get("KmsKeyId") is not None and key_named(params["KmsKeyId"]) != secret.key_id:
            changed = self._sealed_anew(call, secret, replace(changed, key_id=key_named(params["KmsKeyId"])))
        return self._written(call, changed, _version_id(call), value_in(params), (CURRENT,))

    def update_stage(self, call: Call) -> dict[str, Any]:
        stage, params = str(call.params["VersionStage"]), call.params
        to, expected = params.get("MoveToVersionId"), params.get("RemoveFromVersionId")

        def move(secret: Secret) -> Secret:
            holder = holder_of(secret, stage)
            for named in filter(None, (to, expected)):
                if named not in secret.versions:
                    raise AwsError("InvalidParameterException", f"Not a valid version: {named}")
            if expected is not None and expected != holder:
                text = f"Version stage {stage} not found in version {expected}"
                raise AwsError("InvalidParameterException", text)
            if to is None and stage == CURRENT:
                text = (
                    "You can only move staging label AWSCURRENT to a different secret version. It can't be completely "
                    "removed."
                )
                raise AwsError("InvalidParameterException", text)
            if expected is None and holder not in {None, to}:
                text = (
                    f"The parameter RemoveFromVersionId can't be empty. Staging label {stage} is currently attached to "
                    f"version {holder}, so you must explicitly reference that version in RemoveFromVersionId."
                )
                raise AwsError("InvalidParameterException", text)
            return with_stage_on(secret, stage, to)

        return self._changed(call, move)

    # Deletion

    def delete(self, call: Call) -> dict[str, Any]:
        params, force = call.params, bool(call.params.get("ForceDeleteWithoutRecovery"))
        asked = params.get("RecoveryWindowInDays")
        if force and asked is not None:
            text = "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays."
            raise AwsError("InvalidParameterException", text)
        days = _MOST_DAYS if asked is None else int(asked)
        if not _LEAST_DAYS <= days <= _MOST_DAYS:
            text = "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."
            raise AwsError("InvalidParameterException", text)
        secret = self._secrets.find(str(params["SecretId"]), call.now)
        if secret is None and force:
            # AWS does not mind: what shall be gone is gone.
            name = str(params["SecretId"])
            arn = name if name.startswith("arn:") else call.arn(f"secret:{name}{arn_suffix()}")
            return {"ARN": arn, "Name": name, "DeletionDate": time(call.now)}
        if secret is None:
            raise not_found()
        if force:
            self._secrets.forget(secret)
            return {"ARN": secret.arn, "Name": secret.name, "DeletionDate": time(call.now)}
        at = call.now + days * _DAY_SECONDS
        self._secrets.keep(replace(usable(secret), deletion=at))
        return {"ARN": secret.arn, "Name": secret.name, "DeletionDate": time(at)}

    def restore(self, call: Call) -> dict[str, Any]:
        secret = self._found(call)
        self._secrets.keep(replace(secret, deletion=None, changed=call.now))
        return {"ARN": secret.arn, "Name": secret.name}

    # Tags and policies

    def tag(self, call: Call) -> None:
        self._changed(call, lambda secret: replace(secret, tags=_tags(call.params["Tags"], dict(secret.tags))))

    def untag(self, call: Call) -> None:
        gone = set(call.params["TagKeys"])
        self._changed(call, lambda s: replace(s, tags={k: v for k, v in s.tags.items() if k not in gone}))

    def put_policy(self, call: Call) -> dict[str, Any]:
        text = policies.checked(str(call.params["ResourcePolicy"]))
        if call.params.get("BlockPublicPolicy") and policies.is_public(text):
            why = (
                "The BlockPublicPolicy parameter is set to true, and the resource policy did not prevent broad access "
                "to the secret."
            )
            raise AwsError("PublicPolicyException", why)
        kept = self._secrets.kept_policy(text, call.account)
        return self._changed(call, lambda secret: replace(secret, policy=kept))

    def validate_policy(self, call: Call) -> dict[str, Any]:
        if call.params.get("SecretId"):
            self._existing(call)
        text = policies.checked(str(call.params["ResourcePolicy"]))
        self._secrets.kept_policy(text, call.account)
        if not policies.is_public(text):
            return {"PolicyValidationPassed": True, "ValidationErrors": []}
        error = {
            "CheckName": "PUBLIC_POLICY",
            "ErrorMessage": "The resource policy lets everybody in: name principals, or bind them by a condition.",
        }
        return {"PolicyValidationPassed": False, "ValidationErrors": [error]}

    def delete_policy(self, call: Call) -> dict[str, Any]:
        return self._changed(call, lambda secret: replace(secret, policy=""))

    # Rotation: there is no Lambda here, so none can be invoked

    def rotate(self, call: Call) -> dict[str, Any]:
        self._existing(call)
        days = (call.params.get("RotationRules") or {}).get("AutomaticallyAfterDays")
        if days is not None and not 1 <= int(days) <= 1000:
            text = "RotationRules.AutomaticallyAfterDays must be within 1-1000."
            raise AwsError("InvalidParameterException", text)
        if not call.params.get("RotationLambdaARN"):
            text = "No Lambda rotation function ARN is associated with this secret."
            raise AwsError("InvalidRequestException", text)
        text = (
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants "
            "access to the principal secretsmanager.amazonaws.com."
        )
        raise AwsError("AccessDeniedException", text, status=400)

    def cancel_rotation(self, call: Call) -> dict[str, Any]:
        """Turns off what is never on; as on AWS that is no error."""
        secret = self._existing(call)
        pending = holder_of(secret, PENDING)
        answer = {"ARN": secret.arn, "Name": secret.name}
        return answer | {"VersionId": pending} if pending else answer

    # Shared steps

    def _found(self, call: Call) -> Secret:
        found = self._secrets.find(str(call.params["SecretId"]), call.now)
        if found is None:
            raise not_found()
        return found

    def _existing(self, call: Call) -> Secret:
        return usable(self._found(call))

    def _changed(self, call: Call, change: Callable[[Secret], Secret]) -> dict[str, Any]:
        secret = change(self._existing(call))
        self._secrets.keep(replace(secret, changed=call.now))
        return {"ARN": secret.arn, "Name": secret.name}

    def _created_again(self, call: Call, existing: Secret, version_id: str) -> dict[str, Any]:
        """The same request once more is answered as the first; another one finds the name taken."""
        if existing.deletion is not None:
            text = "You can't create this secret because a secret with this name is already scheduled for deletion."
            raise AwsError("InvalidRequestException", text)
        if version_id not in existing.versions:
            text = f"The operation failed because the secret {existing.name} already exists."
            raise AwsError("ResourceExistsException", text)
        return self._written(call, existing, version_id, value_in(call.params), ())

    def _written(
        self, call: Call, secret: Secret, version_id: str, value: Plain | None, stages: tuple[str, ...]
    ) -> dict[str, Any]:
        answer = {"ARN": secret.arn, "Name": secret.name}
        if value is None:
            self._secrets.keep(secret)
            return answer
        if (existing := secret.versions.get(version_id)) is not None:
            if self._values.open(call, secret, version_id, existing.value) != value:
                text = (
                    f"You can't use ClientRequestToken {version_id} because that value is already in use for a version "
                    f"of secret {secret.arn}."
                )
                raise AwsError("ResourceExistsException", text)
            self._secrets.keep(secret)
            return answer | {"VersionId": version_id}
        version = Version(self._values.seal(call, secret, version_id, value), call.now)
        self._secrets.keep(replace(with_version(secret, version_id, version, stages), changed=call.now))
        return answer | {"VersionId": version_id}

    def _sealed_anew(self, call: Call, old: Secret, new: Secret) -> Secret:
        """A new key seals what has one of AWS's stages anew; older versions stay under the old one."""
        versions = dict(new.versions)
        for name, version in new.versions.items():
            if {CURRENT, PREVIOUS, PENDING} & set(version.stages):
                value = self._values.open(call, old, name, version.value)
                versions[name] = replace(version, value=self._values.seal(call, new, name, value))
        return replace(new, versions=versions)


def _version_id(call: Call) -> str:
    return str(call.params.get("ClientRequestToken") or uuid4())


def _refuse_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        text = (
            "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
        )
        raise AwsError("ValidationException", text, status=400)


def _tags(wanted: Any, had: dict[str, str]) -> dict[str, str]:
    tags = {**had, **{tag["Key"]: tag.get("Value", "") for tag in wanted or ()}}
    if any(key.lower().startswith("aws:") for key in tags):
        text = "Tag keys that begin with aws: are reserved for AWS."
        raise AwsError("InvalidParameterException", text)
    if len(tags) > _MOST_TAGS:
        raise AwsError("InvalidParameterException", f"A secret can have at most {_MOST_TAGS} tags.")
    return tags
