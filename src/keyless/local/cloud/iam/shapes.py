"""How IAM's objects look in answers, and how lists are cut into pages."""

from __future__ import annotations

import base64
import binascii
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from keyless.api.numbers import is_digits
from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import validation
from keyless.local.cloud.iam.checks import as_tags
from keyless.local.cloud.iam.model import AccessKey, Group, InstanceProfile, ManagedPolicy, PolicyVersion, Role, User

Fields = dict[str, Any]
_PAGE = 100
_MARK = "at:"


def encoded(document: str) -> str:
    """A document as IAM returns it: percent-encoded (RFC 3986)."""
    return quote(document, safe="")


def _boundary(arn: str) -> Fields:
    if not arn:
        return {}
    return {"PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}}


def role(found: Role, trust: str, *, whole: bool = True) -> Fields:
    """A role with its trust policy as it is read; lists leave out what is not ``whole``."""
    fields: Fields = {
        "Path": found.path,
        "RoleName": found.name,
        "RoleId": found.id,
        "Arn": found.arn,
        "CreateDate": _whole_seconds(found.created_at),
        "AssumeRolePolicyDocument": encoded(trust),
        "MaxSessionDuration": found.max_session_seconds,
    }
    if found.description:
        fields["Description"] = found.description
    if whole:
        fields |= _boundary(found.boundary) | {"RoleLastUsed": {}}
        if found.tags:
            fields["Tags"] = as_tags(found.tags)
    return fields


def user(found: User, *, whole: bool = True) -> Fields:
    """A user; lists leave out what is not ``whole``."""
    fields: Fields = {
        "Path": found.path,
        "UserName": found.name,
        "UserId": found.id,
        "Arn": found.arn,
        "CreateDate": _whole_seconds(found.created_at),
    }
    if whole:
        fields |= _boundary(found.boundary)
        if found.tags:
            fields["Tags"] = as_tags(found.tags)
    return fields


def group(found: Group) -> Fields:
    """A group."""
    return {
        "Path": found.path,
        "GroupName": found.name,
        "GroupId": found.id,
        "Arn": found.arn,
        "CreateDate": _whole_seconds(found.created_at),
    }


def profile(found: InstanceProfile, roles: Sequence[Fields]) -> Fields:
    """An instance profile with its role, if it has one."""
    fields: Fields = {
        "Path": found.path,
        "InstanceProfileName": found.name,
        "InstanceProfileId": found.id,
        "Arn": found.arn,
        "CreateDate": _whole_seconds(found.created_at),
        "Roles": list(roles),
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
    marker = _position(call)
    start = int(marker) if is_digits(marker) else 0
    end = start + _size(call)
    return _page(name, list(items[start:end]), str(end) if end < len(items) else "")


def page_by_key(call: Call, name: str, after: Callable[[str], Iterator[tuple[str, Any]]]) -> Fields:
    """One page of (key, item) pairs that ``after`` yields, beginning behind a key: the rest is not even read."""
    found = list(itertools.islice(after(_position(call)), _size(call) + 1))
    kept = found[: _size(call)]
    return _page(name, [item for _, item in kept], kept[-1][0] if len(found) > len(kept) else "")


def _page(name: str, items: list[Any], position: str) -> Fields:
    fields: Fields = {name: items, "IsTruncated": bool(position)}
    if position:
        fields["Marker"] = base64.urlsafe_b64encode(f"{_MARK}{position}".encode()).decode()
    return fields


def _size(call: Call) -> int:
    return int(call.params.get("MaxItems", _PAGE))


def _position(call: Call) -> str:
    marker = call.params.get("Marker", "")
    if not marker:
        return ""
    try:
        text = base64.urlsafe_b64decode(marker).decode()
    except (ValueError, binascii.Error):
        text = ""
    if not text.startswith(_MARK):
        raise validation("Invalid Marker.")
    return text.removeprefix(_MARK)
