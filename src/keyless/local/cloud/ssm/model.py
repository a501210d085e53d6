"""What Parameter Store keeps: parameters, their versions, labels and policies. Values only.

https://docs.aws.amazon.com/systems-manager/latest/userguide/systems-manager-parameter-store.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from keyless.local.cloud.errors import AwsError

MOST_VERSIONS = 100
MOST_LABELS = 10
SECURE = "SecureString"
TEXT = "text"


@dataclass(frozen=True, slots=True)
class Version:
    """One value. ``value`` of a SecureString is its ciphertext (base64), ``data_key`` its wrapped key in large ones."""

    number: int
    type: str
    value: str
    modified: float
    user: str
    key_id: str = ""
    description: str = ""
    tier: str = "Standard"
    labels: tuple[str, ...] = ()
    pattern: str = ""
    data_type: str = TEXT
    #: parameter policies as they were sent (a JSON list); empty for none
    policies: str = ""
    data_key: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; versions oldest first, never empty. ``expires``: when its Expiration policy removes it."""

    name: str
    arn: str
    versions: tuple[Version, ...]
    tags: Mapping[str, str] = field(default_factory=dict)
    expires: float | None = None

    @property
    def last(self) -> Version:
        """The version that a name without a selector means."""
        return self.versions[-1]


def parameter_of(document: Mapping[str, Any], arn: str) -> Parameter:
    """A parameter from its document; ``arn`` for one of an older state, which did not keep it."""
    versions = tuple(_version_of(version) for version in document["versions"])
    kept = document.get("arn") or arn
    return Parameter(document["name"], kept, versions, document["tags"], document.get("expires"))


def _version_of(document: Mapping[str, Any]) -> Version:
    read = dict(document)
    if "keyId" in read:  # as the first version spelled it
        read["key_id"] = read.pop("keyId")
    return Version(**{**read, "labels": tuple(read["labels"])})


def version_meant(parameter: Parameter, selector: str) -> Version:
    """The version that a selector (a number, a label, or nothing) means; raises ParameterVersionNotFound."""
    if not selector:
        return parameter.last
    for version in parameter.versions:
        if selector == str(version.number) or selector in version.labels:
            return version
    text = f"Systems Manager could not find version {selector} of {parameter.name}. Verify the version and try again."
    raise AwsError("ParameterVersionNotFound", text)


def with_version(parameter: Parameter, version: Version) -> Parameter:
    """The parameter with a new version; the oldest goes when there are too many, unless a label holds it."""
    oldest = parameter.versions[0]
    versions = (*parameter.versions, version)
    if len(versions) <= MOST_VERSIONS:
        return replace(parameter, versions=versions)
    if oldest.labels:
        text = (
            f"You attempted to create a new version of {parameter.name} by calling the PutParameter API with the "
            f"overwrite flag. Version {oldest.number}, the oldest version, can't be deleted because it has a label "
            "associated with it. Move the label to another version of the parameter, and try again."
        )
        raise AwsError("ParameterMaxVersionLimitExceeded", text)
    return replace(parameter, versions=versions[1:])


def with_labels(parameter: Parameter, number: int, labels: tuple[str, ...]) -> Parameter:
    """The labels on one version: each is on one alone, so they move."""
    moved = tuple(_relabelled(version, number, labels) for version in parameter.versions)
    if any(len(version.labels) > MOST_LABELS for version in moved):
        text = (
            f"A parameter version can have maximum {MOST_LABELS} labels. Move one or more labels to another version "
            "and try again."
        )
        raise AwsError("ParameterVersionLabelLimitExceeded", text)
    return replace(parameter, versions=moved)


def _relabelled(version: Version, number: int, labels: tuple[str, ...]) -> Version:
    others = tuple(label for label in version.labels if label not in labels)
    if version.number != number:
        return replace(version, labels=others)
    return replace(version, labels=(*version.labels, *(label for label in labels if label not in version.labels)))
