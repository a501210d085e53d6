"""What IAM checks before it writes: documents, principals, tags, sizes.

The quotas (facts/identity.md#quotas) stand in one table: AWS's defaults, but for the counts of an
account, which are what AWS raises them to on request (a rehearsal must not need a support case).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from keyless.local.cloud.authorise import storable
from keyless.local.cloud.errors import AwsError, validation
from keyless.local.cloud.iam import principals
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.shared_issuers import unscoped
from keyless.policy import Document, Kind, MalformedPolicy, size

TRUST_SIZE = 2048
MANAGED_SIZE = 6144
MANAGED_VERSION = "2012-10-17"
INLINE_SIZE = {"role": 10240, "user": 2048, "group": 5120}
MANAGED_PER_HOLDER = 10
VERSIONS = 5
ACCESS_KEYS_PER_USER = 2
GROUPS_PER_USER = 10
TAGS = 50
CLIENT_IDS = 100
THUMBPRINTS = 5
PROVIDERS = 700
ROLES = 10_000
USERS = 5_000
GROUPS = 500
POLICIES = 10_000
PROFILES = 1_000

_NAME_PATTERN = r"[\w+=,.@-]+"
_PATHS = ("path", "newPath")
_OF_A_PATTERN = re.compile(
    r"1 validation error detected: Value '.*' at '(?P<name>\w+)' failed to satisfy constraint: "
    r"Member must satisfy regular expression pattern: (?P<pattern>.*)",
    re.DOTALL | re.ASCII,
)


def missing(message: str) -> AwsError:
    """NoSuchEntity."""
    return AwsError("NoSuchEntity", message, status=404)


def taken(message: str) -> AwsError:
    """EntityAlreadyExists."""
    return AwsError("EntityAlreadyExists", message, status=409)


def in_use(message: str) -> AwsError:
    """DeleteConflict."""
    return AwsError("DeleteConflict", message, status=409)


def beyond(message: str) -> AwsError:
    """LimitExceeded."""
    return AwsError("LimitExceeded", message, status=409)


def invalid(text: str) -> AwsError:
    """What a violation of the model is called: names and paths of the wrong characters have words of their own."""
    found = _OF_A_PATTERN.fullmatch(text)
    if found and found["name"] in _PATHS:
        said = "It must begin and end with / and contain only alphanumeric characters and/or / characters."
        return validation(f"The specified value for {found['name']} is invalid. {said}")
    if found and found["pattern"] == _NAME_PATTERN:
        said = "It must contain only alphanumeric characters and/or the following: +=,.@_-"
        return validation(f"The specified value for {found['name']} is invalid. {said}")
    return validation(text)


def document(text: str, kind: Kind) -> str:
    """Return ``text`` when it is a valid policy; raises MalformedPolicyDocument with AWS's reason."""
    _storable(text, kind)
    return text


def _storable(text: str, kind: Kind) -> Document:
    try:
        return storable(text, kind)
    except MalformedPolicy as error:
        raise _malformed(str(error)) from None


def _malformed(text: str) -> AwsError:
    return AwsError("MalformedPolicyDocument", text, status=400)


def trust(directory: Directory, text: str) -> str:
    """A valid trust policy within its quota, as it is kept; shared issuers must be narrowed down."""
    document(text, "trust")
    if fault := unscoped(text):
        raise _malformed(fault)
    if size(text) > TRUST_SIZE:
        raise beyond(f"Cannot exceed quota for ACLSizePerRole: {TRUST_SIZE}")
    try:
        return principals.stored(directory.database.connection, text, account=directory.account)
    except principals.UnknownPrincipal as unknown:
        raise _malformed(f'Invalid principal in policy: "AWS":"{unknown.entry}"') from None


def boundary(directory: Directory, arn: str) -> str:
    """The ARN of a managed policy that is there, or nothing."""
    if arn and directory.policy(arn) is None:
        raise missing(f"Scope ARN: {arn} does not exist or is not attachable.")
    return arn


def managed(text: str) -> str:
    """A valid managed policy within its quota."""
    if _storable(text, "identity").version < MANAGED_VERSION:
        raise _malformed(f"Policy document must be version {MANAGED_VERSION} or greater.")
    if size(text) > MANAGED_SIZE:
        raise beyond(f"Cannot exceed quota for PolicySize: {MANAGED_SIZE}")
    return text


def inline(text: str, others: Iterable[str], *, kind: str, name: str) -> str:
    """A valid inline policy; all of a holder share one quota."""
    document(text, "identity")
    if size(text) + sum(size(other) for other in others) > INLINE_SIZE[kind]:
        raise beyond(f"Maximum policy size of {INLINE_SIZE[kind]} bytes exceeded for {kind} {name}")
    return text


def tags(given: Iterable[Mapping[str, Any]], present: Mapping[str, str] | None = None) -> dict[str, str]:
    """The tags as a mapping, added to those ``present``; raises on duplicates, reserved keys and too many."""
    found: dict[str, str] = {}
    for tag in given:
        key = tag["Key"]
        if key.lower() in {other.lower() for other in found}:
            raise AwsError(
                "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.", status=400
            )
        if key.lower().startswith("aws:"):
            raise AwsError("InvalidInput", "Tag keys must not start with aws:", status=400)
        found[key] = tag["Value"]
    kept = {key: value for key, value in (present or {}).items() if key.lower() not in {new.lower() for new in found}}
    merged = {**kept, **found}
    if len(merged) > TAGS:
        raise beyond(f"The number of tags has reached the maximum limit of {TAGS}.")
    return merged


def as_tags(tags_of: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as IAM lists them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags_of.items())]
