"""The secrets and their versions, as documents; which version a request means.

A version has stages; ``AWSCURRENT`` is on exactly one, ``AWSPREVIOUS`` on the one that was current before. A version
that has lost all its stages is deprecated and goes with the next write.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
"""

from __future__ import annotations

import secrets
import string
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from keyless.local.cloud.database import Database
from keyless.local.cloud.errors import AwsError

KIND = "secretsmanager"
CURRENT, PREVIOUS, PENDING = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"
_SUFFIX = string.ascii_letters + string.digits

Secret = dict[str, Any]
"""name, arn, description, kmsKeyId, tags, created, changed, accessed, deletion (time or None), policy, versions
{id: {stages, created, string | binary (base64)}}"""


def not_found() -> AwsError:
    """AWS says the same for a secret that never was and for one that is gone."""
    return AwsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")


def deleted() -> AwsError:
    """The secret waits for its deletion."""
    text = "You can't perform this operation on the secret because it was marked for deletion."
    return AwsError("InvalidRequestException", text)


class Secrets:
    """All secrets of the account in this region."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, secret_id: str, now: float) -> Secret | None:
        """The secret that a name, an ARN or a partial ARN (without the random suffix) means."""
        name = secret_id
        if secret_id.startswith("arn:"):
            name = secret_id.split(":", 6)[6]
            found = self._live(name[:-7], now) if name[-7:-6] == "-" else None
            if found is not None and found["arn"] == secret_id:
                return found
        return self._live(name, now)

    def all(self, now: float) -> Iterator[Secret]:
        """Every secret, deleted ones that still wait included."""
        for document in self._database.all(KIND):
            if not _gone(document, now):
                yield document

    def keep(self, secret: Secret) -> None:
        """Write a secret."""
        self._database.put(KIND, secret["name"], secret)

    def forget(self, secret: Secret) -> None:
        """Remove a secret for good."""
        self._database.remove(KIND, secret["name"])

    def _live(self, name: str, now: float) -> Secret | None:
        document: Secret | None = self._database.get(KIND, name)
        return None if document is None or _gone(document, now) else document


def _gone(secret: Secret, now: float) -> bool:
    return secret["deletion"] is not None and secret["deletion"] <= now


def arn_suffix() -> str:
    """The six random characters that end a secret's ARN."""
    return "-" + "".join(secrets.choice(_SUFFIX) for _ in range(6))


def value_of(params: Mapping[str, Any]) -> dict[str, str]:
    """The value that a request carries, as it is stored."""
    if params.get("SecretString") is not None and params.get("SecretBinary") is not None:
        raise AwsError("InvalidParameterException", "You can't specify both a binary secret value and a string value.")
    if params.get("SecretString") is not None:
        return {"string": params["SecretString"]}
    if params.get("SecretBinary") is not None:
        return {"binary": b64encode(params["SecretBinary"]).decode()}
    return {}


def shown_value(version: Mapping[str, Any]) -> dict[str, Any]:
    """A stored value as GetSecretValue answers it."""
    if "string" in version:
        return {"SecretString": version["string"]}
    return {"SecretBinary": b64decode(version["binary"])}


def add_version(secret: Secret, version_id: str, value: dict[str, str], stages: list[str], now: float) -> None:
    """Add a version and move its stages to it. The same id with the same value is the same version."""
    existing = secret["versions"].get(version_id)
    if existing is not None:
        if {k: existing[k] for k in ("string", "binary") if k in existing} != value:
            raise AwsError(
                "ResourceExistsException",
                f"You can't use ClientRequestToken {version_id} because that value is already in use "
                f"for a version of secret {secret['arn']}.",
            )
        return
    secret["versions"][version_id] = {"stages": [], "created": now, **value}
    for stage in stages:
        move_stage(secret, stage, version_id)
    secret["versions"] = {k: v for k, v in secret["versions"].items() if v["stages"] or k == version_id}
    secret["changed"] = now


def move_stage(secret: Secret, stage: str, to: str | None) -> None:
    """Put ``stage`` on one version (None: on none); the version that was current becomes the previous one."""
    holder = next((k for k, v in secret["versions"].items() if stage in v["stages"]), None)
    if holder == to:
        return
    if holder is not None:
        secret["versions"][holder]["stages"].remove(stage)
    if to is not None:
        secret["versions"][to]["stages"].append(stage)
    if stage == CURRENT and holder is not None:
        move_stage(secret, PREVIOUS, holder)


def version_meant(secret: Secret, version_id: str | None, stage: str | None) -> tuple[str, dict[str, Any]]:
    """The version that an id, a stage, or neither (then the current one) means."""
    for found, version in secret["versions"].items():
        if version_id is not None and found != version_id:
            continue
        if (stage or (None if version_id else CURRENT)) in {None, *version["stages"]}:
            return found, version
    label = f"VersionId: {version_id}" if version_id else f"staging label: {stage or CURRENT}"
    text = f"Secrets Manager can't find the specified secret value for {label}"
    raise AwsError("ResourceNotFoundException", text)
