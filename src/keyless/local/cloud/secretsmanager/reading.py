"""Operations that read: values, single and in batches; descriptions, lists, versions; passwords."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from keyless.api.numbers import is_digits
from keyless.local.cloud.call import Call, Target
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.secretsmanager.filters import filtered, ordered
from keyless.local.cloud.secretsmanager.model import Secret, version_meant
from keyless.local.cloud.secretsmanager.passwords import random_password
from keyless.local.cloud.secretsmanager.secrets import Secrets, not_found, usable
from keyless.local.cloud.secretsmanager.targets import Targets
from keyless.local.cloud.secretsmanager.values import Values, shown
from keyless.policy import access_denied

_DAY_SECONDS = 86400
_MOST_IN_BATCH, _MOST_LISTED = 20, 100


class Reading:
    """One method for each operation."""

    def __init__(self, secrets: Secrets, values: Values, targets: Targets) -> None:
        self._secrets = secrets
        self._values = values
        self._targets = targets

    def get_value(self, call: Call) -> dict[str, Any]:
        return self._value(call, self._found(call), call.params.get("VersionId"), call.params.get("VersionStage"))

    def batch_get(self, call: Call) -> dict[str, Any]:
        call.authorise(Target("*", "secretsmanager:BatchGetSecretValue"))
        ids, filters = call.params.get("SecretIdList"), call.params.get("Filters")
        if bool(ids) == bool(filters):
            text = "Either 'SecretIdList' or 'Filters' must be provided, but not both."
            raise AwsError("InvalidParameterException", text)
        if ids and call.params.get("MaxResults"):
            text = "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided."
            raise AwsError("InvalidParameterException", text)
        more: dict[str, str] = {}
        if filters:
            call.authorise(Target("*", "secretsmanager:ListSecrets"))
            living = (secret for secret in self._secrets.all(call.now) if secret.deletion is None)
            found, more = page(call, ordered(filtered(living, filters), None, None), _MOST_IN_BATCH)
            ids = [secret.arn for secret in found]
        values, errors = [], []
        for secret_id in ids or ():
            try:
                values.append(self._one_of_many(call, secret_id))
            except AwsError as error:
                errors.append({"SecretId": secret_id, "ErrorCode": error.code, "Message": error.message})
        return {"SecretValues": values, "Errors": errors, **more}

    def describe(self, call: Call) -> dict[str, Any]:
        secret = self._found(call)
        return described(secret) | ({"VersionIdsToStages": stages} if (stages := _stages(secret)) else {})

    def list_all(self, call: Call) -> dict[str, Any]:
        params = call.params
        everything: Iterable[Secret] = self._secrets.all(call.now)
        if not params.get("IncludePlannedDeletion"):
            everything = (secret for secret in everything if secret.deletion is None)
        found = ordered(
            filtered(everything, params.get("Filters") or ()), params.get("SortBy"), params.get("SortOrder")
        )
        listed, more = page(call, found, _MOST_LISTED)
        shown_list = [described(secret) | {"SecretVersionsToStages": _stages(secret)} for secret in listed]
        return {"SecretList": shown_list, **more}

    def list_versions(self, call: Call) -> dict[str, Any]:
        secret = self._found(call)
        versions = [
            {"VersionId": name, "VersionStages": list(version.stages), "CreatedDate": time(version.created)}
            for name, version in secret.versions.items()
            if version.stages or call.params.get("IncludeDeprecated")
        ]
        shown_versions, more = page(call, versions, _MOST_LISTED)
        return {"Versions": shown_versions, "ARN": secret.arn, "Name": secret.name, **more}

    def get_policy(self, call: Call) -> dict[str, Any]:
        secret = usable(self._found(call))
        policy = {"ResourcePolicy": self._secrets.shown_policy(secret)} if secret.policy else {}
        return {"ARN": secret.arn, "Name": secret.name, **policy}

    def get_random_password(self, call: Call) -> dict[str, Any]:
        return {"RandomPassword": random_password(call.params)}

    # Shared steps

    def _found(self, call: Call) -> Secret:
        found = self._secrets.find(str(call.params["SecretId"]), call.now)
        if found is None:
            raise not_found()
        return found

    def _one_of_many(self, call: Call, secret_id: str) -> dict[str, Any]:
        """Each secret is authorised by itself; one that is refused does not fail the others."""
        if not call.allows(self._targets.of(call, secret_id, "secretsmanager:GetSecretValue")):
            raise AwsError("AccessDeniedException", access_denied(call.decisions[-1], resource=secret_id))
        found = self._secrets.find(secret_id, call.now)
        if found is None:
            raise not_found()
        return self._value(call, found, None, None)

    def _value(self, call: Call, secret: Secret, version_id: str | None, stage: str | None) -> dict[str, Any]:
        found, version = version_meant(usable(secret), version_id, stage)
        value = self._values.open(call, secret, found, version.value)
        day = float(call.now // _DAY_SECONDS * _DAY_SECONDS)
        if secret.accessed != day:
            # LastAccessedDate has the precision of a day, so a read writes once a day.
            self._secrets.keep(replace(secret, accessed=day))
        return {
            "ARN": secret.arn,
            "Name": secret.name,
            "VersionId": found,
            "VersionStages": list(version.stages),
            "CreatedDate": time(version.created),
            **shown(value),
        }


def described(secret: Secret) -> dict[str, Any]:
    """A secret as DescribeSecret and ListSecrets show it; what was never set is left out."""
    times = {
        "CreatedDate": secret.created,
        "LastChangedDate": secret.changed,
        "LastAccessedDate": secret.accessed,
        "DeletedDate": secret.deletion,
    }
    texts = {"Description": secret.description, "KmsKeyId": secret.key_id}
    tags = [{"Key": name, "Value": value} for name, value in secret.tags.items()]
    return {
        "ARN": secret.arn,
        "Name": secret.name,
        **{name: text for name, text in texts.items() if text},
        **{name: time(at) for name, at in times.items() if at is not None},
        **({"Tags": tags} if tags else {}),
    }


def page(call: Call, found: Sequence[Any], most: int) -> tuple[list[Any], dict[str, str]]:
    """The page that the call asks for, and the token for the next one."""
    token = str(call.params.get("NextToken") or "0")
    if not is_digits(token):
        raise AwsError("InvalidNextTokenException", "The NextToken value is invalid.")
    start, limit = int(token), min(int(call.params.get("MaxResults") or most), most)
    more = {"NextToken": str(start + limit)} if start + limit < len(found) else {}
    return list(found[start : start + limit]), more


def time(seconds: float) -> datetime:
    """A stored time as answers carry it."""
    return datetime.fromtimestamp(seconds, UTC)


def _stages(secret: Secret) -> dict[str, list[str]]:
    return {name: list(version.stages) for name, version in secret.versions.items() if version.stages}
