"""What AWS reads from a verified token beyond the standard claims: tags, source identity, allowed roles. Pure.

Facts: facts/identity.md#claims. Of the texts that of a malformed source identity is ours, in AWS's
manner.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.sts.tags import fault

_TAGS = "https://aws.amazon.com/tags"
_FLAT = f"{_TAGS}/principal_tags/"
_FLAT_TRANSITIVE = f"{_TAGS}/transitive_tag_keys"
_SOURCE_IDENTITY = "https://aws.amazon.com/source_identity"
_ROLES = "https://aws.amazon.com/roles"
_ROLE = re.compile(r"arn:aws[a-z0-9-]*:iam::[0-9]{12}:role/\S+", re.ASCII)
_IDENTITY = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class AwsClaims:
    """The claims under AWS's own names; ``roles`` is None where the issuer does not say which may be assumed."""

    tags: Mapping[str, str] = field(default_factory=dict)
    transitive_tags: tuple[str, ...] = ()
    source_identity: str = ""
    roles: tuple[str, ...] | None = None

    def authorizes(self, role_arn: str) -> bool:
        """Whether the issuer says that this role may be assumed; not where it says nothing about roles."""
        return role_arn in (self.roles or ())

    def check_role(self, role_arn: str) -> None:
        """Raise InvalidIdentityToken where the issuer says which roles may be assumed, and this is none of them."""
        if self.roles is None or role_arn in self.roles:
            return
        if not any(map(_ROLE.fullmatch, self.roles)):
            raise _refused("The roles claim contains no valid role ARNs")
        raise _refused("The target role ARN is not present in the roles claim of the identity token")


def aws_claims(claims: Mapping[str, Any]) -> AwsClaims:
    """Read them; raises InvalidIdentityToken where their form is wrong."""
    tags, transitive = _nested(claims.get(_TAGS))
    tags |= {key[len(_FLAT) :]: _bare(value) for key, value in claims.items() if key.startswith(_FLAT)}
    if _FLAT_TRANSITIVE in claims:
        transitive = _strings(claims[_FLAT_TRANSITIVE])
    known = {key.lower() for key in tags}
    if fault(tags) or any(key.lower() not in known for key in transitive):
        raise _malformed("principal_tags")
    return AwsClaims(tags, transitive, _source_identity(claims.get(_SOURCE_IDENTITY)), _roles(claims.get(_ROLES)))


def _nested(value: Any) -> tuple[dict[str, str], tuple[str, ...]]:
    if value is None:
        return {}, ()
    if not isinstance(value, dict) or not isinstance(value.get("principal_tags", {}), dict):
        raise _malformed("principal_tags")
    tags = {key: _one(given) for key, given in value.get("principal_tags", {}).items()}
    return tags, _strings(value.get("transitive_tag_keys", []))


def _one(value: Any) -> str:
    """A nested tag's value comes as a list of one, and in no other form."""
    if not isinstance(value, list) or len(value) != 1:
        raise _malformed("principal_tags")
    return _bare(value[0])


def _bare(value: Any) -> str:
    """A flat tag's value is no list."""
    if not isinstance(value, str):
        raise _malformed("principal_tags")
    return value


def _strings(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _malformed("principal_tags")
    return tuple(value)


def _source_identity(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not _IDENTITY.fullmatch(value):
        raise _malformed("source_identity")
    return value


def _roles(value: Any) -> tuple[str, ...] | None:
    """A list of ARNs, or one text with semicolons; what is neither allows no role."""
    if value is None:
        return None
    listed = value.split(";") if isinstance(value, str) else value
    return tuple(item.strip() for item in listed if isinstance(item, str)) if isinstance(listed, list) else ()


def _malformed(claim: str) -> AwsError:
    return _refused(f"{claim} passed in claim is not in correct format.")


def _refused(text: str) -> AwsError:
    return AwsError("InvalidIdentityToken", text, status=400)
