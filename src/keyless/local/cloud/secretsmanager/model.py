"""What Secrets Manager keeps: secrets, their versions and stages. Values only; which version a request means.

A version has stages; ``AWSCURRENT`` is on exactly one, ``AWSPREVIOUS`` on the one that was current before. A version
that has lost all its stages is deprecated: it can be listed, and goes when there are too many.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from keyless.local.cloud.errors import AwsError

CURRENT, PREVIOUS, PENDING = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"
MOST_VERSIONS = 100
MOST_STAGES = 20


@dataclass(frozen=True, slots=True)
class Sealed:
    """A value on disk: encrypted under a data key, which is encrypted under the secret's key of KMS (base64 both)."""

    kind: Literal["string", "binary"]
    data_key: str
    ciphertext: str


@dataclass(frozen=True, slots=True)
class Version:
    """One value of a secret."""

    value: Sealed
    created: float
    stages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret; ``key_id`` as its user named it, empty for the service's own key. Versions oldest first."""

    name: str
    arn: str
    created: float
    changed: float
    description: str = ""
    key_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    accessed: float | None = None
    deletion: float | None = None
    policy: str = ""
    versions: Mapping[str, Version] = field(default_factory=dict)


def secret_of(document: Mapping[str, Any]) -> Secret:
    """A secret from its document."""
    versions = {name: _version_of(version) for name, version in document["versions"].items()}
    return Secret(**{**document, "versions": versions})


def _version_of(document: Mapping[str, Any]) -> Version:
    return Version(Sealed(**document["value"]), document["created"], tuple(document["stages"]))


# Which version ----------------------------------------------------------------------------------------------------


def version_meant(secret: Secret, version_id: str | None, stage: str | None) -> tuple[str, Version]:
    """The version that an id, a stage, or neither (then the current one) means; raises ResourceNotFoundException."""
    if version_id is not None:
        version = secret.versions.get(version_id)
        if version is None:
            raise _no_value(f"VersionId: {version_id}")
        if stage is not None and stage not in version.stages:
            text = "You provided a VersionStage that is not associated to the provided VersionId."
            raise AwsError("InvalidRequestException", text)
        return version_id, version
    wanted = stage or CURRENT
    for found, version in secret.versions.items():
        if wanted in version.stages:
            return found, version
    raise _no_value(f"staging label: {wanted}")


def _no_value(what: str) -> AwsError:
    text = f"Secrets Manager can't find the specified secret value for {what}"
    return AwsError("ResourceNotFoundException", text)


# Changes ----------------------------------------------------------------------------------------------------------


def with_version(secret: Secret, version_id: str, version: Version, stages: tuple[str, ...]) -> Secret:
    """The secret with a new version that takes these stages; the first version is always the current one."""
    wanted = stages if secret.versions else tuple(dict.fromkeys((*stages, CURRENT)))
    changed = replace(secret, versions={**secret.versions, version_id: replace(version, stages=())})
    for stage in wanted:
        changed = with_stage_on(changed, stage, version_id)
    return _pruned(changed, version_id)


def with_stage_on(secret: Secret, stage: str, to: str | None) -> Secret:
    """``stage`` on one version (None: on none); the version that was current becomes the previous one."""
    holder = holder_of(secret, stage)
    if holder == to:
        return secret
    versions = dict(secret.versions)
    if holder is not None:
        versions[holder] = _without(versions[holder], stage)
    if to is not None:
        versions[to] = _with(versions[to], stage)
    changed = replace(secret, versions=versions)
    if stage != CURRENT:
        return changed
    if to is not None and PREVIOUS in changed.versions[to].stages:
        changed = replace(changed, versions={**changed.versions, to: _without(changed.versions[to], PREVIOUS)})
    return with_stage_on(changed, PREVIOUS, holder) if holder is not None else changed


def holder_of(secret: Secret, stage: str) -> str | None:
    """The version that has ``stage``."""
    return next((name for name, version in secret.versions.items() if stage in version.stages), None)


def _without(version: Version, stage: str) -> Version:
    return replace(version, stages=tuple(one for one in version.stages if one != stage))


def _with(version: Version, stage: str) -> Version:
    if len(version.stages) >= MOST_STAGES:
        text = f"A version of a secret can have at most {MOST_STAGES} staging labels."
        raise AwsError("LimitExceededException", text)
    return replace(version, stages=(*version.stages, stage))


def _pruned(secret: Secret, newest: str) -> Secret:
    """At most so many versions: the oldest deprecated ones go."""
    surplus = len(secret.versions) - MOST_VERSIONS
    if surplus <= 0:
        return secret
    spare = [name for name, version in secret.versions.items() if not version.stages and name != newest]
    gone = set(spare[:surplus])
    return replace(secret, versions={name: one for name, one in secret.versions.items() if name not in gone})
