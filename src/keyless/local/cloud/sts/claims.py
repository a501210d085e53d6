"""What AWS reads from a verified token beyond the standard claims: tags, source identity, allowed roles. Pure.

Spec: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html and identity.md S10.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyless.local.cloud.errors import AwsError

_TAGS = "https://aws.amazon.com/tags"
_SOURCE_IDENTITY = "https://aws.amazon.com/source_identity"
_ROLES = "https://aws.amazon.com/roles"
_MOST_TAGS, _LONGEST_KEY, _LONGEST_VALUE = 50, 128, 256


@dataclass(frozen=True, slots=True)
class AwsClaims:
    """The claims under AWS's own names."""

    tags: Mapping[str, str] = field(default_factory=dict)
    transitive_tags: tuple[str, ...] = ()
    source_identity: str = ""
    roles: tuple[str, ...] | None = None


def aws_claims(claims: Mapping[str, Any]) -> AwsClaims:
    """Read them; raises InvalidIdentityToken where their form is wrong."""
    tags, transitive = _nested(claims.get(_TAGS))
    flat = f"{_TAGS}/principal_tags/"
    tags.update({key[len(flat) :]: _one(value) for key, value in claims.items() if key.startswith(flat)})
    if f"{_TAGS}/transitive_tag_keys" in claims:
        transitive = _strings(claims[f"{_TAGS}/transitive_tag_keys"])
    if len(tags) > _MOST_TAGS or any(len(k) > _LONGEST_KEY or len(v) > _LONGEST_VALUE for k, v in tags.items()):
        raise _malformed()
    identity = claims.get(_SOURCE_IDENTITY, "")
    return AwsClaims(tags, transitive, identity if isinstance(identity, str) else "", _roles(claims.get(_ROLES)))


def _nested(value: Any) -> tuple[dict[str, str], tuple[str, ...]]:
    if value is None:
        return {}, ()
    if not isinstance(value, dict) or not isinstance(value.get("principal_tags", {}), dict):
        raise _malformed()
    tags = {key: _one(given) for key, given in value.get("principal_tags", {}).items()}
    return tags, _strings(value.get("transitive_tag_keys", []))


def _one(value: Any) -> str:
    """Tag values come as a list of one, or bare."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str):
        raise _malformed()
    return value


def _strings(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _malformed()
    return tuple(value)


def _roles(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(";"))
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _malformed() -> AwsError:
    return AwsError("InvalidIdentityToken", "principal_tags passed in claim is not in correct format.", status=400)
