"""How IAM's objects look in answers, and how lists are cut into pages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import validation
from keyless.local.cloud.iam.checks import as_tags
from keyless.local.cloud.iam.model import AccessKey, ManagedPolicy, PolicyVersion, Role, User

Fields = dict[str, Any]
_PAGE = 100


def encoded(document: str) -> str:
    """A document as IAM returns it: percent-encoded (RFC 3986)."""
    return quote(document, safe="")


def _boundary(arn: str) -> Fields:
    if not arn:
        return {}
    return {"PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}}


def role(found: Role, *, whole: bool = True) -> Fields:
    """A role; lists leave out what is not ``whole``."""
    fields: Fields = {
        "Path": found.path,
        "RoleName": found.name,
        "RoleId": found.id,
        "Arn": found.arn,
        "CreateDate": _whole_seconds(found.created_at),
        "AssumeRolePolicyDocument": encoded(found.trust),
        "MaxSessionDuration": found.max_session_seconds,
    }
    if found.description:
        fields["Description"] = found.description
    if whole:
        fields |= _boundary(found.boundary) | {"RoleLastUsed": {}}
        if found.tags:
            fields["Tags"] = as_tags(found.tags)
    return fields


def user(found: User) -> Fields:
    """A user."""
    fields: Fields = {
        "Path": found.path,
        "UserName": found.name,
        "UserId": found.id,
        "Arn": found.arn,
        "CreateDate": _whole_seconds(found.created_at),
        **_boundary(found.boundary),
    }
    if found.tags:
        fields["Tags"] = as_tags(found.tags)
    return fields


def access_key(found: AccessKey) -> Fields:
    """A key without its secret."""
    status = "Active" if found.active else "Inactive"
    created = _whole_seconds(found.created_at)
    return {"UserName": found.user, "AccessKeyId": found.id, "Status": status, "CreateDate": created}


def policy(found: ManagedPolicy, *, attached: int, boundaries: int = 0, whole: bool = True) -> Fields:
    """A managed policy and how often it is attached."""
    fields: Fields = {
        "PolicyName": found.name,
        "PolicyId": found.id,
        "Arn": found.arn,
        "Path": found.path,
        "DefaultVersionId": found.default,
        "AttachmentCount": attached,
        "PermissionsBoundaryUsageCount": boundaries,
        "IsAttachable": True,
        "CreateDate": _whole_seconds(found.created_at),
        "UpdateDate": _whole_seconds(found.updated_at),
    }
    if whole and found.description:
        fields["Description"] = found.description
    if whole:
        fields["Tags"] = as_tags(found.tags)
    return fields


def version(found: PolicyVersion, default: str, *, whole: bool) -> Fields:
    """One version of a managed policy."""
    created = _whole_seconds(found.created_at)
    fields: Fields = {"VersionId": found.id, "IsDefaultVersion": found.id == default, "CreateDate": created}
    if whole:
        fields["Document"] = encoded(found.document)
    return fields


def _whole_seconds(moment: float) -> float:
    return float(int(moment))


def page(call: Call, name: str, items: Sequence[Any]) -> Fields:
    """One page of ``items`` by the caller's MaxItems and Marker."""
    start = _offset(call.params.get("Marker", ""))
    end = start + int(call.params.get("MaxItems", _PAGE))
    fields: Fields = {name: list(items[start:end]), "IsTruncated": end < len(items)}
    if end < len(items):
        fields["Marker"] = base64.urlsafe_b64encode(f"offset:{end}".encode()).decode()
    return fields


def _offset(marker: str) -> int:
    if not marker:
        return 0
    try:
        return int(base64.urlsafe_b64decode(marker).decode().removeprefix("offset:"))
    except (ValueError, binascii.Error):
        raise validation("Invalid Marker.") from None
