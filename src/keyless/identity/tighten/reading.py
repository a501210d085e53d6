"""Calls from the local cloud's record and from CloudTrail's events. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from keyless.identity.tighten.model import ANYWHERE, Call
from keyless.identity.tighten.trails import Event, told_action

_REFUSED = ("AccessDenied", "UnauthorizedOperation", "Client.UnauthorizedOperation", "AccessDeniedException")
# Operations whose permission bears another name: AWS's service authorization reference.
_ACTIONS = {
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:CopyObject": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:ListParts": "s3:ListMultipartUploadParts",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
}


def of_record(line: Mapping[str, Any]) -> Iterator[Call]:
    """The calls of a line of ``keyless audit``; none where it was refused or made by nobody's role."""
    role = (line.get("caller") or {}).get("role") or {}
    if line.get("code") in _REFUSED or not role.get("name"):
        return
    for resource in line.get("resources") or (ANYWHERE,):
        yield Call(str(role["name"]), str(line["action"]), str(resource), str(line["time"]))


def of_trail(event: Event) -> Iterator[Call]:
    """The calls of a CloudTrail event; data events are in it only where the trail was told to record them."""
    issuer = (((event.get("userIdentity") or {}).get("sessionContext") or {}).get("sessionIssuer")) or {}
    if event.get("errorCode") in _REFUSED or not issuer.get("userName"):
        return
    service = str(event.get("eventSource", "")).partition(".")[0]
    named = f"{service}:{event.get('eventName', '')}"
    action = told_action(event) or _ACTIONS.get(named, named)
    for resource in _resources(event, action):
        yield Call(str(issuer["userName"]), action, resource, str(event.get("eventTime", "")))


def _resources(event: Event, action: str) -> list[str]:
    arns = [str(one["ARN"]) for one in event.get("resources") or () if one.get("ARN")]
    if not arns:
        return [_asked_for(event)]
    if not action.startswith("s3:") or len(arns) < 2:
        return arns
    # An event on an object names its bucket, too, and needs no permission on that.
    of_objects = [arn for arn in arns if "/" in arn]
    return of_objects if "Object" in action or "Part" in action else [arn for arn in arns if "/" not in arn]


def _asked_for(event: Event) -> str:
    """Secrets Manager's events name no resources, and the secret as its reader did: by its ARN, or by a mere name."""
    parameters = event.get("requestParameters")
    asked = parameters.get("secretId") if isinstance(parameters, dict) else None
    return asked if isinstance(asked, str) and asked.startswith("arn:") else ANYWHERE


def is_on_objects(event: Event) -> bool:
    """Whether a trail stores it only where it was told to store calls on objects of S3."""
    return event.get("eventCategory") == "Data" or event.get("managementEvent") is False
