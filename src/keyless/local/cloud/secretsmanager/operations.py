"""The operations of Secrets Manager, as plain functions over the stored secrets."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from keyless.local.cloud.call import Call, ResourcePolicy, Target
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.secretsmanager.secrets import (
    CURRENT,
    Secret,
    Secrets,
    add_version,
    arn_suffix,
    deleted,
    move_stage,
    not_found,
    shown_value,
    value_of,
    version_meant,
)
from keyless.policy import ContextValue, MalformedPolicy, parse

_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_DAY_SECONDS = 86400


class Operations:
    """One method for each operation; ``target`` says what it touches."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    # Authorisation

    def target(self, call: Call) -> Target:
        """The secret that the parameters name."""
        return self.target_of(call, str(call.params["SecretId"]))

    def target_of(self, call: Call, secret_id: str, action: str = "") -> Target:
        """A secret; one that is not there is judged by the ARN its name would have."""
        found = self._secrets.find(secret_id, call.now)
        keys: dict[str, ContextValue] = {"secretsmanager:SecretId": found["arn"] if found else secret_id}
        for key, member in (("VersionId", "VersionId"), ("VersionStage", "VersionStage")):
            if call.params.get(member):
                keys[f"secretsmanager:{key}"] = str(call.params[member])
        if found is None:
            arn = secret_id if secret_id.startswith("arn:") else call.arn(f"secret:{secret_id}")
            return Target(arn, action, keys=keys, label=secret_id)
        keys |= {f"aws:ResourceTag/{k}": v for k, v in found["tags"].items()}
        keys |= {f"secretsmanager:ResourceTag/{k}": v for k, v in found["tags"].items()}
        policy = ResourcePolicy(found["policy"], "secret policy") if found["policy"] else None
        return Target(found["arn"], action, keys=keys, policy=policy, label=found["name"])

    def target_of_new(self, call: Call) -> Target:
        """A secret that is about to be: its ARN without the random end, and the tags it asks for."""
        tags = _tags(call.params.get("Tags"))
        keys: dict[str, ContextValue] = {f"aws:RequestTag/{k}": v for k, v in tags.items()}
        keys["secretsmanager:Name"] = str(call.params["Name"])
        if tags:
            keys["aws:TagKeys"] = tuple(tags)
        return Target(call.arn(f"secret:{call.params['Name']}"), keys=keys, label=str(call.params["Name"]))

    # Reading

    def get_value(self, call: Call) -> dict[str, Any]:
        secret = self._existing(call)
        return self._value(call, secret, call.params.get("VersionId"), call.params.get("VersionStage"))

    def batch_get(self, call: Call) -> dict[str, Any]:
        call.authorise(Target("*", "secretsmanager:BatchGetSecretValue"))
        wanted = call.params.get("SecretIdList") or []
        values, errors = [], []
        for secret_id in wanted:
            try:
                # Each secret is authorised by itself; one that is refused does not fail the others.
                if not call.allows(self.target_of(call, secret_id, "secretsmanager:GetSecretValue")):
                    raise AwsError("AccessDeniedException", f"not authorized to perform GetSecretValue on {secret_id}")
                found = self._secrets.find(secret_id, call.now)
                if found is None:
                    raise not_found()
                values.append(self._value(call, _usable(found), None, None))
            except AwsError as error:
                errors.append({"SecretId": secret_id, "ErrorCode": error.code, "Message": error.message})
        return {"SecretValues": values, "Errors": errors}

    def describe(self, call: Call) -> dict[str, Any]:
        secret = self._found(call)
        stages = {k: v["stages"] for k, v in secret["versions"].items() if v["stages"]}
        return _listed(secret) | {"VersionIdsToStages": stages}

    def list_all(self, call: Call) -> dict[str, Any]:
        with_deleted = bool(call.params.get("IncludePlannedDeletion"))
        found = [s for s in self._secrets.all(call.now) if with_deleted or s["deletion"] is None]
        for condition in call.params.get("Filters") or ():
            found = [s for s in found if _matches(s, condition["Key"], condition["Values"])]
        start, limit = int(call.params.get("NextToken") or 0), int(call.params.get("MaxResults") or 100)
        listed = []
        for secret in found[start : start + limit]:
            stages = {k: v["stages"] for k, v in secret["versions"].items() if v["stages"]}
            listed.append(_listed(secret) | {"SecretVersionsToStages": stages})
        more = {"NextToken": str(start + limit)} if start + limit < len(found) else {}
        return {"SecretList": listed, **more}

    def list_versions(self, call: Call) -> dict[str, Any]:
        secret = self._found(call)
        versions = [
            {"VersionId": k, "VersionStages": v["stages"], "CreatedDate": _time(v["created"])}
            for k, v in secret["versions"].items()
            if v["stages"] or call.params.get("IncludeDeprecated")
        ]
        return {"Versions": versions, "ARN": secret["arn"], "Name": secret["name"]}

    def get_policy(self, call: Call) -> dict[str, Any]:
        secret = self._found(call)
        policy = {"ResourcePolicy": secret["policy"]} if secret["policy"] else {}
        return {"ARN": secret["arn"], "Name": secret["name"], **policy}

    # Writing

    def create(self, call: Call) -> dict[str, Any]:
        name, params = str(call.params["Name"]), call.params
        if not _NAME.fullmatch(name):
            raise AwsError(
                "ValidationException",
                "Invalid name. Must be a valid name containing alphanumeric characters, "
                "or any of the following: -/_+=.@!",
            )
        existing = self._secrets.find(name, call.now)
        version_id = params.get("ClientRequestToken") or str(uuid4())
        if existing is not None and version_id not in existing["versions"]:
            if existing["deletion"] is not None:
                text = "You can't create this secret because a secret with this name is already scheduled for deletion."
                raise AwsError("InvalidRequestException", text)
            text = f"The operation failed because the secret {name} already exists."
            raise AwsError("ResourceExistsException", text)
        secret: Secret = existing or {
            "name": name,
            "arn": call.arn(f"secret:{name}{arn_suffix()}"),
            "description": params.get("Description") or "",
            "kmsKeyId": params.get("KmsKeyId") or "",
            "tags": _tags(params.get("Tags")),
            "created": call.now,
            "changed": call.now,
            "accessed": None,
            "deletion": None,
            "policy": "",
            "versions": {},
        }
        return self._written(call, secret, version_id, [CURRENT])

    def put_value(self, call: Call) -> dict[str, Any]:
        version_id = call.params.get("ClientRequestToken") or str(uuid4())
        stages = list(call.params.get("VersionStages") or [CURRENT])
        answer = self._written(call, self._existing(call), version_id, stages)
        return answer | {"VersionStages": stages}

    def update(self, call: Call) -> dict[str, Any]:
        secret = self._existing(call)
        for member, key in (("Description", "description"), ("KmsKeyId", "kmsKeyId")):
            if call.params.get(member) is not None:
                secret[key] = call.params[member]
        secret["changed"] = call.now
        return self._written(call, secret, call.params.get("ClientRequestToken") or str(uuid4()), [CURRENT])

    def delete(self, call: Call) -> dict[str, Any]:
        secret = self._found(call)
        if call.params.get("ForceDeleteWithoutRecovery"):
            secret["deletion"] = call.now
            self._secrets.forget(secret)
        else:
            days = int(call.params.get("RecoveryWindowInDays") or 30)
            if not 7 <= days <= 30:
                text = "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."
                raise AwsError("InvalidParameterException", text)
            secret["deletion"] = call.now + days * _DAY_SECONDS
            self._secrets.keep(secret)
        return {"ARN": secret["arn"], "Name": secret["name"], "DeletionDate": _time(secret["deletion"])}

    def restore(self, call: Call) -> dict[str, Any]:
        return self._changed(call, lambda secret: secret.update(deletion=None), usable=False)

    def tag(self, call: Call) -> None:
        self._changed(call, lambda secret: secret["tags"].update(_tags(call.params["Tags"])))

    def untag(self, call: Call) -> None:
        gone = set(call.params["TagKeys"])
        self._changed(call, lambda s: s.update(tags={k: v for k, v in s["tags"].items() if k not in gone}))

    def update_stage(self, call: Call) -> dict[str, Any]:
        to = call.params.get("MoveToVersionId")

        def move(secret: Secret) -> None:
            if to is not None and to not in secret["versions"]:
                raise not_found()
            move_stage(secret, str(call.params["VersionStage"]), to)

        return self._changed(call, move)

    def put_policy(self, call: Call) -> dict[str, Any]:
        text = str(call.params["ResourcePolicy"])
        try:
            parse(text, "resource")
        except MalformedPolicy as error:
            raise AwsError("MalformedPolicyDocumentException", str(error)) from None
        return self._changed(call, lambda secret: secret.update(policy=text))

    def delete_policy(self, call: Call) -> dict[str, Any]:
        return self._changed(call, lambda secret: secret.update(policy=""))

    # Shared steps

    def _found(self, call: Call) -> Secret:
        found = self._secrets.find(str(call.params["SecretId"]), call.now)
        if found is None:
            raise not_found()
        return found

    def _existing(self, call: Call) -> Secret:
        return _usable(self._found(call))

    def _changed(self, call: Call, change: Callable[[Secret], None], *, usable: bool = True) -> dict[str, Any]:
        secret = self._existing(call) if usable else self._found(call)
        change(secret)
        secret["changed"] = call.now
        self._secrets.keep(secret)
        return {"ARN": secret["arn"], "Name": secret["name"]}

    def _written(self, call: Call, secret: Secret, version_id: str, stages: list[str]) -> dict[str, Any]:
        value = value_of(call.params)
        if value:
            add_version(secret, version_id, value, stages, call.now)
        self._secrets.keep(secret)
        answer = {"ARN": secret["arn"], "Name": secret["name"]}
        return answer | {"VersionId": version_id} if value else answer

    def _value(self, call: Call, secret: Secret, version_id: str | None, stage: str | None) -> dict[str, Any]:
        found, version = version_meant(secret, version_id, stage)
        day = call.now // _DAY_SECONDS * _DAY_SECONDS
        if secret["accessed"] != day:
            # LastAccessedDate has the precision of a day, so a read writes once a day.
            self._secrets.keep(secret | {"accessed": day})
        return {
            "ARN": secret["arn"],
            "Name": secret["name"],
            "VersionId": found,
            "VersionStages": version["stages"],
            "CreatedDate": _time(version["created"]),
            **shown_value(version),
        }


def _usable(secret: Secret) -> Secret:
    if secret["deletion"] is not None:
        raise deleted()
    return secret


def _listed(secret: Secret) -> dict[str, Any]:
    times = {
        "CreatedDate": secret["created"],
        "LastChangedDate": secret["changed"],
        "LastAccessedDate": secret["accessed"],
        "DeletedDate": secret["deletion"],
    }
    texts = {"Description": secret["description"], "KmsKeyId": secret["kmsKeyId"]}
    return {
        "ARN": secret["arn"],
        "Name": secret["name"],
        "Tags": [{"Key": k, "Value": v} for k, v in secret["tags"].items()],
        **{k: v for k, v in texts.items() if v},
        **{k: _time(v) for k, v in times.items() if v is not None},
    }


def _matches(secret: Secret, key: str, values: list[str]) -> bool:
    """AWS's filters: prefixes, case-insensitive for names; ``!`` before a value negates."""
    texts = {
        "name": [secret["name"]],
        "description": secret["description"].split(),
        "tag-key": list(secret["tags"]),
        "tag-value": list(secret["tags"].values()),
    }
    texts["all"] = [text for group in texts.values() for text in group]
    for value in values:
        negated, wanted = value.startswith("!"), value.removeprefix("!").lower()
        if any(text.lower().startswith(wanted) for text in texts.get(key, ())) != negated:
            return True
    return False


def _tags(tags: Any) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in tags or ()}


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
